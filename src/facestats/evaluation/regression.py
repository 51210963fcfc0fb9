"""Measures of a regression against what raters said, with bootstrap intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from facestats.resampling import interval, row_samples

METRICS = ("pearson", "spearman", "mae", "rmse", "r2")


def measure(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Pearson and Spearman correlation, MAE, RMSE (units of `actual`) and R².

    Correlations are NaN where either side is constant, R² where `actual` is.
    """
    return _measure(actual, predicted, rankdata(actual), rankdata(predicted))


def _measure(actual: np.ndarray, predicted: np.ndarray, actual_rank: np.ndarray, predicted_rank: np.ndarray) -> dict[str, float]:
    error = predicted - actual
    spread = actual - actual.mean()
    total = float(spread @ spread)
    return {
        "pearson": _pearson(actual, predicted),
        "spearman": _pearson(actual_rank, predicted_rank),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": float("nan") if _constant(actual) else 1 - float(error @ error) / total,
    }


def with_intervals(actual: np.ndarray, predicted: np.ndarray, resamples: int, seed: int,
                   groups: np.ndarray | None = None) -> dict[str, dict]:
    """Each metric as value, low, high: 95 % percentile bootstrap over faces.

    Parameters
    ----------
    actual, predicted : float arrays (n,), n ≥ 2.
    resamples : number of bootstrap samples.
    seed : of the resampling; models measured with the same seed see the same samples.
    groups : whose face each is, int (n,), 0 to persons − 1; whole persons are drawn. None: each face is somebody else's.
    """
    rank_actual, rank_predicted = _Ranks(actual), _Ranks(predicted)
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    for pick in row_samples(len(actual), resamples, seed, groups):
        for name, value in _measure(actual[pick], predicted[pick], rank_actual(pick), rank_predicted(pick)).items():
            drawn[name].append(value)
    return {name: {"value": value, **interval(drawn[name])} for name, value in measure(actual, predicted).items()}


class _Ranks:
    """Mean ranks of resamples of `values`, as `scipy.stats.rankdata` gives them, without sorting each: 5 to 10 times as fast at 20,000."""

    def __init__(self, values: np.ndarray):
        different, self.place = np.unique(values, return_inverse=True)
        self.n_different = len(different)

    def __call__(self, pick: np.ndarray) -> np.ndarray:
        place = self.place[pick]
        count = np.bincount(place, minlength=self.n_different)
        return (np.cumsum(count) - (count - 1) / 2)[place]


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if _constant(a) or _constant(b):
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.sqrt(float(a @ a)) * np.sqrt(float(b @ b))))


def _constant(values: np.ndarray) -> bool:
    """Whether all values are one, but for rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
