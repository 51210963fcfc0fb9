"""Ridge regression whose penalty and scaling are chosen by leave-one-out.

The regressor's linear part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

PENALTIES = np.logspace(
    -4, 3, 36
)  # as multiples of the features' mean squared length over d: fits features on any scale
# What the standard deviation of a feature counts: 0, standardised features as they are; 1, features
# on their own scale, which principal components need (docs/methods/regressor.md: r 0.64 instead of
# 0.58 on those of pixels).
POWERS = (0.0, 0.5, 1.0)
# A line whose error is larger by a share e weighs exp(-n e / 8); 2 would be the ratio of
# likelihoods.
SOFTNESS = 8.0
MIN_WEIGHT = 0.02  # of the best line's, below which another is left out
# Faces whose products with the axes are held at a time, 16 MB at 512 features; the last bits go by
# it.
BLOCK = 4096


@dataclass
class Ridge:
    """A line through features (n, d).

    Attributes
    ----------
    slopes : ndarray of float64 (d,)
    intercept : float
        Rating where all features are 0.
    left_out : ndarray of float64 (n,)
        Prediction of each train face by the line that all the others give.
    penalty, error : float
        Chosen or given, and the mean squared error of `left_out`; of a blend NaN.
    """

    slopes: np.ndarray
    intercept: float
    left_out: np.ndarray
    penalty: float = np.nan
    error: float = np.nan

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.slopes + self.intercept


@dataclass
class Moments:
    """The sums over faces that lines come from.

    Those of all but some faces are those of all less those of the some.

    Features and ratings are to be standardised: sums of squares that lie far from 0 would leave no
    digits for the difference.

    Attributes
    ----------
    count : int
        Of faces.
    features, rating
        (d,) and a number, sums.
    products, rated : ndarray (d, d)
        And (d,), sums of features × features and features × rating.
    """

    count: int
    features: np.ndarray
    rating: float
    products: np.ndarray
    rated: np.ndarray

    @classmethod
    def of(cls, z: np.ndarray, y: np.ndarray) -> Moments:
        return cls(len(z), z.sum(axis=0), float(y.sum()), z.T @ z, z.T @ y)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.count - other.count,
            self.features - other.features,
            self.rating - other.rating,
            self.products - other.products,
            self.rated - other.rated,
        )

    @property
    def z_mean(self) -> np.ndarray:
        return self.features / self.count

    @property
    def y_mean(self) -> float:
        return self.rating / self.count

    def centred(self, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`products` and `rated` of features and ratings less their means, each feature times its
        `factor` (d,).
        """
        products = self.products - self.count * np.outer(self.z_mean, self.z_mean)
        return products * np.outer(factor, factor), (
            self.rated - self.count * self.z_mean * self.y_mean
        ) * factor


def _fit(
    z: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    moments: Moments,
    factor: np.ndarray,
    penalty: float | None = None,
) -> Ridge:
    """Fit a line with an unpenalised intercept.

    Parameters
    ----------
    z, y : ndarray of float64 (n, d)
        And (n,), features and ratings.
    rows : ndarray
        Ascending numbers of the m faces to fit, all that `moments` counts.
    factor : ndarray (d,)
        What the features are multiplied by before the penalty looks at them; `slopes` are those of
        `z` itself.
    penalty : float, optional
        On the squared slopes; None: the one of `PENALTIES` with the smallest leave-one-out error.
    """
    if len(rows) <= z.shape[1]:
        some = z[rows] - moments.z_mean
        left, lengths, right = np.linalg.svd(some * factor, full_matrices=False)
        squared, axes = lengths**2, right.T
        projected = (left * lengths).T @ (y[rows] - moments.y_mean)
    elif penalty is None:
        products, rated = moments.centred(factor)
        squared, axes = np.linalg.eigh(products)
        squared, projected = np.maximum(squared, 0), axes.T @ rated
    else:
        return _fit_many(z, y, rows, moments, factor, penalty)
    unit = squared.sum() / z.shape[1] or 1.0  # 0 where no feature moves
    penalties = PENALTIES * unit if penalty is None else np.array([penalty])
    inverse = 1 / (squared[:, None] + penalties)
    axes = factor[:, None] * axes
    slopes = axes @ (inverse * projected[:, None])
    left_out = np.empty((len(penalties), len(rows)))
    for places, some in _blocks(z, rows):
        along = (some - moments.z_mean) @ axes
        missed = y[rows[places], None] - moments.y_mean - along @ (inverse * projected[:, None])
        left_out[:, places] = (missed / _without(along**2 @ inverse, len(rows))).T
    errors = np.mean(left_out**2, axis=1)
    best = int(np.argmin(errors))
    return _line(
        slopes[:, best],
        y[rows] - left_out[best],
        moments,
        float(penalties[best]),
        float(errors[best]),
    )


