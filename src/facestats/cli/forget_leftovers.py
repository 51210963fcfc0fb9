"""Temporary files that killed processes have left: they may hold anybody's photos and rows."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from facestats.labels.manual import alone, half_written
from facestats.machine.output import print_line

_FORM = re.compile(r"\.[0-9a-f]{32}\.(\d{1,9})")  # of `temporary_name`: its last part is a process


def remove_leftovers(
    folders: Iterable[Path], by_hand: Iterable[Path], root: Path, write: bool
) -> set[Path]:
    """Remove temporary files and folders whose process is gone.

    Parameters
    ----------
    folders : iterable of Path
        Where to look for them.
    by_hand : iterable of Path
        Files that pages and merges write, within the project alone.
    root : Path
        The project folder.
    write : bool
        False only says what would be removed.

    Returns
    -------
    set of Path
        What was removed, or would be.

    Raises
    ------
    OSError
        Something can't be removed.
    """
    left = {path for folder in folders for path in _leftovers(folder)}
    begun = {half_written(path.resolve() if path.is_symlink() else path) for path in by_hand}
    inside = root.resolve()
    begun = {
        path
        for path in begun
        if os.path.lexists(path) and path.parent.resolve().is_relative_to(inside)
    }
    for path in sorted(left | begun):
        if path in begun and write:
            with alone(path.parent):  # so nobody is writing it
                path.unlink(missing_ok=True)
        elif write:
            shutil.rmtree(path) if _is_folder(path) else path.unlink(missing_ok=True)
        verb = "removed" if write else "would be removed"
        print_line(f"{path}: {verb}: a process that was killed has left it")
    return left | begun


def _leftovers(folder: Path) -> Iterable[Path]:
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            match = _FORM.fullmatch(name)
            if match and not psutil.pid_exists(int(match[1])):
                yield Path(above) / name


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
