"""Measures of a crop and of the head's pose."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from facestats.faces.align import eye_centers

GREY_SIZE = 256  # px; a fixed size makes crops of any `preprocess.size` comparable
_CHEEKS = (234, 454)  # outermost points of the mesh, the image's left one first
_FOREHEAD, _CHIN = 10, 152
# The line from forehead to chin is not upright in the mesh of a face that looks straight ahead. This is the
# median of 400 OMI faces (standard deviation 7.7°), which are mostly frontal.
NEUTRAL_PITCH = -7.7  # degrees


@dataclass(frozen=True)
class HeadPose:
    """Degrees. `yaw` > 0: turned to the image's right, `pitch` > 0: looking up, `roll` > 0: clockwise."""

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: np.ndarray, width: int, height: int) -> HeadPose:
    """Head pose out of the mesh's depth.

    roll: angle of the line between the eye centres in the image. After turning it away, yaw: angle of the
    line between the cheeks (234, 454) with the image plane; pitch: that of the line from forehead (10) to
    chin (152), less `NEUTRAL_PITCH`. The mesh's depth is an estimate.

    Parameters
    ----------
    landmarks : (468, 3), fractions of the photo, z in the scale of x
    width, height : px of the photo
    """
    points = landmarks.astype(np.float64) * (width, height, width)
    dx, dy = np.diff(eye_centers(points[:, :2]), axis=0)[0]
    roll = math.atan2(dy, dx)
    cos, sin = math.cos(roll), math.sin(roll)
    x = points[:, 0] * cos + points[:, 1] * sin
    y = points[:, 1] * cos - points[:, 0] * sin
    z = points[:, 2]
    left, right = _CHEEKS
    yaw = math.atan2(z[right] - z[left], x[right] - x[left])
    pitch = math.atan2(z[_FOREHEAD] - z[_CHIN], y[_CHIN] - y[_FOREHEAD])
    return HeadPose(math.degrees(yaw), math.degrees(pitch) - NEUTRAL_PITCH, math.degrees(roll))


def grey_crop(crop: np.ndarray) -> Image.Image:
    """Luma (ITU-R 601) of a crop (H, W, 3) uint8 at 256 × 256 px: what the measures below look at."""
    grey = Image.fromarray(crop).convert("L")
    return grey.resize((GREY_SIZE, GREY_SIZE), Image.Resampling.BILINEAR, reducing_gap=2.0)


def brightness(grey: Image.Image) -> float:
    """Mean luma of a `grey_crop`, 0–1."""
    return float(np.asarray(grey).mean() / 255)


def sharpness(grey: Image.Image) -> float:
    """Variance of the Laplacian of a `grey_crop`, in squared grey levels of 0–255.

    4-neighbour kernel, without the outermost pixels (Pech-Pacheco et al. 2000, "Diatom autofocusing in
    brightfield microscopy: a comparative study", ICPR). OMI faces lie between 90 and 630 (1st and 99th
    percentile of 400).
    """
    g = np.asarray(grey, dtype=np.float32)
    laplacian = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float64))
