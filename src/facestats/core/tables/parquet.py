"""Parquet files: errors that name the file, reading in batches, columns of vectors without a Python
object a row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facestats.errors import TableError
from facestats.machine.faults import fault, is_passing

GROUP_ROWS = 65_536
GROUP_BYTES = (
    2**23
)  # of vectors, 8 MiB: the landmarks of 60 of a million faces lie in 9 % of such groups
READ_BYTES = (
    2**16
)  # of vectors that are decoded at a time; a decoder takes ten times as much memory


@contextmanager
def opened(path: Path, stage: str = "") -> Iterator[pq.ParquetFile]:
    """An open parquet file; what is wrong with it, then or later, is a `TableError`.

    Parameters
    ----------
    stage : what `dvc repro` should make, named in the error of a missing file.
    """
    try:
        # pyarrow would fetch all wanted column chunks at once, up to the whole file: 200 instead of
        # 13 MB for 100,000 embeddings
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
            yield file
    except FileNotFoundError:
        raise TableError(
            f"{path}: no such table; `{f'dvc repro {stage}'.strip()}` makes it"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        if is_passing(error):
            raise fault(path, error) from None
        raise TableError(
            f"{path}: not a readable parquet file ({error}); remove it and run `dvc repro`"
        ) from None


def group_rows(schema: pa.Schema) -> int:
    """Rows of a row group: fewer, the wider the vectors."""
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
    """A column of vectors.

    Parameters
    ----------
    values : a matrix (rows, width), or a column of arrays (of one shape) or lists of `width`
        numbers, null where there is none.

    Raises
    ------
    ValueError
        Values that are no numbers, or not `width` of them.
    """
    if isinstance(values, np.ndarray):
        if values.ndim != 2 or values.shape[1] != kind.list_size:
            raise ValueError(
                f"found a matrix of the shape {values.shape}, expected {kind.list_size} columns"
            )
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    missing = values.isna().to_numpy()
    given = values.to_numpy(dtype=object)[~missing].tolist()
    if len(set(map(len, given))) > 1:
        raise ValueError(f"vectors of different lengths, expected {kind.list_size} numbers each")
    flat = (
        np.concatenate(given, dtype=np.float32, casting="unsafe").reshape(-1)
        if given
        else np.empty(0, np.float32)
    )
    if len(flat) != len(given) * kind.list_size:
        raise ValueError(f"vectors of {len(flat) // len(given)} numbers, expected {kind.list_size}")
    if not missing.any():
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    matrix = np.zeros((len(missing), kind.list_size), dtype=np.float32)
    matrix[~missing] = flat.reshape(-1, kind.list_size)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.reshape(-1)), type=kind, mask=pa.array(missing)
    )


def without_room(table: pa.Table) -> pa.Table:
    """The table with vectors as lists: a null of these takes no room, while one of a fixed size
    takes as much as a vector.
    """
    columns = [
        pa.chunked_array([_listed(chunk) for chunk in column.chunks], room_free(column.type))
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, table.column_names)


def room_free(kind: pa.DataType) -> pa.DataType:
    """The type that a column has in `without_room`."""
    return pa.large_list(kind.value_type) if pa.types.is_fixed_size_list(kind) else kind


def _listed(values: pa.Array) -> pa.Array:
    if not pa.types.is_fixed_size_list(values.type):
        return values
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(there, dtype=np.int64)]) * values.type.list_size
    listed = pa.LargeListArray.from_arrays(pa.array(ends), values.drop_null().flatten())
    return (
        pc.if_else(pa.array(there), listed, pa.scalar(None, listed.type))
        if not there.all()
        else listed
    )


def read_batches(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file that may be larger than memory, few at a time where they are vectors."""
    kinds = pa.schema([file.schema_arrow.field(column) for column in columns])
    return file.iter_batches(
        min(GROUP_ROWS, max(1, READ_BYTES // max(1, _row_bytes(kinds)))), columns=columns
    )


def matrices(file: pq.ParquetFile, column: str, rows: int) -> Iterator[np.ndarray]:
    """A column of vectors, in matrices (`rows`, width) of float32, the last one shorter.

    Raises
    ------
    ArrowInvalid
        A vector, or a number of one, is null.
    """
    left, filled = file.metadata.num_rows, 0
    matrix = np.empty((0, 0), dtype=np.float32)
    for batch in read_batches(file, [column]):
        vectors = batch.column(0)
        if vectors.null_count or vectors.flatten().null_count:
            raise pa.ArrowInvalid(f"a row has no {column}, or not all of its numbers")
        found = vectors.flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
        while len(found):
            if not filled:
                matrix = np.empty((min(rows, left), found.shape[1]), dtype=np.float32)
            part, found = found[: len(matrix) - filled], found[len(matrix) - filled :]
            matrix[filled : filled + len(part)] = part
            filled, left = filled + len(part), left - len(part)
            if filled == len(matrix):
                yield matrix
                filled = 0


def read_rows(file: pq.ParquetFile, columns: list[str], only: Collection[str]) -> pa.Table:
    """The rows whose `filename` is among `only`, without ever holding the others; groups without
    any are not decoded.
    """
    wanted = pa.array(only, type=pa.string())
    kinds = pa.schema([file.schema_arrow.field(column) for column in columns])
    found = []
    for group in range(file.num_row_groups):
        here = pc.is_in(file.read_row_group(group, columns=["filename"]).column(0), wanted)
        if pc.any(here).as_py():
            found.append(file.read_row_group(group, columns=columns).filter(here))
    return pa.concat_tables([kinds.empty_table(), *found])


def sort_by_key(table: pa.Table, keys: list[str]) -> pa.Table:
    """The table in the order of its key; one that is in order already is not copied.

    Raises
    ------
    ValueError
        A key repeats.
    """
    first = table.column(keys[0])
    if len(keys) == 1 and pc.all(pc.less(first[:-1], first[1:])).as_py() is not False:
        return table
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
    return table.take(order)


def vectors_of(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors without nulls as one matrix (rows, width), float32."""
    parts = [chunk.flatten().to_numpy() for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.float32), *parts]).reshape(-1, column.type.list_size)