def _fit_many(
    z: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    moments: Moments,
    factor: np.ndarray,
    penalty: float,
) -> Ridge:
    """`_fit` with a known penalty for more faces than features.

    A Cholesky factor needs a fifth of the time that axes take.
    """
    products, rated = moments.centred(factor)
    products[np.diag_indices_from(products)] += penalty
    lower = np.linalg.cholesky(products)
    slopes = factor * cho_solve((lower, True), rated)
    left_out = np.empty(len(rows))
    for places, some in _blocks(z, rows):
        centred = some - moments.z_mean
        missed = y[rows[places]] - moments.y_mean - centred @ slopes
        along = solve_triangular(
            lower / factor[:, None], centred.T, lower=True, overwrite_b=True, check_finite=False
        )
        left_out[places] = missed / _without(np.einsum("ij,ij->j", along, along), len(rows))
    return _line(slopes, y[rows] - left_out, moments, penalty, float(np.mean(left_out**2)))


def _blocks(z: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(rows), BLOCK):
        places = slice(start, start + BLOCK)
        yield places, z[rows[places]]


def _without(leverages: np.ndarray, count: int) -> np.ndarray:
    """What a face's residual is divided by to give that of the line of the others."""
    return np.maximum(1 - 1 / count - leverages, 1e-9)


def _line(
    slopes: np.ndarray, left_out: np.ndarray, moments: Moments, penalty: float, error: float
) -> Ridge:
    return Ridge(slopes, float(moments.y_mean - moments.z_mean @ slopes), left_out, penalty, error)


@dataclass
class Blend:
    """The mean of lines through features on several scalings, weighted by how well each does.

    Attributes
    ----------
    factors : ndarray
        (POWERS, d), what standardised features are multiplied by before each line.
    penalties, weights
        Of the lines.
    line : Ridge
        Their weighted mean, for standardised features.
    moments : Moments
        Of the faces that it was fitted on.
    """

    factors: np.ndarray
    penalties: list[float]
    weights: np.ndarray
    line: Ridge
    moments: Moments

    @property
    def scaling(self) -> np.ndarray:
        """What standardised features are multiplied by on average: (d,)."""
        return self.weights @ self.factors

    def refit(self, z: np.ndarray, y: np.ndarray, left_out: np.ndarray) -> Ridge:
        """The same blend, with the same penalties and weights, for the faces where `left_out`
        (bool, n) is false.
        """
        rows = np.flatnonzero(~left_out)
        moments = self.moments - Moments.of(z[left_out], y[left_out])
        used = np.flatnonzero(self.weights)
        lines = [_fit(z, y, rows, moments, self.factors[i], self.penalties[i]) for i in used]
        return _mean(lines, self.weights[used])


def fit_blend(z: np.ndarray, y: np.ndarray, std: np.ndarray) -> Blend:
    """Fit a line for each of `POWERS` and weigh them by their leave-one-out errors.

    A choice between them would be a guess where they are close: blending gained 0.004 in r on the
    sample and on the components of pixels (docs/methods/regressor.md).

    Parameters
    ----------
    z : ndarray of float64 (n, d)
        Standardised features.
    y : ndarray of float64 (n,)
        Standardised ratings.
    std : ndarray (d,)
        The standard deviations that the features were divided by.
    """
    factors = np.stack([std**power for power in POWERS])
    factors /= np.sqrt(np.mean(factors**2, axis=1, keepdims=True))
    moments, rows = Moments.of(z, y), np.arange(len(z))
    lines = [_fit(z, y, rows, moments, factor) for factor in factors]
    errors = np.array([line.error for line in lines])
    excess = errors / max(
        errors.min(), 1e-12 * y.var()
    )  # nothing but rounding is left of ratings that lie on a line
    weights = np.exp(-len(y) / SOFTNESS * (excess - excess.min()))
    weights = np.where(weights < MIN_WEIGHT, 0, weights)
    weights /= weights.sum()
    return Blend(factors, [line.penalty for line in lines], weights, _mean(lines, weights), moments)


def _mean(lines: list[Ridge], weights: np.ndarray) -> Ridge:
    parts: Any = (
        sum(w * getattr(line, name) for line, w in zip(lines, weights, strict=True))
        for name in ("slopes", "intercept", "left_out")
    )
    slopes, intercept, left_out = parts
    return Ridge(slopes, float(intercept), left_out)
