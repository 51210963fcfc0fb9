"""Parquet files: errors that name the file, batches, and columns of vectors as matrices."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from facestats.core.tables.parts import ANEW, TableFile, files_of, reading
from facestats.errors import TableError

GROUP_ROWS = 65_536
# 8 MiB of vectors: the landmarks of 60 of a million faces lie in 9 % of such groups.
GROUP_BYTES = 2**23
READ_BYTES = 2**16  # of vectors at a time; decoding them takes ten times as much memory


@contextmanager
def opened(path: Path, stage: str = "") -> Iterator[TableFile]:
    """Open a table; problems with it, now or while it is read, raise a `TableError`.

    Parameters
    ----------
    path : Path
        The file, or the folder of its parts.
    stage : str
        The stage that makes it, for the error if it is missing.
    """
    with reading(path, stage), closing(TableFile(files_of(path))) as file:
        yield file


def require_column(stored: str, schema: pa.Schema, path: Path, name: str | None = None) -> None:
    """Refuse a table that lacks a column, or has two of its name.

    Parameters
    ----------
    stored : str
        Its name in the file.
    schema : Schema
        The file's own.
    path : Path
        For the message.
    name : str, optional
        What it is called now.

    Raises
    ------
    TableError
    """
    there = schema.names.count(stored)
    if there > 1:
        raise TableError(f"{path}: two columns are called {stored}; {ANEW}")
    if not there:
        raise TableError(
            f"{path}: column {name or stored} is missing; it has {', '.join(schema.names)}"
        )


def check_keys(table: pa.Table, keys: list[str], path: Path) -> None:
    """Refuse rows without a key, and keys of two rows, with a `TableError`."""
    rows = table.select(keys)
    wrong = "is empty in a row" if any(column.null_count for column in rows.columns) else ""
    if not wrong and is_in_order(rows, keys):
        return  # a hash of each key of ten million would take half a gigabyte
    if not wrong and rows.group_by(keys, use_threads=False).aggregate([]).num_rows < len(rows):
        wrong = "has two rows of one key"
    if wrong:
        raise TableError(f"{path}: {' and '.join(keys)} {wrong}; {ANEW}")


def group_rows(schema: pa.Schema) -> int:
    """Rows of a row group: the wider the vectors, the fewer."""
    return min(GROUP_ROWS, max(1, GROUP_BYTES // max(1, _row_bytes(schema))))


def _row_bytes(schema: pa.Schema) -> int:
    """Bytes of the vectors of a row."""
    return sum(
        kind.list_size * kind.value_type.bit_width // 8
        for kind in schema.types
        if pa.types.is_fixed_size_list(kind)
    )


def vector_column(
    values: pd.Series | np.ndarray, kind: pa.FixedSizeListType
) -> pa.FixedSizeListArray:
    """Make a column of vectors.

    Parameters
    ----------
    values : ndarray (rows, width) or Series
        A matrix, or a column of arrays or lists of `width` numbers, some of which may be null.
    kind : FixedSizeListType
        Its Arrow type.

    Raises
    ------
    ValueError
        Values are not numbers, or not `width` of them.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.shape[1] != kind.list_size:
            raise ValueError(
                f"a matrix of the shape {values.shape}, expected {kind.list_size} columns"
            )
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    missing = values.isna().to_numpy()
    vectors = values.to_numpy(dtype=object)[~missing].tolist()
    if len(set(map(len, vectors))) > 1:
        raise ValueError(f"vectors of different lengths, expected {kind.list_size} numbers each")
    flat = (
        np.concatenate(vectors, dtype=np.float32, casting="unsafe").reshape(-1)
        if vectors
        else np.empty(0, np.float32)
    )
    if len(flat) != len(vectors) * kind.list_size:
        raise ValueError(
            f"vectors of {len(flat) // len(vectors)} numbers, expected {kind.list_size}"
        )
    if not missing.any():
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    matrix = np.zeros((len(missing), kind.list_size), dtype=np.float32)
    matrix[~missing] = flat.reshape(-1, kind.list_size)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.reshape(-1)), type=kind, mask=pa.array(missing)
    )


def without_room(table: pa.Table) -> pa.Table:
    """The table with vectors as lists: a null takes no room, where one of fixed size takes all."""
    columns = [
        pa.chunked_array([_listed(chunk) for chunk in column.chunks], room_free(column.type))
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, table.column_names)


