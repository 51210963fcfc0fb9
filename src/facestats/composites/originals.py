"""The members of a composite, cut out of their photos at the photos' own resolution."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from statistics import median
from typing import NamedTuple, Protocol

import numpy as np

from facestats.composites.members import Member, Members
from facestats.core.files import without_apostrophe
from facestats.core.photo_files import refuse_link_out
from facestats.errors import ImageError, InputError
from facestats.faces.align import CropTransform, align_face, center_square
from facestats.faces.crop import find_photo_faces
from facestats.faces.landmarks import Landmarker
from facestats.photos.budget import BYTES
from facestats.photos.decode import open_photo
from facestats.photos.source import is_photo, read_photo

_DRAWN = 300  # bytes that averaging takes at most for a pixel of the picture
_NEAR = 0.01  # share of the crop's side by which landmarks may lie elsewhere than in the table


class Limits(Protocol):
    """What a photo may take: `preprocess` of `params.yaml`."""

    max_megabytes: int
    max_pixels: int
    max_seconds: float


class _Place(NamedTuple):
    """A photo, and where in it the face's crop lies."""

    image: str
    sha256: str
    crop: CropTransform
    size: tuple[int, int]


class Originals:
    """The members of a composite with the pixels of their photos.

    They may be iterated, as `Member`, any number of times; one photo is held at a time. Photos are
    opened as `preprocess` opens them, within the same limits.

    Parameters
    ----------
    members : Members
    images : str or Path
        The folder of photos.
    landmarker : Path
        Folder of the models that find faces.
    side : int, optional
        Of the picture, px; by default the median of the crops' sides in px of their photos, as far
        as `limits` allow.
    limits : Limits
    cache : Path, optional
        DVC's cache, to which links among the photos may lead.

    Attributes
    ----------
    side : int

    Raises
    ------
    InputError
        A photo is missing, behind a link out of its folder, or another one than its face was cut
        out of, or `side` is larger than the photos are.
    """

    def __init__(
        self,
        members: Members,
        images: str | Path,
        landmarker: Path,
        side: int | None,
        limits: Limits,
        cache: Path | None = None,
    ):
        self._members, self._limits = members, limits
        self._images, self._cache = Path(images), cache
        finder = Landmarker(landmarker)
        self._places = {member.filename: self._find(member, finder) for member in members}
        sides = [place.crop.side for place in self._places.values()]
        most = math.isqrt(limits.max_pixels * BYTES // _DRAWN)
        own = math.floor(median(sides)) if sides else most
        self.side = side or min(own, most)
        if self.side > own:
            raise InputError(
                f"render.side = {side} px is more than the photos have: their faces, with the "
                f"margin of the crops, are {own} px large (median); set it to {own}, or leave it "
                "out"
            )
        if self.side > most:
            raise InputError(
                f"render.side = {side} px takes more memory than a photo may; at most {most} px "
                "are possible, or make preprocess.max_pixels larger"
            )

    def __iter__(self) -> Iterator[Member]:
        for member in self._members:
            place = self._places[member.filename]
            yield member._replace(
                pixels=partial(self._pixels, place), inside=partial(self._inside, place)
            )

    def _find(self, member: Member, landmarker: Landmarker) -> _Place:
        """Find the crop's place in its photo."""
        row = self._members.photos.loc[member.filename]
        image, sha256 = without_apostrophe(str(row["image"])), str(row["sha256"])
        name = PurePosixPath(image)
        if name.is_absolute() or ".." in name.parts:
            raise InputError(f"{image} is no name of a photo; run `dvc repro`")
        data = self._read(image, sha256)
        path = self._images / image
        limits = self._limits
        try:
            photo, faces = find_photo_faces(
                data, landmarker, limits.max_megabytes, limits.max_pixels, limits.max_seconds
            )
        except ImageError as error:
            raise InputError(f"{path}: {error}") from None
        size = photo.width, photo.height
        if member.landmarks is None:
            crop = center_square(*size)
        else:
            crop = crop_of(faces[0].landmarks[:, :2] * size, member.landmarks) if faces else None
        if crop is None:
            raise InputError(
                f"the face of {path} is not found where `preprocess` found it; run `dvc repro`"
            )
        return _Place(image, sha256, crop, size)

    def _pixels(self, place: _Place) -> np.ndarray:
        data = self._read(place.image, place.sha256)
        photo = open_photo(data, None, self._limits.max_pixels, self._limits.max_seconds)
        return align_face(photo.rgb, place.crop, self.side)

    def _inside(self, place: _Place) -> np.ndarray:
        x, y, side, angle = place.crop.x, place.crop.y, place.crop.side, place.crop.angle
        along = (np.arange(self.side, dtype=np.float32) + np.float32(0.5)) / self.side - 0.5
        cos, sin = side * math.cos(angle), side * math.sin(angle)
        right = x + cos * along[None] - sin * along[:, None]
        down = y + sin * along[None] + cos * along[:, None]
        width, height = place.size
        nearest = np.minimum.reduce([right, width - right, down, height - down])
        return np.maximum(nearest / side, 0).astype(np.float32)

    def _read(self, image: str, sha256: str) -> bytes:
        path = self._images / image
        if not is_photo(path):
            raise InputError(
                f"{path} is missing: a composite with filter.originals is drawn from its members' "
                "photos; bring it back, or run `dvc repro`"
            )
        refuse_link_out(self._images, image, self._cache)
        try:
            data = read_photo(path, self._limits.max_megabytes)
        except ImageError as error:
            raise InputError(f"{path}: {error}") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InputError(
                f"{path} is not the photo that its face was cut out of; run `dvc repro`"
            )
        return data


def crop_of(photo: np.ndarray, crop: np.ndarray) -> CropTransform | None:
    """Find where in a photo a crop lies, by landmarks in both.

    Parameters
    ----------
    photo : ndarray (468, 2)
        Px of the photo.
    crop : ndarray (468, 2 or 3)
        Shares of the crop.

    Returns
    -------
    CropTransform or None
        None where the two are no similar shapes.
    """
    there, here = (points[:, :2].astype(np.float64) @ [1, 1j] for points in (photo, crop))
    middle = there.mean(), here.mean()
    there, here = there - middle[0], here - middle[1]
    factor = np.vdot(here, there) / np.vdot(here, here).real  # side and turn as one number
    if not np.abs(there - factor * here).max() <= _NEAR * abs(factor):
        return None
    centre = middle[0] + factor * (complex(0.5, 0.5) - middle[1])
    return CropTransform(
        float(centre.real), float(centre.imag), float(abs(factor)), float(np.angle(factor))
    )
