"""Parquet shards: a row a photo, with the picture in a column, as img2dataset writes them.

A member's name is the row's `key` with the column's name as its extension. Pictures are read a row
group at a time.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facestats.core.files import replacing
from facestats.core.shard_members import Contents, all_problems, opened, usable_name
from facestats.errors import ImageError
from facestats.machine.output import visible

SUFFIX = ".parquet"
PICTURES = ("jpg", "jpeg", "png", "webp")  # what img2dataset calls the column of pictures
_KEY, _STATUS, _ERROR = "key", "status", "error_message"
_SUCCESS = "success"
EMPTY = "its row holds no picture"
_AGAIN = "copy or download it again"
_ROWS = 100  # of a row group, as img2dataset writes them
_MOST = 2**29  # bytes of pictures in a row group
_KEPT = 2**26  # bytes of row groups that a process keeps, beside the last one
_LONGEST = 200  # characters of somebody's error message


class _DamageError(Exception):
    """A part of the file can't be used; the text says why."""


def scan_rows(path: Path) -> Contents:
    """List a shard by its keys; what is wrong with it is no error, but stands in the result.

    Raises
    ------
    OSError
        It can't be read.
    """
    found, strange, problem = Contents(), [], None
    try:
        with _opened(path) as file:
            column = _column_of_pictures(file.schema_arrow)
            for group in range(file.num_row_groups):
                for row, (key, reason) in enumerate(_keys(file, group, column)):
                    name = usable_name(f"{key}.{column}")
                    if name is None:
                        strange.append(f"{key}.{column}")
                    elif name:
                        found.add(name, (group, row), reason)
    except _DamageError as error:
        problem = str(error)
    return Contents(found.places, found.reasons, all_problems(problem, strange))


def holds_pictures(path: Path) -> bool:
    """Whether a parquet file has a column of pictures; False for a file that can't be read."""
    try:
        with _opened(path) as file:
            return bool(_columns_of_pictures(file.schema_arrow))
    except (_DamageError, OSError):
        return False


def read_picture(path: Path, place: tuple[int, int]) -> bytes:
    """The bytes of a member.

    Raises
    ------
    ImageError
        Its row group is damaged, or too large to be read.
    OSError
        The shard can't be read.
    """
    group, row = place
    status = os.stat(path)
    key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, group)
    try:
        picture = _kept.read(key, lambda: _pictures(path, group))[row]
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
    with _opened_anew(path) as file:
        column = _column_of_pictures(file.schema_arrow)
        _write_without(path, file, lambda key: usable_name(f"{key}.{column}") in names)


def drop_keys(path: Path, keys: Collection[str]) -> None:
    """Write what img2dataset says of a tar's photos anew without some of them.

    A file without keys, or with pictures of its own, says nothing of a tar, and stays.

    Raises
    ------
    OSError
        The file can't be read or written, and stays as it is.
    """
    with _opened_anew(path) as file:
        schema = file.schema_arrow
        if schema.names.count(_KEY) == 1 and not _columns_of_pictures(schema):
            _write_without(path, file, lambda key: key in keys)


@contextmanager
def _opened_anew(path: Path) -> Iterator[pq.ParquetFile]:
    """A file that is written anew; damage is an OSError here."""
    try:
        with _opened(path) as file:
            yield file
    except _DamageError as error:
        raise OSError(errno.EIO, str(error), str(path)) from None


def _write_without(path: Path, file: pq.ParquetFile, is_dropped: Callable[[str], bool]) -> None:
    with (
        replacing(path) as temporary,
        _reading(),
        pq.ParquetWriter(temporary, file.schema_arrow) as writer,
    ):
        for batch in file.iter_batches(_ROWS):
            keys = batch.column(batch.schema.get_field_index(_KEY)).to_pylist()
            kept = [not is_dropped(str(key)) for key in keys]
            left = pa.Table.from_batches([batch]).filter(pa.array(kept, pa.bool_()))
            if left.num_rows:
                writer.write_table(left)


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


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with opened(path) as raw:
        with _reading("no parquet file, or cut off"):
            file = pq.ParquetFile(raw)
        yield file


