"""What still holds people after `forget`: copies, texts, git, imports, experiments."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from facestats.cli.forget_names import Finder
from facestats.core.shards import open_any, open_each
from facestats.dvc_files.forms import MOST_YAML, ForeignError, load_yaml, read_regular
from facestats.errors import FaceStatsError, number_of
from facestats.machine.faults import fault, is_passing
from facestats.machine.git import read_git
from facestats.machine.output import print_line
from facestats.rows.folder import is_absent

SHOWN = 5  # files named one by one
_CHUNK = 1 << 20
TABLES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".ods", ".xls"}
_TEXTS = TABLES | {".yaml", ".yml", ".md", ".html", ".lock", ".dvc", ".tps", ".sav", ".dta"}
LONGEST = 32 << 20  # bytes of a file in git's history that is searched for names
_UNPACKED = 4 * LONGEST  # the same of a workbook's parts together
_SEPARATE = re.compile(r"[^\w]|_")


@dataclass(frozen=True)
class Search:
    """What `forget` looks for in other places.

    Attributes
    ----------
    images : list of str
        Paths below the image folder.
    names : set of str
        The photos' names: paths, faces, and as label files write them.
    persons : set of str
        People to forget with all their photos.
    sha256 : dict of str to str
        The photo's path by the hash of the photo or of its crop.
    sizes : set of int or None
        Bytes of these files; None if some are not known.
    git_objects : dict of str to str
        The photo's path by git's hash of the photo or of its crop.
    """

    images: list[str]
    names: set[str]
    persons: set[str]
    sha256: dict[str, str]
    sizes: set[int] | None
    git_objects: dict[str, str] = field(default_factory=dict)

    def may_be(self, size: int) -> bool:
        """Whether a file of so many bytes may be one of the photos or crops."""
        return size > 0 and (size in self.sizes if self.sizes is not None else size <= LONGEST)

    def finder(self, folders: Iterable[str], staying: Collection[str]) -> Finder:
        """What finds the names and people; folders and staying photos as of `Finder.of`."""
        return Finder.of(self.images, self.names, self.persons, folders, staying)


@dataclass(frozen=True)
class Bytes:
    """Number of a file's bytes, their sha256 (hex), and the hash by which git names them."""

    size: int
    sha256: str
    git: str


def sizes_of(paths: Iterable[Path]) -> dict[Path, int]:
    """Bytes of each path that leads to a file, or to a member of a shard that can be used."""
    return {path: size for path, _, size in open_each(paths)}


def bytes_of(paths: Iterable[Path]) -> dict[Path, Bytes]:
    """What tells the bytes of each path, as far as `sizes_of` knows it."""
    found = {}
    for path, file, size in open_each(paths):
        digests = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        _hash(file, size, *digests)
        found[path] = Bytes(size, *(digest.hexdigest() for digest in digests))
    return found


def files_of_project(root: Path, left_out: Collection[Path]) -> Iterator[Path]:
    """Regular files of a project folder, without git's, environments' and those in `left_out`.

    Links are not followed.
    """
    for base, folders, files in os.walk(root):
        here = Path(base)
        folders[:] = sorted(
            name
            for name in folders
            if name not in (".git", "__pycache__", "node_modules")
            and here / name not in left_out
            and not (here / name / "pyvenv.cfg").exists()
        )
        yield from (
            path
            for name in sorted(files)
            if (path := here / name).is_file() and not path.is_symlink()
        )


def same_bytes(paths: Iterable[Path], search: Search) -> dict[Path, str]:
    """Find files with the bytes of a photo or face; returns the photo's path for each."""
    copies = {}
    for path in paths:
        try:
            size = path.stat().st_size
            if search.may_be(size) and (image := search.sha256.get(sha256_of(path))):
                copies[path] = image
        except OSError as error:
            unread(path, error)
    return copies


def unread(path: Path, error: OSError) -> None:
    """Warn of a file that can't be read, unless it was removed meanwhile; a fault is raised."""
    if is_passing(error):
        raise fault(path, error) from None
    if not is_absent(error):
        print_line(f"warning: {path} can't be read ({error.strerror}) and was not looked through")


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open_any(path) as (file, size):
        _hash(file, size, digest)
    return digest.hexdigest()


