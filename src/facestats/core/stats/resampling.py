"""The bootstrap's resamples: faces, or persons where one person has several faces.

Faces of one person are rated and scored alike. An interval that takes them for independent is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd


def person_groups(person: pd.Series) -> np.ndarray:
    """A number for each person (int, n); a face without one is a person of its own."""
    own = person.notna().to_numpy()
    groups = np.arange(len(person))
    groups[own] = len(person) + pd.factorize(person[own])[0]
    return np.unique(groups, return_inverse=True)[1]


def several(groups: np.ndarray | None) -> bool:
    """Whether a group has more than one row."""
    return groups is not None and len(np.unique(groups)) < len(groups)


def row_samples(
    n: int, times: int, seed: int, groups: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Row numbers of each of `times` bootstrap samples of `n` rows.

    Parameters
    ----------
    seed : models measured with the same seed see the same samples.
    groups : int (n,), 0 to groups − 1: whole groups are drawn, as many as there are; None draws rows.
    """
    rng = np.random.default_rng(seed)
    size = np.ones(n, dtype=int) if groups is None else np.bincount(groups)
    if (size == 1).all():
        yield from (rng.integers(0, n, n) for _ in range(times))
        return
    order, first = np.argsort(groups, kind="stable"), np.cumsum(size) - size
    for _ in range(times):
        drawn = rng.integers(0, len(size), len(size))
        lengths = size[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        yield order[np.repeat(first[drawn], lengths) + within]


def interval(values: np.ndarray | list[float]) -> dict[str, float]:
    """`low` and `high`: the 2.5 and 97.5 % percentiles of the finite values; NaN where there are none."""
    finite = np.asarray(values)[np.isfinite(values)]
    low, high = np.percentile(finite, [2.5, 97.5]) if len(finite) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}
