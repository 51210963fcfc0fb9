"""Small segments become full ones, while others read and write."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

import pyarrow as pa

from facestats.rows.interface import StoreFolder
from facestats.rows.rewriting import OvertakenError, rewrite, unique_rows
from facestats.rows.segments import FULL

_MANY = 16  # more segments that are not full are merged


class _Small(NamedTuple):
    where: str
    rows: int


class SmallSegments:
    """The segments of a recipe that are not full and that this process may merge.

    Parameters
    ----------
    read : callable
        Returns a segment's rows; None for one to leave alone.
    """

    def __init__(self, read: Callable[[str], pa.Table | None]):
        self._read = read
        self._small: dict[str, _Small] = {}

    def note(self, segments: dict[str, int], where: str) -> None:
        """Note those that are not full, of the rows by segment, and where they were computed."""
        self._small |= {name: _Small(where, rows) for name, rows in segments.items() if rows < FULL}

    def merge(self, folder: StoreFolder) -> None:
        """Merge them if there are many: those of one kind of machine with each other.

        Raises OSError where the folder can't be written.
        """
        if len(self._small) <= _MANY:
            return
        small = sorted(self._small.items(), key=lambda item: (item[1].where, item[0]))
        self._small = {}
        for where, segments in groupby(small, lambda item: item[1].where):
            batch: dict[str, int] = {}
            for name, facts in segments:
                batch[name] = facts.rows
                if sum(batch.values()) >= FULL:
                    merged = self._merged(folder, batch)
                    batch = {name: rows for name, rows in merged.items() if rows < FULL}
            self.note(self._merged(folder, batch), where)

    def _merged(self, folder: StoreFolder, segments: dict[str, int]) -> dict[str, int]:
        """What a few segments become; nothing where others remove rows meanwhile."""
        if len(segments) < 2:
            return segments
        try:
            return rewrite(folder, segments, unique_rows, self._read, tries=1)
        except OvertakenError:
            return {}
