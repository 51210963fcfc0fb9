"""The regressor's linear part: ridge regression, penalty and scaling chosen by leave-one-out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

# As multiples of the features' mean squared length over d, so that they fit features on any scale.
PENALTIES = np.logspace(-4, 3, 36)
# Each regression multiplies standardised features by their standard deviation to one of these
# powers: 0 leaves them standardised; 1 gives them back their own scale, which principal components
# need (docs/methods/regressor.md: r 0.64 instead of 0.58 on those of pixels).
POWERS = (0.0, 0.5, 1.0)
# A regression whose error is larger by a share e weighs exp(-n e / 8); with 2 instead of 8, that
# would be the ratio of likelihoods.
SOFTNESS = 8.0
MIN_WEIGHT = 0.02  # regressions with a smaller weight are left out
# Faces whose products with the axes are held at a time, 16 MB at 512 features; the last bits depend
# on it.
BLOCK = 4096


@dataclass
class Ridge:
    """A ridge regression on features (n, d).

    Attributes
    ----------
    slopes : ndarray of float64 (d,)
        Coefficients.
    intercept : float
        Rating where all features are 0.
    left_out : ndarray of float64 (n,)
        Leave-one-out prediction of each train face.
    penalty, error : float
        Its penalty, and the mean squared error of `left_out`; NaN for a mean of regressions.
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
    """Sums over faces that determine a ridge regression.

    To leave faces out, subtract their sums. Features and ratings must be standardised: with a mean
    far from 0, the difference of two sums of squares would have no digits left.

    Attributes
    ----------
    count : int
        Number of faces.
    features : ndarray (d,)
        Sum of the features.
    rating : float
        Sum of the ratings.
    products : ndarray (d, d)
        Sum of features × features.
    rated : ndarray (d,)
        Sum of features × rating.
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
        """Centre `products` and `rated`, and multiply each feature by its `factor` (d,)."""
        products = self.products - self.count * np.outer(self.z_mean, self.z_mean)
        rated = self.rated - self.count * self.z_mean * self.y_mean
        return products * np.outer(factor, factor), rated * factor


def _fit(
    z: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    moments: Moments,
    factor: np.ndarray,
    penalty: float | None = None,
) -> Ridge:
    """Fit a ridge regression with an unpenalised intercept.

    Parameters
    ----------
    z : ndarray of float64 (n, d)
        Features.
    y : ndarray of float64 (n,)
        Ratings.
    rows : ndarray of int (m,)
        Ascending numbers of the faces to fit on: those that `moments` sums over.
    moments : Moments
        Of these faces.
    factor : ndarray (d,)
        Features are multiplied by it before they are penalised; `slopes` are those of `z` itself.
    penalty : float, optional
        On the squared slopes; None: the one of `PENALTIES` with the smallest leave-one-out error.
    """
    if len(rows) <= z.shape[1]:
        centred = z[rows] - moments.z_mean
        left, lengths, right = np.linalg.svd(centred * factor, full_matrices=False)
        squared, axes = lengths**2, right.T
        projected = (left * lengths).T @ (y[rows] - moments.y_mean)
    elif penalty is None:
        products, rated = moments.centred(factor)
        squared, axes = np.linalg.eigh(products)
        squared, projected = np.maximum(squared, 0), axes.T @ rated
    else:
        return _fit_many(z, y, rows, moments, factor, penalty)
    unit = squared.sum() / z.shape[1] or 1.0  # 0 where no feature varies
    penalties = PENALTIES * unit if penalty is None else np.array([penalty])
    inverse = 1 / (squared[:, None] + penalties)
    axes = factor[:, None] * axes
    slopes = axes @ (inverse * projected[:, None])
    left_out = np.empty((len(penalties), len(rows)))
    for places, features in _blocks(z, rows):
        along = (features - moments.z_mean) @ axes
        residuals = y[rows[places], None] - moments.y_mean - along @ (inverse * projected[:, None])
        left_out[:, places] = (residuals / _shrinkage(along**2 @ inverse, len(rows))).T
    errors = np.mean(left_out**2, axis=1)
    best = int(np.argmin(errors))
    return _ridge(
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
    """Fit with a known penalty to more faces than features.

    A Cholesky factor takes a fifth of the time of an eigendecomposition.
    """
    products, rated = moments.centred(factor)
    products[np.diag_indices_from(products)] += penalty
    lower = np.linalg.cholesky(products)
    slopes = factor * cho_solve((lower, True), rated)
    left_out = np.empty(len(rows))
    for places, features in _blocks(z, rows):
        centred = features - moments.z_mean
        residuals = y[rows[places]] - moments.y_mean - centred @ slopes
        along = solve_triangular(
            lower / factor[:, None], centred.T, lower=True, overwrite_b=True, check_finite=False
        )
        leverages = np.einsum("ij,ij->j", along, along)
        left_out[places] = residuals / _shrinkage(leverages, len(rows))
    return _ridge(slopes, y[rows] - left_out, moments, penalty, float(np.mean(left_out**2)))


def _blocks(z: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(rows), BLOCK):
        places = slice(start, start + BLOCK)
        yield places, z[rows[places]]


def _shrinkage(leverages: np.ndarray, count: int) -> np.ndarray:
    """A face's residual as a share of its leave-one-out residual."""
    return np.maximum(1 - 1 / count - leverages, 1e-9)


