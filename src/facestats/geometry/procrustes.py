"""Generalised Procrustes alignment: shapes without their place, size and rotation.

Gower, "Generalized Procrustes analysis", Psychometrika 40 (1975); the rotation in closed form by
singular values after Kabsch, Acta Crystallographica A 32 (1976), reflections excluded.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class GeneralizedProcrustes(TransformerMixin, BaseEstimator):
    """Align shapes to their consensus, the mean of the aligned ones.

    Parameters
    ----------
    dimensions : int
        Coordinates of a point, 2 or 3.
    mirror : ndarray of int (points,), optional
        Number of each point's mirror image, for x reversed: the consensus is made symmetric, and
        each aligned shape is averaged with its mirror image. None: shapes keep their asymmetry.
    tolerance : float
        The consensus, of size 1, is final when it changes by less than this.
    most : int
        Iterations at most; ten are usual.

    Attributes
    ----------
    consensus_
        Float64 (points, dimensions), centred, of size 1 (the square root of the sum of squares).
    """

    def __init__(
        self,
        dimensions: int = 3,
        mirror: np.ndarray | None = None,
        tolerance: float = 1e-10,
        most: int = 100,
    ):
        self.dimensions = dimensions
        self.mirror = mirror
        self.tolerance = tolerance
        self.most = most

    def fit(self, X: np.ndarray, y: object = None) -> GeneralizedProcrustes:
        """Learn the consensus of shapes (n, points, dimensions), or (n, points · dimensions)."""
        shapes = self._normalised(X)
        consensus = _unit(self._symmetric(shapes.mean(axis=0)))
        for _ in range(self.most):
            before, consensus = (
                consensus,
                _unit(self._symmetric(_turned(shapes, consensus).mean(axis=0))),
            )
            if np.linalg.norm(consensus - before) < self.tolerance:
                break
        self.consensus_ = consensus
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Shapes aligned to the consensus: float64 (n, points · dimensions)."""
        check_is_fitted(self)
        shapes = self._normalised(X)
        return self._symmetric(_turned(shapes, self.consensus_)).reshape(len(shapes), -1)

    def _normalised(self, X: np.ndarray) -> np.ndarray:
        """Centred shapes (n, points, dimensions) of size 1."""
        X = np.asarray(X, dtype=np.float64)
        shapes = X.reshape(len(X), -1, self.dimensions)
        return _unit(shapes - shapes.mean(axis=1, keepdims=True))

    def _symmetric(self, shapes: np.ndarray) -> np.ndarray:
        """Average aligned shapes (…, points, dimensions) with their mirror images.

        These are aligned too, since the consensus is symmetric.
        """
        if self.mirror is None:
            return shapes
        mirrored = shapes[..., self.mirror, :]
        mirrored[..., 0] *= -1
        return (shapes + mirrored) / 2


def _unit(shapes: np.ndarray) -> np.ndarray:
    """Shapes (…, points, dimensions) scaled to size 1; a shape that is one point stays as it is."""
    size = np.sqrt(np.square(shapes).sum(axis=(-2, -1), keepdims=True))
    return shapes / np.where(size > 0, size, 1)


def _turned(shapes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotate centred shapes (n, points, d) onto `target` (points, d) by least squares."""
    left, _, right = np.linalg.svd(np.swapaxes(shapes, 1, 2) @ target)
    mirrored = np.linalg.det(left @ right) < 0
    left[mirrored, :, -1] *= -1  # no reflections: the least important axis is turned round
    return shapes @ (left @ right)
