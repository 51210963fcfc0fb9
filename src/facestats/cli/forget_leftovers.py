"""Temporary files that killed processes have left: they may hold anybody's photos and rows."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from facestats.machine.output import print_line

_FORM = re.compile(r"\.[0-9a-f]{32}\.(\d{1,9})")  # of `temporary_name`: its last part is a process


def remove_leftovers(folders: Iterable[Path], write: bool) -> None:
    """Remove temporary files and folders whose process is gone; raises OSError."""
    for path in sorted({path for folder in folders for path in _leftovers(folder)}):
        if write:
            shutil.rmtree(path) if _is_folder(path) else path.unlink(missing_ok=True)
        verb = "removed" if write else "would be removed"
        print_line(f"{path}: {verb}: a process that was killed has left it")


def _leftovers(folder: Path) -> Iterable[Path]:
    for above, folders, files in os.walk(folder):
        for name in (*folders, *files):
            match = _FORM.fullmatch(name)
            if match and not psutil.pid_exists(int(match[1])):
                yield Path(above) / name


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
