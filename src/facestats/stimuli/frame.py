"""The square of a photo in which a face is moved: where pixels come from, and how far that reaches.

Positions are computed on a grid of at most 512 a side and interpolated, so that a photo of 24 Mpx
takes seconds. They are the mesh's own, triangle by triangle, inside the face. From its outline on
they fade out, so that hair and clothes near the face follow it, and the rest of the photo keeps
its pixels.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cv2
import numpy as np

from facestats.composites.contours import FACE_OVAL, eye_centres
from facestats.composites.mesh import Mesh
from facestats.composites.warping import Warper
from facestats.errors import InputError

GRID = 512  # nodes a side, at most
_WIDTH = 2.3  # side of the square in sizes of the face
_REACH = 0.9  # distance from the outline at which nothing moves, in distances between the eyes
_EDGE = 0.25  # the same from the edge of the photo, where there is nothing to fetch
_FEATHER = 0.4  # width of the soft edge of the mask, inside the outline, in the same unit
# Share of the square whose triangles may be folded: on 1.2 % they are at 20–25° of yaw, and mended.
_FOLDED = 0.05


class Frame:
    """A square around a face.

    Parameters
    ----------
    landmarks : ndarray (468, 2 or 3)
        Of the face, px of its photo.
    target : ndarray (468, 2)
        The shape to which it is moved, px of the photo.
    width, height : int
        Of the photo, px.

    Attributes
    ----------
    corner : ndarray of int (2,)
        x and y of its first pixel; may lie outside of the photo.
    side : int
        Pixels.
    grid : int
        Nodes a side, at most as many as pixels.
    face, target : ndarray of float64 (468, 2)
        Shares of the side.
    eyes : float
        Distance between the eyes of the target, as a share of the side.

    Raises
    ------
    InputError
        The shape is so far from the face that triangles fold over.
    """

    def __init__(self, landmarks: np.ndarray, target: np.ndarray, width: int, height: int):
        face, target = landmarks[:, :2].astype(np.float64), target.astype(np.float64)
        both = np.concatenate([face, target])
        low, high = both.min(axis=0), both.max(axis=0)
        self.side = max(8, int(np.ceil(_WIDTH * (high - low).max())))
        self.corner = np.floor((low + high - self.side) / 2).astype(int)
        self.grid = min(GRID, self.side)
        self.size = width, height
        self.face, self.target = self._own(face), self._own(target)
        self.eyes = float(np.linalg.norm(np.diff(eye_centres(self.target), axis=0)))
        self._warper = Warper(self.target, self.grid)
        mesh = Mesh(self.target)
        if mesh.folded(self.face) > _FOLDED or mesh.unfolded(self.face)[1] > 0:
            raise InputError(
                "the face would fold over itself; ask for a smaller shape, or a photo of a face "
                "that looks into the camera"
            )

    def _own(self, points: np.ndarray) -> np.ndarray:
        return (points - self.corner) / self.side

    def moved_from(self) -> np.ndarray:
        """Find how far from each pixel what comes there lies.

        Returns
        -------
        ndarray of float32 (side, side, 2)
            x and y, px; 0 beyond the reach of the face.
        """
        away = (self.positions(self.face) - _own_places(self.grid)) * self.fading[:, :, None]
        return self.enlarged(away) * np.float32(self.side / self.grid)

    def positions(self, landmarks: np.ndarray) -> np.ndarray:
        """Find where the nodes lie in a picture with other landmarks.

        Parameters
        ----------
        landmarks : ndarray (468, 2)
            In the frame's own unit.

        Returns
        -------
        ndarray of float32 (grid, grid, 2)
            In nodes, 0 being the first.
        """
        return self._warper.positions(landmarks)

    def fetched(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Warp another picture of a face to the target.

        Parameters
        ----------
        picture : ndarray of float32 (size, size, …)
        landmarks : ndarray (468, 2)
            Its own, as shares of its side.

        Returns
        -------
        ndarray of float32 (grid, grid, …)
        """
        factor, offset = similarity(landmarks, self.target)
        z = landmarks.astype(np.float64) @ [1, 1j] * factor + offset
        nodes = self.positions(np.column_stack([z.real, z.imag])).astype(np.float64)
        place = ((nodes + 0.5) / self.grid) @ [1, 1j]
        own = (place - offset) / factor * len(picture) - complex(0.5, 0.5)
        none: Any = None
        return cv2.remap(
            picture,
            np.stack([own.real, own.imag], axis=-1).astype(np.float32),
            none,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def enlarged(self, values: np.ndarray) -> np.ndarray:
        """Interpolate values of the nodes to pixels: float32 (side, side, …)."""
        if self.side == self.grid:
            return values.astype(np.float32)
        size = (self.side, self.side)
        return cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)

    @cached_property
    def fading(self) -> np.ndarray:
        """How much of a shift is carried out at each node: 1 in the face, 0 beyond its reach."""
        outside = 1 - np.maximum(self._inside(self.target), self._inside(self.face))
        away = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / self.grid
        place = (_own_places(self.grid) + 0.5) / self.grid * self.side + self.corner
        edge = np.minimum(place, self.size - place).min(axis=-1) / self.side - 2 / self.grid
        return (1 - _smooth(away / (_REACH * self.eyes))) * _smooth(edge / (_EDGE * self.eyes))

    @cached_property
    def mask(self) -> np.ndarray:
        """How much of a colour counts at each node: 1 in the face, 0 from its outline on."""
        inside = cv2.copyMakeBorder(self._inside(self.target), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1] / self.grid
        return _smooth(depth / (_FEATHER * self.eyes))

    def _inside(self, shape: np.ndarray) -> np.ndarray:
        corners = np.rint(shape[FACE_OVAL] * self.grid - 0.5).astype(np.int32)
        return cv2.fillPoly(np.zeros((self.grid, self.grid), np.uint8), [corners], 1)


def similarity(shape: np.ndarray, onto: np.ndarray) -> tuple[complex, complex]:
    """Find the least-squares turn, scale and shift of a shape onto another.

    Parameters
    ----------
    shape, onto : ndarray (n, 2)

    Returns
    -------
    factor, offset : complex
        `onto` is near `factor · (x + iy) + offset`.
    """
    z, w = (points.astype(np.float64) @ [1, 1j] for points in (shape, onto))
    centred = z - z.mean()
    factor = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred)
    return complex(factor), complex(w.mean() - factor * z.mean())


def laid_on(shape: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Turn, scale and shift a shape onto another: float64 (n, 2)."""
    factor, offset = similarity(shape, onto)
    z = shape.astype(np.float64) @ [1, 1j] * factor + offset
    return np.column_stack([z.real, z.imag])


def _own_places(size: int) -> np.ndarray:
    """The nodes' own places, float32 (size, size, 2)."""
    return np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float32)


def _smooth(share: np.ndarray) -> np.ndarray:
    """From 0 to 1 without corners."""
    share = np.clip(share, 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
