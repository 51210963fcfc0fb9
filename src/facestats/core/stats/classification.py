"""Measures of a classifier: from its confusion matrix, and of its probabilities' calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import percentile_interval, resampled_rows

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
BINS = 10  # of probability, for the calibration error


def confusion(actual: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Confusion matrix (classes, classes), actual by predicted, and the classes that occur."""
    codes, classes = pd.factorize(np.concatenate([actual, predicted]).astype(object), sort=True)
    n = len(classes)
    cells = codes[: len(actual)] * n + codes[len(actual) :]
    return np.bincount(cells, minlength=n * n).reshape(n, n), classes.tolist()


def from_confusion(matrix: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro-F1 (as scikit-learn defines them) of a count matrix.

    An actual class that the model does not know counts with recall 0.
    """
    hits, actual, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    occurs = actual > 0
    either = (actual + predicted) > 0
    if not occurs.any():
        return dict.fromkeys(METRICS, float("nan"))
    recall = hits[occurs] / actual[occurs]
    f1 = 2 * hits[either] / (actual + predicted)[either]
    return {
        "accuracy": float(hits.sum() / matrix.sum()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
    }


def with_intervals(
    actual: np.ndarray,
    predicted: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, dict]:
    """Measure a classifier, each metric with its 95 % bootstrap interval.

    Parameters
    ----------
    actual, predicted : array (n,)
        Classes.
    resamples, seed : int
        See `intervals.resampled_rows`.
    groups : ndarray of int (n,), optional
        Whose face each is, from 0 without a gap; persons are drawn. By default each face is
        somebody else's.

    Returns
    -------
    dict
        `value`, `low` and `high` by metric.
    """
    matrix, classes = confusion(actual, predicted)
    values = from_confusion(matrix)
    index = pd.Index(classes)
    cells = index.get_indexer(actual) * len(classes) + index.get_indexer(predicted)
    drawn = [
        from_confusion(np.bincount(cells[rows], minlength=matrix.size).reshape(matrix.shape))
        for rows in resampled_rows(len(cells), resamples, seed, groups)
    ]
    return {
        name: {"value": values[name], **percentile_interval([draw[name] for draw in drawn])}
        for name in METRICS
    }


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error (Naeini et al. 2015, AAAI).

    In ten equal bins of probability, the difference between the mean probability and the share of
    right answers, weighted by the bins' faces.

    Parameters
    ----------
    sure : ndarray of float (n,)
        Probability of each answer.
    right : ndarray of bool (n,)
        Whether it is right.
    """
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(place, sure - right, BINS)).sum() / len(sure))


def calibration_with_interval(
    sure: np.ndarray, right: np.ndarray, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, float]:
    """`calibration_error` as value, low, high: 95 % bootstrap over persons, less its bias.

    A resample is less even than the faces themselves, so its error is greater: by 0.02 on 140
    faces, as much as the error of a well calibrated model. The resamples are shifted so that their
    mean is the faces' own error.
    """
    value = calibration_error(sure, right)
    drawn = np.array(
        [
            calibration_error(sure[some], right[some])
            for some in resampled_rows(len(sure), resamples, seed, groups)
        ]
    )
    ends = percentile_interval(drawn + value - drawn.mean())
    return {"value": value, "low": max(0.0, ends["low"]), "high": min(1.0, ends["high"])}
