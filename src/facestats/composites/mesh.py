"""The triangles that warp a face and its surroundings to another shape.

Their corners are the landmarks; a ring half way between the face's oval and the edge, which moves
with the oval, as do hair and ears (mean gradient energy around the face of 100 OMI men: 1.03 times
the plain mean's, 0.95 without the ring); and points on the edge, which stay.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from facestats.composites.contours import FACE_OVAL

BORDER_POINTS = 8  # a side
_BEYOND = 0.03  # share of the side by which the frame exceeds landmarks outside the image
# A triangle that keeps less than this share of its area counts as folded.
_FLAT = 0.03
_ROUNDS, _SWEEPS = 12, 15  # of unfolding: enough for all OMI faces with |yaw| up to 30°


class Mesh:
    """Triangles over one target shape, and the same ones over any face.

    Parameters
    ----------
    target : ndarray (468, 2 or 3)
        Landmarks of the shape to go to, as shares of the side; they may lie outside 0–1.
    outline : ndarray (m, 2), optional
        The person's outline there, which takes the place of the ring.

    Attributes
    ----------
    triangulation : Delaunay
        Triangles of the target's points; it has no folds, whatever the target.
    """

    def __init__(self, target: np.ndarray, outline: np.ndarray | None = None):
        self.target = np.asarray(target[:, :2], dtype=np.float64)
        oval = self.target[FACE_OVAL]
        outward = oval - oval.mean(axis=0)
        low, high = _frame(self.target)
        with np.errstate(divide="ignore"):
            # Infinite along an edge.
            reach = np.abs(np.where(outward > 0, high - oval, low - oval) / outward)
        self._ring = oval + 0.5 * reach.min(axis=1)[:, None] * outward
        points = self.points(self.target, outline)
        self._fixed = len(points) - 4 * BORDER_POINTS  # edge points never move
        self.triangulation = Delaunay(points)
        corners = self.triangulation.simplices
        self._corners = np.where(
            (_areas(points, corners) < 0)[:, None], corners[:, [0, 2, 1]], corners
        )
        self._areas = _areas(points, self._corners)
        self._neighbours = _neighbours(points, self._corners)

    def points(self, landmarks: np.ndarray, outline: np.ndarray | None = None) -> np.ndarray:
        """Find the corners of all triangles over a face, without unfolding.

        Parameters
        ----------
        landmarks : ndarray (468, 2 or 3)
            Shares of the side.
        outline : ndarray (m, 2), optional
            The person's, if the mesh has one.

        Returns
        -------
        ndarray of float64 (n, 2)
            Shares of the side.
        """
        if outline is not None:
            inner = np.concatenate([np.asarray(landmarks[:, :2], dtype=np.float64), outline])
            return np.concatenate([inner, _border(inner)])
        face = np.asarray(landmarks[:, :2], dtype=np.float64)
        moved = (face - self.target)[FACE_OVAL]
        # Single points of the oval jump where the outline is hidden, but hair does not.
        for _ in range(5):
            moved = (np.roll(moved, 1, axis=0) + 2 * moved + np.roll(moved, -1, axis=0)) / 4
        inner = np.concatenate([face, self._ring + moved])
        return np.concatenate([inner, _border(inner)])

    def unfolded(
        self, landmarks: np.ndarray, outline: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Find the corners of all triangles over a face, with its folds smoothed.

        A turned head hides the far cheek: there, triangles fold over, and skin looks torn. The
        corners of such triangles move to the mean of their neighbours, weighted by the inverse
        distance in the target. More corners are added as long as folds remain. So the cheek is
        stretched from what is visible.

        Parameters
        ----------
        landmarks : ndarray (468, 2 or 3)
            Shares of the side; they may lie outside 0–1, where the image's edge pixels go on.
        outline : ndarray (m, 2), optional
            See `points`.

        Returns
        -------
        points : ndarray of float64 (n, 2)
        share : float
            Share of the target's area that is still folded.
        """
        points = self.points(landmarks, outline)
        moving = np.zeros(len(points), dtype=bool)
        for _ in range(_ROUNDS):
            bad = _areas(points, self._corners) < _FLAT * self._areas
            if not bad.any():
                return points, 0.0
            moving[self._corners[bad].ravel()] = True
            moving[self._fixed :] = False
            for _ in range(_SWEEPS):
                points[moving] = (self._neighbours @ points)[moving]
        return points, self._share(_areas(points, self._corners) <= 0)

    def folded(self, landmarks: np.ndarray) -> float:
        """Measure the share of the target's area whose triangles are folded in a face.

        Parameters
        ----------
        landmarks : ndarray (468, 2 or 3)
            Shares of the side; the face as it is.

        Returns
        -------
        float
            0–1.
        """
        return self._share(_areas(self.points(landmarks), self._corners) <= 0)

    def _share(self, which: np.ndarray) -> float:
        return float(self._areas[which].sum() / self._areas.sum())


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (x, y) of the image, enlarged where points lie outside."""
    return np.minimum(0, points.min(axis=0) - _BEYOND), np.maximum(1, points.max(axis=0) + _BEYOND)


def _border(points: np.ndarray) -> np.ndarray:
    """Points along the frame of `points`."""
    low, high = _frame(points)
    along = np.linspace(0, 1, BORDER_POINTS + 1)[:-1]
    zeros, ones = np.zeros_like(along), np.ones_like(along)
    sides = (along, zeros), (ones, along), (1 - along, ones), (zeros, 1 - along)
    return low + np.concatenate([np.column_stack(side) for side in sides]) * (high - low)


def _areas(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    a, b, c = points[corners[:, 0]], points[corners[:, 1]], points[corners[:, 2]]
    return (
        (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    ) / 2


def _neighbours(points: np.ndarray, corners: np.ndarray) -> csr_array:
    """Matrix whose product with points is the mean of their neighbours, by inverse distance."""
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    weights = 1 / np.maximum(
        np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1), 1e-9
    )
    weights /= np.bincount(edges[:, 0], weights, len(points))[edges[:, 0]]
    return csr_array((weights, (edges[:, 0], edges[:, 1])), shape=(len(points), len(points)))
