"""DVC's cache, and reading an earlier out from it.

DVC removes a stage's outs before it runs the stage. Their content is still in DVC's cache, under
the hash in `dvc.lock`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import yaml

from facestats.core.tables.parts import listed_files
from facestats.errors import InputError
from facestats.machine.faults import fault, patiently
from facestats.rows.folder import is_absent

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_MOST_DEPTH = 50  # 100,000 levels crash the process
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class DvcCache:
    """A project's DVC cache.

    Attributes
    ----------
    root : Path
        Folder with dvc.lock.
    folder : Path
        What `dvc cache dir` prints; temporary and queued runs have that of their project.
    shared : bool, default False
        Whether people of one group share it (`cache.shared group`).
    """

    root: Path
    folder: Path
    shared: bool = False

    def object(self, md5: str) -> Path:
        """Path of the object with this hash, whether the cache has it or not."""
        return self.folder / "files" / "md5" / md5[:2] / md5[2:]

    def committed(self, out: str | Path) -> Path | None:
        """The cached file of an out (a file) by dvc.lock; None if the cache lacks it."""
        md5 = self._hash(out)
        path = self.object(md5) if md5 and is_md5(md5) else None
        return path if path and _is_file(path) else None

    def committed_files(self, out: str | Path) -> dict[str, str]:
        """MD5 of each file of an out (a folder), by its path below it; empty if not cached."""
        listing = self.committed(out)
        return _listed(listing) if listing else {}

    def committed_table(self, out: str | Path) -> list[Path]:
        """The cached files of a table by dvc.lock; see `table`."""
        md5 = self._hash(out)
        return self.table(md5) if md5 and is_md5(md5) else []

    def table(self, md5: str) -> list[Path]:
        """The cached files of a table with this hash, in order: one, or its parts.

        None if any is not cached.
        """
        paths = [self.object(md5)]
        if md5.endswith(".dir") and _is_file(paths[0]):
            paths = [self.object(part) for _, part in sorted(_listed(paths[0]).items())]
        return paths if all(map(_is_file, paths)) else []

    def tables(self, stage: str) -> list[list[Path]]:
        """The tables that a stage last wrote, in the workspace and as committed: their files."""
        return [paths for copies in self.copies(stage).values() for paths in copies]

    def copies(self, stage: str) -> dict[Path, list[list[Path]]]:
        """The files of the tables that a stage last wrote, by out: of none, that here, cached."""
        outs = [
            self.root / out["path"]
            for out in self._outs(stage)
            if str(out.get("path", "")).endswith(".parquet")
        ]
        return {
            out: [paths for paths in (_files_here(out), self.committed_table(out)) if paths]
            for out in outs
        }

    def has_outs(self) -> bool:
        """Whether dvc.lock exists and lists any out."""
        return bool(self._outs())

    def hashes(self, but_of: str) -> dict[Path, str]:
        """What each out is by dvc.lock, but for those of one stage, by its absolute path."""
        own = [out["path"] for out in self._outs(but_of)]
        return {
            Path(os.path.abspath(self.root / out["path"])): out["md5"]
            for out in self._outs()
            if out["path"] not in own and is_md5(out.get("md5"))
        }

    def _hash(self, out: str | Path) -> str | None:
        path = Path(os.path.abspath(out))
        for entry in self._outs():
            if Path(os.path.abspath(self.root / entry["path"])) == path:
                return entry.get("md5")
        return None

    def _outs(self, stage: str | None = None) -> list[dict]:
        """Outs that dvc.lock lists, of one stage or of all."""
        path = self.root / "dvc.lock"
        content = _read(path) if _is_file(path) else b""  # a pipe would not end
        try:
            if _depth(content) > _MOST_DEPTH:
                return []
            lock = yaml.load(content, Loader=_LOADER)
            return [
                out
                for name, facts in lock["stages"].items()
                if stage in (None, name)
                for out in facts.get("outs", [])
                if isinstance(out, dict) and isinstance(out.get("path"), str)
            ]
        except (ValueError, yaml.YAMLError, TypeError, KeyError, AttributeError):
            return []  # no dvc.lock yet, or one with a merge conflict


def _depth(content: bytes) -> int:
    """How deep YAML is nested, counted no further than `_MOST_DEPTH`."""
    depth = deepest = 0
    for event in yaml.parse(content, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        if deepest > _MOST_DEPTH:
            break
    return deepest


def md5_of_table(table: Path) -> str:
    """The MD5 that DVC has for a table: of its file, or of the list of its parts."""
    files = listed_files(table)
    if files == [table]:
        return _md5(table)
    entries = [{"md5": _md5(path), "relpath": path.name} for path in files]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _listed(listing: Path) -> dict[str, str]:
    """MD5 of each file of a folder, by its path below it; empty if the list is damaged."""
    content = _read(listing)
    try:
        return {
            entry["relpath"]: entry["md5"] for entry in json.loads(content) if is_md5(entry["md5"])
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def _files_here(table: Path) -> list[Path]:
    """A table's file, or its parts in order; none where it is absent."""
    files = listed_files(table)
    return files if all(map(_is_file, files)) else []


def _is_file(path: Path) -> bool:
    """Whether there is a file; raises `FaultError` where that can't be told."""
    try:
        return stat.S_ISREG(patiently(os.stat, path).st_mode)
    except OSError as error:
        if is_absent(error):
            return False
        raise fault(path, error) from None


def _read(path: Path) -> bytes:
    """Bytes of a file, none if it is absent; raises `FaultError` where it can't be read."""
    try:
        return patiently(path.read_bytes)
    except OSError as error:
        if is_absent(error):
            return b""
        raise fault(path, error) from None


def is_md5(name: object) -> TypeGuard[str]:
    """Whether this is the name of an object in DVC's cache; others might lead out of it."""
    return isinstance(name, str) and bool(_MD5.fullmatch(name))


def find_dvc_cache(start: str | Path = ".") -> DvcCache | None:
    """The cache of the DVC project around `start`; None outside of one.

    Raises
    ------
    InputError
        `cache.local` puts it at a remote: DVC obeys that old setting, and does not document it.
    """
    from dvc.config import Config, ConfigError

    start = Path(start).resolve()
    for root in (start, *start.parents):
        if (root / ".dvc").is_dir():
            try:
                facts = Config(str(root / ".dvc")).get("cache", {})
            except ConfigError:
                facts = {}
            if facts.get("local"):
                raise InputError(
                    "cache.local in .dvc/config puts DVC's cache at a remote; name its folder "
                    "with `dvc cache dir DIR`, and remove the line"
                )
            folder = facts.get("dir")
            return DvcCache(
                root,
                Path(folder) if folder else root / ".dvc" / "cache",
                facts.get("shared") == "group",
            )
    return None
