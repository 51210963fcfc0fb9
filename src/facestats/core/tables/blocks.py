"""Write tables block by block, into one file or into parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from facestats.core.files import temporary_name
from facestats.core.tables import parts
from facestats.core.tables.parquet import group_rows, key_order, sort_by_key, vector_column
from facestats.errors import TableError

if TYPE_CHECKING:
    from facestats.core.tables import Schema

BLOCK = 2**17  # rows of a table in parts that are made ready to be written at a time


class TableWriter:
    """Write a table block by block; up to `PART_ROWS` rows become one file, more become parts.

    Use it as a context. The file or folder takes the place of what stands at `path` when the
    context ends without an error; before, nothing there changes.

    Parameters
    ----------
    path : Path
        Of the table.
    """

    def __init__(self, path: Path):
        self._path, self._group_rows = path, 0
        self._temporary = temporary_name(path)
        self._stack = ExitStack()
        self._file: pq.ParquetWriter | None = None
        self._parts = self._in_part = 0
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> TableWriter:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _remove(self._temporary)  # left by a killed process, or a link to another place
            self._temporary.mkdir()
        except OSError as error:
            error.filename = error.filename or str(self._path)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        try:
            if error is None:
                self._finish()
        except OSError as failure:
            error = failure
            raise
        finally:
            if isinstance(error, OSError):
                # For a full disk, libraries give only the number of the error.
                error.filename = error.filename or str(self._path)
            with suppress(OSError):
                self._stack.close()
            with suppress(OSError):
                _remove(self._temporary)

    def write(self, block: pa.Table) -> None:
        """Append rows; the columns are those of the first block."""
        self._group_rows = self._group_rows or group_rows(block.schema)
        self._waiting.append(block)
        while sum(map(len, self._waiting)) > (most := self._room()):
            together = pa.concat_tables(self._waiting)
            self._put(together[:most])
            self._waiting = [together[most:]]

    def _room(self) -> int:
        """Rows of the next row group."""
        return min(self._group_rows, parts.PART_ROWS - self._in_part % parts.PART_ROWS)

    def _put(self, group: pa.Table) -> None:
        file = self._file
        if file is None or self._in_part == parts.PART_ROWS:
            self._stack.close()
            place = self._temporary / parts.part_name(self._parts)
            file = pq.ParquetWriter(place, group.schema, compression="zstd")
            self._file = self._stack.enter_context(file)
            self._parts, self._in_part = self._parts + 1, 0
        file.write_table(group.combine_chunks(), row_group_size=self._group_rows)
        self._in_part += len(group)

    def _finish(self) -> None:
        if self._waiting:
            self._put(pa.concat_tables(self._waiting))
        if self._file is None:
            raise ValueError(f"{self._path}: a table without columns")
        if self._parts > 1:
            self._file.add_key_value_metadata({parts.LAST: str(self._parts)})
        self._stack.close()
        if self._path.is_dir() and not self._path.is_symlink():
            shutil.rmtree(self._path)
        if self._parts > 1:
            self._path.unlink(missing_ok=True)
            self._temporary.replace(self._path)
        else:
            (self._temporary / parts.part_name(0)).replace(self._path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class BlockWriter:
    """What `writing` gives."""

    def __init__(
        self, writer: TableWriter, path: Path, schema: Schema, metadata: Mapping[str, str]
    ):
        self._writer, self._path, self._schema = writer, path, schema
        self._metadata = {key: str(value) for key, value in sorted(metadata.items())}
        self._first: pa.Schema | None = None
        self._last: Any = None

    def write(self, frame: pd.DataFrame, vectors: Mapping[str, np.ndarray] | None = None) -> None:
        """Append rows, whose keys all come after those that are written; see `tables.write`."""
        table = to_arrow(frame, vectors or {}, self._schema, str(self._path))
        if self._first is None:
            self._first = table.schema
        try:
            table = table.cast(self._first)
        except (pa.ArrowInvalid, ValueError) as error:
            raise TableError(f"{self._path}: {error}") from None
        key = self._schema.keys()[0]
        if len(table) and len(self._schema.keys()) == 1 and not self._schema.ordered:
            first, last = table[key][0].as_py(), table[key][-1].as_py()
            if self._last is not None and first <= self._last:
                raise TableError(f"{self._path}: {key} {first!r} is out of order")
            self._last = last
        self._writer.write(table.replace_schema_metadata(self._metadata))


def in_blocks(
    frame: pd.DataFrame, vectors: Mapping[str, np.ndarray], schema: Schema, where: str
) -> Iterator[tuple[pd.DataFrame, Mapping[str, np.ndarray]]]:
    """A frame and its vectors in blocks, in the order of the key unless the schema is ordered."""
    if len(frame) <= parts.PART_ROWS:
        yield frame, vectors
        return
    keys = [*schema.keys()]
    to_arrow(frame.iloc[:0], {k: v[:0] for k, v in vectors.items()}, schema, where)
    _require_keys(frame, keys, where)
    try:
        order = key_order(pa.table({key: _column(frame[key], None) for key in keys}), keys)
    except ValueError as error:
        raise TableError(f"{where}: {error}") from None
    step = min(BLOCK, parts.PART_ROWS)
    for start in range(0, len(frame), step):
        rows = slice(start, start + step)
        if order is not None and not schema.ordered:
            rows = order[rows].to_numpy()
        yield frame.iloc[rows], {name: matrix[rows] for name, matrix in vectors.items()}


def _require_keys(frame: pd.DataFrame, keys: list[str], where: str) -> None:
    if frame[keys].isna().any(axis=None):
        raise TableError(f"{where}: a row has no {' / '.join(keys)}")


def to_arrow(
    frame: pd.DataFrame, vectors: Mapping[str, np.ndarray], schema: Schema, where: str
) -> pa.Table:
    """Validate a frame and make it a table in the order of its key; see `tables.write`."""
    columns = [*frame.columns, *vectors]
    missing = [name for name in schema.columns if name not in columns]
    surplus = [name for name in columns if name not in schema.columns]
    if missing or (surplus and not schema.extra):
        raise TableError(
            f"{where}: missing columns {missing}, unexpected columns "
            f"{surplus if not schema.extra else []}"
        )
    keys = list(schema.keys())
    _require_keys(frame, keys, where)
    arrays, fields = [], []
    for name in [*schema.columns, *surplus]:
        try:
            array = _column(
                vectors[name] if name in vectors else frame[name], schema.columns.get(name)
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
            raise TableError(f"{where}: column {name}: {error}") from None
        if len(array) != len(frame):
            raise TableError(
                f"{where}: column {name} has {len(array)} rows, the table {len(frame)}"
            )
        arrays.append(array)
        fields.append(pa.field(name, array.type))
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    try:
        in_order = sort_by_key(table, keys)
        return table if schema.ordered else in_order
    except ValueError as error:
        raise TableError(f"{where}: {error}") from None


def _column(column: pd.Series | np.ndarray, kind: pa.DataType | None) -> pa.Array:
    if kind is not None and pa.types.is_fixed_size_list(kind):
        return vector_column(column, kind)
    if kind is None:
        kind = pa.string() if not pd.api.types.is_numeric_dtype(column) else None
    array = pa.array(column, type=kind, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
