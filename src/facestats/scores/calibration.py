"""Calibration: among faces with a prediction near s, the mean human rating should be near s.

A correction is fitted on faces that no training saw, and chosen by cross-validation among them:
none, a line, or a rising curve through the knots of an isotonic regression. All of them rise
strictly, so that they never change who is before whom.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sklearn.isotonic import IsotonicRegression

from facestats.core.stats.folds import shuffled_folds

KINDS = ("none", "linear", "isotonic")
MIN_FACES = {
    "none": 0,
    "linear": 20,
    "isotonic": 100,
}  # for `auto`; fewer say too little about the correction
ROUNDS = 10  # deals of the cross-validation
MIN_GAIN = 1.0  # standard errors by which a correction must beat the simpler one before it
SLOPES = (0.2, 5.0)  # a line outside says that there is nothing to calibrate


@dataclass
class Calibration:
    """A strictly rising correction of predictions, linear between knots.

    Attributes
    ----------
    kind : str
        `none`, `linear` or `isotonic`.
    x, y : ndarray
        Float64 ascending knots, predicted and corrected, in rating units.
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
    """Fit a correction on held-out faces.

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
    chosen, missed = "none", (predicted - ratings) ** 2
    for candidate in KINDS[1:]:
        if groups.max(initial=-1) + 1 < MIN_FACES[candidate]:
            continue
        errors = _cross_validated(candidate, predicted, ratings, seed, groups)
        gain = missed - errors
        if gain.mean() > MIN_GAIN * gain.std(ddof=1) / np.sqrt(len(gain)):
            chosen, missed = candidate, errors
    return _fit(chosen, predicted, ratings)


def _cross_validated(
    kind: str, predicted: np.ndarray, ratings: np.ndarray, seed: int, groups: np.ndarray
) -> np.ndarray:
    """Squared error of each face, corrected by what the other folds say; mean of several deals."""
    errors = np.zeros(len(predicted))
    for deal in range(ROUNDS):
        for fitted, left_out in shuffled_folds(groups, seed + deal):
            corrected = _fit(kind, predicted[fitted], ratings[fitted])(predicted[left_out])
            errors[left_out] += (corrected - ratings[left_out]) ** 2 / ROUNDS
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
    # A step becomes one knot at its middle: no two faces get the same score for lying on the same
    # step (centred isotonic regression, Oron and Flournoy 2017).
    levels, of = np.unique(steps, return_inverse=True)
    middles = np.bincount(of, predicted) / np.bincount(of)
    return Calibration(kind, middles, levels, slope)
