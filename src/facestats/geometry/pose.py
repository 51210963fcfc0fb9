"""Turning a shape to face the viewer, and which faces are frontal enough to be measured.

The mesh's depth is an estimate from one picture. Turning by it takes most of the pose out of the
measurements, not all of it: docs/methods/measurements.md has the figures.
"""

from __future__ import annotations

import numpy as np

from facestats.core.landmarks import LEFT, RIGHT

# The camera's distance from the head, in sizes of the face. Far away, at 15, 10 and 7, a turn by
# 20° moves the measurements by 0.62, 0.59, 0.59 and 0.61 standard deviations between people, a nod
# by 20° by 0.94, 0.75, 0.71 and 0.73 (`benchmarks.measurements`).
CAMERA = 10.0
# Degrees, as in `faces.parquet`. So far turned (17°, of which `yaw` shows 15°) or nodded, the
# measurements of a face move by half the standard deviation between people, on average.
MAX_YAW, MAX_PITCH = 15.0, 13.0
TOP, CHIN = 10, 152
_NOTHING = 1e-9  # a length below this share of the coordinates is 0


def frontalize(landmarks: np.ndarray, camera: float = CAMERA) -> np.ndarray:
    """Turn shapes to face the viewer, upright.

    What is nearer to the camera is drawn larger; that is undone first. Then the head's own axes
    become those of the picture: from right to left the sum of the vectors from each landmark on the
    right to its mirror image; downwards, at a right angle to it, the line from forehead (10) to
    chin (152). No direction in the photo enters but the view, so place, scale and turn in the photo
    leave no trace.

    Parameters
    ----------
    landmarks : ndarray of float (n, 468, 3)
        X, y and z in one unit, z smaller where nearer.
    camera : float
        Its distance in sizes of the face (root mean square distance of the landmarks from their
        centroid in x and y); inf: far away.

    Returns
    -------
    ndarray
        Float64 (n, 468, 2): x from the person's right to the left, y down, around the centroid, in
        sizes as they were before the turn. NaN where a coordinate is not finite, or the shape is so
        degenerate that there are no such axes (all points are one).
    """
    shapes = np.array(landmarks, dtype=np.float64)
    usable = np.isfinite(shapes).all(axis=(1, 2))
    shapes[~usable] = 0
    magnitude = np.abs(shapes).max(axis=(1, 2), initial=0)
    shapes -= shapes.mean(axis=1, keepdims=True)
    size = np.sqrt((shapes[..., :2] ** 2).sum(axis=2).mean(axis=1))
    usable &= size > _NOTHING * magnitude
    shapes /= np.where(usable, size, 1)[:, None, None]
    shapes[..., :2] *= 1 + shapes[..., 2:] / camera
    across, has_sides = _unit((shapes[:, LEFT] - shapes[:, RIGHT]).mean(axis=1))
    down = shapes[:, CHIN] - shapes[:, TOP]
    down, has_length = _unit(down - (down * across).sum(axis=1, keepdims=True) * across)
    front = shapes @ np.stack([across, down], axis=2)
    front[~(usable & has_sides & has_length)] = np.nan
    return front


def is_frontal(yaw: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """Whether faces look at the viewer well enough for their measurements to be compared.

    Parameters
    ----------
    yaw, pitch : ndarray
        Degrees (n,), as `faces.quality.head_pose` gives them.

    Returns
    -------
    ndarray
        Bool (n,): `MAX_YAW` and `MAX_PITCH` at most, either way; False where one is unknown (NaN)
    """
    yaw, pitch = np.asarray(yaw, dtype=np.float64), np.asarray(pitch, dtype=np.float64)
    return (np.abs(yaw) <= MAX_YAW) & (np.abs(pitch) <= MAX_PITCH)


def _unit(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, 3), in sizes, at length 1, and which of them had a length."""
    length = np.linalg.norm(vectors, axis=1)
    has_length = length > _NOTHING
    return vectors / np.where(has_length, length, 1)[:, None], has_length
