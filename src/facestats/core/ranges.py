"""Classes that are ranges of numbers, such as years of age: `18-29`, `30-44`, `60+`."""

from __future__ import annotations

import re

import numpy as np

_CLOSED = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
_OPEN = re.compile(r"(\d+(?:\.\d+)?)\+")


def range_middles(classes: list[str]) -> list[float]:
    """Middle of each range; one without an upper end counts as wide as the highest that has one.

    Raises
    ------
    ValueError
        A class is not a range.
    """
    ends = _ends(classes)
    closed = sorted((low, high) for low, high in ends if high is not None)
    widths = [high - low for low, high in closed]
    if not widths:
        raise ValueError(
            f"none of {', '.join(classes)} has an upper end; expected at least one range like 18-29"
        )
    return [(low + high) / 2 if high is not None else low + widths[-1] / 2 for low, high in ends]


def in_range(values: np.ndarray, ranges: list[str]) -> np.ndarray:
    """Whether each number lies in its range, bool (n,): 29.9 lies in `18-29`."""
    ends = _ends(ranges)
    low = np.array([low for low, _ in ends], dtype=float)
    high = np.array([np.inf if high is None else high + 1 for _, high in ends], dtype=float)
    return (low <= values) & (values < high)


def _ends(classes: list[str]) -> list[tuple[float, float | None]]:
    ends: list[tuple[float, float | None]] = []
    for name in classes:
        closed, open_ended = _CLOSED.fullmatch(name), _OPEN.fullmatch(name)
        if closed and float(closed[1]) <= float(closed[2]):
            ends.append((float(closed[1]), float(closed[2])))
        elif open_ended:
            ends.append((float(open_ended[1]), None))
        else:
            raise ValueError(
                f"{name!r} is not a range of numbers; expected one like 18-29 (low first) or 60+"
            )
    return ends
