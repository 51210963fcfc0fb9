"""Measures of cross-validated predictions, and their intervals.

Correlations are computed in each outer fold, and averaged as they are. Over all folds at once, they
would be too low: where a fold has high ratings by chance, its models have learned from lower ones.
On noise, that gives -0.14 for 60 faces (docs/methods/crossvalidation.md). Errors and shares are
taken over all faces.

A bootstrap over persons of the predictions leaves out that other train faces would have made other
models. The folds' models share most of their train faces, and their results are alike: with a
correlation of 1 / folds (the share of a test fold; Nadeau & Bengio 2003,
doi:10.1023/A:1024068626366), the variance of the mean over all folds and repeats is the bootstrap's
times `stretch`². In simulations, intervals without that factor covered the expected figure in 76
to 90 % of samples, and with it in 93 to 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from facestats.core.stats import classification, regression
from facestats.core.stats.intervals import (
    NOT_MEASURED,
    percentile_interval,
    resampled_rows,
    resampled_weights,
)

CORRELATIONS = ("pearson", "spearman")
SURE = 0.999999  # a correlation, at most, before it is put on Fisher's scale
_TINY = 1e-12


def stretch(folds: int, repeats: int) -> float:
    """Factor of the bootstrap's standard error of one repeat."""
    return float(np.sqrt(1 / repeats + 1 - 1 / (folds * repeats)))


class Measured:
    """Measures of a model, each with its resamples.

    Parameters
    ----------
    values : mapping of str to ndarray (repeats, 1 + resamples)
        By name: on the faces themselves, then on resamples of the persons.
    folds : int
        Number of outer folds.
    """

    def __init__(self, values: Mapping[str, np.ndarray], folds: int):
        self.values, self.folds = values, folds

    def report(self) -> dict[str, dict]:
        """Each measure as value, low, high."""
        return {
            name: _interval(
                values, self.folds, np.tanh if name in CORRELATIONS else None, _ENDS.get(name)
            )
            for name, values in self.values.items()
        }

    def minus(self, other: Measured) -> dict[str, dict]:
        """Difference of each measure to another model's on the same resamples."""
        return {
            name: _interval(values - other.values[name], self.folds)
            for name, values in self.values.items()
        }


_SHARE = (0.0, 1.0)
_ENDS = {"mae": (0.0, np.inf), "rmse": (0.0, np.inf)} | dict.fromkeys(
    (*classification.METRICS, "coverage", "accuracy_answered", "ece", "bucket_accuracy"), _SHARE
)


def _interval(
    values: np.ndarray,
    folds: int,
    back: np.ufunc | None = None,
    ends: tuple[float, float] | None = None,
) -> dict[str, float]:
    """Mean over repeats, and the stretched percentiles of how far resamples lie from it.

    With `back` = tanh, distances are those on Fisher's scale, so that ends stay within -1 and 1.
    """
    with np.errstate(all="ignore"):
        mean = float(np.nanmean(values[:, 0])) if np.isfinite(values[:, 0]).any() else np.nan
        scaled = np.arctanh(np.clip(values, -SURE, SURE)) if back else values
        middle = np.arctanh(np.clip(mean, -SURE, SURE)) if back else mean
        apart = percentile_interval((scaled[:, 1:] - scaled[:, :1]).ravel())
    factor = stretch(folds, len(values))
    low, high = (middle + factor * apart[end] for end in ("low", "high"))
    if back:
        low, high = back(low), back(high)
    elif ends:
        low, high = np.clip([low, high], *ends)
    return {"value": mean, "low": float(low), "high": float(high)}


def measure_numbers(
    actual: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    divisions: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Measured]:
    """Measure several models on the same resamples.

    Parameters
    ----------
    actual : ndarray (n,)
        Labels.
    predictions : mapping of ndarray (repeats, n)
        By model.
    divisions : ndarray of int (repeats, n)
        Fold of each face.
    groups : ndarray of int (n,)
        Whose face each is, from 0 without a gap.
    resamples, seed : int
        Of the bootstrap over persons.

    Returns
    -------
    dict of Measured
        `regression.METRICS`; correlations are means over folds.
    """
    weights = np.vstack([np.ones(len(actual)), resampled_weights(groups, resamples, seed)])
    measured = {}
    for model, repeats in predictions.items():
        values: dict[str, list[np.ndarray]] = {metric: [] for metric in regression.METRICS}
        for predicted, fold in zip(repeats, divisions, strict=True):
            of_repeat = _regression_metrics_of_repeat(actual, predicted, fold, weights)
            for metric, value in zip(regression.METRICS, of_repeat, strict=True):
                values[metric].append(value)
        measured[model] = Measured(
            {metric: np.stack(rows) for metric, rows in values.items()},
            len(np.unique(divisions)),
        )
    return measured