def readable(data: bytes) -> bytes:
    """A file's text as UTF-8, from UTF-16, Windows-1252 or a spreadsheet's archive."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").encode()
    if data.startswith(b"PK"):
        import io

        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts, left = [], _UNPACKED
                for part in archive.infolist():
                    if part.filename.endswith(".xml") and part.file_size <= left:
                        parts.append(archive.read(part))
                        left -= part.file_size
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
            return data
        return (
            re.sub(rb"<[^<>]*>", b"\n", b"\n".join(parts))
            .replace(b"&amp;", b"&")
            .replace(b"&apos;", b"'")
        )
    try:
        data.decode()
        return data
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").encode()


def called_alike(images: Collection[str], here: Iterable[str]) -> list[str]:
    """Photos that stay but are named like one that goes: another format, an edit, a film."""
    stems = {
        (str(PurePosixPath(image).parent), PurePosixPath(image).stem.casefold()) for image in images
    }
    basenames = {PurePosixPath(image).name.casefold() for image in images}
    matches = []
    for other in here:
        path = PurePosixPath(other)
        name = path.name.casefold()
        starts = (
            (str(path.parent), name[:end]) in stems
            for end in (match.start() for match in _SEPARATE.finditer(name))
        )
        if other not in images and (
            any(starts) or any(part.casefold() in basenames for part in path.parts)
        ):
            matches.append(other)
    return matches


def imports(root: Path, files: Iterable[Path]) -> list[str]:
    """Describe DVC imports that would bring the photos back, one line each."""
    files = [path.absolute() for path in files]
    lines = []
    for path in sorted(files_of_project(root, {root / ".dvc"})):
        if path.suffix != ".dvc":
            continue
        try:
            content = load_yaml(read_regular(path, MOST_YAML))
            sources = [
                dep["repo"]["url"] if "repo" in dep else dep["path"]
                for dep in content.get("deps", ())
            ]
            outs = [
                path.parent / (content.get("wdir") or ".") / out["path"] for out in content["outs"]
            ]
        except (ForeignError, TypeError, KeyError, AttributeError):
            continue
        outs = [Path(os.path.abspath(out)) for out in outs]
        if sources and any(file.is_relative_to(out) for file in files for out in outs):
            name = path.relative_to(root)
            when = (
                f"`dvc update {name}`, once the source has changed,"
                if content.get("frozen")
                else "`dvc repro`"
            )
            lines.append(
                f"{name} was imported from {sources[0]}: {when} brings the photos back. Have them "
                f"removed there, or cut {name} loose: remove `deps` and `frozen` from it, then "
                f"`dvc commit -f {name}`"
            )
    return lines


def experiments(root: Path) -> str | None:
    """Count experiments and queued runs, which keep the label files and hashes of their time."""
    names = [
        name
        for name in _git(root, "for-each-ref", "--format=%(refname)", "refs/exps")
        .decode(errors="replace")
        .split()
        if not name.startswith(
            tuple(f"refs/exps/{kind}" for kind in ("apply", "celery", "exec", "stash", "temp"))
        )
    ]
    queued = sum(
        len(_git(root, "reflog", "show", "--format=%H", ref).split())
        for ref in ("refs/exps/celery/stash", "refs/exps/stash")
    )
    if not names and not queued:
        return None
    return (
        f"experiments: {len(names)}, queued: {queued}; they hold the label files of their time, "
        "and `dvc exp apply` asks for its photos: `dvc exp remove -A` and `dvc exp remove "
        "--queue`"
    )


def history(root: Path, search: Search, finder: Finder) -> list[str]:
    """List files in git's history, stashes or experiments that have their bytes or names."""
    listed = [
        line.split(b" ", 1)
        for line in _git(
            root, "rev-list", "--all", "--reflog", "--objects", "--objects"
        ).splitlines()
    ]
    paths = {
        parts[0]: parts[1].decode(errors="replace")
        for parts in listed
        if len(parts) == 2 and parts[1]
    }
    pictures = {name.encode(errors="surrogateescape") for name in search.git_objects} & paths.keys()
    committed = sorted(paths[name] for name in pictures)
    lines = (
        [
            f"git's history: {len(committed)} of their pictures were committed: "
            f"{', '.join(committed[:SHOWN])}" + (", …" if committed[SHOWN:] else "")
        ]
        if committed
        else []
    )
    texts = [
        name
        for name, path in paths.items()
        if PurePosixPath(path).suffix.lower() in _TEXTS and not path.startswith(("src/", "tests/"))
    ]
    versions: dict[str, int] = {}
    for name, data in _objects(root, texts):
        if any(found.is_sure for found in finder.all_in(readable(data))):
            versions[paths[name]] = versions.get(paths[name], 0) + 1
    return lines + [
        f"git's history: {path} names them in {number_of(n, 'version')}"
        for path, n in sorted(versions.items())
    ]


def _hash(file: BinaryIO, left: int, *digests: Any) -> None:
    while chunk := file.read(min(_CHUNK, left)):
        for digest in digests:
            digest.update(chunk)
        left -= len(chunk)


def _objects(root: Path, names: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Names and bytes of git's blobs that are not too large to search."""
    checked = _git(root, "cat-file", "--batch-check", stdin=b"\n".join(names) + b"\n").splitlines()
    small = [
        parts[0]
        for line in checked
        if len(parts := line.split()) == 3 and parts[1] == b"blob" and int(parts[2]) <= LONGEST
    ]
    for start in range(0, len(small), 500):
        data = _git(
            root, "cat-file", "--batch", stdin=b"\n".join(small[start : start + 500]) + b"\n"
        )
        at = 0
        while at < len(data):
            end = data.index(b"\n", at)
            name, _, size = data[at:end].split()
            at = end + 1 + int(size) + 1
            yield name, data[end + 1 : at - 1]


def _git(root: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    """The output of a git command; empty outside a repository."""
    try:
        return read_git(root, *arguments, stdin=stdin).stdout
    except FileNotFoundError:  # there is no git
        return b""
    except subprocess.TimeoutExpired:
        raise FaceStatsError(
            f"`git {arguments[0]}` did not end, so that git's history was not looked through; give "
            "the same command again"
        ) from None
