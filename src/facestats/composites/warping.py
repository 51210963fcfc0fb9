"""Warping the pixels of a face to another shape: by triangles, or turned, scaled and shifted.

The triangle of the target shape in which each output pixel lies, and its place in it, are computed
once. A face then takes one sparse product, from corners to source coordinates, and one `cv2.remap`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from facestats.composites.contours import LEFT_CORNERS, RIGHT_CORNERS
from facestats.composites.mesh import Mesh


class Warper:
    """Maps images onto a target shape.

    Parameters
    ----------
    target : ndarray (468, 2 or 3)
        Landmarks of the shape to warp to, as shares of the side.
    size : int
        Side of the square images, pixels.
    outline : ndarray (m, 2), optional
        Of the person, to be warped to as well.
    """

    def __init__(self, target: np.ndarray, size: int, outline: np.ndarray | None = None):
        self.size = size
        self._mesh = Mesh(target, outline)
        triangles = self._mesh.triangulation
        with threadpool_limits(1):  # BLAS's threads wait 3 s for each other at 1,000 tiny systems
            transforms = triangles.transform
        simplex = triangles.find_simplex(_pixel_centres(size), tol=1e-9)
        simplex = np.maximum(simplex, 0)  # a pixel on the very edge of the hull
        transform = transforms[simplex]
        first_two = np.einsum(
            "nij,nj->ni", transform[:, :2], _pixel_centres(size) - transform[:, 2]
        )
        weights = np.column_stack([first_two, 1 - first_two.sum(axis=1)]).astype(np.float32)
        starts = np.arange(0, 3 * size * size + 1, 3, dtype=np.int32)
        self._interpolate = csr_array(
            (weights.ravel(), triangles.simplices[simplex].ravel(), starts),
            shape=(size * size, len(triangles.points)),
        )

    def __call__(
        self, image: np.ndarray, landmarks: np.ndarray, outline: np.ndarray | None = None
    ) -> np.ndarray:
        """Warp an image to the target.

        Parameters
        ----------
        image : ndarray of uint8 or float32 (size, size, channels)
            Beyond its edge, the edge pixels are repeated.
        landmarks : ndarray (468, 2 or 3)
            Its own.
        outline : ndarray (m, 2), optional
            Its own, where the target has one.

        Returns
        -------
        ndarray, as the image
        """
        return sample(image, self.positions(landmarks, outline))

    def positions(self, landmarks: np.ndarray, outline: np.ndarray | None = None) -> np.ndarray:
        """Find where in an image the pixels of the target come from.

        Parameters
        ----------
        landmarks : ndarray (468, 2 or 3)
            The image's own.
        outline : ndarray (m, 2), optional
            See `__call__`.

        Returns
        -------
        ndarray of float32 (size, size, 2)
            x and y in pixels, 0 being the first pixel's centre.
        """
        corners = self._mesh.unfolded(landmarks, outline)[0] * self.size - 0.5
        return (self._interpolate @ corners.astype(np.float32)).reshape(self.size, self.size, 2)


class EyeAligner:
    """Turns, scales and shifts images so that the eyes lie where the target shape has them.

    Parameters
    ----------
    target : ndarray (468, 2 or 3)
        Landmarks, as shares of the side.
    size : int
        Side of the square images, pixels.
    """

    def __init__(self, target: np.ndarray, size: int):
        self.size = size
        self._target = _eyes(target)
        self._grid = _pixel_centres(size) @ np.array([1, 1j])

    def __call__(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Move an image.

        Parameters
        ----------
        image : ndarray of uint8 or float32 (size, size, channels)
            Beyond its edge, the edge pixels are repeated.
        landmarks : ndarray (468, 2 or 3)
            Its own.

        Returns
        -------
        ndarray, as the image
        """
        place = _similarity(self._grid, self._target, _eyes(landmarks)) * self.size - complex(
            0.5, 0.5
        )
        source = np.stack([place.real, place.imag], axis=-1).astype(np.float32)
        return sample(image, source.reshape(self.size, self.size, 2))


def align_eyes(landmarks: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Turn, scale and shift landmarks so that the eyes are those of the target.

    Parameters
    ----------
    landmarks, target : ndarray (468, 2 or 3)

    Returns
    -------
    ndarray of float64 (468, 2)
    """
    points = landmarks[:, :2].astype(np.float64) @ np.array([1, 1j])
    moved: Any = _similarity(points, _eyes(landmarks), _eyes(target))
    return np.column_stack([moved.real, moved.imag])


def sample(image: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Look up an image between its pixels, bilinearly.

    Parameters
    ----------
    image : ndarray of uint8 or float32 (height, width, channels)
    positions : ndarray of float32 (height, width, 2)
        x and y in pixels, 0 being the first pixel's centre.

    Returns
    -------
    ndarray, as the image
    """
    none: Any = None
    return cv2.remap(image, positions, none, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _eyes(landmarks: np.ndarray) -> np.ndarray:
    """Centres of the person's right and left eye as complex numbers."""
    return np.array(
        [
            complex(*landmarks[list(corners), :2].mean(axis=0))
            for corners in (RIGHT_CORNERS, LEFT_CORNERS)
        ]
    )


def _similarity(points: np.ndarray, origin: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move points as the two of `origin` have to move to meet those of `target`; all complex."""
    factor = (target[1] - target[0]) / (origin[1] - origin[0])  # rotation and scale as one number
    return (points - origin[0]) * factor + target[0]


def _pixel_centres(size: int) -> np.ndarray:
    return (np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2) + 0.5) / size
