"""Pictures as data URIs, so that a page needs no other file, within a limit of bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from facestats.core.figures.sheets import fitting_jpeg
from facestats.errors import InputError
from facestats.report.blocks import Picture

MOST_BYTES = 9_000_000  # of all data URIs together: the page stays below 10 MB, for its words and tables take 80 kB with the sample
THUMBNAIL = (
    96,
    6_000,
)  # px of the long side, bytes; the sample's largest is 3.8 kB, that of 300 photographs (OMI) 5.4 kB
FULL = "left out: the report would be larger than 10 MB"
NO_FACES = "left out: report.images is false"


class Album:
    """Turns image files into `Picture`s until the page is full.

    Parameters
    ----------
    faces : whether pictures that show faces may be in it.
    most : bytes of all data URIs.

    Attributes
    ----------
    left_out : how many pictures found no room.
    """

    def __init__(self, faces: bool = True, most: int = MOST_BYTES):
        self.faces, self.room, self.left_out = faces, most, 0

    def thumbnail(self, path: Path, alt: str, caption: str = "") -> Picture:
        """A small picture of a face."""
        return self.face(path, alt, caption, *THUMBNAIL)

    def face(self, path: Path, alt: str, caption: str, side: int, most: int) -> Picture:
        """A picture that shows faces, `side` px along its long side at most, as JPEG of about `most` bytes.

        Raises
        ------
        InputError
            The file is missing or no picture.
        """
        if not self.faces:
            return Picture(None, f"{alt}; {NO_FACES}", caption)
        try:
            with Image.open(path) as image:
                image.draft("RGB", (2 * side, 2 * side))
                small = image.convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise _unreadable(path, error) from None
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return self._picture(fitting_jpeg(small, most), "jpeg", small.size, alt, caption)

    def plot(self, path: Path, alt: str, caption: str = "") -> Picture:
        """A PNG that shows no face, as it is; on a narrow screen it is scrolled, for its words would be too small.

        Raises
        ------
        InputError
            The file is missing or no picture.
        """
        try:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
        except (OSError, UnidentifiedImageError) as error:
            raise _unreadable(path, error) from None
        return replace(self._picture(data, "png", size, alt, caption), wide=True)

    def _picture(
        self, data: bytes, kind: str, size: tuple[int, int], alt: str, caption: str
    ) -> Picture:
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        if len(uri) > self.room:
            self.left_out += 1
            return Picture(None, f"{alt}; {FULL}", caption)
        self.room -= len(uri)
        return Picture(uri, alt, caption, size)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is no picture that can be read ({type(error).__name__}); `dvc repro` writes it anew once it is removed"
    )
