"""Generalised Procrustes alignment.

What is left of shapes once place, size and rotation are taken out.

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
        The number of each point's mirror image where x is turned round: the consensus is made
        symmetric, and each aligned shape is the mean of itself and its mirror image. None: shapes
        stay as lopsided as they are.
    tolerance : float
        The consensus, whose size is 1, is done when it moves by less than this.
    most : int
        Rounds at most; ten are usual.

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
        """The mean of aligned shapes (…, points, dimensions) and their mirror images, which lie as
        well on a symmetric consensus.
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
    """Centred shapes (n, points, d), each turned onto `target` (points, d) as well as a rotation
    can.
    """
    left, _, right = np.linalg.svd(np.swapaxes(shapes, 1, 2) @ target)
    mirrored = np.linalg.det(left @ right) < 0
    left[
        mirrored, :, -1
    ] *= -1  # the axis that matters least: a face must not become its mirror image
    return shapes @ (left @ right)
