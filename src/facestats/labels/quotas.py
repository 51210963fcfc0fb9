"""A share of the units of a collection, by hash, with that share of each stratum."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np


class _Level:
    """The strata of one level: how many faces are chosen of each, and how many may be."""

    def __init__(self, codes: np.ndarray, weight: np.ndarray, share: float, whole: bool):
        self.codes, self.weight = codes, weight
        quota = (share * np.bincount(codes, weight)).round(9)
        nearest = np.floor(quota + 0.5)
        self.low = nearest if whole else np.floor(quota)
        self.high = nearest if whole else np.ceil(quota)

    def count(self, chosen: np.ndarray) -> None:
        self.held = np.bincount(self.codes, self.weight * chosen, len(self.low))

    def excess(self, stratum: int) -> float:
        """Faces too many; negative: too few."""
        held = self.held[stratum]
        return max(held - self.high[stratum], 0) + min(held - self.low[stratum], 0)

    def change(self, unit: int, faces: float) -> float:
        """How much worse the stratum of a unit gets by so many faces more; negative: better."""
        stratum = self.codes[unit]
        before = abs(self.excess(stratum))
        self.held[stratum] += faces
        after = abs(self.excess(stratum))
        self.held[stratum] -= faces
        return after - before


def choose_share(
    place: np.ndarray,
    weight: np.ndarray,
    strata: list[np.ndarray],
    share: float,
    taken: np.ndarray | None = None,
) -> np.ndarray:
    """Choose a share of all units and of each stratum, rounded up or down to whole faces.

    The units with a place below `share` are chosen; where a stratum then has too many or too few,
    those next to the bound change sides, in the finest strata first. So the choice depends on
    nothing but the units themselves, and one unit more moves few others: those at the bounds of
    its own strata.

    Parameters
    ----------
    place : ndarray (n,)
        A uniform number in [0, 1) for each unit, which nothing changes.
    weight : ndarray (n,)
        Faces of each unit.
    strata : list of ndarray of int (n,)
        Number of each unit's stratum, level by level, the finest first; each stratum of a level
        lies within one of the next. Of the last level's, and of all units, the nearest number of
        whole faces is chosen.
    share : float
        Wanted share of the faces.
    taken : ndarray of bool (n,), optional
        Units that count, but can't be chosen.

    Returns
    -------
    ndarray of bool (n,)
        Where units are of several faces, the shares are met as far as they allow.
    """
    free = np.ones(len(place), dtype=bool) if taken is None else ~taken
    chosen = free & (place < share)
    if not len(place):
        return chosen
    codes = [*strata, np.zeros(len(place), dtype=int)]
    coarse = len(codes) - 2
    levels = [_Level(each, weight, share, i >= coarse) for i, each in enumerate(codes)]
    order = np.argsort(place, kind="stable")
    order = order[free[order]]
    for number, level in enumerate(levels):
        for each in levels[: number + 1]:
            each.count(chosen)
        for stratum, units in _by_stratum(level.codes, order):
            if level.excess(stratum):
                _mend(chosen, units, stratum, level, levels[:number])
    return chosen


def _by_stratum(codes: np.ndarray, order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The units of each stratum in the order of their places."""
    sorted_codes = codes[order]
    grouped = np.argsort(sorted_codes, kind="stable")
    bounds = np.flatnonzero(np.diff(sorted_codes[grouped])) + 1
    for units in np.split(order[grouped], bounds):
        yield int(codes[units[0]]), units


def _mend(
    chosen: np.ndarray, units: np.ndarray, stratum: int, level: _Level, finer: list[_Level]
) -> None:
    """Change sides of the units next to the bound until the stratum has its share."""
    leaves = level.excess(stratum) > 0
    candidates = units[chosen[units] == leaves]
    for unit in candidates[::-1] if leaves else candidates:
        faces = float(-level.weight[unit] if leaves else level.weight[unit])
        if level.change(unit, faces) < 0 and all(each.change(unit, faces) <= 0 for each in finer):
            chosen[unit] = not leaves
            for each in (level, *finer):
                each.held[each.codes[unit]] += faces
        if math.isclose(level.excess(stratum), 0):
            return