def take_rows(table: pa.Table, places: np.ndarray) -> pa.Table:
    """The rows at some places, in this order; no other row is copied, as `Table.take` does."""
    batches = table.to_batches()
    ends = np.cumsum([len(batch) for batch in batches], dtype=np.int64)
    number = np.searchsorted(ends, places, side="right")
    order = np.argsort(number, kind="stable")
    parts = [
        batches[at].take(pa.array(places[rows] - (ends[at] - len(batches[at]))))
        for rows in np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
        if len(rows)
        for at in [number[rows[0]]]
    ]
    taken = pa.Table.from_batches(parts, table.schema).combine_chunks()
    return taken.take(pa.array(np.argsort(order)))


def room_free(kind: pa.DataType) -> pa.DataType:
    """The type of a column in `without_room`."""
    return pa.large_list(kind.value_type) if pa.types.is_fixed_size_list(kind) else kind


def _listed(values: pa.Array) -> pa.Array:
    if not pa.types.is_fixed_size_list(values.type):
        return values
    valid = pc.is_valid(values).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(valid, dtype=np.int64)]) * values.type.list_size
    lists = pa.LargeListArray.from_arrays(pa.array(ends), values.drop_null().flatten())
    if valid.all():
        return lists
    return pc.if_else(pa.array(valid), lists, pa.scalar(None, lists.type))


def read_batches(file: TableFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file that may be larger than memory; few at a time if they hold vectors."""
    kinds = pa.schema([file.schema_arrow.field(column) for column in columns])
    return file.iter_batches(
        min(GROUP_ROWS, max(1, READ_BYTES // max(1, _row_bytes(kinds)))), columns=columns
    )


def matrices(file: TableFile, column: str, rows: int) -> Iterator[np.ndarray]:
    """Yield a column of vectors as float32 matrices (`rows`, width); the last may be shorter.

    Raises
    ------
    ArrowInvalid
        A vector, or a number of one, is null.
    """
    left, filled = file.num_rows, 0
    matrix = np.empty((0, 0), dtype=np.float32)
    for batch in read_batches(file, [column]):
        vectors = batch.column(0)
        if vectors.null_count or vectors.flatten().null_count:
            raise pa.ArrowInvalid(f"a row has no {column}, or not all of its numbers")
        rest = vectors.flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
        while len(rest):
            if not filled:
                matrix = np.empty((min(rows, left), rest.shape[1]), dtype=np.float32)
            part, rest = rest[: len(matrix) - filled], rest[len(matrix) - filled :]
            matrix[filled : filled + len(part)] = part
            filled, left = filled + len(part), left - len(part)
            if filled == len(matrix):
                yield matrix
                filled = 0


def read_rows(file: TableFile, columns: list[str], only: Collection[str]) -> pa.Table:
    """The rows whose `filename` is among `only`; row groups without any are not decoded."""
    filenames = pa.array(only, type=pa.string())
    kinds = pa.schema([file.schema_arrow.field(column) for column in columns])
    parts = [kinds.empty_table()]
    for group in range(file.num_row_groups):
        chosen = pc.is_in(file.read_row_group(group, columns=["filename"]).column(0), filenames)
        if pc.any(chosen).as_py():
            parts.append(file.read_row_group(group, columns=columns).filter(chosen))
    return pa.concat_tables(parts)


def sort_by_key(table: pa.Table, keys: list[str]) -> pa.Table:
    """The table in the order of its key; if it is already, it is not copied.

    Raises
    ------
    ValueError
        A key repeats.
    """
    order = key_order(table, keys)
    return table if order is None else table.take(order)


def key_order(table: pa.Table, keys: list[str]) -> pa.Array | None:
    """The numbers of the rows in the order of their key; None if they are in that order.

    Raises
    ------
    ValueError
        A key repeats.
    """
    if is_in_order(table, keys):
        return None
    first = table.column(keys[0])
    order = pc.sort_indices(table.select(keys), sort_keys=[(key, "ascending") for key in keys])
    repeats = None
    for key in keys:
        column = table.column(key).take(order)
        same = pc.equal(column[1:], column[:-1])
        repeats = same if repeats is None else pc.and_(repeats, same)
    count = pc.sum(repeats).as_py() or 0
    if count:
        example = first.take(order)[1:].filter(repeats)[0].as_py()
        raise ValueError(f"{count} rows repeat a {' / '.join(keys)}, for example {example!r}")
    return order


def is_in_order(table: pa.Table, keys: list[str]) -> bool:
    """Whether rows are sorted by their one key, and none repeats."""
    first = table.column(keys[0])
    return len(keys) == 1 and pc.all(pc.less(first[:-1], first[1:])).as_py() is not False


def vectors_of(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors without nulls as one matrix (rows, width), float32."""
    parts = [chunk.flatten().to_numpy() for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.float32), *parts]).reshape(-1, column.type.list_size)
