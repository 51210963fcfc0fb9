"""The 30 measurements of many faces, as columns, and the mean of z-scores made of two of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.landmarks import N_LANDMARKS
from facestats.errors import InputError
from facestats.geometry.definitions import MEASUREMENTS, Face
from facestats.geometry.pose import frontalize

NAMES = tuple(measurement.name for measurement in MEASUREMENTS)
_CHUNK = 1024  # faces at a time; each takes 40 kB in the course of it
# The score that notebooks of this kind compute: a mean of z-scores with the golden ratio in it.
# It is kept for comparison, and made of the two things that such scores are always made of,
# symmetry and the golden section. Nothing in it is fitted on ratings.
# docs/methods/measurements.md says what further measurements would do.
SIGNS = {"symmetry_score": 1, "golden_deviation": -1}  # which way each counts
_SAME = 1e-9  # a standard deviation below this share of the mean is rounding


def measure(landmarks: np.ndarray) -> pd.DataFrame:
    """Measure faces.

    `definitions.py` says what each column is, docs/methods/measurements.md shows it as a table.

    Shapes are turned to face the viewer first (`pose.frontalize`): place, scale and turn in the
    photo do not matter, head pose matters less.

    Parameters
    ----------
    landmarks : ndarray of float (n, 468, 3)
        X, y and z in one unit (as in `faces.parquet`: shares of a square crop); may lie outside the
        image.

    Returns
    -------
    DataFrame
        (n, 30) of float64, columns `NAMES`, rows 0 … n-1. A row with a coordinate that is not
        finite is NaN throughout; so is a shape that is a single point. A ratio to a length of 0 is
        NaN.

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
    values = np.empty((len(landmarks), len(NAMES)))
    for start in range(0, len(landmarks), _CHUNK):
        face = Face(frontalize(landmarks[start : start + _CHUNK]))
        for column, measurement in enumerate(MEASUREMENTS):
            values[start : start + _CHUNK, column] = measurement.compute(face)
    return pd.DataFrame(values, columns=list(NAMES))


@dataclass(frozen=True)
class ZScore:
    """Means and standard deviations of the measurements of `SIGNS` among the faces it was fitted
    on, and their number `n`.
    """

    means: dict[str, float]
    deviations: dict[str, float]
    n: int

    def __call__(self, measured: pd.DataFrame) -> np.ndarray:
        """Mean of the signed z-scores, float64 (n,), in standard deviations of the fitted faces;
        NaN where a measurement is.

        A measurement that did not vary among them counts as 0.
        """
        scores = []
        for name, sign in SIGNS.items():
            away = measured[name].to_numpy(dtype=np.float64) - self.means[name]
            scores.append(
                sign * (away / self.deviations[name] if self.deviations[name] > 0 else away * 0)
            )
        return np.mean(scores, axis=0)


def fit_zscore(measured: pd.DataFrame) -> ZScore:
    """Take means and standard deviations from faces' measurements, leaving out rows with a missing
    one.

    Without a usable row they are NaN, and so is every score.
    """
    complete = measured[list(SIGNS)].dropna()
    means, deviations = complete.mean(), complete.std(ddof=0)
    deviations = deviations.mask(deviations <= _SAME * means.abs(), 0.0)
    return ZScore(means.to_dict(), deviations.to_dict(), len(complete))
