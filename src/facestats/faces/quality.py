"""Measures of a crop and of the head's pose."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from facestats.faces.align import eye_centers
from facestats.faces.looks import hidden_and_drawn

GREY_SIZE = 256  # px; a fixed size makes crops of any `preprocess.size` comparable
_CHEEKS = (234, 454)  # outermost points of the mesh, the image's left one first
_FOREHEAD, _CHIN = 10, 152
# The line from forehead to chin is not upright in the mesh of a face that looks straight ahead.
# This is the median of 400 OMI faces (standard deviation 7.7°), which are mostly frontal.
NEUTRAL_PITCH = -7.7  # degrees
_RIM = 11  # px of a grey crop by which the face's outline, no feature of it, is left out
_MIN_AREA = 0.01  # share of the crop that a face's landmarks span at least


@dataclass(frozen=True)
class HeadPose:
    """Degrees.

    `yaw` > 0: turned to the image's right, `pitch` > 0: looking up, `roll` > 0: clockwise.
    """

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: np.ndarray, width: int, height: int) -> HeadPose:
    """Head pose out of the mesh's depth.

    roll: angle of the line between the eye centres in the image. After turning it away, yaw: angle
    of the line between the cheeks (234, 454) with the image plane; pitch: that of the line from
    forehead (10) to chin (152), less `NEUTRAL_PITCH`. The mesh's depth is an estimate.

    Parameters
    ----------
    landmarks : np.ndarray
        (468, 3), fractions of the photo, z in the scale of x.
    width, height : int
        Px of the photo.
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
    """Luma (ITU-R 601) of a crop (H, W, 3) uint8, (256, 256) uint8, which is measured below."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if len(grey) == 2 * GREY_SIZE:  # the same triangle of 4 px as below, 0.1 instead of 0.6 ms
        smooth = cv2.GaussianBlur(grey, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
        return cv2.resize(smooth, (GREY_SIZE, GREY_SIZE), interpolation=cv2.INTER_AREA)
    image = Image.fromarray(grey)
    return np.asarray(
        image.resize((GREY_SIZE, GREY_SIZE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    )


def face_region(landmarks: np.ndarray | None, size: int) -> np.ndarray | None:
    """Mask (size, size), 255 inside the convex hull of the landmarks.

    None without landmarks, or where the hull is no larger than a speck. Landmarks are (468, 2 or
    more), shares of the crop.
    """
    if landmarks is None:
        return None
    corners = np.rint(landmarks[:, :2] * size - 0.5).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), cv2.convexHull(corners), 255)
    return mask if cv2.countNonZero(mask) >= _MIN_AREA * size * size else None


def brightness(grey: np.ndarray, region: np.ndarray | None = None) -> float:
    """Mean luma, 0–1, of a `grey_crop`, or of its `face_region`."""
    return cv2.mean(grey, mask=region)[0] / 255


def fine_detail(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a Gaussian blur of 1.4 px takes away from a `grey_crop`, float32.

    And the same without what 0.7 px take away, which is noise as well.
    """
    image = grey.astype(np.float32)
    soft, softer = cv2.GaussianBlur(image, (5, 5), 0.7), cv2.GaussianBlur(image, (9, 9), 1.4)
    return image - softer, soft - softer


def sharpness(
    grey: np.ndarray, region: np.ndarray | None = None, fine: np.ndarray | None = None
) -> float:
    """Fine against coarse detail of a `grey_crop`, or of its `face_region`.

    0.05 is usual, and below 0.02 one sees the blur.

    Variance of the second `fine_detail` over that of what lies between blurs of about 2 and 8 px.
    Both grow with contrast and exposure, so that their ratio does not. The outline of the region is
    left out: it is no feature of the face.
    """
    small = cv2.resize(grey, (GREY_SIZE // 4, GREY_SIZE // 4), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    coarse = small - cv2.GaussianBlur(small, (0, 0), 2)
    inner = None if region is None else cv2.erode(region, np.ones((_RIM, _RIM), np.uint8))
    inner_small = (
        None if inner is None else cv2.resize(inner, small.shape, interpolation=cv2.INTER_NEAREST)
    )
    return _variance(fine_detail(grey)[1] if fine is None else fine, inner) / (
        _variance(coarse, inner_small) + 0.1
    )


def measure(
    rgb: np.ndarray,
    grey: np.ndarray,
    landmarks: np.ndarray | None,
    layers: tuple[np.ndarray, ...] = (),
) -> dict[str, float | None]:
    """The columns `sharpness`, `brightness`, `occlusion` and `drawing` of a crop.

    Without landmarks the first two are those of the whole crop, and the others None, as they are
    without layers.

    Parameters
    ----------
    rgb, grey : np.ndarray
        Crop (H, W, 3) uint8, and its `grey_crop`.
    landmarks : np.ndarray or None
        (468, ≥2), shares of the crop.
    layers : tuple[np.ndarray, ...], default ()
        Of `FaceLandmarks`.
    """
    (finest, fine), region = fine_detail(grey), face_region(landmarks, GREY_SIZE)
    occlusion, drawing = None, None
    if region is not None and landmarks is not None and layers:
        occlusion, drawing = hidden_and_drawn(rgb, grey, finest, region, landmarks, layers)
    return {
        "sharpness": sharpness(grey, region, fine),
        "brightness": brightness(grey, region),
        "occlusion": occlusion,
        "drawing": drawing,
    }


def _variance(image: np.ndarray, inside: np.ndarray | None) -> float:
    return float(cv2.meanStdDev(image, mask=inside)[1][0, 0] ** 2)
