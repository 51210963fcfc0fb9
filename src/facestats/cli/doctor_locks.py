"""Files that DVC writes in place, and leaves half written when it is killed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from facestats.dvc_files.forms import MOST_YAML, ForeignError, load_yaml, read_regular
from facestats.errors import InputError, number_of
from facestats.machine.git import read_git

LOCK, PIPELINE = "dvc.lock", "dvc.yaml"
SHOWN = 3  # stages that a line names
_LOOKS, _PAUSE = 3, 0.3  # a DVC that runs has written a file whole after some 50 ms
_PATIENCE = 10.0  # seconds for git
Found = TypeVar("Found")
_STAGE = re.compile(rb"^  ([^\s#][^\n]*):\s*$", re.MULTILINE)


def cut_off(root: Path) -> list[tuple[str, str]]:
    """Find DVC's own files that it was killed while writing: what is wrong, and the file."""
    problems = []
    lock = root / LOCK
    if lock.is_file() and not _lasting(_is_lock, lock, bool):
        problems.append(
            (
                f"{lock} is empty or damaged: DVC was killed while it wrote it, or git left a "
                "conflict in it; `git checkout dvc.lock` brings the last one committed, and what "
                "was computed since comes out of DVC's cache or is computed again",
                str(lock),
            )
        )
    holders = root / ".dvc" / "tmp" / "rwlock"
    processes = _lasting(_processes, holders, lambda found: found is not None)
    if processes is None:
        problems.append(
            (
                f"{holders} is empty or damaged: DVC was killed while it wrote it; remove it while "
                "no DVC runs",
                str(holders),
            )
        )
    if strangers := sorted(pid for pid in processes or () if _is_stranger(pid)):
        problems.append(
            (
                f"{holders} says that DVC runs as process {strangers[0]}, which is dead or another "
                "program by now; remove the file while no DVC runs",
                str(holders),
            )
        )
    return problems


def lost_entries(root: Path) -> list[tuple[str, str]]:
    """Find stages of the last commit that dvc.lock lacks: cut off between two, it looks whole."""
    lost = _lasting(_lost, root, lambda names: not names)
    if not lost:
        return []
    return [
        (
            f"{root / LOCK} lacks {number_of(len(lost), 'stage')} of the last commit "
            f"({', '.join(lost[:SHOWN])}{', …' if lost[SHOWN:] else ''}): was DVC killed while it "
            "wrote it? Unless you removed them, `git checkout dvc.lock`; what was computed since "
            "comes out of DVC's cache or is computed again",
            str(root / LOCK),
        )
    ]


def _lost(root: Path) -> list[str]:
    try:
        here = _stages(read_regular(root / LOCK, MOST_YAML))
        pipeline = _stages(read_regular(root / PIPELINE, MOST_YAML))
        committed = read_git(root, "show", f"HEAD:./{LOCK}", timeout=_PATIENCE).stdout
    except (ForeignError, InputError, OSError, subprocess.TimeoutExpired):
        return []  # no lock, no git, or what others name
    return [name for name in sorted(_stages(committed) - here) if name.split("@")[0] in pipeline]


def _stages(data: bytes) -> set[str]:
    """Names of the stages in a dvc.lock or dvc.yaml as DVC writes it."""
    return {name.decode(errors="replace").strip("'\"") for name in _STAGE.findall(data)}


def _lasting(look: Callable[[Path], Found], path: Path, sound: Callable[[Found], bool]) -> Found:
    """What a look finds, after a pause again if that is not sound: DVC may be writing the file."""
    for _ in range(_LOOKS - 1):
        if sound(found := look(path)):
            return found
        time.sleep(_PAUSE)
    return look(path)


def _is_lock(lock: Path) -> bool:
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(load_yaml(read_regular(lock, MOST_YAML)))
    except (ForeignError, Invalid):
        return False
    return True


def _processes(holders: Path) -> set[int] | None:
    """Processes that hold locks; None for a file that is damaged."""
    try:
        held = json.loads(holders.read_bytes()) if holders.is_file() else {}
        entries = [
            *held.get("write", {}).values(),
            *(entry for many in held.get("read", {}).values() for entry in many),
        ]
        return {int(entry["pid"]) for entry in entries}
    except FileNotFoundError:  # DVC has removed it since
        return set()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_stranger(pid: int) -> bool:
    """Whether another program has the number of the process that DVC would wait for."""
    try:
        process = psutil.Process(pid)
        # A zombie, as in a container whose first process does not wait for its children.
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return not any(
            "dvc" in Path(part).parts or Path(part).stem == "dvc" for part in process.cmdline()
        )
    except psutil.Error:  # gone, which DVC notices itself
        return False
