"""A picture's transparency, and whether it is grey, beside its colours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image

from facestats.machine.limits import is_expendable
from facestats.photos.budget import MAX_PIXELS, MAX_SECONDS
from facestats.photos.containers import open_main, open_without_texts, over_text_limit
from facestats.photos.decode import decode_here, orientation_of, reason, turned
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
    rgb = decode_here(data, None, max_pixels).rgb  # first, for it names what is damaged
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            try:
                return layers_of(open_main(data), rgb)
            except ValueError as error:
                if not over_text_limit(error):
                    raise
            return layers_of(open_without_texts(data), rgb)
        except Exception as error:
            raise reason(error) from None


def layers_of(image: Image.Image, rgb: np.ndarray) -> Layers:
    """Take the layers of a picture, of which `rgb` are the pixels on white."""
    grey = image.mode in _GREY
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    if not transparent or image.format not in _ONE_TURN:
        return Layers(rgb, None, grey)
    pixels = np.asarray(image.convert("RGBA"))
    rgba = turned(pixels, orientation_of(image))  # after decoding, as in `decode`
    alpha = np.ascontiguousarray(rgba[..., 3])
    if alpha.shape != rgb.shape[:2] or alpha.min() == 255:
        return Layers(rgb, None, grey)
    bare = rgb if image.info.get("icc_profile") else np.ascontiguousarray(rgba[..., :3])
    return Layers(bare, alpha, grey)
