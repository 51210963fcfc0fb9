"""Several tables of the same faces, read side by side, block by block.

Whoever joins them so holds one block of each at a time, not all columns of ten million faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from facestats.core import tables
from facestats.core.tables import Schema, blocks
from facestats.core.tables.parquet import is_in_order
from facestats.errors import TableError


@dataclass(frozen=True)
class Source:
    """A table that is read in step with others.

    Parameters
    ----------
    path : Path
        Of the table.
    schema : Schema
        Its schema, whose key is one column.
    columns : list of str, optional
        To be read besides the key; by default all that the table has.
    """

    path: Path
    schema: Schema
    columns: list[str] | None = None


def in_step(
    **sources: Source | pd.DataFrame | Iterator[pd.DataFrame],
) -> Iterator[dict[str, pd.DataFrame]]:
    """Read tables that are sorted by one key side by side.

    Parameters
    ----------
    **sources : Source, DataFrame or iterator of DataFrame
        The first one leads. The key is the first column of a frame, too, and sorts it. An iterator
        gives consecutive rows of a table.

    Yields
    ------
    dict of DataFrame
        By name, consecutive rows of the first table, and the rows of the others with the same keys.
        Rows whose key the first table lacks are passed over.

    Raises
    ------
    TableError
        As `tables.read`; or a table is not sorted by its key.
    """
    with ExitStack() as stack:
        cursors = {name: _Cursor(source, stack) for name, source in sources.items()}
        leader, *others = cursors
        while (block := cursors[leader].next_block()) is not None:
            keys, frame = block
            yield {leader: frame} | {name: cursors[name].rows_of(keys) for name in others}


class _Cursor:
    """The place up to which a table has been read."""

    def __init__(self, source: Source | pd.DataFrame | Iterator[pd.DataFrame], stack: ExitStack):
        if isinstance(source, Source):
            self._where = str(source.path)
            read = tables.reading(source.path, source.schema, source.columns)
            self._frames = stack.enter_context(read)
        else:
            whole = isinstance(source, pd.DataFrame)
            self._where, self._frames = "a table in memory", _in_blocks(source) if whole else source
        self._last: pa.Scalar | None = None
        self._waiting: tuple[pa.Array, pd.DataFrame] | None = None
        self._empty: pd.DataFrame | None = None

    def next_block(self) -> tuple[pa.Array, pd.DataFrame] | None:
        """The next rows and their keys; None at the end."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        keys = pa.array(frame.iloc[:, 0], pa.large_string(), from_pandas=True)
        keys = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
        if len(keys):
            after = self._last is None or pc.less(self._last, keys[0]).as_py()
            if not after or not is_in_order(pa.table({"key": keys}), ["key"]):
                raise TableError(f"{self._where}: its rows are not sorted by {frame.columns[0]}")
            self._last = keys[-1]
        return keys, frame

    def rows_of(self, wanted: pa.Array) -> pd.DataFrame:
        """The rows with these keys, which come after those that were asked for before."""
        given = []
        while True:
            if self._waiting is None or not len(self._waiting[0]):
                block = self.next_block()
                if block is None:
                    break
                self._waiting = block
                self._empty = block[1].iloc[:0]
            keys, frame = self._waiting
            count = pc.sum(pc.less_equal(keys, wanted[-1])).as_py() or 0 if len(wanted) else 0
            chosen = pc.is_in(keys[:count], value_set=wanted).to_numpy(zero_copy_only=False)
            given.append(frame.iloc[:count][chosen])
            self._waiting = keys[count:], frame.iloc[count:]
            if count < len(keys):
                break
        if not given and self._empty is not None:
            given = [self._empty]
        return pd.concat(given, ignore_index=True) if given else pd.DataFrame()


def _in_blocks(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, max(len(frame), 1), blocks.BLOCK):
        yield frame.iloc[start : start + blocks.BLOCK]
