"""Ridge regression whose penalty and scaling are chosen by leave-one-out: the regressor's linear part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PENALTIES = np.logspace(-4, 3, 36)  # as multiples of the features' mean squared length over d: fits features on any scale
# What the standard deviation of a feature counts: 0, standardised features as they are; 1, features on their own scale, which
# principal components need (docs/regressor.md: r 0.64 instead of 0.58 on those of pixels).
POWERS = (0.0, 0.5, 1.0)
SOFTNESS = 8.0  # a line whose error is larger by a share e weighs exp(-n e / 8); 2 would be the ratio of likelihoods
MIN_WEIGHT = 0.02  # of the best line's, below which another is left out


@dataclass
class Ridge:
    """A line through features (n, d).

    Attributes
    ----------
    slopes : float64 (d,).
    intercept : rating where all features are 0.
    left_out : float64 (n,), prediction of each train face by the line that all the others give.
    penalty, error : chosen or given, and the mean squared error of `left_out`; of a blend NaN.
    """

    slopes: np.ndarray
    intercept: float
    left_out: np.ndarray
    penalty: float = np.nan
    error: float = np.nan

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.slopes + self.intercept


def fit_ridge(x: np.ndarray, y: np.ndarray, penalty: float | None = None) -> Ridge:
    """Fit a line with an unpenalised intercept.

    Parameters
    ----------
    x : float64 (n, d).
    y : float64 (n,), ratings.
    penalty : on the squared slopes; None: the one of `PENALTIES` with the smallest leave-one-out error.
    """
    x_mean, y_mean = x.mean(axis=0), y.mean()
    centred, rest = x - x_mean, y - y_mean
    if len(x) > x.shape[1]:
        squared, axes = np.linalg.eigh(centred.T @ centred)
        squared, along = np.maximum(squared, 0), centred @ axes
    else:
        left, lengths, right = np.linalg.svd(centred, full_matrices=False)
        squared, axes, along = lengths**2, right.T, left * lengths
    projected, leverages = along.T @ rest, along**2
    unit = squared.sum() / x.shape[1] or 1.0  # 0 where no feature moves
    best = None
    for candidate in PENALTIES * unit if penalty is None else [penalty]:
        inverse = 1 / (squared + candidate)
        missed = rest - along @ (inverse * projected)
        left_out = missed / np.maximum(1 - 1 / len(y) - leverages @ inverse, 1e-9)
        error = float(np.mean(left_out**2))
        if best is None or error < best[0]:
            best = error, candidate, inverse, left_out
    error, penalty, inverse, left_out = best
    slopes = axes @ (inverse * projected)
    return Ridge(slopes, float(y_mean - x_mean @ slopes), y - left_out, float(penalty), error)


@dataclass
class Blend:
    """The mean of lines through features on several scalings, weighted by how well each does.

    Attributes
    ----------
    factors : (POWERS, d), what standardised features are multiplied by before each line.
    penalties, weights : of the lines.
    line : their weighted mean, for standardised features.
    """

    factors: np.ndarray
    penalties: list[float]
    weights: np.ndarray
    line: Ridge

    @property
    def scaling(self) -> np.ndarray:
        """What standardised features are multiplied by on average: (d,)."""
        return self.weights @ self.factors

    def refit(self, z: np.ndarray, y: np.ndarray) -> Ridge:
        """The same blend, with the same penalties and weights, for other faces."""
        used = np.flatnonzero(self.weights)
        lines = [fit_ridge(z * self.factors[i], y, self.penalties[i]) for i in used]
        return _mean(lines, self.factors[used], self.weights[used])


def fit_blend(z: np.ndarray, y: np.ndarray, std: np.ndarray) -> Blend:
    """Fit a line for each of `POWERS` and weigh them by their leave-one-out errors.

    A choice between them would be a guess where they are close: blending gained 0.004 in r on the sample and on the components of
    pixels (docs/regressor.md).

    Parameters
    ----------
    z : float64 (n, d), standardised features.
    y : float64 (n,), ratings.
    std : (d,), the standard deviations that the features were divided by.
    """
    factors = np.stack([std**power for power in POWERS])
    factors /= np.sqrt(np.mean(factors**2, axis=1, keepdims=True))
    lines = [fit_ridge(z * row, y) for row in factors]
    errors = np.array([line.error for line in lines])
    excess = errors / max(errors.min(), 1e-12 * y.var())  # nothing but rounding is left of ratings that lie on a line
    weights = np.exp(-len(y) / SOFTNESS * (excess - excess.min()))
    weights = np.where(weights < MIN_WEIGHT, 0, weights)
    weights /= weights.sum()
    return Blend(factors, [line.penalty for line in lines], weights, _mean(lines, factors, weights))


def _mean(lines: list[Ridge], factors: np.ndarray, weights: np.ndarray) -> Ridge:
    slopes = sum(w * row * line.slopes for line, row, w in zip(lines, factors, weights, strict=True))
    intercept, left_out = (sum(w * getattr(line, name) for line, w in zip(lines, weights, strict=True))
                           for name in ("intercept", "left_out"))
    return Ridge(slopes, float(intercept), left_out)