def _ridge(
    slopes: np.ndarray, left_out: np.ndarray, moments: Moments, penalty: float, error: float
) -> Ridge:
    return Ridge(slopes, float(moments.y_mean - moments.z_mean @ slopes), left_out, penalty, error)


@dataclass
class AveragedRidge:
    """The mean of ridge regressions on several scalings, weighted by how well each does.

    Attributes
    ----------
    factors : ndarray (POWERS, d)
        Factors of the standardised features in each regression.
    penalties, weights
        Of the regressions.
    mean : Ridge
        Their weighted mean, for standardised features.
    moments : Moments
        Of the faces that they were fitted on.
    """

    factors: np.ndarray
    penalties: list[float]
    weights: np.ndarray
    mean: Ridge
    moments: Moments

    @property
    def scaling(self) -> np.ndarray:
        """Mean factor of each standardised feature: (d,)."""
        return self.weights @ self.factors

    def refit(self, z: np.ndarray, y: np.ndarray, left_out: np.ndarray) -> Ridge:
        """Fit again without the faces in `left_out` (bool, n); penalties and weights stay."""
        rows = np.flatnonzero(~left_out)
        moments = self.moments - Moments.of(z[left_out], y[left_out])
        used = np.flatnonzero(self.weights)
        ridges = [_fit(z, y, rows, moments, self.factors[i], self.penalties[i]) for i in used]
        return _mean(ridges, self.weights[used])


def fit_averaged_ridge(z: np.ndarray, y: np.ndarray, std: np.ndarray) -> AveragedRidge:
    """Fit a ridge regression for each of `POWERS`, and average them by leave-one-out error.

    Where they are close, a choice between them would be a guess: averaging gained 0.004 in r on the
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
    ridges = [_fit(z, y, rows, moments, factor) for factor in factors]
    errors = np.array([ridge.error for ridge in ridges])
    # Where ratings are linear in the features, the errors are nothing but rounding.
    excess = errors / max(errors.min(), 1e-12 * y.var())
    weights = np.exp(-len(y) / SOFTNESS * (excess - excess.min()))
    weights = np.where(weights < MIN_WEIGHT, 0, weights)
    weights /= weights.sum()
    return AveragedRidge(
        factors, [ridge.penalty for ridge in ridges], weights, _mean(ridges, weights), moments
    )


def _mean(ridges: list[Ridge], weights: np.ndarray) -> Ridge:
    parts: Any = (
        sum(w * getattr(ridge, name) for ridge, w in zip(ridges, weights, strict=True))
        for name in ("slopes", "intercept", "left_out")
    )
    slopes, intercept, left_out = parts
    return Ridge(slopes, float(intercept), left_out)
