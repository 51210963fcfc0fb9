"""A photo whose face is to be moved: all of its pixels, its transparency, and where the face is."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facestats.errors import ImageError
from facestats.faces.crop import NO_FACE, find_photo_faces
from facestats.faces.quality import head_pose
from facestats.photos.budget import MAX_PIXELS, MAX_SECONDS
from facestats.photos.decode import MAX_JPEG_SIDE, to_photo
from facestats.photos.layers import Layers, layers_of, open_layers
from facestats.photos.reading import MAX_MEGABYTES
from facestats.photos.source import as_source, read_photo

if TYPE_CHECKING:
    from facestats.faces.landmarks import Landmarker


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
    limits, image = (max_megabytes, max_pixels, max_seconds), as_source(image)
    _, faces = find_photo_faces(image, landmarker, *limits)
    if not faces:
        raise ImageError(NO_FACE)
    layers = _layers(image, *limits)
    points, size = faces[0].landmarks, layers.rgb.shape[1::-1]
    return FacePhoto(
        layers.rgb,
        points[:, :2].astype(np.float64) * size,
        head_pose(points, *size).yaw,
        len(faces),
        layers.alpha,
        layers.grey,
    )


def _layers(image: Any, max_megabytes: float, max_pixels: int, max_seconds: float) -> Layers:
    """The layers of what `to_photo` takes."""
    if isinstance(image, bytes | bytearray | memoryview):
        return open_layers(bytes(image), max_pixels, max_seconds)
    if isinstance(image, str | os.PathLike):
        try:
            return open_layers(read_photo(image, max_megabytes), max_pixels, max_seconds)
        except ImageError as error:
            raise ImageError(f"{os.fspath(image)}: {error}") from None
    rgb = to_photo(image, None, max_megabytes, max_pixels, max_seconds).rgb
    return layers_of(image, rgb) if isinstance(image, Image.Image) else Layers(rgb)


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
