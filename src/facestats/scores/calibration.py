"""Calibration: the mean human rating of faces with a prediction near s should be near s.

A calibration curve is fitted on held-out faces, and chosen by cross-validation among them: none, a
line, or a curve through the knots of an isotonic regression. All of them rise strictly, so that
they never change the order of faces.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.isotonic import IsotonicRegression

from facestats.core.stats.folds import shuffled_folds

KINDS = ("none", "linear", "isotonic")
MIN_PERSONS = {"none": 0, "linear": 20, "isotonic": 100}  # for `auto`; fewer tell too little
ROUNDS = 10  # of the cross-validation, each with other folds
MIN_GAIN = 1.0  # standard errors by which a curve must beat the simpler one before it
SLOPES = (0.2, 5.0)  # with a slope outside, predictions are too poor to calibrate


@dataclass
class Calibration:
    """A strictly rising curve from predictions to calibrated ones, linear between knots.

    Attributes
    ----------
    kind : str
        `none`, `linear` or `isotonic`.
    x, y : ndarray of float64
        Ascending knots, predicted and calibrated, in rating units.
    slope : float
        Beyond the first and the last knot.
    """

    kind: str = "none"
    x: np.ndarray = field(default_factory=lambda: np.zeros(1))
    y: np.ndarray = field(default_factory=lambda: np.zeros(1))
    slope: float = 1.0

    def __call__(self, predicted: np.ndarray) -> np.ndarray:
        beyond = np.minimum(predicted - self.x[0], 0) + np.maximum(predicted - self.x[-1], 0)
        return np.interp(predicted, self.x, self.y) + self.slope * beyond


def fit_calibration(
    predicted: np.ndarray,
    ratings: np.ndarray,
    kind: str,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Calibration:
    """Fit a calibration curve on held-out faces.

    Parameters
    ----------
    predicted, ratings : ndarray (n,)
        Of faces that the model did not train on.
    kind : str
        `none`, `linear`, `isotonic`, or `auto`: the one that does best in cross-validation, the
        simplest unless another is better by `MIN_GAIN` standard errors.
    seed : int
        Of the cross-validation's folds.
    groups : ndarray of int (n,), optional
        Whose face each is, from 0 without a gap: no person is in two folds. By default each face is
        somebody else's.

    Returns
    -------
    Calibration
    """
    if kind != "auto":
        return _fit(kind, predicted, ratings)
    groups = np.arange(len(predicted)) if groups is None else groups
    chosen, least = "none", (predicted - ratings) ** 2
    for candidate in KINDS[1:]:
        if groups.max(initial=-1) + 1 < MIN_PERSONS[candidate]:
            continue
        errors = _cross_validated(candidate, predicted, ratings, seed, groups)
        gain = least - errors
        if gain.mean() > MIN_GAIN * gain.std(ddof=1) / np.sqrt(len(gain)):
            chosen, least = candidate, errors
    return _fit(chosen, predicted, ratings)


def _cross_validated(
    kind: str, predicted: np.ndarray, ratings: np.ndarray, seed: int, groups: np.ndarray
) -> np.ndarray:
    """Squared error of each face, calibrated on the other folds; mean of several rounds."""
    errors = np.zeros(len(predicted))
    for number in range(ROUNDS):
        for fitted, left_out in shuffled_folds(groups, seed + number):
            calibrated = _fit(kind, predicted[fitted], ratings[fitted])(predicted[left_out])
            errors[left_out] += (calibrated - ratings[left_out]) ** 2 / ROUNDS
    return errors


def _fit(kind: str, predicted: np.ndarray, ratings: np.ndarray) -> Calibration:
    spread = float(np.var(predicted))
    if kind == "none" or spread == 0 or not np.isfinite(spread):
        return Calibration()
    slope = float(np.mean((predicted - predicted.mean()) * (ratings - ratings.mean())) / spread)
    if not SLOPES[0] <= slope <= SLOPES[1]:
        return Calibration()
    if kind == "linear":
        return Calibration(kind, predicted.mean(keepdims=True), ratings.mean(keepdims=True), slope)
    steps = IsotonicRegression().fit_transform(predicted, ratings)
    # Each step becomes a knot at its middle, so that faces on one step don't get the same score
    # (centred isotonic regression, Oron and Flournoy 2017).
    levels, step_of_face = np.unique(steps, return_inverse=True)
    middles = np.bincount(step_of_face, predicted) / np.bincount(step_of_face)
    return Calibration(kind, middles, levels, slope)
