"""Files of a project that name photos or people, or are called like them, for `forget`."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, Any

from facestats.cli.forget_alike import PICTURES, called_like, is_hidden
from facestats.cli.forget_names import Finder, Found, folded, spellings
from facestats.cli.forget_traces import LONGEST, SHOWN, TABLES, Search, unread
from facestats.core.shard_removal import staying_members
from facestats.core.shards import SUFFIX as TAR
from facestats.core.shards import is_shard
from facestats.machine.child import Children
from facestats.machine.limits import CrashError, Limits, OverLimitError

LIMITS = Limits(120, 2 << 30)  # of one table
_children = Children("facestats.cli.forget_tables_process", LIMITS, "a table")
_READ_APART = {".parquet", ".feather", ".arrow", ".dta", ".sav", ".zsav"}
_TEXTS = TABLES | {".md", ".html", ".htm", ".xml", ".tps", ".tem", ".log", ".yaml", ".yml"}
_NUMBERS = {".npy", ".safetensors", ".onnx", ".pt"}  # texts stand at their beginning
# No text to the naked eye.
_CLOSED = {*".pdf .7z .rar .zst .gpg .age .mat .numbers .pages .lzma".split()}
_UNKNOWN, _WITHIN = "of a kind that can't be read", "archives within archives"
_TAGGED = (".xml", ".html", ".htm")
_TAG = re.compile(rb"<[^<>]*>")
_MOST = 1 << 31  # bytes of a text, or of an archive's parts together
_MOST_UNKNOWN = 1 << 28  # of a file of an unknown kind
_CHUNK, _OVERLAP = 1 << 22, 1 << 14
_WIDE = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4}  # bytes of a character
_SMALL = 1 << 16  # bytes of a member of a tar that is looked through with others
_BREAK = re.compile(rb"[\x00-\x1f,;\"]")
_UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_PACKED = (b"PK\x03\x04", *_UNPACKERS)  # what archives begin with
_LONGEST_SIGN, _TAR_SIGN, _BLOCK = 6, slice(257, 262), 512
_OF_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, ValueError, RuntimeError, NotImplementedError),
)
_SQLITE = b"SQLite format 3\0"
_PROGRAM = ("src", "tests")  # folders of the project that are ours
_SETTINGS = ("params.yaml", "dvc.yaml", "dvc.lock")


class _UnsearchedError(Exception):
    """A file was not looked through, or not to its end; the text says why."""


class Names:
    """Looks for names in the parts of a file, as whatever the bytes may be meant.

    Parameters
    ----------
    finder : Finder
    """

    def __init__(self, finder: Finder):
        self.finder = finder

    @cached_property
    def _needles(self) -> dict[str, list[bytes]]:
        """By encoding, what the folded bytes of every match hold."""
        words = [*self.finder.words, *self.finder.cell_words]
        cases = {case for word in words for case in (word, word.lower(), word.upper())}
        forms = {form.decode("utf-8", "replace") for one in cases for form in spellings(one)}
        found = {}
        for encoding in ("cp1252", *_WIDE):
            known = forms if encoding != "cp1252" else [one for one in forms if not one.isascii()]
            needles = {folded(one.encode(encoding, "ignore")) for one in known}
            found[encoding] = sorted(needle for needle in needles if needle)
        return found

    def first_in(self, data: bytes, is_first: bool = True, is_last: bool = True) -> Found | None:
        """The first name in a part of a file; not one that the part's ends may have cut.

        One that may be another photo's is given where there is no other.
        """
        unsure = None
        for form, among_numbers in self._readings(data):
            for found in self.finder.all_in(form, among_numbers):
                above_cut = form[found.start - 1 : found.start] in b"/\\" and not _BREAK.search(
                    form[: found.start]
                )
                cut_off = (not is_first and (found.start == 0 or above_cut)) or (
                    not is_last and found.end == len(form)
                )
                if not cut_off and found.is_sure:
                    return found
                unsure = unsure or (None if cut_off else found)
        return unsure

    def _readings(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """The data as they may be meant, each with whether numbers stand among the texts."""
        has_nulls = b"\0" in data
        if has_nulls:
            yield data, True
        yield data.replace(b"\0", b"\n"), False
        same_case = folded(data) if has_nulls or self._needles["cp1252"] else b""
        for encoding, needles in self._needles.items():
            width = _WIDE.get(encoding, 1)
            if (width == 1 or has_nulls) and any(one in same_case for one in needles):
                for shift in range(width):
                    text = data[shift:].decode(encoding, "replace").replace("\0", "\n")
                    yield text.encode(errors="replace"), False
                    if width == 4:  # the texts of NumPy fill their places
                        yield text.encode(errors="replace"), True


def traces(
    root: Path,
    paths: Collection[Path],
    finder: Finder,
    images: Collection[str],
    photos: Path,
    outs: Collection[Path],
) -> list[str]:
    """Lines on files that name the people, hold their embeddings or are called like them.

    Parameters
    ----------
    root : Path
        The project folder.
    paths : collection of Path
        Regular files of it.
    finder : Finder
    images : collection of str
        The photos that go: paths below the folder of photos.
    photos : Path
        The folder of photos.
    outs : collection of Path
        What stages write: there, tables and texts alone are looked through.
    """
    ours = [*(root / name for name in _PROGRAM), *outs]
    few = {path for path in paths if any(path.is_relative_to(one) for one in ours)}
    wanted = [path for path in paths if _is_searched(path, path in few, photos)]
    names, hidden = Names(finder), []
    named, unsearched = files_that_name(wanted, names)
    for shard in (path for path in paths if path.is_relative_to(photos) and is_shard(path)):
        hidden += _look_through(shard, images, photos, names, named, unsearched)
    others = [path for path in paths if path not in few and path not in named]
    lines = [
        _line(path, name, path.parent == root and path.name in _SETTINGS)
        for path, name in named.items()
    ]
    sure = [path for path, name in named.items() if name.is_sure]
    vectors = _embeddings_beside(others, sure)
    lines += [f"{path} holds embeddings; by {of}, theirs are among them" for path, of in vectors]
    known = {path for path, _ in vectors}
    lines += [
        f"{path} is called like {image}, and stays; look at it yourself"
        for path, image in called_like([*others, *hidden], images, photos).items()
        if path not in known
    ]
    by_reason: dict[str, list[Path]] = {}
    for path, why in unsearched.items():
        by_reason.setdefault(why, []).append(path)
    for why, some in by_reason.items():
        shown = ", ".join(map(str, some[:SHOWN]))
        more = f" and {len(some) - SHOWN} more" if some[SHOWN:] else ""
        lines.append(f"not looked through for names ({why}): {shown}{more}")
    return lines


def still_named(kept: Mapping[Path, bytes], finder: Finder, write: bool) -> list[str]:
    """Lines on label files that name the people beside the lines about them.

    Parameters
    ----------
    kept : mapping of Path to bytes
        What each file holds without these lines.
    finder : Finder
        Without names that are numbers: ages and ratings are numbers, too.
    write : bool
        Whether the lines were removed.
    """
    names, says = Names(finder), "still names" if write else "would still name"
    lines = []
    for path, data in kept.items():
        try:
            found = _in_file(io.BytesIO(data), path.suffix.lower(), names)
        except _UnsearchedError as error:
            lines.append(f"not looked through for names ({error}): {path}")
            continue
        if found and found.is_sure:
            lines.append(
                f"{path} {says} {found.text} beside the lines about the photos (in another column, "
                "sheet, filter or note); look through it yourself"
            )
        elif found:
            lines.append(
                f"{path} may still name {found.text}, but a photo that stays is called so, too; "
                "look through it yourself"
            )
    return lines


def _line(path: Path, name: Found, is_setting: bool) -> str:
    if not name.is_sure:
        return (
            f"{path} may name {name.text}, but a photo that stays is called so, too; look through "
            "it yourself"
        )
    if is_setting:
        return f"{path} names {name.text}; take that out"
    return f"{path} names {name.text} and is read by no stage; look through it yourself"


def _is_searched(path: Path, few: bool, photos: Path) -> bool:
    kind = path.suffix.lower()
    if kind in TABLES:
        return True
    is_tar = path.suffix == TAR and path.is_relative_to(photos) and is_shard(path)
    return not (few or kind in PICTURES or is_tar)


def _look_through(
    shard: Path,
    images: Collection[str],
    photos: Path,
    names: Names,
    named: dict[Path, Found],
    unsearched: dict[Path, str],
) -> list[Path]:
    """Look through the members of a tar of photos that are none; gives hidden pictures in it."""
    if shard.suffix != TAR:
        return []
    hidden, small, read = [], {}, 0
    try:
        for name, file, size in staying_members(shard, _going(shard, images, photos)):
            path = shard / name
            if PurePosixPath(name).suffix.lower() in PICTURES:
                hidden += [path] if is_hidden(path, photos) else []
                continue
            start = file.read(min(size, _SMALL))
            if size <= _SMALL and _is_text(path, start):
                small[path], read = start, read + size
                if read > _CHUNK:
                    named |= _names_in(small, names)
                    small, read = {}, 0
                continue
            try:
                if found := _in_member(path, start, file, size, names):
                    named[path] = found
            except _UnsearchedError as error:
                unsearched[path] = str(error)
    except tarfile.ReadError:
        unsearched[shard] = "damaged"
    except OSError as error:
        unread(shard, error)
    named |= _names_in(small, names)
    return hidden


def _going(shard: Path, images: Collection[str], photos: Path) -> set[str]:
    """The members of a shard that are photos that go."""
    start = f"{shard.relative_to(photos).as_posix()}/"
    return {image.removeprefix(start) for image in images if image.startswith(start)}


def same_members(paths: Iterable[Path], search: Search, photos: Path) -> dict[Path, str]:
    """Find hidden members of tars of photos with the bytes of one; the photo's path for each."""
    copies = {}
    for shard in (path for path in paths if path.suffix == TAR and path.is_relative_to(photos)):
        try:
            members = staying_members(shard, _going(shard, search.images, photos))
            for name, file, size in members if is_shard(shard) else ():
                if is_hidden(shard / name, photos) and search.may_be(size):
                    digest = hashlib.sha256(file.read(size)).hexdigest()
                    if image := search.sha256.get(digest):
                        copies[shard / name] = image
        except tarfile.ReadError:
            continue  # said where names are looked for
        except OSError as error:
            unread(shard, error)
    return copies


