"""Means and correlations of groups of faces, with bootstrap intervals, and the gaps between groups.

Persons are drawn, each with all of their faces; all groups are measured on the same samples. Since
groups are small, intervals are widened as Student's t would: without that, 95 % intervals of ten
faces cover 90 % (Hesterberg 2015, "What teachers should know about the bootstrap", The American
Statistician 69).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from facestats.core.stats.intervals import NOT_MEASURED, resampled_weights

CELLS = 2_000_000  # weights held at once: draws × faces
LEVEL = 0.95


@dataclass(frozen=True)
class GroupSamples:
    """One measure of each group, in the sample and in each resample.

    Attributes
    ----------
    value : ndarray (groups,)
        In the sample.
    drawn : ndarray (resamples, groups)
        In each resample.
    persons : ndarray of int (groups,)
        Number of persons.
    share : bool
        Whether the measure is a mean of zeros and ones.
    widest : float
        No gap can exceed it.
    """

    value: np.ndarray
    drawn: np.ndarray
    persons: np.ndarray
    share: bool
    widest: float

    def interval(self, group: int) -> dict[str, float | None]:
        """Interval of one group of two persons or more; null for a correlation of constants."""
        value, n = float(self.value[group]), int(self.persons[group])
        if not np.isfinite(value):
            return NOT_MEASURED
        if self.share and value in (0.0, 1.0):  # no resample differs: an exact bound instead
            reach = (1 - LEVEL) ** (1 / n)
            return {
                "value": value,
                "low": reach if value else 0.0,
                "high": 1.0 if value else 1 - reach,
            }
        drawn = self.drawn[:, group]
        tail = stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf((1 + LEVEL) / 2, n - 1))
        low, high = np.quantile(drawn[np.isfinite(drawn)], [tail, 1 - tail])
        return {"value": value, "low": float(low), "high": float(high)}

    def error(self, a: int, b: int) -> float:
        """Standard error of the gap between two groups."""
        difference = self.drawn[:, a] - self.drawn[:, b]
        smaller = min(self.persons[a], self.persons[b])
        error = float(np.nanstd(difference)) * np.sqrt(smaller / (smaller - 1))
        # At least the error with one more right and one more wrong answer in each group.
        if self.share:
            error = max(error, float(np.sqrt(self._spread(a) + self._spread(b))))
        return error

    def _spread(self, group: int) -> float:
        n = self.persons[group] + 2
        share = (self.value[group] * self.persons[group] + 1) / n
        return share * (1 - share) / n


@dataclass(frozen=True)
class Gaps:
    """All gaps between the measured groups of one attribute, in one measure.

    Attributes
    ----------
    samples : GroupSamples
        Of the measure.
    largest : (int, int), optional
        The groups (higher, lower) with the largest gap; None with fewer than two measured groups.
    strayed : ndarray (resamples,)
        Largest deviation of a gap from the sample's in each resample, in standard errors.
    compared : int
        Number of gaps.
    """

    samples: GroupSamples
    largest: tuple[int, int] | None
    strayed: np.ndarray
    compared: int

    @property
    def value(self) -> float:
        return (
            0.0
            if self.largest is None
            else float(self.samples.value[self.largest[0]] - self.samples.value[self.largest[1]])
        )

    def interval(self, strayed: np.ndarray) -> dict[str, float]:
        """Interval of the largest gap, valid for all gaps at once, since it was chosen among them.

        Parameters
        ----------
        strayed : ndarray (resamples,)
            Of all gaps that were compared: these, or more.

        Returns
        -------
        dict
            `value`, `low`, `high`.
        """
        assert self.largest is not None
        a, b = self.largest
        degrees = int(self.samples.persons[a] + self.samples.persons[b]) - 2
        # At least as far as a single gap deviates.
        errors = max(np.quantile(strayed, LEVEL), stats.norm.ppf((1 + LEVEL) / 2))
        reach = stats.t.ppf(stats.norm.cdf(errors), degrees) * self.samples.error(a, b)
        low, high = np.clip(
            [self.value - reach, self.value + reach], -self.samples.widest, self.samples.widest
        )
        return {"value": self.value, "low": float(low), "high": float(high)}


def sample_groups(
    columns: Mapping[str, np.ndarray],
    members: np.ndarray,
    persons: np.ndarray,
    resamples: int,
    seed: int,
    correlate: tuple[str, str] | None = None,
    shares: bool = False,
) -> dict[str, GroupSamples]:
    """Average each column in each group, in the sample and in resamples of persons.

    Parameters
    ----------
    columns : mapping of ndarray (n,)
        By measure.
    members : ndarray of bool (n, groups)
        Whether a face belongs to a group; no group is empty.
    persons : ndarray of int (n,)
        Whose face it is, from 0 without a gap.
    resamples, seed : int
        Of the bootstrap.
    correlate : (str, str), optional
        Two columns whose correlation is the measure `pearson`.
    shares : bool
        Whether the columns hold zeros and ones.

    Returns
    -------
    dict of GroupSamples
        By measure.
    """
    parts_of: dict[str, list[np.ndarray]] = {}
    with threadpool_limits(1):  # sums of more threads differ in their last bits
        for weights in _weights(persons, resamples, seed):
            for name, values in _measure(columns, members, weights, correlate).items():
                parts_of.setdefault(name, []).append(values)
    n_persons = np.array([len(np.unique(persons[chosen])) for chosen in members.T], dtype=int)
    measured = {name: np.concatenate(parts) for name, parts in parts_of.items()}
    widest = {"pearson": 2.0} | dict.fromkeys(columns, 1.0 if shares else np.inf)
    return {
        name: GroupSamples(values[0], values[1:], n_persons, shares, widest[name])
        for name, values in measured.items()
    }


def gaps_between(samples: GroupSamples, groups: list[int]) -> Gaps:
    """Compare every two of some groups of two persons or more; those without value are left out."""
    groups = [g for g in groups if np.isfinite(samples.value[g])]
    strayed, n = np.zeros(len(samples.drawn)), 0
    for a, b in combinations(groups, 2):
        error = samples.error(a, b)
        if error > 0:
            difference = (
                samples.drawn[:, a] - samples.drawn[:, b] - (samples.value[a] - samples.value[b])
            )
            strayed = np.fmax(strayed, np.abs(difference) / error)
        n += 1
    if not n:
        return Gaps(samples, None, strayed, 0)
    ordered = sorted(groups, key=lambda g: -samples.value[g])
    return Gaps(samples, (ordered[0], ordered[-1]), strayed, n)


def _weights(persons: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each face is drawn, (draws, n): once each first, then resamples in blocks."""
    yield np.ones((1, len(persons)))
    rng, block = np.random.default_rng(seed), max(CELLS // len(persons), 1)
    for start in range(0, resamples, block):
        yield resampled_weights(persons, min(block, resamples - start), rng)


def _measure(
    columns: Mapping[str, np.ndarray],
    members: np.ndarray,
    weights: np.ndarray,
    correlate: tuple[str, str] | None,
) -> dict[str, np.ndarray]:
    """Each measure (draws, groups); NaN where no face of a group was drawn."""

    def mean(values: np.ndarray) -> np.ndarray:
        return (weights @ (members * values[:, None])) / drawn

    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = weights @ members.astype(float)
        measures = {name: mean(values) for name, values in columns.items()}
        if correlate:
            a, b = (columns[name] - columns[name].mean() for name in correlate)
            mean_a, mean_b = mean(a), mean(b)
            spread_a, spread_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
            # In points²; smaller ones are rounding.
            varies = (spread_a > 1e-9) & (spread_b > 1e-9)
            spread = np.where(varies, spread_a * spread_b, np.nan)
            measures["pearson"] = np.clip((mean(a * b) - mean_a * mean_b) / np.sqrt(spread), -1, 1)
    return measures
