"""Colour of the skin inside a face, as far as a photo shows it.

CIELAB (D65) of cheeks and forehead, and the individual typology angle of Chardon, Cretois &
Hourseau 1991, with the six classes that dermatology uses (Del Bino & Bernerd 2013). Light, camera
and white balance decide as much as the skin: angles compare photos of one studio, not of the world.
"""

from __future__ import annotations

import cv2
import numpy as np

from facestats.core.landmarks import MIRROR

RIGHT_CHEEK = (117, 118, 101, 36, 205, 187, 123)
LEFT_CHEEK = tuple(MIRROR[list(RIGHT_CHEEK)].tolist())
FOREHEAD = (69, 108, 151, 337, 299, 336, 9, 107)
# Lower ends of the classes of the typology angle, degrees.
CLASSES = {
    "very light": 55.0,
    "light": 41.0,
    "intermediate": 28.0,
    "tan": 10.0,
    "brown": -30.0,
    "dark": -np.inf,
}
NO_LANDMARKS, NO_CROP = "no landmarks", "no crop"
GREY, TURNED, HIDDEN = "black and white", "turned away", "a part is hidden"
SMALL, BLUISH = "too little of it in the picture", "bluish light"
# Of the face's pixels at `_SIDE`: what JPEG leaves of the colours of a black-and-white photo, and
# how far colours stray from a curve over lightness, which is all that a tinted one has. None of 845
# OMI and 3DSK faces is taken for one, and all of 507 that were made black and white or tinted are.
_NEUTRAL, _TINTED = 2.0, 2.2
_SIDE = 64  # px
_VIEW = 256  # px, side of a crop in which colours are looked at: 2,000 pixels of skin
# Light of each code of sRGB (IEC 61966-2-1), and from there to X, Y, Z as shares of D65's white.
_CODES = np.arange(256) / 255
_LIGHT = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4)
_TO_XYZ = np.array(
    [
        [0.4123908, 0.3575843, 0.1804808],
        [0.2126390, 0.7151687, 0.0721923],
        [0.0193308, 0.1191948, 0.9505322],
    ]
)
_TO_XYZ /= _TO_XYZ.sum(axis=1, keepdims=True)
_LEAST = 0.002  # share of the crop that cheeks and forehead fill at least


def skin_colour(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray | str:
    """Measure the colour of the skin: the median of all pixels of both cheeks and the forehead.

    Parameters
    ----------
    rgb : ndarray of uint8 (side, side, 3)
        The face's crop, sRGB.
    landmarks : ndarray (468, 2 or more)
        As shares of its side.

    Returns
    -------
    ndarray of float64 (3,), or str
        L*, a* and b*; or why there is no colour.
    """
    rgb = _reduced(rgb, _VIEW)
    side = len(rgb)
    skin = np.zeros((side, side), np.uint8)
    for region in (RIGHT_CHEEK, LEFT_CHEEK, FOREHEAD):
        cv2.fillPoly(skin, [_corners(landmarks[list(region)], side)], 255)
    inside = skin > 0
    if np.count_nonzero(inside) < _LEAST * side * side:
        return SMALL
    if _is_monochrome(rgb, landmarks):
        return GREY
    return np.median(to_lab(rgb[inside]), axis=0)


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB pixels, uint8 (n, 3): float64 (n, 3). OpenCV's is off by up to 0.1."""
    ratios = _LIGHT[pixels] @ _TO_XYZ.T
    small = ratios <= (6 / 29) ** 3
    f = np.where(small, ratios * (29 / 6) ** 2 / 3 + 4 / 29, np.cbrt(ratios))
    x, y, z = f.T
    return np.column_stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def typology_angle(lightness: np.ndarray, yellow: np.ndarray) -> np.ndarray:
    """Individual typology angle of L* and b*, degrees; NaN where b* is not above 0."""
    angle = np.degrees(np.arctan2(np.asarray(lightness, dtype=np.float64) - 50, yellow))
    return np.where(np.asarray(yellow) > 0, angle, np.nan)


def typology_class(angle: np.ndarray) -> np.ndarray:
    """Class of each angle, as text; None where it is NaN."""
    angle = np.asarray(angle, dtype=np.float64)
    classes = np.full(angle.shape, None, dtype=object)
    for name, lowest in reversed(CLASSES.items()):
        classes[angle > lowest] = name
    return classes


def _reduced(rgb: np.ndarray, side: int) -> np.ndarray:
    """A square picture with at most so many pixels a side."""
    if len(rgb) <= side:
        return rgb
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)


def _corners(points: np.ndarray, side: int) -> np.ndarray:
    return np.rint(points[:, :2] * side - 0.5).astype(np.int32)


def _is_monochrome(rgb: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether a face has no colours of its own: a black-and-white photo, perhaps tinted.

    Lips and skin of one lightness differ in hue, but not in such a photo.
    """
    small = _reduced(rgb, _SIDE)
    face = np.zeros(small.shape[:2], np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(_corners(landmarks, len(small))), 255)
    lab = to_lab(small[face > 0])
    if np.percentile(np.hypot(lab[:, 1], lab[:, 2]), 99) < _NEUTRAL:
        return True
    powers = np.vander(lab[:, 0] / 100, 3)
    straying = lab[:, 1:] - powers @ np.linalg.lstsq(powers, lab[:, 1:], rcond=None)[0]
    return bool(np.sqrt((straying**2).sum(axis=1).mean()) < _TINTED)
