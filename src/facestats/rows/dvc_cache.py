"""DVC's cache, and reading an earlier out from it.

DVC removes a stage's outs before it runs the stage. Their content is still in DVC's cache, under
the hash in `dvc.lock`.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import yaml

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
        if listing is None:
            return {}
        content = _read(listing)
        try:
            return {
                entry["relpath"]: entry["md5"]
                for entry in json.loads(content)
                if is_md5(entry["md5"])
            }
        except (ValueError, TypeError, KeyError, RecursionError):  # damaged
            return {}

    def tables(self, stage: str) -> list[Path]:
        """The parquet files that a stage last wrote: in the workspace, and as committed."""
        return [path for copies in self.copies(stage).values() for path in copies]

    def copies(self, stage: str) -> dict[Path, list[Path]]:
        """Where the parquet files that a stage last wrote are, by out: nowhere, here, cached."""
        outs = [
            self.root / out["path"]
            for out in self._outs(stage)
            if str(out.get("path", "")).endswith(".parquet")
        ]
        return {
            out: [path for path in (out, self.committed(out)) if path and _is_file(path)]
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
