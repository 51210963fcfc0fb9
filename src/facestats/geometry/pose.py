"""Turning a shape to face the viewer, and whether a face is frontal enough to be measured.

The mesh's depth is an estimate from one picture. Turning by it removes most of the effect of head
pose, not all of it; docs/methods/measurements.md has the figures.
"""

from __future__ import annotations

import numpy as np

from facestats.core.landmarks import LEFT, RIGHT

# The camera's distance from the head, in sizes of the face. At infinity, 15, 10 and 7, turning by
# 20° changes the measurements by 0.62, 0.59, 0.59 and 0.61 standard deviations between people, and
# nodding by 20° by 0.94, 0.75, 0.71 and 0.73 (`benchmarks.head_pose`).
CAMERA = 10.0
# Degrees, as in `faces.parquet`. At these (a turn by 17° has a `yaw` of 15°), measurements change
# by half a standard deviation between people, on average.
MAX_YAW, MAX_PITCH = 15.0, 13.0
TOP, CHIN = 10, 152
_NOTHING = 1e-9  # a length below this share of the coordinates is 0


def frontalize(landmarks: np.ndarray, camera: float = CAMERA) -> np.ndarray:
    """Turn shapes to face the viewer, upright; see `frontalize_with`."""
    return frontalize_with(landmarks, np.empty((len(landmarks), 0, 3)), camera)[0]


def frontalize_with(
    landmarks: np.ndarray, others: np.ndarray, camera: float = CAMERA
) -> tuple[np.ndarray, np.ndarray]:
    """Turn shapes to face the viewer, upright, and further points with them.

    First, perspective is removed. Then the head's own axes become those of the picture: from right
    to left, the sum of the vectors from each landmark on the right to its mirror image; downwards,
    at a right angle to it, the line from forehead (10) to chin (152). Place, scale and turn in the
    photo have no effect.

    Parameters
    ----------
    landmarks : ndarray of float (n, 468, 3)
        X, y and z in one unit, z smaller where nearer.
    others : ndarray of float (n, k, 3)
        Further points of the faces, in the same unit; they have no say in the turn.
    camera : float
        Its distance in sizes of the face (root mean square distance of the landmarks from their
        centroid in x and y); inf: far away.

    Returns
    -------
    front : ndarray
        Float64 (n, 468, 2): x from the person's right to the left, y down, around the centroid, in
        sizes as they were before the turn. NaN where a coordinate is not finite, or the shape is so
        degenerate that there are no such axes (all points are one).
    others : ndarray
        Float64 (n, k, 2), likewise.
    """
    shapes, others = (np.array(points, dtype=np.float64) for points in (landmarks, others))
    usable = np.isfinite(shapes).all(axis=(1, 2))
    shapes[~usable] = 0
    magnitude = np.abs(shapes).max(axis=(1, 2), initial=0)
    centre = shapes.mean(axis=1, keepdims=True)
    shapes -= centre
    size = np.sqrt((shapes[..., :2] ** 2).sum(axis=2).mean(axis=1))
    usable &= size > _NOTHING * magnitude
    unit = np.where(usable, size, 1)[:, None, None]
    shapes /= unit
    others = (others - centre) / unit
    for points in (shapes, others):
        points[..., :2] *= 1 + points[..., 2:] / camera
    across, has_sides = _unit((shapes[:, LEFT] - shapes[:, RIGHT]).mean(axis=1))
    down = shapes[:, CHIN] - shapes[:, TOP]
    down, has_length = _unit(down - (down * across).sum(axis=1, keepdims=True) * across)
    axes = np.stack([across, down], axis=2)
    front, others = shapes @ axes, others @ axes
    for points in (front, others):
        points[~(usable & has_sides & has_length)] = np.nan
    return front, others


def is_frontal(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Whether faces are frontal enough for their measurements to be compared.

    Parameters
    ----------
    yaw, pitch : ndarray
        Degrees (n,), as `faces.quality.head_pose` gives them.

    Returns
    -------
    ndarray
        Bool (n,): at most `MAX_YAW` and `MAX_PITCH` either way; False where one is NaN.
    """
    yaw, pitch = np.asarray(yaw, dtype=np.float64), np.asarray(pitch, dtype=np.float64)
    return (np.abs(yaw) <= MAX_YAW) & (np.abs(pitch) <= MAX_PITCH)


def _unit(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale vectors (n, 3) to length 1; the second result says which of them had a length."""
    length = np.linalg.norm(vectors, axis=1)
    has_length = length > _NOTHING
    return vectors / np.where(has_length, length, 1)[:, None], has_length