def _names_in(parts: Mapping[Path, bytes], names: Names) -> dict[Path, Found]:
    """The first name in each of many small files."""
    if names.first_in(b"\n\n".join(parts.values())) is None:
        return {}
    found = {path: names.first_in(data) for path, data in parts.items()}
    return {path: name for path, name in found.items() if name}


def _is_text(path: Path, start: bytes) -> bool:
    """Whether a file is no archive, table or other kind that its bytes alone do not show."""
    kind = path.suffix.lower()
    is_packed = start.startswith((_SQLITE, *_PACKED))
    return not is_packed and kind not in _READ_APART | _NUMBERS | _CLOSED


def _in_member(path: Path, start: bytes, file: IO[bytes], size: int, names: Names) -> Found | None:
    """The first name in a member of a tar, of which the first bytes are read."""
    if size > _MOST_UNKNOWN:
        raise _UnsearchedError("too large")
    with NamedTemporaryFile(suffix=path.suffix) as copy:
        copy.write(start)
        while left := size - copy.tell():
            copy.write(file.read(min(left, _CHUNK)) or bytes(left))
        copy.flush()
        return _first_name(Path(copy.name), names)


def files_that_name(
    paths: Iterable[Path], names: Names
) -> tuple[dict[Path, Found], dict[Path, str]]:
    """Look through files; gives the first name in each that has one, and why some were not read."""
    named, unsearched = {}, {}
    for path in paths:
        try:
            if name := _first_name(path, names):
                named[path] = name
        except _UnsearchedError as error:
            unsearched[path] = str(error)
        except OSError as error:
            unread(path, error)
    return named, unsearched


