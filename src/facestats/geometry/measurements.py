"""The measurements of many faces as columns, and the mean z-score of two of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.landmarks import N_LANDMARKS
from facestats.errors import InputError
from facestats.geometry import angles_and_canons, feature_ratios
from facestats.geometry.anatomy import LEFT_CONTOUR, RIGHT_CONTOUR, Face
from facestats.geometry.pose import frontalize_with

MEASUREMENTS = (*feature_ratios.MEASUREMENTS, *angles_and_canons.MEASUREMENTS)
NAMES = tuple(measurement.name for measurement in MEASUREMENTS)
_CHUNK = 256  # faces at a time; each takes 40 kB, and more do not stay in a processor's cache
# Notebooks often score faces by a mean of z-scores. It is kept for comparison, with the two
# measurements that such scores always have, symmetry and the golden section; nothing in it is
# fitted on ratings. docs/methods/measurements.md says what more measurements would change.
SIGNS = {"symmetry_score": 1, "golden_deviation": -1}
_SAME = 1e-9  # a standard deviation below this share of the mean is rounding


def measure(
    landmarks: np.ndarray, pupils: np.ndarray | None = None, only: Collection[str] = NAMES
) -> pd.DataFrame:
    """Measure faces whatever their pose; docs/measurements.md says what each column is.

    Shapes are turned to face the viewer first (`pose.frontalize`), so that place, scale and turn in
    the photo do not matter, and head pose matters less.

    Parameters
    ----------
    landmarks : ndarray of float (n, 468, 3)
        X, y and z in one unit (as in `faces.parquet`: shares of a square crop); may lie outside the
        image.
    pupils : ndarray of float (n, 2, 2), optional
        X and y of the right and the left pupil, in the same unit. The mean of an eye's contour
        stands in for one that is NaN.
    only : collection of str
        Names of the measurements to take.

    Returns
    -------
    DataFrame
        Float64, columns `only` in the order of `NAMES`, rows 0 … n-1. A row with a coordinate that
        is not finite is NaN throughout; so is a shape that is a single point. A ratio to a length
        of 0 is NaN.

    Raises
    ------
    InputError
        `landmarks` has another shape.
    """
    landmarks = np.asarray(landmarks)
    if landmarks.ndim != 3 or landmarks.shape[1:] != (N_LANDMARKS, 3):
        raise InputError(
            f"landmarks of shape {landmarks.shape} can't be measured: expected (faces, "
            f"{N_LANDMARKS}, 3)"
        )
    taken = [one for one in MEASUREMENTS if one.name in only]
    values = np.empty((len(landmarks), len(taken)))
    for start in range(0, len(landmarks), _CHUNK):
        part = slice(start, start + _CHUNK)
        eyes = _eyes(landmarks[part], None if pupils is None else pupils[part])
        face = Face(*frontalize_with(landmarks[part], eyes))
        for column, measurement in enumerate(taken):
            values[start : start + _CHUNK, column] = measurement.compute(face)
    return pd.DataFrame(values, columns=[one.name for one in taken])


def _eyes(landmarks: np.ndarray, pupils: np.ndarray | None) -> np.ndarray:
    """Pupils (n, 2, 3), in the depth of the eyes' contours."""
    contours = (RIGHT_CONTOUR, LEFT_CONTOUR)
    eyes = np.stack([landmarks[:, list(eye)].mean(axis=1) for eye in contours], axis=1)
    eyes = eyes.astype(np.float64)
    if pupils is not None:
        known = np.isfinite(pupils).all(axis=2, keepdims=True)
        eyes[..., :2] = np.where(known, pupils, eyes[..., :2])
    return eyes


@dataclass(frozen=True)
class ZScore:
    """Means and standard deviations of the measurements in `SIGNS` over `n` train faces."""

    means: dict[str, float]
    deviations: dict[str, float]
    n: int

    def __call__(self, measured: pd.DataFrame) -> np.ndarray:
        """Average the signed z-scores of faces.

        Parameters
        ----------
        measured : DataFrame (n rows)
            As `measure` gives it.

        Returns
        -------
        ndarray of float64 (n,)
            In standard deviations of the train faces; NaN where a measurement is. A measurement
            that did not vary among these counts as 0.
        """
        scores = []
        for name, sign in SIGNS.items():
            away = measured[name].to_numpy(dtype=np.float64) - self.means[name]
            scores.append(
                sign * (away / self.deviations[name] if self.deviations[name] > 0 else away * 0)
            )
        return np.mean(scores, axis=0)


def fit_zscore(measured: pd.DataFrame) -> ZScore:
    """Compute means and standard deviations over faces without a missing measurement.

    Without such a face they are NaN, and so is every z-score.
    """
    complete = measured[list(SIGNS)].dropna()
    means, deviations = complete.mean(), complete.std(ddof=0)
    deviations = deviations.mask(deviations <= _SAME * means.abs(), 0.0)
    return ZScore(means.to_dict(), deviations.to_dict(), len(complete))
