"""Pictures of faces turned in depth, to see what head pose does to landmarks that are found anew.

A picture is laid over the relief of its own face mesh, seen by a camera at the distance that
`geometry.pose` assumes, turned, and painted from far to near; holes take the nearest pixel. The
depth is the mesh's, so this says how steadily the mesh sees one shape from several sides, not
whether that shape is the person's.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.ndimage import distance_transform_edt
from scipy.spatial.transform import Rotation

from facestats.geometry.pose import CAMERA

DENSE = 2  # points painted per pixel and direction, so that a stretched side has few holes
VIEWS = (
    (0, 0),
    *((yaw, 0) for yaw in (-30, -20, -10, 10, 20, 30)),
    *((0, pitch) for pitch in (-20, -10, 10, 20)),
)


def turned(rgb: np.ndarray, landmarks: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """The picture of the head turned by `yaw` and `pitch` degrees.

    Parameters
    ----------
    rgb : (side, side, 3) uint8
    landmarks : (468, 3), shares of the side
    """
    side = len(rgb)
    points = landmarks.astype(np.float64) * side
    centre = points.mean(axis=0)
    size = np.sqrt(((points - centre)[:, :2] ** 2).sum(axis=1).mean())
    relief = (np.column_stack([_grid(side, DENSE), _depth(points, side)]) - centre) / size
    relief[:, :2] *= 1 + relief[:, 2:] / CAMERA
    relief = relief @ Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix().T
    relief[:, :2] /= 1 + relief[:, 2:] / CAMERA
    at = np.floor(relief[:, :2] * size + centre[:2]).astype(int)
    order = np.flatnonzero(((at >= 0) & (at < side)).all(axis=1))
    order = order[np.argsort(-relief[order, 2], kind="stable")]
    picture, painted = np.zeros_like(rgb), np.zeros((side, side), dtype=bool)
    picture[at[order, 1], at[order, 0]] = cv2.resize(rgb, (DENSE * side, DENSE * side)).reshape(
        -1, 3
    )[order]
    painted[at[order, 1], at[order, 0]] = True
    y, x = distance_transform_edt(~painted, return_distances=False, return_indices=True)
    return picture[y, x]


def _grid(side: int, per_pixel: float) -> np.ndarray:
    """Centres of all points in a picture, px."""
    along = (np.arange(round(side * per_pixel)) + 0.5) / per_pixel
    return np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)


def _depth(points: np.ndarray, side: int) -> np.ndarray:
    """Depth of each painted point: linear between landmarks, nearest outside of the face."""
    coarse = _grid(side, 0.5)
    depth = LinearNDInterpolator(points[:, :2], points[:, 2])(coarse)
    outside = np.isnan(depth)
    depth[outside] = NearestNDInterpolator(points[:, :2], points[:, 2])(coarse[outside])
    smooth = cv2.GaussianBlur(depth.reshape(side // 2, -1).astype(np.float32), (5, 5), 1.0)
    return cv2.resize(smooth, (DENSE * side, DENSE * side)).ravel()
