"""Intervals of 95 %: resamples, ends, and text.

A bootstrap draws persons, each with all of their faces: faces of one person are rated and scored
alike, and an interval that takes them for independent is too narrow. `identity.same_faces` tells
persons apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

NOT_MEASURED: dict[str, float | None] = {"value": None, "low": None, "high": None}
ENDS = (2.5, 97.5)  # percentiles
_TOGETHER = 1 << 18  # rows drawn at a time
RESAMPLES, SEED = 1000, 0  # of figures for which params.yaml has no parameter


def person_groups(person: pd.Series) -> np.ndarray:
    """Number the persons of some faces.

    Parameters
    ----------
    person : Series (n,)
        Name of each face's person; a face without one is a person of its own.

    Returns
    -------
    ndarray of int (n,)
        From 0 to the number of persons − 1.
    """
    return np.unique(person_numbers(person), return_inverse=True)[1]


def person_numbers(person: pd.Series) -> np.ndarray:
    """Number persons as `person_groups`, in the same order but with gaps, without sorting."""
    own = person.notna().to_numpy()
    groups = np.arange(len(person))
    groups[own] = len(person) + pd.factorize(person[own])[0]
    return groups


def resampled_rows(
    n: int,
    resamples: int,
    seed: int | np.random.Generator,
    groups: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Draw bootstrap samples of `n` rows, as row numbers.

    Parameters
    ----------
    n : int
        Number of rows.
    resamples : int
        Number of samples.
    seed : int or Generator
        Models measured with the same seed see the same samples.
    groups : ndarray of int (n,), optional
        Whose row each is, from 0 without a gap: as many groups are drawn as there are, each with
        all of its rows. By default each row is a group of its own.

    Yields
    ------
    ndarray of int
        Row numbers of one sample.
    """
    rng = np.random.default_rng(seed)
    size = np.ones(n, dtype=int) if groups is None else np.bincount(groups)
    if groups is None or (size == 1).all():
        yield from (rng.integers(0, n, n) for _ in range(resamples))
        return
    order, first = np.argsort(groups, kind="stable"), np.cumsum(size) - size
    for _ in range(resamples):
        drawn = rng.integers(0, len(size), len(size))
        lengths = size[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        yield order[np.repeat(first[drawn], lengths) + within]


def resampled_weights(
    groups: np.ndarray, resamples: int, seed: int | np.random.Generator
) -> np.ndarray:
    """Draw bootstrap samples as weights: how often each row is drawn.

    The same bootstrap as `resampled_rows`, for measures that are sums over rows.

    Parameters
    ----------
    groups : ndarray of int (n,)
        Whose row each is, from 0 without a gap.
    resamples : int
        Number of samples.
    seed : int or Generator
        A generator continues from its state.

    Returns
    -------
    ndarray of float64 (resamples, n)
        How often each row is drawn.
    """
    n = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    return drawn[:, groups].astype(np.float64)


def percentile_interval(values: np.ndarray | list[float]) -> dict[str, float]:
    """Compute the ends of an interval from a measure's resamples.

    Parameters
    ----------
    values : array (resamples,)
        Those that are not finite are left out.

    Returns
    -------
    dict
        `low` and `high`: the 2.5 and 97.5 % percentiles; NaN if no value is finite.
    """
    finite = np.asarray(values)[np.isfinite(values)]
    low, high = np.percentile(finite, ENDS) if len(finite) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def value_with_interval(values: np.ndarray) -> dict[str, float]:
    """The first of the values with the interval of the others, its bootstrap."""
    return {"value": float(values[0]), **percentile_interval(values[1:])}


def mean_with_interval(
    values: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, float | None]:
    """Mean of some rows with its bootstrap interval.

    Parameters
    ----------
    values : array (n,)
        Numbers, or truth values for a share.
    resamples, seed : int
        See `resampled_rows`.
    groups : ndarray of int (n,), optional
        Whose row each is; any numbers.

    Returns
    -------
    dict
        `value`, `low` and `high`; null without rows.
    """
    if not len(values):
        return NOT_MEASURED
    numbers = None if groups is None else np.unique(groups, return_inverse=True)[1]
    means = _resampled_means(values, resamples, seed, numbers)
    return {"value": float(values.mean()), **percentile_interval(means)}


def _resampled_means(
    values: np.ndarray, resamples: int, seed: int, groups: np.ndarray | None
) -> np.ndarray:
    """The means of the samples that `resampled_rows` draws, from the groups' sums."""
    rng = np.random.default_rng(seed)
    sums = np.asarray(values, np.float64)
    sizes = np.ones(len(values))
    if groups is not None:
        sums, sizes = np.bincount(groups, sums), np.bincount(groups)
    most = max(1, _TOGETHER // len(sums))
    means = []
    for start in range(0, resamples, most):
        count = min(most, resamples - start)
        drawn = rng.integers(0, len(sums), (count, len(sums)))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)


def exact_share(hits: np.ndarray, persons: pd.Series | None = None) -> dict[str, Any]:
    """Share of true values with its exact interval (Clopper-Pearson).

    For a share of 0, every resample of a bootstrap would be 0; this interval has an upper end.

    Parameters
    ----------
    hits : ndarray of bool (n,)
        The values.
    persons : Series (n,), optional
        Faces of one person are not independent: the interval is that of as many faces as there
        are persons.

    Returns
    -------
    dict
        `value`, `low`, `high` (null for no faces) and `n`.
    """
    if not len(hits):
        return {**NOT_MEASURED, "n": 0}
    share = float(np.mean(hits))
    n = len(hits) if persons is None else len(np.unique(person_groups(persons)))
    true = share * n
    low = 0.0 if true <= 0 else float(beta.ppf(0.025, true, n - true + 1))
    high = 1.0 if true >= n else float(beta.ppf(0.975, true + 1, n - true))
    return {"value": share, "low": low, "high": high, "n": len(hits)}


def interval_text(
    metric: Mapping[str, float | None], digits: str = ".2f", named: bool = False
) -> str:
    """Write a value with its interval: `0.57 (0.41 to 0.71)`.

    Parameters
    ----------
    metric : mapping
        `value`, `low` and `high`; if the ends are null, only the value is written.
    digits : str
        Format of each number, such as `.2f` (two decimals) or `.3g` (three digits).
    named : bool
        Whether to name the interval: `0.57 (95 % interval 0.41 to 0.71)`.

    Returns
    -------
    str
        With true minus signs; `undefined` for a number that is not finite.
    """
    value, low, high = (metric[part] for part in ("value", "low", "high"))
    if low is None or high is None:
        return number_text(value, digits)
    ends = f"{number_text(low, digits)} to {number_text(high, digits)}"
    return f"{number_text(value, digits)} ({'95 % interval ' if named else ''}{ends})"


def number_text(value: float | None, digits: str = ".2f") -> str:
    """Write a number with a true minus sign and without a negative zero.

    Parameters
    ----------
    value : float or None
        The number.
    digits : str
        Format of the number.

    Returns
    -------
    str
        `undefined` if the value is null or not finite.
    """
    if value is None or not np.isfinite(value):
        return "undefined"
    text = format(value, digits)
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")
