"""What somebody edits while a stage runs: DVC would record it as if the stage had used it.

DVC takes the hashes of a stage's deps, and the values of its params, when the stage has ended. So
a stage looks at its end whether they are what they were at its start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml

from facestats.core.files import read_bytes

STARTED = "FACESTATS_STARTS"  # environment: how often the stage has started, set by itself
PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
_NO_INPUT = frozenset({"__pycache__"})
_BYTES = 16  # of a file's hash; a folder has the sum of its files'


class Inputs:
    """What no stage makes of that on which a stage depends, as it is now.

    Parameters
    ----------
    stage : str
        Its name in dvc.yaml, with the key of params.yaml where it has one; empty for none.

    Attributes
    ----------
    params : list of str
        The keys of params.yaml that DVC records for it.
    """

    def __init__(self, stage: str):
        name, _, key = stage.partition("@")
        content = _load(PIPELINE)
        stages = {
            each: stage.get("do") or stage for each, stage in (content.get("stages") or {}).items()
        }
        described = stages.get(name) or {}
        filled = {"key": key, "item": key, **_flat(content.get("vars") or [])}
        self._params_file = read_bytes(PARAMS) if PARAMS.is_file() else b""
        filled |= _flat([_loaded(self._params_file)])
        self.params = [
            _fill(each, filled) for each in described.get("params") or () if isinstance(each, str)
        ]
        made = [
            Path(_fill(out if isinstance(out, str) else next(iter(out)), filled).partition("${")[0])
            for stage in stages.values()
            for kind in ("outs", "metrics", "plots")
            for out in stage.get(kind) or ()
        ]
        paths = [Path(_fill(each, filled)) for each in described.get("deps") or ()]
        self._paths = [
            path
            for path in paths
            if not any(path.is_relative_to(out) or out.is_relative_to(path) for out in made)
        ]
        self._states = dict(_states(self._paths))

    def edited_params(self) -> list[str]:
        """The keys of params.yaml that have other values now."""
        now = read_bytes(PARAMS) if PARAMS.is_file() else b""
        if now == self._params_file:
            return []
        before, after = _loaded(self._params_file), _loaded(now)
        return [key for key in self.params if _value(before, key) != _value(after, key)]

    def edited_files(self) -> list[Path]:
        """Files that are others now, and folders in which a file came, went or is another one."""
        now = dict(_states(self._paths))
        return [path for path in self._states | now if self._states.get(path) != now.get(path)]


def _states(paths: list[Path]) -> Iterator[tuple[Path, bytes | int]]:
    """Each file with its state, and each folder with that of its own files."""
    folders = [path for path in paths if path.is_dir()]
    yield from ((path, _state(path)) for path in paths if path not in folders)
    while folders:
        folder, total = folders.pop(), 0
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders += [] if entry.name in _NO_INPUT else [Path(entry.path)]
                    elif not entry.is_dir():  # DVC and stages look into no link to a folder
                        total += int.from_bytes(_state(entry))
        except OSError:  # gone meanwhile, or unreadable: DVC says so
            total = -1
        yield folder, total


def _state(file: Path | os.DirEntry[str]) -> bytes:
    try:
        stat = file.stat()
        facts = (stat.st_size, stat.st_mtime_ns)  # some network disks have no lasting inodes
    except OSError:
        facts = ()
    return blake2b(os.fsencode(f"{file.name} {facts}"), digest_size=_BYTES).digest()


def _load(path: Path) -> dict[str, Any]:
    return _loaded(read_bytes(path)) if path.is_file() else {}


def _loaded(data: bytes) -> dict[str, Any]:
    try:
        content = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _flat(groups: list[Any]) -> dict[str, str]:
    """Values of nested mappings by their keys joined with dots, as DVC's templates name them."""
    values: dict[str, str] = {}
    for group in groups:
        for key, value in group.items() if isinstance(group, dict) else ():
            if isinstance(value, dict):
                values |= {f"{key}.{below}": each for below, each in _flat([value]).items()}
            else:
                values[str(key)] = str(value)
    return values


def _fill(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda name: values.get(name[1], name[0]), text)
