"""A photo whose face is to be moved: all of its pixels, its transparency, and where the face is."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from facestats.errors import ImageError
from facestats.faces.crop import NO_FACE, find_photo_faces
from facestats.faces.quality import head_pose
from facestats.photos.budget import MAX_PIXELS, MAX_SECONDS
from facestats.photos.containers import open_main
from facestats.photos.decode import MAX_JPEG_SIDE, to_photo
from facestats.photos.reading import MAX_MEGABYTES, read_photo

if TYPE_CHECKING:
    from facestats.faces.landmarks import Landmarker

_GREY = ("1", "L", "LA", "I", "I;16", "F")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_ONE_TURN = ("PNG", "WEBP", "TIFF", None)  # formats of which Pillow's orientation is the only one


@dataclass(frozen=True)
class FacePhoto:
    """A photo and its largest face.

    Attributes
    ----------
    rgb : ndarray of uint8 (height, width, 3)
        sRGB, upright.
    landmarks : ndarray of float64 (468, 2)
        Px of the photo.
    yaw : float
        Degrees.
    faces : int
        Faces in the photo; the largest counts.
    alpha : ndarray of uint8 (height, width), optional
        None where the file has no transparency.
    grey : bool
        Whether the file has no colours.
    """

    rgb: np.ndarray
    landmarks: np.ndarray
    yaw: float
    faces: int = 1
    alpha: np.ndarray | None = None
    grey: bool = False

    def to_image(self, rgb: np.ndarray, alpha: np.ndarray | None) -> Image.Image:
        """Make a picture of the photo's kind: RGB or L, with transparency where it has any."""
        picture = Image.fromarray(rgb)
        if self.grey:
            picture = picture.convert("L")
        if alpha is not None:
            picture.putalpha(Image.fromarray(alpha))
        return picture


def read_face(
    image: Any,
    landmarker: Landmarker,
    max_megabytes: float = MAX_MEGABYTES,
    max_pixels: int = MAX_PIXELS,
    max_seconds: float = MAX_SECONDS,
) -> FacePhoto:
    """Read a photo whole and find its largest face.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
    landmarker : Landmarker
    max_megabytes, max_pixels, max_seconds : optional
        See `faces.crop.PreprocessConfig`.

    Returns
    -------
    FacePhoto

    Raises
    ------
    ImageError
        It can't be read, or has no face.
    InputError
        It is no image, or there is no such file.
    """
    source: Any = image
    photo = to_photo(image, None, max_megabytes, max_pixels, max_seconds)
    if isinstance(image, str | os.PathLike):
        source = read_photo(Path(image), max_megabytes)
    _, faces = find_photo_faces(source, landmarker, max_megabytes, max_pixels, max_seconds)
    if not faces:
        raise ImageError(NO_FACE)
    points, size = faces[0].landmarks, (photo.width, photo.height)
    rgb, alpha, grey = _layers(source, photo.rgb)
    return FacePhoto(
        rgb,
        points[:, :2].astype(np.float64) * size,
        head_pose(points, *size).yaw,
        len(faces),
        alpha,
        grey,
    )


def _layers(source: Any, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """Pixels and transparency of an image, and whether it is grey; `rgb` is it on white."""
    if isinstance(source, np.ndarray):
        return rgb, None, False
    image = source if isinstance(source, Image.Image) else open_main(bytes(source))
    grey = image.mode in _GREY
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    if not transparent or image.format not in _ONE_TURN:
        return rgb, None, grey
    upright = ImageOps.exif_transpose(image)
    rgba = (upright or image).convert("RGBA")
    alpha = np.asarray(rgba.getchannel("A"))
    if alpha.shape != rgb.shape[:2] or alpha.min() == 255:
        return rgb, None, grey
    bare = rgb if image.info.get("icc_profile") else np.asarray(rgba.convert("RGB"))
    return bare, alpha, grey


def encoded(picture: Image.Image, suffix: str) -> bytes:
    """Encode a picture as JPEG or PNG.

    Parameters
    ----------
    picture : Image
    suffix : str
        `.jpg`, `.jpeg` (transparency is laid on white) or `.png`.

    Returns
    -------
    bytes
        JPEG at quality 95 with full colour resolution.

    Raises
    ------
    ImageError
        The picture is larger than a JPEG can be.
    """
    buffer = io.BytesIO()
    if suffix.lower() == ".png":
        picture.save(buffer, format="PNG")
        return buffer.getvalue()
    if "A" in picture.getbands():
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
        picture = white
    if max(picture.size) > MAX_JPEG_SIDE:
        raise ImageError(
            f"{picture.width} × {picture.height} px are too many for a JPEG, which has at most "
            f"{MAX_JPEG_SIDE} px a side; rename the photo to .png"
        )
    picture.save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
