"""Whether faces with a predicted score near s have a mean human rating near s, both from 0 to 100."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.resampling import interval, row_samples

METRICS = ("calibration_error", "calibration_slope")
CURVE = ("bin", "n", "predicted", "actual", "low", "high")
# 10 bins, fewer where one would hold under 10 faces: the mean of 10 ratings that miss their prediction by 12 points (the sample's
# MAE is 9) is known to about 4 points.
MOST_BINS, PER_BIN = 10, 10


def calibration(actual: np.ndarray, predicted: np.ndarray, resamples: int, seed: int,
                groups: np.ndarray | None = None) -> dict[str, dict]:
    """Calibration error and slope with 95 % bootstrap intervals.

    `calibration_error`: mean over faces of the absolute difference between the mean human rating and the mean predicted score of the
    face's bin, in points; bins of the prediction hold equal numbers of faces. It is never 0: `by_chance` is what a perfectly calibrated
    model with the same scatter would be expected to have. A resample adds its own scatter to the error, so the interval is the basic
    bootstrap's, 2 value − percentile, cut at 0, which takes that off again. `calibration_slope`: of the human rating on the
    predicted score, 1 at best; below 1 the predictions are too extreme. NaN where the prediction is constant.

    Parameters
    ----------
    actual, predicted : float arrays (n,), points of the 0–100 score, n ≥ 2.
    groups : see `regression.with_intervals`.
    """
    bins = _bins(predicted)
    error = actual - predicted
    n, n_bins = len(actual), bins.max() + 1
    value, slope = _calibration_error(error, bins), _slope(actual, predicted)
    drawn = [(_calibration_error(error[pick], bins[pick]), _slope(actual[pick], predicted[pick]))
             for pick in row_samples(n, resamples, seed, groups)]
    errors, slopes = np.array(drawn).T
    spread = interval(errors)
    counts = np.bincount(bins)
    within = error - (np.bincount(bins, error) / counts)[bins]
    scatter = np.sqrt(float(within @ within) / max(n - n_bins, 1))
    by_chance = np.sqrt(2 / np.pi) * scatter * np.sqrt(counts).sum() / n  # the mean of |x| is √(2/π) standard deviations
    return {
        "calibration_error": {"value": value, "low": max(0.0, 2 * value - spread["high"]), "high": max(0.0, 2 * value - spread["low"]),
                              "by_chance": float(by_chance)},
        "calibration_slope": {"value": slope, **interval(slopes)},
    }


def reliability_curve(actual: np.ndarray, predicted: np.ndarray, resamples: int, seed: int,
                      groups: np.ndarray | None = None) -> pd.DataFrame:
    """One row a bin of the prediction: `bin` (from 1), `n`, mean `predicted` score, mean human rating `actual`, its 95 % interval."""
    bins = _bins(predicted)
    n = np.bincount(bins)
    drawn = [np.bincount(bins[pick], actual[pick], len(n)) / np.where(count := np.bincount(bins[pick], minlength=len(n)), count, np.nan)
             for pick in row_samples(len(actual), resamples, seed, groups)]
    spread = pd.DataFrame([interval(column) for column in np.array(drawn).T])
    return pd.DataFrame({"bin": np.arange(len(n)) + 1, "n": n, "predicted": np.bincount(bins, predicted) / n,
                         "actual": np.bincount(bins, actual) / n, "low": spread["low"], "high": spread["high"]})


def _bins(predicted: np.ndarray) -> np.ndarray:
    """Bin of each prediction, from 0, none of them empty; equal predictions share one."""
    wanted = int(np.clip(len(predicted) // PER_BIN, 1, MOST_BINS))
    edges = np.quantile(predicted, np.arange(1, wanted) / wanted)
    return np.unique(np.searchsorted(edges, predicted, side="right"), return_inverse=True)[1]


def _calibration_error(error: np.ndarray, bins: np.ndarray) -> float:
    return float(np.abs(np.bincount(bins, error)).sum() / len(error))


def _slope(actual: np.ndarray, predicted: np.ndarray) -> float:
    if np.ptp(predicted) <= 1e-12 * np.abs(predicted).max():
        return float("nan")
    centred = predicted - predicted.mean()
    return float(centred @ actual / (centred @ centred))
