"""The loop that `preprocess` and `embed` share: take stored rows, compute the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from facestats.core.tables.parquet import take_rows
from facestats.machine.faults import starting_threads
from facestats.rows.segments import KEY
from facestats.rows.store import RowStore

_TOGETHER = 1000  # rows that become columns at a time


@dataclass(frozen=True)
class FilledRows:
    """The rows of all items.

    Attributes
    ----------
    table : pa.Table
        Rows in no order, each once.
    places : ndarray of int64 (n,)
        Number of each item's row, in the order of the items.
    reused, computed : int
        Number of items with a stored row, and of the others.
    elsewhere : int
        Number of stored rows that are not known to be of this kind of machine.
    """

    table: pa.Table
    places: np.ndarray
    reused: int
    computed: int
    elsewhere: int

    def take(self, start: int = 0, stop: int | None = None) -> pa.Table:
        """The rows of some items, or of all, in the items' order."""
        return take_rows(self.table, self.places[start:stop])

    def counts(self) -> dict[str, int]:
        """What `row_summary` says of them."""
        return {"reused": self.reused, "computed": self.computed, "elsewhere": self.elsewhere}


def row_summary(
    rows: int, reused: int, computed: int, elsewhere: int = 0, rejected: int = 0
) -> str:
    """The last line of whatever works row by row."""
    more = f" elsewhere={elsewhere}" if elsewhere else ""
    return f"rows={rows} reused={reused} computed={computed} rejected={rejected}{more}"


def fill(
    rows: RowStore,
    keys: Mapping[str, str],
    compute: Callable[[dict[str, list[str]]], Iterator[dict]],
    earlier: Callable[[], pa.Table | None] = lambda: None,
    *,
    other_keys: Callable[[str], str] | None = None,
    holds: Callable[[pa.Table], np.ndarray] = lambda table: np.ones(len(table), bool),
    place: Callable[[str, pa.Table, int], bool] | None = None,
    packed: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> FilledRows:
    """Look up the rows of items, and compute and store those that are missing.

    Parameters
    ----------
    rows : RowStore
        An open row store.
    keys : mapping of str to str
        The key of each item's row, by the item's name; items with the same key share a row.
    compute : callable
        Called with the names of the items without a row, by key; yields a row for each key, in that
        order. A row whose own `key` is null is used, but not stored.
    earlier : callable
        Returns the rows of the last committed run; see `RowStore.lookup`.
    other_keys : callable, optional
        Returns, for an item's name, the key of a row to use if its first key has none.
    holds : callable, optional
        Which rows of first keys this run takes, ndarray of bool (n,); the others stay in the store.
    place : callable, optional
        Called in threads with an item's name, the stored rows and the number of its row; puts the
        row's files in their place. False if they are gone: the row is then computed again.
    packed : callable
        Packs rows to save memory; see `RowStore.lookup`.
    """
    keys = dict(keys)
    stored = rows.lookup(set(keys.values()), earlier, packed)
    held_here = holds(stored)
    at = {key: row for key, row in _places(stored).items() if held_here[row]}
    if other_keys is not None:
        others = {name: other_keys(name) for name, key in keys.items() if key not in at}
        more = rows.lookup(set(others.values()), earlier, packed) if others else stored[:0]
        at |= {key: len(stored) + row for key, row in _places(more).items()}
        stored = pa.concat_tables([stored, more])
        keys |= {name: key for name, key in others.items() if key in at}

    def is_usable(name: str) -> bool:
        row = at.get(keys[name])
        return row is not None and (place is None or place(name, stored, row))

    missing: dict[str, list[str]] = {}
    with starting_threads(), ThreadPoolExecutor() as pool:
        for name, usable in zip(keys, pool.map(is_usable, keys), strict=True):
            if not usable:
                missing.setdefault(keys[name], []).append(name)
    rows.forget(missing.keys() & at.keys())
    held, computed = rows.held(stored.schema), []
    for number, (key, row) in enumerate(zip(missing, compute(missing), strict=True)):
        at[key] = len(stored) + number
        if row[KEY] is not None:
            rows.add(row)
        computed.append(row)
        if len(computed) == _TOGETHER:
            held.add(pa.Table.from_pylist(computed, stored.schema))
            computed = []
    held.add(pa.Table.from_pylist(computed, stored.schema))
    table = pa.concat_tables([stored, held.table()])
    new = sum(map(len, missing.values()))
    places = np.array([at[key] for key in keys.values()], np.int64)
    return FilledRows(table, places, len(keys) - new, new, rows.elsewhere)


def _places(table: pa.Table) -> dict[str, int]:
    return {key: row for row, key in enumerate(table[KEY].to_pylist())}
