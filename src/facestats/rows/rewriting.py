"""Segments replaced by others with some of their rows, while anybody reads, writes and removes.

Whoever writes rows that it has read from segments could bring back a row that was removed
meanwhile. So a rewrite begins its files (drafts) before it reads, and whoever removes rows removes
the segments with them first, then all drafts, and then looks for segments that are new. A rewrite
that has read a removed row has either finished, and its segment is found, or has lost its draft,
and gives up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack

import numpy as np
import pyarrow as pa

from facestats.errors import FaultError
from facestats.rows.interface import StoreFolder
from facestats.rows.manifests import read_manifest
from facestats.rows.segments import KEY, read_any_segment, remove_segment, write_segments

_TRIES = 20


class OvertakenError(FaultError):
    """Others removed rows meanwhile, again and again."""


def rewrite(
    folder: StoreFolder,
    names: Collection[str],
    change: Callable[[pa.Table], pa.Table],
    read: Callable[[str], pa.Table | None] | None = None,
    tries: int = _TRIES,
) -> dict[str, int]:
    """Replace segments of one kind of machine by segments with what `change` makes of their rows.

    Parameters
    ----------
    folder : StoreFolder
        The recipe's folder.
    names : collection of str
        The segments; those that are gone are left out, as are their rows.
    change : callable
        Returns the rows to keep, of all rows in one table.
    read : callable, optional
        Returns a segment's rows, None for one to leave alone; see `read_any_segment`.
    tries : int
        How often to begin anew if others remove rows meanwhile.

    Returns
    -------
    dict of str to int
        Number of rows of what was written, by the segment's name.

    Raises
    ------
    OvertakenError
        They did so each time.
    DamagedSegmentError, OSError
        As `read_any_segment`; the disk fails.
    """
    for _ in range(tries):
        with ExitStack() as begun:
            drafts = [begun.enter_context(folder.draft()) for _ in names]
            found = {name: _read(folder, name, read) for name in names}
            tables = {name: table for name, table in found.items() if table is not None}
            if not tables:
                return {}
            (where, *_) = (_where(folder, name) for name in tables)
            kept = change(pa.concat_tables(tables.values()))
            try:
                written = write_segments(folder, kept, where, drafts)
            except FileNotFoundError:
                if folder.is_removed():
                    raise
                continue
            for name in tables.keys() - written.keys():
                remove_segment(folder, name)
            return written
    raise OvertakenError(
        f"{folder.path}: others remove rows meanwhile, again and again; give the command again"
    )


def unique_rows(table: pa.Table) -> pa.Table:
    """The first row of each key."""
    first = (
        pa.table({KEY: table[KEY], "row": np.arange(len(table))})
        .group_by(KEY)
        .aggregate([("row", "min")])
    )
    return table if len(first) == len(table) else table.take(first["row_min"])


def _read(
    folder: StoreFolder, name: str, read: Callable[[str], pa.Table | None] | None
) -> pa.Table | None:
    try:
        return read(name) if read else read_any_segment(folder, name)
    except FileNotFoundError:
        return None


def _where(folder: StoreFolder, name: str) -> str:
    manifest = read_manifest(folder, name)
    return manifest.where if manifest else ""
