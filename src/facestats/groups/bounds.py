"""Ends of ranges, as numbers or as quantiles: `[60, 80]`, `[q0.8, q1]`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

_QUANTILE = re.compile(r"q(\d*\.?\d+|\d+\.)")


def is_bounds(value: Any) -> bool:
    """Whether a value is meant as two ends: two numbers, quantiles, or one of each.

    Two texts that are no quantiles are two classes.
    """
    if isinstance(value, (str, set, frozenset, dict, Iterator)) or not hasattr(value, "__len__"):
        return False
    return len(value) == 2 and all(_is_end(end) for end in value)


def _is_end(end: Any) -> bool:
    if isinstance(end, str):
        return bool(_QUANTILE.fullmatch(end))
    return isinstance(end, Real) and not isinstance(end, (bool, np.bool_))


def check_bounds(value: Any) -> list[float | str]:
    """Check two ends.

    Raises
    ------
    ValueError
        They are no ends, or the first is above the second.
    """
    if not is_bounds(value):
        raise ValueError("expected [low, high], each a number or a quantile such as q0.8")
    shares = [_share(end) for end in value]
    for end, share in zip(value, shares, strict=True):
        if share is not None and share > 1:
            raise ValueError(f"{end} is no quantile; they lie between q0 and q1")
        if share is None and not _is_finite(end):
            raise ValueError(f"{end} is no end of a range")
    ends: list[Any] = [*value] if shares[0] is None else shares
    if (shares[0] is None) == (shares[1] is None) and ends[0] > ends[1]:
        raise ValueError(f"a range is [low, high], but {value[0]} is above {value[1]}")
    return [*value]


def _is_finite(end: Any) -> bool:
    try:
        return math.isfinite(end)
    except OverflowError:  # a whole number that no column can hold
        return False


def has_quantile(value: Any) -> bool:
    """Whether an end is a quantile."""
    return any(isinstance(end, str) for end in value)


def in_numbers(value: Any, column: pd.Series) -> list[float]:
    """The ends in numbers; quantiles are those of the column, without nulls.

    Raises
    ------
    ValueError
        The column has no value to take a quantile of.
    """
    if not has_quantile(value):
        return [float(end) for end in value]
    known = column.dropna().to_numpy(dtype=np.float64)
    if not len(known):
        raise ValueError("no face has a value to take quantiles of")
    shares = [_share(end) for end in value]
    return [
        float(end) if share is None else float(np.quantile(known, share))
        for end, share in zip(value, shares, strict=True)
    ]


def numbers_of(column: pd.Series) -> pd.Series | None:
    """The column as numbers; None if a value is none. Labels of a file are text, even numbers."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    parsed = pd.to_numeric(column, errors="coerce")
    return None if (parsed.isna() & column.notna()).any() else parsed.astype("float64")


def _share(end: Any) -> float | None:
    """The share of a quantile; None of a number."""
    return float(end[1:]) if isinstance(end, str) else None
