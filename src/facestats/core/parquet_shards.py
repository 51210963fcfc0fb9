"""Parquet shards: a row a photo, with the picture in a column, as img2dataset writes them.

A member's name is the row's `key` with the column's name as its extension. Pictures are read a row
group at a time. A damaged file may end its reader, or take all memory; so it is read in a process
of its own (`parquet_process`).
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from facestats.core.files import replacing
from facestats.core.shard_members import EMPTY, Contents
from facestats.errors import ImageError
from facestats.machine.child import Children
from facestats.machine.limits import CrashError, Limits, OverLimitError

SUFFIX = ".parquet"
LIMITS = Limits(300, 3 << 30)  # of a list of members, of a row group, of a file written anew
_MOST = 2**29  # bytes of pictures in a row group
_KEPT = 2**26  # bytes of row groups that a process keeps, beside the last one
_children = Children("facestats.core.parquet_process", LIMITS, "a parquet file")


class _DamageError(Exception):
    """A part of the file can't be used; the text says why."""


def scan_rows(path: Path) -> Contents:
    """List a shard by its keys; what is wrong with it is no error, but stands in the result.

    Raises
    ------
    OSError
        It can't be read.
    """
    try:
        facts, _ = _ask(path, "list")
    except _DamageError as error:
        return Contents(problem=str(error))
    places = {name: (group, row) for name, (group, row) in facts["places"].items()}
    return Contents(places, facts["reasons"], facts["problem"])


def holds_pictures(path: Path) -> bool:
    """Whether a parquet file has a column of pictures; False for a file that can't be read."""
    try:
        return _ask(path, "holds")[0]["holds"]
    except (_DamageError, OSError):
        return False


def read_picture(path: Path, place: tuple[int, int], status: os.stat_result) -> bytes:
    """The bytes of a member of the file with this status.

    Raises
    ------
    ImageError
        Its row group is damaged, or too large to be read.
    OSError
        The shard can't be read, or was replaced meanwhile.
    """
    group, row = place
    identity = status.st_ino, status.st_size, status.st_mtime_ns
    try:
        key = str(path), *identity, group
        picture = _kept.read(key, lambda: _pictures(path, group, identity))[row]
    except _DamageError as error:
        raise ImageError(str(error)) from None
    if picture is None:
        raise ImageError(EMPTY)
    return picture


def drop_rows(path: Path, names: Collection[str]) -> None:
    """Write a shard anew without the rows of some members.

    Raises
    ------
    OSError
        The shard can't be read or written, and stays as it is.
    """
    _write_without(path, "members", names)


def drop_keys(path: Path, keys: Collection[str]) -> None:
    """Write what img2dataset says of a tar's photos anew without some of them.

    A file without keys, or with pictures of its own, says nothing of a tar, and stays.

    Raises
    ------
    OSError
        The file can't be read or written, and stays as it is.
    """
    _write_without(path, "keys", keys)


class _NotWrittenError(Exception):
    """There is nothing to replace a file by."""


def _write_without(path: Path, what: str, names: Collection[str]) -> None:
    try:
        with replacing(path) as temporary:
            facts, _ = _ask(path, "write", what=what, names=[*names], to=os.path.abspath(temporary))
            if not facts["written"]:
                raise _NotWrittenError
    except _NotWrittenError:
        pass
    except _DamageError as error:
        raise OSError(errno.EIO, str(error), str(path)) from None


class _Groups:
    """The pictures of the row groups that were read last."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple, list[bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, key: tuple, read: Callable[[], list[bytes | None]]) -> list[bytes | None]:
        with self._lock:
            if key in self._groups:
                self._groups.move_to_end(key)
            else:
                self._groups[key] = read()
            while len(self._groups) > 1 and sum(map(_size, self._groups.values())) > _KEPT:
                self._groups.popitem(last=False)
            return self._groups[key]


_kept = _Groups()


def _size(pictures: list[bytes | None]) -> int:
    return sum(len(picture) for picture in pictures if picture)


def _pictures(path: Path, group: int, identity: tuple[int, ...]) -> list[bytes | None]:
    """The pictures of a row group of the file with this inode, size and time."""
    facts, body = _ask(path, "pictures", group=group, most=_MOST, identity=identity)
    pictures: list[bytes | None] = []
    start = 0
    with memoryview(body) as view:
        for size in facts["sizes"]:
            pictures.append(None if size is None else bytes(view[start : start + size]))
            start += size or 0
    return pictures


def _ask(path: Path, task: str, **more: Any) -> tuple[dict[str, Any], Any]:
    """The answer of the process to a task, and its bytes.

    Raises
    ------
    _DamageError
        The file, or a part of it, can't be used.
    OSError
        It can't be read or written.
    """
    try:
        head = {"task": task, "path": os.path.abspath(path), **more}
        answer, body = _children.call(head, b"")
    except (OverLimitError, CrashError) as error:
        raise _over(str(error)) from None
    if "over" in answer:
        raise _over(answer["over"])
    if "damage" in answer:
        raise _DamageError(answer["damage"])
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"], str(path))
    return answer, body


def _over(reason: str) -> _DamageError:
    return _DamageError(
        f"takes more than {LIMITS.seconds} s of a processor or {LIMITS.memory >> 30} GB of memory, "
        f"or ends what reads it ({reason}); copy or download it again"
    )