def _first_name(path: Path, names: Names) -> Found | None:
    kind, why = path.suffix.lower(), None
    with open(path, "rb", opener=_open_itself) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        is_base = file.read(len(_SQLITE)) == _SQLITE
        file.seek(0)
        if is_base or kind in _READ_APART:
            try:
                found = _in_table(path, names)
            except _UnsearchedError as error:
                found, why = None, str(error)
            if found or not (why or is_base):  # a database keeps rows that were deleted
                return found
        return _in_file(file, kind, names, why)


def _in_file(file: IO[bytes], kind: str, names: Names, why: str | None = None) -> Found | None:
    """The first name in an open file; `why` it could not be read as what it is."""
    start = file.read(6)
    file.seek(0)
    unpack = next((one for sign, one in _UNPACKERS.items() if start.startswith(sign)), None)
    most = _MOST if kind in TABLES or kind in _TEXTS else _MOST_UNKNOWN
    if start.startswith(b"PK\x03\x04") or unpack:
        try:
            if unpack is None:
                name = _in_archive(file, names)
            else:
                with unpack(file) as unpacked:
                    name = _in_stream(unpacked, names, most)
            if name is None and kind in _CLOSED:
                raise _UnsearchedError(_UNKNOWN)
            return name
        except _OF_ARCHIVE:
            why = "damaged, locked or packed in an unknown way"
        file.seek(0)
    if kind in _NUMBERS:
        return names.first_in(file.read(LONGEST))
    name = _in_stream(file, names, most, kind in _TAGGED)
    if name is None and kind in _CLOSED:
        why = _UNKNOWN
    if name is None and why:
        raise _UnsearchedError(why)
    return name


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _in_table(path: Path, names: Names) -> Found | None:
    head = {"path": os.path.abspath(path)}
    try:
        answer, _ = _children.call(head, names.finder.to_bytes())
    except (OverLimitError, CrashError):
        raise _UnsearchedError("takes too long, or ends what reads it") from None
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"], str(path))
    if "why" in answer:
        raise _UnsearchedError(answer["why"])
    return Found(*answer["found"]) if answer["found"] else None


