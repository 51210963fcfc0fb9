"""A picture's transparency, and whether it is grey, beside its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from facestats.machine.limits import is_expendable
from facestats.photos.budget import MAX_PIXELS, MAX_SECONDS
from facestats.photos.containers import open_main
from facestats.photos.decode import decode_here
from facestats.photos.decoder import decode_apart

_GREY = ("1", "L", "LA", "I", "I;16", "F")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_ONE_TURN = ("PNG", "WEBP", "TIFF", None)  # formats of which Pillow's orientation is the only one


@dataclass(frozen=True)
class Layers:
    """A whole upright picture.

    Attributes
    ----------
    rgb : ndarray of uint8 (height, width, 3)
        sRGB; with `alpha`, what it covers is not laid onto white.
    alpha : ndarray of uint8 (height, width) or None
        None where the picture has no transparency, or one that can't be kept.
    grey : bool
        Whether it has no colours.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False


def open_layers(
    data: bytes, max_pixels: int = MAX_PIXELS, max_seconds: float = MAX_SECONDS
) -> Layers:
    """Decode an image file whole; parameters and errors of `decode.open_photo`."""
    if is_expendable():
        return layers_here(data, max_pixels)
    decoded = decode_apart(data, None, max_pixels, max_seconds, layers=True)
    return Layers(decoded.rgb, decoded.alpha, decoded.grey)


def layers_here(data: bytes, max_pixels: int) -> Layers:
    """`open_layers` in this process."""
    return layers_of(open_main(data), decode_here(data, None, max_pixels).rgb)


def layers_of(image: Image.Image, rgb: np.ndarray) -> Layers:
    """Take the layers of a picture, of which `rgb` are the pixels on white."""
    grey = image.mode in _GREY
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    if not transparent or image.format not in _ONE_TURN:
        return Layers(rgb, None, grey)
    upright = ImageOps.exif_transpose(image)
    rgba = (upright or image).convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    if alpha.shape != rgb.shape[:2] or alpha.min() == 255:
        return Layers(rgb, None, grey)
    bare = rgb if image.info.get("icc_profile") else np.asarray(rgba.convert("RGB"))
    return Layers(bare, alpha, grey)
