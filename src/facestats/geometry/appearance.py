"""The appearance of a face without its shape: its pixels, warped to the mean shape."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import Delaunay

from facestats.machine.faults import starting_threads
from facestats.machine.pool import count_workers
from facestats.photos.decode import to_photo

SIDE = 64  # px, longer side of the mean shape; docs/methods/geometry.md compares sizes
_ENOUGH = 2 * SIDE  # px, side of a crop: the face takes at least half of it


class FaceSampler:
    """Samples faces on a grid that moves with their landmarks.

    The triangle of the mean shape in which each grid point lies, and its place in it, are computed
    once. Both sides of a face are averaged, as in its shape (`GeneralizedProcrustes.mirror`), so
    that it does not matter whether light comes from the left or the right.

    Parameters
    ----------
    target : ndarray (468, 2 or 3)
        A mean shape, symmetric about x = 0, in any unit.

    Attributes
    ----------
    n_values : int
        Pixels of half a face, times three colours.
    """

    def __init__(self, target: np.ndarray):
        self.target = np.asarray(target, dtype=np.float64)[:, :2]
        triangles = Delaunay(self.target)
        low, high = self.target.min(axis=0), self.target.max(axis=0)
        step = (high - low).max() / SIDE
        right = (np.arange(int(np.ceil(-low[0] / step))) + 0.5) * -step  # from the midline outwards
        down = np.arange(low[1] + step / 2, high[1], step)
        half = np.stack(np.meshgrid(right, down), -1).reshape(-1, 2)
        other = half * (-1, 1)
        inside = (triangles.find_simplex(half) >= 0) & (triangles.find_simplex(other) >= 0)
        self._inside, self._step = inside.reshape(len(down), len(right)), step
        self._weights = _interpolation(triangles, np.concatenate([half[inside], other[inside]]))
        self.n_values = 3 * np.count_nonzero(inside)

    def __call__(self, face: Any, landmarks: np.ndarray) -> np.ndarray:
        """Sample one face.

        Parameters
        ----------
        face : Any
            Its crop: path, bytes, PIL image or RGB array. A JPEG is decoded no larger than needed.
        landmarks : ndarray (468, 3)
            As shares of the crop's side; outside the crop, its edge is repeated.

        Returns
        -------
        ndarray of uint8 (n_values,)
        """
        rgb = reduced_crop(face)
        size = np.array([rgb.shape[1], rgb.shape[0]], dtype=np.float32)
        places = self._weights @ (landmarks[:, :2].astype(np.float32) * size) - np.float32(0.5)
        none: Any = None
        pixels = cv2.remap(
            rgb, places[:, None], none, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        right, left = pixels.reshape(2, -1).astype(np.uint16)
        return ((right + left + 1) // 2).astype(np.uint8)

    def picture(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lay values out as a face of the mean shape, alike on both sides.

        Parameters
        ----------
        values : ndarray (n_values,)
            Codes, such as a mean of samples.

        Returns
        -------
        image : ndarray of float32 (side, side, 3)
            0 outside the face.
        landmarks : ndarray of float64 (468, 2)
            As shares of the side.
        """
        rows, columns = self._inside.shape
        half = np.zeros((rows, columns, 3), np.float32)
        half[self._inside] = np.asarray(values, np.float32).reshape(-1, 3)
        side = max(rows, 2 * columns)
        top, left = (side - rows) // 2, (side - 2 * columns) // 2
        image = np.zeros((side, side, 3), np.float32)
        image[top : top + rows, left : left + 2 * columns] = np.hstack([half[:, ::-1], half])
        low = self.target.min(axis=0)[1]
        places = np.column_stack([self.target[:, 0], self.target[:, 1] - low]) / self._step
        return image, (places + [left + columns, top]) / side

    def sample(self, faces: Iterable[Any], landmarks: np.ndarray) -> np.ndarray:
        """Sample many faces on all processors: uint8 (n, n_values)."""
        workers = count_workers(len(landmarks))
        if workers == 1:
            return np.stack([self(*face) for face in zip(faces, landmarks, strict=True)])
        # Threads suffice: reading, decoding and sampling release Python's lock.
        with starting_threads(), ThreadPoolExecutor(workers) as pool:
            return np.stack(list(pool.map(self, faces, landmarks)))


def reduced_crop(face: Any) -> np.ndarray:
    """Decode a crop once for many samplers: RGB, as large as `FaceSampler` looks at."""
    return _reduced(to_photo(face, _ENOUGH, ours=True).rgb)


def _interpolation(triangles: Delaunay, points: np.ndarray) -> csr_array:
    """Weights (points, corners) that interpolate between the corners of each point's triangle."""
    simplex = triangles.find_simplex(points)
    transform = triangles.transform[simplex]
    first_two = np.einsum("nij,nj->ni", transform[:, :2], points - transform[:, 2])
    weights = np.column_stack([first_two, 1 - first_two.sum(axis=1)]).astype(np.float32)
    rows = np.repeat(np.arange(len(points)), 3)
    return csr_array(
        (weights.ravel(), (rows, triangles.simplices[simplex].ravel())),
        shape=(len(points), len(triangles.points)),
    )


def _reduced(rgb: np.ndarray) -> np.ndarray:
    """Reduce pixels to the size to which a JPEG would have been decoded."""
    height, width = rgb.shape[:2]
    times = next(times for times in (8, 4, 2, 1) if times <= max(1, min(height, width) // _ENOUGH))
    return (
        rgb
        if times == 1
        else cv2.resize(
            rgb, (-(-width // times), -(-height // times)), interpolation=cv2.INTER_AREA
        )
    )