def _in_archive(file: IO[bytes], names: Names) -> Found | None:
    left = _MOST
    with zipfile.ZipFile(file) as archive:
        listed = "\n".join(archive.namelist()).encode(errors="replace")
        if (name := names.first_in(listed)) and name.is_sure:
            return name
        unsure, has_archives = name, False
        for part in archive.infolist():
            kind = PurePosixPath(part.filename).suffix.lower()
            if part.is_dir() or kind in PICTURES:
                continue
            with archive.open(part) as unpacked:
                is_packed = unpacked.read(_LONGEST_SIGN).startswith(_PACKED)
            if is_packed:
                has_archives = True
                continue
            with archive.open(part) as unpacked:
                name = _in_stream(unpacked, names, left, kind in _TAGGED)
                if name and name.is_sure:
                    return name
                unsure = unsure or name
            left -= part.file_size
    if unsure is None and has_archives:
        raise _UnsearchedError(_WITHIN)
    return unsure


def _in_stream(file: Any, names: Names, most: int, tagged: bool = False) -> Found | None:
    """The first name in a file that is read part by part."""
    before, taken, unsure, is_tar, has_archives = b"", 0, None, False, False
    while True:
        part = file.read(_CHUNK)
        is_last = len(part) < _CHUNK
        data = before + part
        for form in (data, _TAG.sub(b"\n", data)) if tagged else (data,):
            name = names.first_in(form, taken == 0, is_last)
            if name and name.is_sure:
                return name
            unsure = unsure or name
        is_tar = is_tar or (taken == 0 and part[_TAR_SIGN] == b"ustar")
        places = range(0, len(part), _BLOCK) if is_tar else range(0 if taken else 1)
        has_archives = has_archives or any(part.startswith(_PACKED, place) for place in places)
        taken += len(part)
        if is_last and unsure is None and has_archives:
            raise _UnsearchedError(_WITHIN)
        if is_last:
            return unsure
        if taken >= most:
            raise _UnsearchedError("too large")
        before = data[-_OVERLAP:]


def _embeddings_beside(paths: Iterable[Path], named: Collection[Path]) -> list[tuple[Path, Path]]:
    """Arrays whose file of names, or whose export, holds the people; each with what says so."""
    owners = {
        (path.parent, path.name.removesuffix("_names.csv")): path
        for path in named
        if path.name.endswith("_names.csv")
    }
    exports = {
        folder: path
        for path in named
        for folder in path.parents
        if (folder / "export.json").is_file()
    }
    found = []
    for path in paths:
        if path.suffix.lower() == ".npy":
            own = owners.get((path.parent, path.name.partition(".")[0]))
            own = own or next((exports[one] for one in path.parents if one in exports), None)
            found += [(path, own)] if own else []
    return found
