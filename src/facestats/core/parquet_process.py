"""The process that reads parquet files of strangers for `core.parquet_shards`."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from facestats.core.shard_members import EMPTY, Contents, all_problems, opened, usable_name
from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import is_own_limit
from facestats.machine.output import visible

PICTURES = ("jpg", "jpeg", "png", "webp")  # what img2dataset calls the column of pictures
_KEY, _STATUS, _ERROR = "key", "status", "error_message"
_SUCCESS = "success"
_AGAIN = "copy or download it again"
_ROWS = 100  # of a row group, as img2dataset writes them
# What a damaged file may raise in pyarrow, or where Python takes its values.
_OF_DATA = (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError)
_LONGEST = 200  # characters of somebody's error message


class _DamageError(Exception):
    """A part of the file can't be used; the text says why."""


def main(seconds: float, memory: float) -> None:
    """Read files until there are no more."""
    pa.set_memory_pool(pa.system_memory_pool())  # which takes no more than it is asked for
    tasks = {"list": _list, "holds": _holds, "pictures": _pictures, "write": _write}

    def answer(head: dict[str, Any], _: bytearray) -> Message:
        try:
            with _reading():
                return tasks[head["task"]](Path(head["path"]), head)
        except _DamageError as error:
            return {"damage": str(error)}, b""
        except MemoryError:
            if not is_own_limit(int(memory)):
                raise
            return {"over": "memory"}, b""
        except OSError as error:
            return {"errno": error.errno, "error": error.strerror}, b""

    answer_calls(answer, seconds, memory)


def _list(path: Path, _: dict[str, Any]) -> Message:
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
    problem = all_problems(problem, strange)
    return {"places": found.places, "reasons": found.reasons, "problem": problem}, b""


def _holds(path: Path, _: dict[str, Any]) -> Message:
    with _opened(path) as file:
        return {"holds": bool(_columns_of_pictures(file.schema_arrow))}, b""


def _pictures(path: Path, head: dict[str, Any]) -> Message:
    """The pictures of a row group, a row at a time: a dictionary may give one for all of them."""
    group, most = head["group"], head["most"]
    pictures, sizes = bytearray(), []
    with opened(path) as raw:
        status = os.fstat(raw.fileno())
        if [status.st_ino, status.st_size, status.st_mtime_ns] != head["identity"]:
            raise OSError(errno.ESTALE, "was replaced while it was read")
        file = _file(raw)
        column = _column_of_pictures(file.schema_arrow)
        with _reading(f"damaged in row group {group + 1} of {file.num_row_groups}"):
            _check_size(_facts(file, group, column).total_uncompressed_size, most)
            for batch in file.iter_batches(1, [group], [column]):
                (picture,) = batch.column(0).to_pylist()
                sizes.append(None if picture is None else len(picture))
                pictures += picture or b""
                _check_size(len(pictures), most)
    return {"sizes": sizes}, pictures


def _write(path: Path, head: dict[str, Any]) -> Message:
    """Write a file anew: without members, or without keys where it says something of a tar."""
    with _opened(path) as file:
        schema = file.schema_arrow
        if head["what"] == "members":
            column = _column_of_pictures(schema)
            _write_without(head, file, column, lambda key: usable_name(f"{key}.{column}"))
        elif schema.names.count(_KEY) == 1 and not _columns_of_pictures(schema):
            _write_without(head, file, None, lambda key: key)
        else:
            return {"written": False}, b""
    return {"written": True}, b""


def _write_without(
    head: dict[str, Any],
    file: pq.ParquetFile,
    column: str | None,
    name_of: Callable[[str], str | None],
) -> None:
    """Copy all rows but those of some names; raises `_DamageError` where others would be lost."""
    names = frozenset(head["names"])

    def is_kept(key: object) -> bool:
        return name_of(str(key)) not in names

    with pq.ParquetWriter(head["to"], file.schema_arrow) as writer:
        for batch in file.iter_batches(_ROWS):
            keys = batch.column(batch.schema.get_field_index(_KEY)).to_pylist()
            kept = pa.array(map(is_kept, keys), pa.bool_())
            if (left := pa.Table.from_batches([batch]).filter(kept)).num_rows:
                writer.write_table(left)
    # Where a page of another column is damaged, pyarrow may leave out rows, and say nothing.
    wanted = [row for row in _rows(file, column) if is_kept(row[0])]
    with pq.ParquetFile(head["to"]) as written:
        if [*_rows(written, column)] != wanted:
            raise _DamageError(f"damaged: others of its rows would be lost; {_AGAIN}")


def _rows(file: pq.ParquetFile, column: str | None) -> Iterator[tuple[object, bytes | None]]:
    """The key of each row, and the hash of its picture."""
    for group in range(file.num_row_groups):
        keys = file.read_row_group(group, [_KEY])[_KEY].to_pylist()
        pictures: Iterable[bytes | None] = [None] * len(keys)
        if column:
            batches = file.iter_batches(1, [group], [column])
            pictures = (batch.column(0)[0].as_py() for batch in batches)
        for key, picture in zip(keys, pictures, strict=True):
            yield key, None if picture is None else hashlib.sha256(picture).digest()


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    with opened(path) as raw:
        yield _file(raw)


def _file(raw: BinaryIO) -> pq.ParquetFile:
    with _reading("no parquet file, or cut off"):
        return pq.ParquetFile(raw)


@contextmanager
def _reading(what: str = "damaged") -> Iterator[None]:
    """Turn errors of what the file holds into a `_DamageError`; those of the system stay."""
    try:
        yield
    except (pa.ArrowException, OSError, *_OF_DATA) as error:
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
    for chunk in map(facts.column, range(facts.num_columns)):
        if chunk.path_in_schema == column:
            return chunk
    raise ValueError(f"no column {column}")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise _DamageError(
            f"its row group holds more than {most / 1e6:.0f} MB of pictures: write its shard "
            "again in smaller groups of rows"
        )
