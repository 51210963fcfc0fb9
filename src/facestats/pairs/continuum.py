"""Continua: pictures in steps from one composite to another, in shape and colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facestats.composites.light import TO_LINEAR, to_codes
from facestats.composites.warping import Warper
from facestats.core.files import write_image, write_json
from facestats.errors import number_of
from facestats.pairs.built import Built

SIDE = 240  # pixels of a picture in the strip
MOST = 9  # pictures in a row of it
LABEL = 46  # pixels below a picture
GAP = 4


def shares(steps: int) -> list[float]:
    """The second composite's share in each picture, from 0 to 1 in equal steps."""
    return np.linspace(0, 1, steps).tolist()


def continuum(one: Built, other: Built, steps: int) -> Iterator[np.ndarray]:
    """Draw pictures from one composite to another, both ends among them.

    Both composites are warped to the shape between theirs, and mixed as light.

    Parameters
    ----------
    one, other : Built
        With `image` and `shape`, of one size.
    steps : int
        Number of pictures.

    Yields
    ------
    ndarray of uint8 (size, size, 3)
        sRGB.
    """
    (image, shape), (other_image, other_shape) = one.drawn, other.drawn
    light = [TO_LINEAR[image], TO_LINEAR[other_image]]
    for share in map(np.float32, shares(steps)):
        warp = Warper((1 - share) * shape + share * other_shape, len(image))
        mixed = np.zeros(image.shape, np.float32)
        for picture, own_shape, weight in zip(
            light, (shape, other_shape), (1 - share, share), strict=True
        ):
            if weight:
                mixed += weight * warp(picture, own_shape)
        yield to_codes(mixed, "linear")


def write_continuum(
    out: Path, name: str, ends: tuple[Built, Built], steps: int, why: str | None
) -> None:
    """Write `continuum.json` and, where it can be built, `continuum.jpg` and `frames/`.

    Parameters
    ----------
    out : Path
        The continuum's folder.
    name : str
        As in `params.yaml`.
    ends : pair of Built
    steps : int
        Number of pictures.
    why : str or None
        Why it can't be built.
    """
    if why is None:
        frames = [Image.fromarray(picture) for picture in continuum(*ends, steps)]
        for i, frame in enumerate(frames):
            write_image(out / "frames" / f"{i:02}.jpg", frame)
        write_image(
            out / "continuum.jpg",
            strip(
                frames,
                (ends[0].name, ends[1].name),
                (ends[0].facts["n"], ends[1].facts["n"]),
            ),
        )
    write_json(
        out / "continuum.json",
        {
            "name": name,
            "built": why is None,
            "why": why,
            "steps": steps,
            "shares": shares(steps),
            "from": ends[0].summary(),
            "to": ends[1].summary(),
        },
    )


def strip(
    pictures: list[Image.Image], names: tuple[str, str], counts: tuple[int, int]
) -> Image.Image:
    """Set the pictures side by side, the share of the second composite below each.

    Parameters
    ----------
    pictures : list of Image
        Square ones, from the first composite to the second.
    names, counts : pair
        The two composites, named below the ends, and how many faces are in each.

    Returns
    -------
    Image
    """
    rows = -(-len(pictures) // MOST)
    columns = -(-len(pictures) // rows)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) - GAP, rows * (SIDE + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    ends = {0: 0, len(pictures) - 1: 1}
    for i, (picture, share) in enumerate(zip(pictures, shares(len(pictures)), strict=True)):
        left, top = i % columns * (SIDE + GAP), i // columns * (SIDE + LABEL)
        sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, top))
        lines = [f"{100 * share:.0f} %"] + (
            [f"{names[ends[i]]} ({number_of(counts[ends[i]], 'face')})"] if i in ends else []
        )
        for line, text in enumerate(lines):
            draw.text(
                (left + SIDE / 2, top + SIDE + 13 + 19 * line),
                text,
                fill="black",
                font=_font(text),
                anchor="mm",
            )
    return sheet


def _font(text: str, largest: int = 17) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, the same on every machine, in a size in which the text fits."""
    font = ImageFont.load_default(largest)
    return (
        font
        if font.getlength(text) <= SIDE
        else ImageFont.load_default(max(6, int(largest * SIDE / font.getlength(text))))
    )
