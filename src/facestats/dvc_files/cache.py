"""Look through DVC's cache, dvc.lock and `.dvc` files for what DVC has not written itself.

An entry of the run cache may name any path as an out, the listing of a folder (a `.dir` object) may
name paths outside of the folder, a hash may be a path, an object may be a link. DVC follows all of
them: `dvc status`, `fetch`, `checkout` and `repro` then delete, overwrite or copy files, so that
anybody who can write to the cache, to a remote or to dvc.lock could run code here. What is not in
DVC's own form is named, and no command of this package lets DVC look at it.

DVC unpickles the databases of its site cache, which it makes in /var/tmp, open to all users of the
machine. Where it is not the user's own, a warning says so.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from facestats.core.files import require_file
from facestats.core.photo_files import printable
from facestats.dvc_files.forms import (
    MOST_LISTING,
    MOST_YAML,
    DamagedListingError,
    ForeignError,
    Out,
    dvc_file_outs,
    entry_outs,
    listed_files,
    lock_outs,
    read_regular,
)
from facestats.dvc_files.places import misplaced, places_of_stages
from facestats.errors import InputError, number_of
from facestats.machine.git import read_git
from facestats.machine.output import shell_words
from facestats.machine.writable_by_others import find_exposed
from facestats.rows.dvc_cache import find_dvc_cache

LOCK, PIPELINE = "dvc.lock", "dvc.yaml"
OWN_SITE_CACHE = "~/.cache/dvc-site"  # as the Makefile makes it

_PREFIX = re.compile(r"[0-9a-f]{2}")
_FOLDER = re.compile(r"[0-9a-f]{2}|[0-9a-f]{64}", re.IGNORECASE)
_NO_PROJECT = frozenset((".git", ".hg", ".dvc"))  # DVC looks for no file of its own in them
_NOT_IN_GIT = (".dvc/tmp", ".dvc/cache", ".dvc/config.local")
_EXPERIMENTS = "refs/exps"  # where DVC keeps their commits
_SILENT = "git does not say what its last commit holds"
_NO_COMMIT = 1  # exit code of `git rev-parse -q --verify HEAD`
_PATIENCE = 20  # seconds
_LONGEST = 1000  # characters of a path that is shown whole


@dataclass(frozen=True)
class Finding:
    """A problem or a warning.

    Attributes
    ----------
    kind : str
        For programs; docs/photos.md lists the kinds.
    message : str
        What is wrong, where, and the way out.
    path : str or None
        The file or folder.
    """

    kind: str
    message: str
    path: str | None = None


@dataclass
class CacheReport:
    """What the cache holds.

    Attributes
    ----------
    entries : int
        Entries of the run cache.
    listings : int
        Listings of folders.
    problems : list of Finding
        Of the kind `cache`, each with what to do about it.
    warnings : list of Finding
        Of the kind `site cache`. Every user of DVC has it so unless they chose another, and it
        harms nobody who has the machine for themselves: no command is refused for it.
    folders : dict of str to set of str
        Folders that each listing names below its out, by the listing's hash.
    """

    entries: int = 0
    listings: int = 0
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    folders: dict[str, set[str]] = field(default_factory=dict)

    def add(self, path: Path, why: str, way: str) -> None:
        name = printable(str(path))
        shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
        self.problems.append(Finding("cache", f"{shown}: {why}; {way}", name))


def examine_cache(root: Path) -> CacheReport:
    """Check all from which DVC takes a path, a hash or a command: some 5 ms for each entry.

    Parameters
    ----------
    root : Path
        A folder of the project, all of which is checked. Without DVC there is nothing to check.
    """
    report = CacheReport()
    cache = find_dvc_cache(root)
    if cache is not None and cache.root != root.resolve():
        root = cache.root
    outs = {path: _outs_of(path, root, report) for path in _dvc_files(root)}
    if cache is not None:
        examine_store(cache.folder, report)
        _examine_site_cache(root, report)
        _examine_commit(root, report)
    for path, named in outs.items():
        is_pipeline = path.name in (LOCK, PIPELINE)
        beside = None if is_pipeline else Path(os.path.abspath(path.parent))
        whys = (misplaced(place, out, root, report.folders, beside) for place, out in named)
        if found := next(filter(None, whys), None):
            _add_project_file(path, found.why, root, report, found.link)
    return report


def require_sound_cache(root: Path) -> None:
    """Keep DVC from what would lead it out of the project; called before DVC is.

    Raises
    ------
    InputError
        The first problem, and how to see the others.
    """
    problems = examine_cache(root).problems
    if problems:
        more = f", and {number_of(len(problems) - 1, 'more problem')}" if problems[1:] else ""
        raise InputError(
            f"{problems[0].message}{more}: DVC would follow it, so it was not asked. `python -m "
            "facestats doctor --cache` names all"
        )


def examine_store(folder: Path, report: CacheReport, ours: bool = True) -> None:
    """Check the run cache, the listings and the objects of a cache, or of a remote in a folder.

    Parameters
    ----------
    folder : Path
        With `files/md5` and `runs`; no link in it is followed.
    report : CacheReport
        Gets what is found.
    ours : bool, default True
        Whether to say how to remove what is found: on a remote that is for others to do.
    """
    store = _Store(folder, report, ours)
    for key_folder in store.folders(*store.folders(folder / "runs")):
        entries = store.entries(key_folder)
        if not entries:
            store.check_empty(key_folder)
        for entry in entries:
            store.check_entry(entry)
    old = store.folders(folder, names=_PREFIX)  # DVC 2 kept its objects one folder higher
    for prefix in [*store.folders(folder / "files" / "md5"), *old]:
        for entry in store.entries(prefix):
            store.check_object(entry)
    store.check_imports(folder / "fs")


def find_site_cache(root: Path) -> tuple[Path, str | None]:
    """Where DVC keeps databases of its own, and the folder that a config sets for them, if any."""
    from dvc.config import Config, ConfigError
    from dvc.dirs import site_cache_dir

    try:
        configured = Config(str(root / ".dvc")).get("core", {}).get("site_cache_dir")
    except ConfigError:  # as in `find_dvc_cache`; DVC itself refuses to run
        configured = None
    return Path(site_cache_dir(configured), "repo"), configured


def _examine_site_cache(root: Path, report: CacheReport) -> None:
    """Check that nobody else can replace the databases that DVC unpickles."""
    from dvc.env import DVC_SITE_CACHE_DIR

    folder, configured = find_site_cache(root)
    exposed = find_exposed(folder)
    if exposed is None:
        return
    # What a project says of its own site cache wins over what the user says of all.
    level = "--local" if configured else "--global"
    own = os.path.expanduser(OWN_SITE_CACHE)  # others may be able to write to the home folder
    way = (
        f"set {DVC_SITE_CACHE_DIR} to a folder that only you may enter"
        if configured == own or os.environ.get(DVC_SITE_CACHE_DIR)
        else f"`install -d -m 700 {OWN_SITE_CACHE} && dvc config {level} core.site_cache_dir "
        f"{OWN_SITE_CACHE}` gives you your own"
    )
    at = "" if exposed == folder else f", through {exposed}"
    why = f"DVC runs code that it finds there, and other users of this machine can write to it{at}"
    name = printable(str(folder))
    report.warnings.append(Finding("site cache", f"{name}: {why}; {way}", name))


def _examine_commit(root: Path, report: CacheReport) -> None:
    """Check that no commit or experiment brings anything into folders that git ignores.

    Nobody looks there, and `dvc exp run` and `dvc queue start` run code and commands that they find
    in `.dvc/tmp`.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return
    try:
        first = read_git(root, "rev-parse", "-q", "--verify", "HEAD", timeout=_PATIENCE)
        if first.returncode == _NO_COMMIT:
            return
        refs = read_git(
            root, "for-each-ref", "--format=%(refname)", _EXPERIMENTS, timeout=_PATIENCE
        )
        trees = ["HEAD", *os.fsdecode(refs.stdout).splitlines()]
        for tree in trees:
            listed = read_git(root, "ls-tree", "-rz", tree, "--", ".dvc", timeout=_PATIENCE)
            if listed.returncode:
                said = printable(os.fsdecode(listed.stderr).strip().partition("\n")[0])
                report.add(root, f"{_SILENT} ({said})", "mend that")
                return
            _examine_tree(root, tree, os.fsdecode(listed.stdout).split("\0"), report)
    except FileNotFoundError:  # no git
        return
    except (OSError, subprocess.TimeoutExpired):
        report.add(root, _SILENT, "mend that")