def _regression_metrics_of_repeat(
    actual: np.ndarray, predicted: np.ndarray, fold: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """`regression.METRICS` of one repeat, for each row of weights."""
    pearson, spearman = [], []
    for number in np.unique(fold):
        rows = fold == number
        in_fold, labels, answers = weights[:, rows], actual[rows], predicted[rows]
        pearson.append(_correlation(in_fold, labels[None], answers[None]))
        spearman.append(_correlation(in_fold, _ranks(in_fold, labels), _ranks(in_fold, answers)))
    error, count = predicted - actual, weights.sum(axis=1)
    spread = actual - actual.mean()
    total = weights @ spread**2 - (weights @ spread) ** 2 / count
    squared = weights @ error**2
    with np.errstate(all="ignore"):
        r2 = np.where(
            total > _TINY * max(1.0, float((spread**2).sum())), 1 - squared / total, np.nan
        )
    return (
        _mean(pearson),
        _mean(spearman),
        weights @ np.abs(error) / count,
        np.sqrt(squared / count),
        r2,
    )


def fold_correlations(actual: np.ndarray, predicted: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Mean over folds of Pearson's r between columns of two matrices (n, p): (p,).

    NaN where it is defined in no fold.
    """
    inside = [fold == number for number in np.unique(fold)]
    return _mean(
        [
            _correlation(np.ones((1, rows.sum())), actual[rows].T, predicted[rows].T)
            for rows in inside
        ]
    )


def _mean(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of what is finite, NaN where nothing is."""
    stacked = np.stack(rows)
    known = np.isfinite(stacked)
    with np.errstate(all="ignore"):
        return np.where(known, stacked, 0).sum(axis=0) / known.sum(axis=0)


def _correlation(weights: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weighted Pearson's r of rows of `a` and `b` (1 or p, n), for weights (1 or p, n): (p,)."""
    count = weights.sum(axis=1)
    with np.errstate(all="ignore"):
        a = a - a.mean(axis=1, keepdims=True)
        b = b - b.mean(axis=1, keepdims=True)
        mean_a, mean_b = ((weights * side).sum(axis=1) / count for side in (a, b))
        var_a = (weights * a**2).sum(axis=1) / count - mean_a**2
        var_b = (weights * b**2).sum(axis=1) / count - mean_b**2
        both = (weights * a * b).sum(axis=1) / count - mean_a * mean_b
        least_a, least_b = (_TINY * np.abs(side).max(axis=1) ** 2 for side in (a, b))
        varies = (var_a > least_a) & (var_b > least_b)
        return np.where(varies, both / np.sqrt(var_a * var_b), np.nan)


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean ranks of `values` (n,) where each stands there so often: weights (p, n) to (p, n)."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    count = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(count, axis=1) - (count - 1) / 2)[:, place]


def measure_classes(
    actual: np.ndarray,
    predicted: np.ndarray,
    sure: np.ndarray,
    answered: np.ndarray,
    groups: np.ndarray,
    folds: int,
    resamples: int,
    seed: int,
) -> Measured:
    """Measure a classifier.

    Parameters
    ----------
    actual : ndarray (n,)
        Classes.
    predicted : ndarray (repeats, n)
        Classes, without abstaining.
    sure : ndarray of float (repeats, n)
        Probability of each answer; NaN where it has none.
    answered : ndarray of bool (repeats, n)
        Whether it is sure enough.
    groups : ndarray of int (n,)
        Whose face each is, from 0 without a gap.
    folds : int
        Number of outer folds.
    resamples, seed : int
        Of the bootstrap over persons.

    Returns
    -------
    Measured
        `classification.METRICS`, `coverage`, `accuracy_answered` and `ece`, over all faces.
    """
    names = (*classification.METRICS, "coverage", "accuracy_answered", "ece")
    samples = [np.arange(len(actual)), *resampled_rows(len(actual), resamples, seed, groups)]
    values = np.full((len(names), len(predicted), len(samples)), np.nan)
    for repeat, answers in enumerate(predicted):
        codes, classes = pd.factorize(np.concatenate([actual, answers]).astype(object), sort=True)
        cells = codes[: len(actual)] * len(classes) + codes[len(actual) :]
        is_right, is_answered = actual == answers, answered[repeat]
        has_probabilities = bool(np.isfinite(sure[repeat]).all())
        for number, rows in enumerate(samples):
            matrix = np.bincount(cells[rows], minlength=len(classes) ** 2)
            shares = classification.from_confusion(matrix.reshape(len(classes), -1))
            values[:3, repeat, number] = [shares[name] for name in classification.METRICS]
            values[3, repeat, number] = is_answered[rows].mean()
            if is_answered[rows].any():
                values[4, repeat, number] = is_right[rows][is_answered[rows]].mean()
            if has_probabilities:
                values[5, repeat, number] = classification.calibration_error(
                    sure[repeat][rows], is_right[rows]
                )
    # Resamples are less even than the faces themselves, and their calibration error is greater.
    values[5, :, 1:] -= (values[5, :, 1:].mean(axis=1) - values[5, :, 0])[:, None]
    return Measured(dict(zip(names, values, strict=True)), folds)


def by_chance(observed: float, drawn: np.ndarray) -> dict[str, float | int | None]:
    """Compare r with those of the same procedure on permuted labels.

    Parameters
    ----------
    observed : float
        Mean r over folds and repeats.
    drawn : ndarray (permutations,)
        The same for each permutation; NaN counts as 0, for predictions that are all the same tell
        nothing.

    Returns
    -------
    dict
        `value` (mean), `low` and `high` (95 % of them lie between), `p` (share of the permutations,
        and the labels themselves, with an r as high; at least 1 / (permutations + 1)) and
        `permutations`.
    """
    drawn = np.nan_to_num(drawn)
    if not len(drawn) or not np.isfinite(observed):
        return {**NOT_MEASURED, "p": None, "permutations": len(drawn)}
    p = (1 + np.count_nonzero(drawn >= observed)) / (len(drawn) + 1)
    ends = percentile_interval(drawn)
    return {"value": float(drawn.mean()), **ends, "p": float(p), "permutations": len(drawn)}
