"""Pictures as data URIs, so that a page needs no other file, within a limit of bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from facestats.core.crops import Source, as_file
from facestats.core.figures.sheets import fitting_jpeg
from facestats.errors import InputError
from facestats.machine.faults import fault, is_of_machine
from facestats.report.blocks import PLOT, Figure

# Bytes of all data URIs together: the page stays below 10 MB, for its words and tables take 80 kB
# with the sample.
MOST_BYTES = 9_000_000
FULL = "left out: the report would be larger than 10 MB"
NO_FACES = "left out: report.images is false"


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it.

    Attributes
    ----------
    uri : str, optional
        Data URI; without one, `alt` is written out.
    alt : str
        What it shows, for those who do not see it.
    size : pair of int
        Width and height, pixels.
    """

    uri: str | None
    alt: str
    size: tuple[int, int] = (0, 0)


class Album:
    """Turns figures into pictures until the page is full.

    Parameters
    ----------
    faces : bool
        Whether pictures that show faces may be in it.
    most : int
        Bytes of all data URIs.

    Attributes
    ----------
    room : int
        Bytes that are left.
    left_out : int
        How many pictures did not fit.
    """

    def __init__(self, faces: bool = True, most: int = MOST_BYTES):
        self.faces, self.room, self.left_out = faces, most, 0

    def picture(self, figure: Figure) -> Picture:
        """Read and embed a figure: a plot as it is, a face as a JPEG of its size.

        Parameters
        ----------
        figure : Figure

        Returns
        -------
        Picture

        Raises
        ------
        InputError
            The file is missing or no picture.
        """
        if figure.path is None:
            return Picture(None, figure.alt)
        if figure.of != PLOT and not self.faces:
            return Picture(None, f"{figure.alt}; {NO_FACES}")
        try:
            data, size = (
                _plot(figure.path) if figure.of == PLOT else _face(figure.path, *figure.size)
            )
        except (OSError, UnidentifiedImageError) as error:
            what = figure.alt if isinstance(figure.path, bytes) else figure.path
            if is_of_machine(error):
                raise fault(what, error) from None
            raise InputError(
                f"{what} is no picture that can be read ({type(error).__name__}); "
                "`dvc repro` writes it anew once it is removed"
            ) from None
        kind = "png" if figure.of == PLOT else "jpeg"
        uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        if len(uri) > self.room:
            self.left_out += 1
            return Picture(None, f"{figure.alt}; {FULL}")
        self.room -= len(uri)
        return Picture(uri, figure.alt, size)


def _plot(path: Any) -> tuple[bytes, tuple[int, int]]:
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return data, image.size


def _face(path: Source, side: int, most: int) -> tuple[bytes, tuple[int, int]]:
    with Image.open(as_file(path)) as image:
        image.draft("RGB", (2 * side, 2 * side))
        small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return fitting_jpeg(small, most), small.size
