"""How sharp an average face is, measured inside the face."""

from __future__ import annotations

import cv2
import numpy as np

# Luminance of linear sRGB (ITU-R BT.709).
LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]], dtype=np.float32)
_RIM = 0.02  # share of the side by which the hull is eroded: the outline is what `none` blurs most, and is no feature


def inner_face(shape: np.ndarray, size: int) -> np.ndarray:
    """Bool (size, size): the convex hull of the landmarks (468, 2), eroded by 2 % of the side."""
    corners = np.rint(shape[:, :2] * size - 0.5).astype(np.int32)
    hull = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), cv2.convexHull(corners), 1)
    rim = 2 * max(1, round(_RIM * size)) + 1
    return cv2.erode(hull, np.ones((rim, rim), np.uint8)).astype(bool)


def gradient_energy(luminance: np.ndarray, where: np.ndarray) -> float:
    """Mean of |∇Y|², by central differences, Y in 0–1 a pixel; NaN where there is nothing to look at.

    Parameters
    ----------
    luminance : float64 (size, size).
    where : bool (size, size).
    """
    down, across = np.gradient(luminance)
    energy = (down**2 + across**2)[where]
    return float(energy.mean()) if len(energy) else float("nan")


def compare(luminance: np.ndarray, plain: np.ndarray, shape: np.ndarray) -> dict[str, float]:
    """Gradient energy inside the face of an average, of the plain mean of the same faces, and their ratio.

    Parameters
    ----------
    luminance, plain : float64 (size, size) of the average and of the plain mean (`align: none`), in what was averaged (light or codes).
    shape : mean landmarks of the average, (468, 2); its inner face is where both are looked at.
    """
    where = inner_face(shape, len(luminance))
    ours, theirs = gradient_energy(luminance, where), gradient_energy(plain, where)
    return {
        "gradient_energy": ours,
        "gradient_energy_none": theirs,
        "ratio": ours / theirs if theirs else float("nan"),
    }
