"""Light in a picture: conversion between the codes of a file and light, and sharpness.

sRGB's transfer function is that of IEC 61966-2-1, luminance that of ITU-R BT.709.
"""

from __future__ import annotations

import cv2
import numpy as np

# Tables of the 256 codes.
_CODES = np.arange(256, dtype=np.float64) / 255
TO_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
TO_GAMMA = _CODES.astype(np.float32)
LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]], dtype=np.float32)
# Share of the side by which the hull is eroded: the outline is no feature, and the plain mean blurs
# it most.
_RIM = 0.02


def to_codes(values: np.ndarray, space: str, bits: int = 8) -> np.ndarray:
    """Write values as the codes of a file.

    Parameters
    ----------
    values : ndarray of float
        0–1.
    space : str
        What the values are: `linear` (light) or `gamma` (codes already).
    bits : int
        8 or 16.

    Returns
    -------
    ndarray of uint8 or uint16, of the same shape
    """
    if space == "linear":
        values = np.where(
            values <= 0.0031308, values * 12.92, 1.055 * np.maximum(values, 0) ** (1 / 2.4) - 0.055
        )
    most = 2**bits - 1
    return np.clip(np.rint(values * most), 0, most).astype(np.uint8 if bits == 8 else np.uint16)


def inner_face(shape: np.ndarray, size: int) -> np.ndarray:
    """Find the pixels inside a face.

    Parameters
    ----------
    shape : ndarray (468, 2 or 3)
        Landmarks, as shares of the side.
    size : int
        Side of the picture, pixels.

    Returns
    -------
    ndarray of bool (size, size)
        The convex hull of the landmarks, eroded by 2 % of the side.
    """
    corners = np.rint(shape[:, :2] * size - 0.5).astype(np.int32)
    hull = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), cv2.convexHull(corners), 1)
    rim = 2 * max(1, round(_RIM * size)) + 1
    return cv2.erode(hull, np.ones((rim, rim), np.uint8)).astype(bool)


def gradient_energy(luminance: np.ndarray, where: np.ndarray) -> float:
    """Mean of |∇Y|², by central differences, Y in 0–1 per pixel.

    Parameters
    ----------
    luminance : ndarray of float64 (size, size)
    where : ndarray of bool (size, size)
        The pixels that count.

    Returns
    -------
    float
        NaN where no pixel counts.
    """
    down, across = np.gradient(luminance)
    energy = (down**2 + across**2)[where]
    return float(energy.mean()) if len(energy) else float("nan")


def compare_sharpness(
    luminance: np.ndarray, plain: np.ndarray, shape: np.ndarray
) -> dict[str, float]:
    """Compare the gradient energy inside the face of an average with that of the plain mean.

    Parameters
    ----------
    luminance, plain : ndarray of float64 (size, size)
        The average and the plain mean (`align: none`) of the same faces, in the space that was
        averaged (light or codes).
    shape : ndarray (468, 2)
        Mean landmarks of the average; both pictures are measured inside its face.

    Returns
    -------
    dict
        `gradient_energy`, `gradient_energy_none` (of the plain mean) and their `ratio`.
    """
    where = inner_face(shape, len(luminance))
    ours, theirs = gradient_energy(luminance, where), gradient_energy(plain, where)
    return {
        "gradient_energy": ours,
        "gradient_energy_none": theirs,
        "ratio": ours / theirs if theirs else float("nan"),
    }
