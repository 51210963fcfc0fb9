"""Measures of a crop and of the head's pose."""

import math
from dataclasses import dataclass

import cv2
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


def grey_crop(crop: np.ndarray) -> np.ndarray:
    """Luma (ITU-R 601) of a crop (H, W, 3) uint8, (256, 256) uint8: what the measures below look at."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if len(grey) == 2 * GREY_SIZE:  # the same triangle of 4 px as below, 0.1 instead of 0.6 ms
        smooth = cv2.GaussianBlur(grey, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
        return cv2.resize(smooth, (GREY_SIZE, GREY_SIZE), interpolation=cv2.INTER_AREA)
    image = Image.fromarray(grey)
    return np.asarray(image.resize((GREY_SIZE, GREY_SIZE), Image.Resampling.BILINEAR, reducing_gap=2.0))


def brightness(grey: np.ndarray) -> float:
    """Mean luma of a `grey_crop`, 0–1."""
    return cv2.mean(grey)[0] / 255


def sharpness(grey: np.ndarray) -> float:
    """Variance of the Laplacian of a `grey_crop`, in squared grey levels of 0–255.

    4-neighbour kernel, without the outermost pixels (Pech-Pacheco et al. 2000, "Diatom autofocusing in
    brightfield microscopy: a comparative study", ICPR). OMI faces lie between 90 and 630 (1st and 99th
    percentile of 400).
    """
    laplacian = cv2.Laplacian(grey, cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    return float(cv2.meanStdDev(laplacian)[1][0, 0] ** 2)
