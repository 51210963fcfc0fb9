"""The last steps of a composite: what around the face is cut off, and lossless files."""

from __future__ import annotations

import cv2
import numpy as np

from facestats.composites.contours import FACE_OVAL
from facestats.composites.light import to_codes

GREY = 128  # code of the grey background, sRGB
_OVAL = 0.97  # axes of the ellipse, in those of the face's outline
_UP = 0.06  # by which its centre lies higher, in heights of the outline: the mesh ends at the hair
_SOFT = 0.012  # width of the edge, share of the side
_RIM = (
    0.02  # by which the mask `face` is narrower than the outline, where background shines through
)


def mask_of(shape: np.ndarray, side: int, kind: str) -> np.ndarray:
    """Find what a mask shows.

    Parameters
    ----------
    shape : ndarray (468, 2)
        Landmarks, as shares of the side.
    side : int
        Pixels.
    kind : str
        `oval`: an ellipse around the face; `face`: its outline.

    Returns
    -------
    ndarray of float64 (side, side)
        From 0 to 1, with a soft edge.
    """
    outline = shape[FACE_OVAL, :2].astype(np.float64) * side - 0.5
    inside = np.zeros((side, side), np.uint8)
    if kind == "oval":
        low, high = outline.min(axis=0), outline.max(axis=0)
        centre, axes = (low + high) / 2, _OVAL * (high - low) / 2
        centre[1] -= _UP * (high - low)[1]
        axes[1] *= 1 + _UP
        box = (tuple(centre.tolist()), tuple((2 * axes).tolist()), 0.0)
        cv2.ellipse(inside, box, 255, -1)
    else:
        cv2.fillPoly(inside, [np.rint(outline).astype(np.int32)], 255)
        rim = 2 * round(_RIM * side) + 1
        inside = cv2.erode(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (rim, rim)))
    soft = cv2.GaussianBlur(inside, (0, 0), max(0.5, _SOFT * side))
    return soft.astype(np.float64) / 255


def finished(
    values: np.ndarray, space: str, shape: np.ndarray | None, mask: str, background: str, bits: int
) -> np.ndarray:
    """Put a mask before an average, and round it to codes.

    Parameters
    ----------
    values : ndarray of float64 (side, side, 3)
        The average.
    space : str
        What the values are: `linear` or `gamma`.
    shape : ndarray (468, 2), optional
        Its landmarks; without them there is no mask.
    mask : str
        `none`, `oval` or `face`.
    background : str
        Around the mask: `grey` or `transparent`.
    bits : int
        8 or 16.

    Returns
    -------
    ndarray of uint8 or uint16 (side, side, 3), or (side, side, 4) with a transparent background
    """
    codes = to_codes(values, space, bits)
    if mask == "none" or shape is None:
        return codes
    shown = mask_of(shape, len(values), mask)
    if background == "transparent":
        alpha = np.rint(shown * (2**bits - 1)).astype(codes.dtype)
        return np.dstack([codes, alpha])
    grey = GREY / 255 * (2**bits - 1)
    mixed = shown[:, :, None] * codes + (1 - shown[:, :, None]) * grey
    return np.rint(mixed).astype(codes.dtype)


def png(codes: np.ndarray) -> bytes:
    """Encode RGB or RGBA codes of 8 or 16 bits as PNG."""
    order = cv2.COLOR_RGBA2BGRA if codes.shape[2] == 4 else cv2.COLOR_RGB2BGR
    return cv2.imencode(".png", cv2.cvtColor(codes, order))[1].tobytes()


def on_white(codes: np.ndarray) -> np.ndarray:
    """RGB codes of 8 bits; transparent ones are laid on white."""
    if codes.shape[2] == 3:
        return codes
    alpha = codes[:, :, 3:].astype(np.float64) / 255
    return np.rint(alpha * codes[:, :, :3] + (1 - alpha) * 255).astype(np.uint8)
