"""Numbers of raters: statistics of others, and the scale that holds them."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd

from facestats.labels.scale import usual_scale

STATISTICS = ("mean", "median", "sum", "std", "count", "min", "max")
MATCHING = 0.99  # share of faces on which a column equals a statistic of others: no rater's
# Lines, others in each, and different numbers from which whole numbers are hardly by chance the
# rounded means of others.
ROUNDED = (20, 3, 3)
COUNTED = 4  # lines that a column must number to be a counter, whatever its header


def statistic_of(
    numbers: np.ndarray, others: np.ndarray, rounding: float | None = None
) -> str | None:
    """Which statistic of the others a column is in nearly all lines; None if it is none.

    Parameters
    ----------
    numbers : ndarray of float64 (n,)
        NaN for empty cells.
    others : ndarray of float64 (n, m)
        A column each, of the same lines.
    rounding : float, optional
        How far off it may be; by default by the decimals of the numbers: one or two, or, for a mean
        in a table that is not small, none.
    """
    is_rated = ~np.isnan(others).all(axis=1)  # a photo that nobody rated has no mean
    numbers, others = numbers[is_rated], others[is_rated]
    filled = numbers[~np.isnan(numbers)]
    if others.shape[1] < 2 or len(others) < COUNTED or len(np.unique(filled)) < 2:
        return None
    off = dict.fromkeys(STATISTICS, rounding or 0.0)
    if rounding is None:
        has_one = np.isclose(10 * filled, np.round(10 * filled)).all() and (filled % 1).any()
        off = dict.fromkeys(STATISTICS, 0.051 if has_one else 0.0051)
        counts = (len(filled), (~np.isnan(others)).sum(axis=1).min(), len(np.unique(filled)))
        if (filled % 1 == 0).all() and all(map(operator.ge, counts, ROUNDED)):
            off["mean"] = 0.51
    most = len(numbers) - MATCHING * len(numbers)  # lines in which it may be another number
    first = slice(0, 2 * int(most) + 32)  # no other column gets further
    for how in STATISTICS:
        for part in (first, slice(None)):
            there = _statistic(how, others[part])
            same = np.isclose(numbers[part], there, rtol=0, atol=off[how], equal_nan=True)
            if (~same).sum() > most:
                break
        else:
            return how
    return None


def _statistic(how: str, others: np.ndarray) -> np.ndarray:
    """A statistic of each line (n, m), none of which is empty; (n,)."""
    count = (~np.isnan(others)).sum(axis=1)
    if how == "count":
        return count
    if how == "std":
        squares = np.nansum((others - np.nanmean(others, axis=1, keepdims=True)) ** 2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(squares / (count - 1))
    by_name = {"mean": np.nanmean, "median": np.nanmedian, "sum": np.nansum}
    return (by_name | {"min": np.nanmin, "max": np.nanmax})[how](others, axis=1)


def are_between(numbers: np.ndarray, others: np.ndarray) -> bool:
    """Whether whole numbers are between those of others."""
    filled = numbers[~np.isnan(numbers)]
    if np.isnan(others).all():
        return False
    is_between = (filled >= np.nanmin(others)) & (filled <= np.nanmax(others))
    return bool(is_between.all() and (filled % 1 == 0).all())


def width(values: pd.Series) -> float:
    low, high = ends_of(values)
    return float(high - low)


def around(values: pd.Series) -> np.ndarray:
    """Ends of numbers that are not far from a scale: another rater may use more of it."""
    low, high = ends_of(values)
    return np.array([2 * low - high, 2 * high - low])


def ends_of(values: pd.Series) -> tuple[float, float]:
    """Ends of the scale that holds numbers."""
    return usual_scale(values) or (values.min(), values.max())
