"""Look through DVC's cache for entries that would make DVC write outside of a stage's outs.

DVC does not check three things: an entry of the run cache may name any path as an out, the listing
of a folder (a `.dir` object) may name paths outside of the folder, and a hash in `dvc.lock` may be
a path. `dvc repro`, `dvc checkout` and `dvc pull` write to these paths, so anybody who can write to
the cache, or to a remote without `verify`, could run code here.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from facestats.cli.doctor_inputs import Finding
from facestats.rows.dvc_cache import DvcCache, find_dvc_cache, is_md5

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BAD_PARTS = frozenset(("", ".", "..", ".git", ".dvc"))  # DVC lists neither of the last two
_NOT_IN_KEY = ("size", "nfiles")  # DVC leaves them out of an entry's hash


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
        Of the kind `cache`, each with the file to remove.
    """

    entries: int = 0
    listings: int = 0
    problems: list[Finding] = field(default_factory=list)

    def add(self, path: Path, why: str, way: str | None = None) -> None:
        way = way or f"remove it (`rm -f {shlex.quote(str(path))}`)"
        self.problems.append(Finding("cache", f"{path}: {why}; {way}", str(path)))


def examine_cache(root: Path) -> CacheReport:
    """Check everything in the cache that names a path: some 5 ms for each run-cache entry.

    Parameters
    ----------
    root : Path
        Project folder. Without DVC there is nothing to check.
    """
    report = CacheReport()
    for path in _dvc_files(root):
        _check_dvc_file(path, root, report)
    cache = find_dvc_cache(root)
    if cache is not None:
        for entry in sorted((cache.folder / "runs").glob("*/*/*")):
            report.entries += 1
            _check_entry(entry, report)
        for listing in _listings(cache):
            report.listings += 1
            _check_listing(listing, report)
    return report


def _check_entry(path: Path, report: CacheReport) -> None:
    """Compare an entry with its folder's name: the hash of its command, inputs and outs' paths."""
    from dvc.utils import dict_sha256
    from dvc.utils.serialize import parse_yaml  # DVC's own reader, to see what DVC sees

    try:
        entry = parse_yaml(path.read_text(encoding="utf-8"), str(path))
        outs = entry.get("outs", [])
        key = dict_sha256(entry | {"outs": [out["path"] for out in outs]}, exclude=_NOT_IN_KEY)
        why = _wrong_out(outs)
    except Exception as error:  # an arbitrary file can make DVC's reader raise anything
        why = f"is no entry of the run cache ({type(error).__name__})"
        report.add(path, why, _remove_run(path))
        return
    if (path.parent.parent.name, path.parent.name) != (key[:2], key):
        why = (
            "this entry of the run cache was changed or cut off after DVC wrote it, and `dvc "
            "repro` would write whatever files it names"
        )
    if why:
        report.add(path, why, _remove_run(path))


def _remove_run(path: Path) -> str:
    """Remove the entry with its folder, since DVC fails at an empty one."""
    return f"remove it (`rm -rf {shlex.quote(str(path.parent))}`)"


def _check_listing(path: Path, report: CacheReport) -> None:
    try:
        entries = json.loads(path.read_bytes())
        why = _wrong_entry(entries)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):
        why = "is no listing of a folder"
    if why:
        report.add(path, why)


def _wrong_out(outs: Iterable[dict[str, Any]]) -> str | None:
    """Why outs of a lock file or an entry can't be DVC's own."""
    for out in outs:
        if not is_md5(out.get("md5", "0" * 32)) or out.get("hash", "md5") != "md5":
            return f"the hash of {out.get('path')!r} is no MD5, so that DVC would read another file"
        if why := _wrong_entry(out.get("files") or []):
            return why
    return None


def _wrong_entry(entries: Iterable[dict[str, Any]]) -> str | None:
    """Why a listing can't be DVC's own: an entry needs an MD5 and a path inside the folder."""
    for entry in entries:
        name = entry["relpath"]
        if not _BAD_PARTS.isdisjoint(name.split("/")) or "\0" in name:
            return f"this listing of a folder names {name!r}, where DVC would write a file"
        if not is_md5(entry.get("md5", "0" * 32)):
            return f"the hash of {name!r} is no MD5, so that DVC would read another file"
    return None


def _check_dvc_file(path: Path, root: Path, report: CacheReport) -> None:
    try:
        content = yaml.load(path.read_bytes(), _LOADER)
        lock = path.name == "dvc.lock"
        stages = list(content["stages"].values()) if lock else [content]
        outs = [out for stage in stages for out in stage.get("outs") or ()]
        why = _wrong_out(outs)
        if not lock:
            folder = path.parent / content.get("wdir", ".")
            away = [out["path"] for out in outs if not _is_below(folder / out["path"], root)]
            why = f"its out {away[0]!r} lies outside of the project" if away else why
            why = "holds a command, which `dvc repro` would run" if content.get("cmd") else why
    except (yaml.YAMLError, TypeError, KeyError, AttributeError, OSError, RecursionError):
        return  # empty, damaged or a conflict: `doctor_inputs` reports it
    if why:
        name = path.relative_to(root).as_posix()
        report.add(path, why, f"`git log -p {shlex.quote(name)}` tells who wrote that")


def _is_below(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))


def _listings(cache: DvcCache) -> Iterator[Path]:
    """Listings of DVC 3 and DVC 2, which kept its objects one folder higher."""
    for folder in (cache.folder / "files" / "md5", cache.folder):
        yield from sorted(folder.glob("[0-9a-f][0-9a-f]/*.dir"))


def _dvc_files(root: Path) -> Iterator[Path]:
    """Every dvc.lock and `.dvc` file; folders that are DVC's outs, or hidden, hold none."""
    for base, folders, files in os.walk(root):
        outs = {name.removesuffix(".dvc") for name in files if name.endswith(".dvc")}
        made = {"processed", "interim"} if Path(base) == root / "data" else set()
        folders[:] = [name for name in folders if name[0] != "." and name not in outs | made]
        yield from (
            Path(base, name)
            for name in sorted(files)
            if name == "dvc.lock" or name.endswith(".dvc")
        )