def _examine_tree(root: Path, tree: str, lines: list[str], report: CacheReport) -> None:
    for name in filter(None, (line.partition("\t")[2] for line in lines)):
        # A `.dvc` that git has not as a folder is a link to one that has its `tmp` elsewhere.
        if name != ".dvc" and not any(Path(name).is_relative_to(own) for own in _NOT_IN_GIT):
            continue
        if tree == "HEAD":
            holder, way = (
                "git",
                f"`git rm -rf --cached {shell_words([name])}`, commit, and remove it",
            )
        else:
            holder = f"the experiment {printable(tree)}"
            way = f"`git update-ref -d {shell_words([tree])}`, and remove it where it was applied"
        report.add(
            root / name,
            f"{holder} holds it, where DVC keeps what git must not bring, and may run it",
            way,
        )


class _Store:
    """A cache, or a remote in a folder."""

    def __init__(self, folder: Path, report: CacheReport, ours: bool) -> None:
        self._folder, self._report, self._ours = folder, report, ours

    def folders(self, *above: Path, names: re.Pattern[str] | None = None) -> list[Path]:
        """The folders in these folders; what is a link, or in place of a folder, is reported.

        Other files, such as `.DS_Store`, are none that DVC looks at.
        """
        found = []
        for entry in (entry for folder in above for entry in self.entries(folder)):
            if names is not None and not names.fullmatch(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                found.append(Path(entry.path))
            elif not (entry.is_file(follow_symlinks=False) and self._is_passed_over(entry.name)):
                self._add(Path(entry.path), "is no folder, where DVC makes one")
        return found

    def _is_passed_over(self, name: str) -> bool:
        """Whether DVC looks at no file of this name; of a remote, it fetches all."""
        return not _FOLDER.fullmatch(name) and (self._ours or name.startswith("."))

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What lies in a folder; a link on the way to it is reported, and not followed."""
        below = folder.relative_to(self._folder).parts
        steps = (self._folder.joinpath(*below[: n + 1]) for n in range(len(below)))
        if link := next((path for path in steps if path.is_symlink()), None):
            self._add(link, "is a link, and DVC makes none in its cache")
            return []
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            self._add(folder, f"can't be checked ({error.strerror})")
            return []

    def check_entry(self, entry: os.DirEntry[str]) -> None:
        """Check an entry of the run cache."""
        self._report.entries += 1
        path = Path(entry.path)
        key_folder = path.parent
        try:
            entry_outs(read_regular(path, MOST_YAML), key_folder.parent.name, key_folder.name)
        except ForeignError as error:
            # With its folder, since DVC fails at an empty one.
            self._add(path, str(error), key_folder)

    def check_empty(self, key_folder: Path) -> None:
        """Report a folder of the run cache without entry; one on a remote is never fetched."""
        if self._ours and not key_folder.is_symlink() and not any(key_folder.iterdir()):
            self._add(key_folder, "is an empty folder of the run cache, at which `dvc repro` fails")

    def check_object(self, entry: os.DirEntry[str]) -> None:
        """Check an object: of listings the content, of others that it is a file and no link."""
        path, is_file = Path(entry.path), entry.is_file(follow_symlinks=False)
        if is_file and not entry.name.endswith(".dir"):
            return
        self._report.listings += is_file
        try:
            if entry.is_symlink():
                raise ForeignError("is a link, whose target DVC would copy")
            if not is_file:
                raise ForeignError("is no regular file, and DVC writes no other")
            files = listed_files(read_regular(path, MOST_LISTING))
            folders = {name.rpartition("/")[0] for name, _ in files}
        except ForeignError as error:
            if self._ours or not isinstance(error, DamagedListingError):
                self._add(path, str(error))
            return
        self._report.folders.setdefault(path.parent.name + path.name, set()).update(folders)

    def check_imports(self, folder: Path) -> None:
        """Check that imports fetched by DVC, which it names as it likes, are files and no links."""
        left = [folder]
        while left:
            for entry in self.entries(left.pop()):
                if entry.is_dir(follow_symlinks=False):
                    left.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    self._add(Path(entry.path), "is no regular file, and DVC would copy its target")

    def _add(self, path: Path, why: str, remove: Path | None = None) -> None:
        """Report a path, and the command that removes it, which follows no link."""
        remove = remove or path
        if not self._ours:
            way = "ask who can write there"
        elif len(str(remove)) > _LONGEST:
            way = "remove it"
        else:
            is_folder = remove.is_dir() and not remove.is_symlink()
            way = f"remove it (`rm {'-rf' if is_folder else '-f'} {shell_words([str(remove)])}`)"
        self._report.add(path, why, way)


def _outs_of(path: Path, root: Path, report: CacheReport) -> list[tuple[Path, Out]]:
    """The outs that a file of DVC's names, each with its place in the workspace."""
    try:
        if path.name == PIPELINE:
            require_file(path)
            return list(places_of_stages(path))
        data = read_regular(path, MOST_YAML)
        if path.name == LOCK:
            outs, folder = lock_outs(data), path.parent
        else:
            outs, below = dvc_file_outs(data)
            folder = path.parent / below
        return [(folder / out.path, out) for out in outs]
    except ForeignError as error:
        _add_project_file(path, str(error), root, report)
    except OSError as error:
        _add_project_file(path, f"can't be read ({error.strerror})", root, report)
    return []


def _add_project_file(
    path: Path, why: str, root: Path, report: CacheReport, link: Path | None = None
) -> None:
    name = path.relative_to(root).as_posix()
    way = (
        f"remove the link (`rm -f {shell_words([str(link)])}`)"
        if link is not None
        else f"`git log -p {shell_words([name])}` tells who wrote that"
    )
    report.add(path, why, way)


def _dvc_files(root: Path) -> Iterator[Path]:
    """Every file of DVC's own that it could collect, and more: it leaves outs out."""
    for base, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NO_PROJECT]
        yield from (
            Path(base, name)
            for name in sorted(files)
            if name in (LOCK, PIPELINE) or name.endswith(".dvc")
        )
