"""Measures of a classifier: from its confusion matrix, and how far its probabilities can be trusted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.stats.resampling import row_samples, several

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
BINS = 10  # of probability, for the calibration error


def confusion(actual: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Counts (classes, classes), rows actual, columns predicted, over all classes that occur in either."""
    codes, classes = pd.factorize(np.concatenate([actual, predicted]).astype(object), sort=True)
    n = len(classes)
    cells = codes[: len(actual)] * n + codes[len(actual) :]
    return np.bincount(cells, minlength=n * n).reshape(n, n), classes.tolist()


def from_confusion(matrix: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro-F1 (as scikit-learn defines them) of a count matrix.

    A class that occurs among the actual ones but that the model cannot say has recall 0: it counts.
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
    """Each metric as value, low, high: 95 % percentile bootstrap over faces.

    Drawing n faces with replacement is drawing the cells of the confusion matrix from a multinomial. Where one person has several faces,
    persons are drawn.

    Parameters
    ----------
    groups : whose face each is, int (n,), 0 to persons − 1; None: each is somebody else's.
    """
    matrix, classes = confusion(actual, predicted)
    values = from_confusion(matrix)
    if several(groups):
        cells = pd.Index(classes).get_indexer(actual) * len(classes) + pd.Index(
            classes
        ).get_indexer(predicted)
        draws = np.array(
            [
                np.bincount(cells[rows], minlength=matrix.size)
                for rows in row_samples(len(cells), resamples, seed, groups)
            ]
        )
    else:
        draws = np.random.default_rng(seed).multinomial(
            matrix.sum(), (matrix / matrix.sum()).ravel(), size=resamples
        )
    drawn = [from_confusion(draw.reshape(matrix.shape)) for draw in draws]
    spread = {name: np.nanpercentile([d[name] for d in drawn], [2.5, 97.5]) for name in METRICS}
    return {
        name: {"value": values[name], "low": float(spread[name][0]), "high": float(spread[name][1])}
        for name in METRICS
    }


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error (Naeini et al. 2015, AAAI): in ten equal bins of the answers' probability, the difference
    of their mean and the share of right answers, weighted by the bins' faces.

    Parameters
    ----------
    sure : (n,) probability of each answer; right : bool (n,).
    """
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(place, sure - right, BINS)).sum() / len(sure))


def calibration_with_interval(
    sure: np.ndarray, right: np.ndarray, resamples: int, seed: int, groups: np.ndarray | None = None
) -> dict[str, float]:
    """`calibration_error` as value, low, high: 95 % bootstrap over faces, less its bias.

    A resample is less even than the faces that it is drawn from, so its error is greater: by 0.02 on 140 faces, which is as much as the
    error of a well calibrated model. The resamples are shifted to have the faces' own error as their mean.
    """
    value = calibration_error(sure, right)
    drawn = np.array(
        [
            calibration_error(sure[some], right[some])
            for some in row_samples(len(sure), resamples, seed, groups)
        ]
    )
    low, high = np.percentile(drawn + value - drawn.mean(), [2.5, 97.5])
    return {"value": value, "low": max(0.0, float(low)), "high": min(1.0, float(high))}
