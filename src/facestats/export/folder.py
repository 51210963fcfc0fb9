"""A folder of exported files that is written whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import psutil

from facestats import __version__
from facestats.core.files import read_json, temporary_name, write_json
from facestats.errors import InputError, number_of

RECORD = "export.json"  # names the files of an export, so that none but these is ever replaced


def check_target(folder: Path, overwrite: bool) -> None:
    """Check that an export may take the place of `folder`.

    Raises
    ------
    InputError
        It is a file, or holds files and `overwrite` is false, or files of other origin.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is no folder; name another one")
    there = _files(folder)
    if there and not overwrite:
        raise InputError(
            f"{folder} is not empty ({number_of(len(there), 'file')}); name another folder, or "
            "replace an earlier export with --overwrite"
        )
    if there and (foreign := _foreign(folder)):
        raise InputError(
            f"{folder} holds {foreign[0]}, which no export wrote, so it is not replaced; move "
            "it away, or name another folder"
        )


def remove_half_written(folder: Path) -> None:
    """Remove the temporary folders of killed exports to `folder`.

    The earlier export that such a one had moved aside returns to its place, if that is free; with
    files that no export wrote, it stays where it is.
    """
    folder = folder.resolve()
    stem = temporary_name(folder).name.rpartition(".")[0]
    with suppress(OSError):  # there is no such place yet, or it can't be read
        for name in sorted(os.listdir(folder.parent)):
            match, path = (
                re.fullmatch(rf"{re.escape(stem)}\.(\d+)(\.old)?", name),
                folder.parent / name,
            )
            if not match or path.is_symlink() or not path.is_dir() or _lives(match[1]):
                continue
            if match[2] and not folder.exists():
                path.rename(folder)
            elif not match[2] or not _foreign(path):
                _remove(path)


def _remove(folder: Path) -> None:
    """Remove a folder, the record of its files last: the next export then ends a killed one."""
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != RECORD:
                path.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: str) -> bool:
    """Whether there is a process of this number; one too long for a number is none."""
    return len(pid) < 10 and psutil.pid_exists(int(pid))


@contextmanager
def whole(folder: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder; what was written there then takes the place of `folder`.

    Raises
    ------
    InputError
        The folder holds something by then, which may not be replaced; see `check_target`.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(folder)
    old = temporary.with_name(f"{temporary.name}.old")
    for left in (temporary, old):
        _remove(left)
    temporary.mkdir()
    try:
        yield temporary
        record = {"facestats": __version__, "files": sorted(_files(temporary))}
        write_json(temporary / RECORD, record)
        if not overwrite:
            check_target(folder, False)  # another export may have ended meanwhile
        try:
            if folder.exists():
                folder.rename(old)
                if foreign := _foreign(old):
                    raise InputError(
                        f"{folder / foreign[0]} came while the export ran, so nothing is replaced; "
                        "move it away"
                    )
            temporary.rename(folder)
        except BaseException:
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise
    finally:
        for left in (temporary, old):
            _remove(left)


def _foreign(folder: Path) -> list[str]:
    """What no export wrote, sorted."""
    there = _files(folder)
    record = read_json(folder / RECORD) if RECORD in there else None
    files = record.get("files") if isinstance(record, dict) else None
    known = [name for name in files if isinstance(name, str)] if isinstance(files, list) else []
    emptied = {str(above) for name in known for above in PurePosixPath(name).parents}
    return sorted(there - {*known, *emptied, RECORD})


def _files(folder: Path) -> set[str]:
    """Paths of the files in a folder, hidden ones too, and of folders that are empty or links."""
    if not folder.is_dir():
        return set()
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir())
    }