@contextmanager
def _reading(what: str = "damaged") -> Iterator[None]:
    """Turn errors of what the file holds into a `_DamageError`; those of the system stay."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        first = visible(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise _DamageError(f"{what} ({first[:_LONGEST].rstrip('.')}); {_AGAIN}") from None


def _columns_of_pictures(schema: pa.Schema) -> list[str]:
    kinds = (pa.types.is_binary, pa.types.is_large_binary)
    return [
        field.name
        for field in schema
        if field.name in PICTURES and any(is_kind(field.type) for is_kind in kinds)
    ]


def _column_of_pictures(schema: pa.Schema) -> str:
    columns = _columns_of_pictures(schema)
    if not columns:
        raise _DamageError(
            f"a table without photos: no column of bytes is called {', '.join(PICTURES[:-1])} or "
            f"{PICTURES[-1]}; move it out of the folder of the photos"
        )
    if len(columns) > 1:
        raise _DamageError(f"pictures in {len(columns)} columns, {', '.join(columns)}: leave one")
    if schema.names.count(_KEY) != 1:
        raise _DamageError(
            f"pictures in its column {columns[0]}, but no one column `{_KEY}`, which names them"
        )
    return columns[0]


def _keys(file: pq.ParquetFile, group: int, column: str) -> list[tuple[str, str | None]]:
    """The key of each row of a group, and why its picture can't be used."""
    there = [name for name in (_STATUS, _ERROR) if file.schema_arrow.names.count(name) == 1]
    with _reading(f"damaged in row group {group + 1} of {file.num_row_groups}"):
        table = file.read_row_group(group, [_KEY, *there])
        keys = table[_KEY].to_pylist()
        nothing = [None] * len(keys)
        status = table[_STATUS].to_pylist() if _STATUS in there else nothing
        errors = table[_ERROR].to_pylist() if _ERROR in there else nothing
        if None in keys:
            raise _DamageError(f"row {keys.index(None) + 1} of row group {group + 1} has no key")
        reasons = [_failure(*both) for both in zip(status, errors, strict=True)]
        failed = len(reasons) - reasons.count(None)
        if _nulls(file, group, column) != failed:
            empty = [
                batch.column(0).null_count for batch in file.iter_batches(1, [group], [column])
            ]
            reasons = [
                reason or (EMPTY if without else None)
                for reason, without in zip(reasons, empty, strict=True)
            ]
    return list(zip(map(str, keys), reasons, strict=True))


def _failure(status: object, error: object) -> str | None:
    """Why img2dataset has no picture of a row; None where it has one."""
    if status in (None, _SUCCESS):
        return None
    why = f": {visible(str(error))[:_LONGEST]}" if error else ""
    return f"img2dataset has no picture of it: {visible(str(status))[:_LONGEST]}{why}"


def _nulls(file: pq.ParquetFile, group: int, column: str) -> int | None:
    """Rows of a group without a picture, by its statistics."""
    statistics = _facts(file, group, column).statistics
    return statistics.null_count if statistics is not None else None


def _facts(file: pq.ParquetFile, group: int, column: str) -> pq.ColumnChunkMetaData:
    facts = file.metadata.row_group(group)
    chunks = map(facts.column, range(facts.num_columns))
    return next(chunk for chunk in chunks if chunk.path_in_schema == column)


def _pictures(path: Path, group: int) -> list[bytes | None]:
    """The pictures of a row group, a row at a time: a dictionary may give one for all of them."""
    pictures: list[bytes | None] = []
    with _opened(path) as file:
        column = _column_of_pictures(file.schema_arrow)
        _check_size(_facts(file, group, column).total_uncompressed_size)
        size = 0
        with _reading(f"damaged in row group {group + 1} of {file.num_row_groups}"):
            for batch in file.iter_batches(1, [group], [column]):
                pictures += batch.column(0).to_pylist()
                size += len(pictures[-1] or b"")
                _check_size(size)
    return pictures


def _check_size(size: int) -> None:
    if size > _MOST:
        raise _DamageError(
            f"its row group holds more than {_MOST / 1e6:.0f} MB of pictures: write its shard "
            f"again in groups of {_ROWS} rows, as img2dataset does"
        )
