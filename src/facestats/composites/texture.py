"""Detail by scale, as in Tiddeman, Burt & Perrett (2001).

An average has lost the detail that its faces do not share: pores, wrinkles, beards. Their strength
is known all the same: the mean magnitude of each band of a band-pass pyramid at each place. Bands
of a picture are multiplied by the ratio of two such magnitudes.

B. Tiddeman, D. M. Burt, D. I. Perrett: Prototyping and transforming facial textures for perception
research. IEEE Computer Graphics and Applications 21 (5), 42–50 (2001).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from facestats.composites.contours import FACE_OVAL

SCALES = 5  # of a picture of 512 px; a larger one has one more each time that its side doubles
_SIDE = 512
_AROUND = 2.0  # width of the neighbourhood of a magnitude, in widths of its band
_FLOOR = 2e-4  # a magnitude that no eye sees, as a share of white
_SOFT = 0.05  # width of the edge within which detail is given back ever more, share of the side
MOST = 6.0  # times by which detail is strengthened, or weakened, at most


def scales_of(side: int) -> int:
    """The number of bands of a picture: the coarsest is as wide a share of any."""
    return SCALES + max(0, round(math.log2(side / _SIDE)))


def bands(luminance: np.ndarray, unit: float = 1.0, scales: int = SCALES) -> list[np.ndarray]:
    """Split a picture into differences of Gaussians.

    Parameters
    ----------
    luminance : ndarray of float32 (height, width)
    unit : float
        Width of the first Gaussian, px; that of each further one is twice that of the last.
    scales : int
        How many bands.

    Returns
    -------
    list of ndarray
        The bands, fine to coarse; the picture less their sum is what is coarser.
    """
    layers, finer = [], luminance.astype(np.float32)
    for scale in range(scales):
        coarser = cv2.GaussianBlur(
            luminance.astype(np.float32),
            (0, 0),
            unit * 2**scale,
            borderType=cv2.BORDER_REPLICATE,
        )
        layers.append(finer - coarser)
        finer = coarser
    return layers


def magnitudes(luminance: np.ndarray) -> np.ndarray:
    """Measure how strong each band is at each place.

    Parameters
    ----------
    luminance : ndarray of float32 (height, width)

    Returns
    -------
    ndarray of float32 (height, width, scales)
    """
    split = bands(luminance, scales=scales_of(len(luminance)))
    return np.stack(
        [
            cv2.GaussianBlur(
                np.abs(band), (0, 0), _AROUND * 2**scale, borderType=cv2.BORDER_REPLICATE
            )
            for scale, band in enumerate(split)
        ],
        axis=-1,
    )


def gains(wanted: np.ndarray, present: np.ndarray, amount: float = 1.0) -> np.ndarray:
    """By how much bands have to be multiplied: float32, as `wanted` and `present` (…, scales)."""
    ratio = (wanted + np.float32(_FLOOR)) / (present + np.float32(_FLOOR))
    return np.clip(ratio**amount, 1 / MOST, MOST).astype(np.float32)


def strengthened(luminance: np.ndarray, gain: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Multiply the bands of a picture.

    Parameters
    ----------
    luminance : ndarray of float32 (height, width)
    gain : ndarray of float32 (height, width, scales)
    unit : float
        See `bands`.

    Returns
    -------
    ndarray of float32 (height, width)
    """
    result = luminance.astype(np.float32)
    for scale, band in enumerate(bands(luminance, unit, gain.shape[-1])):
        result = result + (gain[:, :, scale] - 1) * band
    return result


class MeanDetail:
    """The mean strength of detail over pictures of one size, to be given to their average.

    Parameters
    ----------
    shape : ndarray (468, 2)
        Landmarks of the average, as shares of its side; detail is given back inside the face.
    """

    def __init__(self, shape: np.ndarray):
        self._shape, self._total, self._n = shape, np.zeros(0), 0

    def add(self, luminance: np.ndarray) -> None:
        """Count a picture, float32 (side, side), warped to the average's shape."""
        strength = magnitudes(luminance).astype(np.float64)
        self._total = strength if not self._n else self._total + strength
        self._n += 1

    def give_to(self, mean: np.ndarray, luminance: np.ndarray) -> np.ndarray:
        """Strengthen the detail of the average.

        Parameters
        ----------
        mean : ndarray of float64 (side, side, 3)
        luminance : ndarray of float64 (side, side)
            Of `mean`.

        Returns
        -------
        ndarray of float64 (side, side, 3)
            Its colours keep their hues.
        """
        wanted = (self._total / self._n).astype(np.float32)
        plain = luminance.astype(np.float32)
        detailed = strengthened(plain, gains(wanted, magnitudes(plain)))
        ratio = np.clip(detailed / np.maximum(plain, 1e-3), 0.3, 3).astype(np.float64)
        inside = soft_inside(self._shape, len(mean))
        return mean * (1 + inside * (ratio - 1))[:, :, None]


def soft_inside(shape: np.ndarray, side: int) -> np.ndarray:
    """How much a pixel counts as face: 1 inside, 0 from the outline on; float64 (side, side)."""
    corners = np.rint(shape[FACE_OVAL, :2] * side - 0.5).astype(np.int32)
    inside = cv2.fillPoly(np.zeros((side + 2, side + 2), np.uint8), [corners + 1], 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = np.clip(depth / (_SOFT * side), 0, 1).astype(np.float64)
    return share * share * (3 - 2 * share)
