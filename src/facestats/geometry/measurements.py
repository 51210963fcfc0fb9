"""The 30 measurements of many faces, as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.landmarks import N_LANDMARKS
from facestats.errors import InputError
from facestats.geometry.definitions import MEASUREMENTS, Face
from facestats.geometry.pose import frontalize

NAMES = tuple(measurement.name for measurement in MEASUREMENTS)
_CHUNK = 1024  # faces at a time; each takes 40 kB in the course of it


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
    found = np.empty((len(landmarks), len(NAMES)))
    for start in range(0, len(landmarks), _CHUNK):
        face = Face(frontalize(landmarks[start : start + _CHUNK]))
        for column, measurement in enumerate(MEASUREMENTS):
            found[start : start + _CHUNK, column] = measurement.compute(face)
    return pd.DataFrame(found, columns=list(NAMES))
