"""Average faces, in one pass: memory does not grow with the number of members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facestats.composites.members import Member
from facestats.composites.warping import Warper, sample_bilinear
from facestats.errors import InputError

ALIGNMENTS, SPACES = ("none", "eyes", "warp"), ("linear", "gamma")
# Landmarks of the corners of the eyes: the person's right eye, then the left.
RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)
# sRGB's transfer function (IEC 61966-2-1), as a table of the 256 codes.
_CODES = np.arange(256, dtype=np.float64) / 255
TO_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)
TO_GAMMA = _CODES.astype(np.float32)


@dataclass
class Average:
    """An average face.

    Attributes
    ----------
    image : uint8 (size, size, 3), sRGB; None where no member could be used.
    used : names of the members that are in it.
    left_out : names of the members that have no landmarks where the alignment needs them.
    shape : float32 (468, 2), mean landmarks of the picture as shares of its side; None where no member has landmarks.
    """

    image: np.ndarray | None
    used: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    shape: np.ndarray | None = None


def average_faces(members: pd.DataFrame | Iterable[Member], align: str = "warp", space: str = "linear") -> Average:
    """Average face crops of one size.

    Parameters
    ----------
    members : rows of a DataFrame, or what may be iterated several times, with `filename`, `path` and `landmarks` ((468, 3),
        0–1 of the crop, or None). They are looked at one after another, and none is kept.
    align : `none`: plain mean; `eyes`: turned, scaled and shifted so that the eyes meet; `warp`: every triangle of the
        face moved to the mean shape.
    space : `linear` averages light, `gamma` the codes of the file.

    Raises
    ------
    InputError
        An unknown `align` or `space`, or crops of different sizes.
    """
    if align not in ALIGNMENTS or space not in SPACES:
        raise InputError(f"align = {align!r}, space = {space!r}; align is one of {', '.join(ALIGNMENTS)}, "
                         f"space one of {', '.join(SPACES)}")
    result = Average(None)
    mean_shape, shapes = None, 0
    for member in _each(members):
        usable = align == "none" or isinstance(member.landmarks, np.ndarray)
        (result.used if usable else result.left_out).append(member.filename)
        if isinstance(member.landmarks, np.ndarray):
            shape = member.landmarks[:, :2].astype(np.float64)
            mean_shape, shapes = shape if mean_shape is None else mean_shape + shape, shapes + 1
    if mean_shape is not None:
        mean_shape /= shapes
        result.shape = mean_shape.astype(np.float32)
    if not result.used:
        return result
    decode = TO_LINEAR if space == "linear" else TO_GAMMA
    total: np.ndarray | None = None
    move = None
    for member in _each(members):
        if align != "none" and not isinstance(member.landmarks, np.ndarray):
            continue
        image = decode[_read(member.path)]
        if total is None:
            total = np.zeros(image.shape, dtype=np.float64)
            move = _mover(align, mean_shape, len(image)) if align != "none" else _stay
        if image.shape != total.shape:
            raise InputError(f"{member.filename} is {image.shape[1]}×{image.shape[0]} px, the faces before it "
                             f"{total.shape[1]}×{total.shape[0]}; a composite needs faces of one size")
        total += move(image, member.landmarks)
    mean = total / len(result.used)
    if space == "linear":
        mean = np.where(mean <= 0.0031308, mean * 12.92, 1.055 * np.maximum(mean, 0) ** (1 / 2.4) - 0.055)
    result.image = np.clip(np.rint(mean * 255), 0, 255).astype(np.uint8)
    return result


def contact_sheet(paths: list[Path], columns: int = 10, side: int = 96, most: int = 100) -> Image.Image:
    """Thumbnails of up to `most` faces on a white sheet, `columns` to a row."""
    shown = paths[:most]
    columns = min(columns, len(shown))
    sheet = Image.new("RGB", (columns * side, -(-len(shown) // columns) * side), "white")
    for i, path in enumerate(shown):
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            sheet.paste(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS),
                        (i % columns * side, i // columns * side))
    return sheet


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _each(members: pd.DataFrame | Iterable[Member]) -> Iterator[Member]:
    return members.itertuples() if isinstance(members, pd.DataFrame) else iter(members)


def _stay(image: np.ndarray, _: np.ndarray | None) -> np.ndarray:
    return image


def _mover(align: str, mean: np.ndarray, size: int):
    """A function (image, landmarks) -> image that brings one face to the mean shape (468, 2)."""
    if align == "warp":
        return Warper(mean, size)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).reshape(-1, 2).astype(np.float32)
    target = _eyes(mean, size)

    def turn(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        source = _eyes(landmarks, size)
        factor = (source[1] - source[0]) / (target[1] - target[0])  # rotation and scale as one complex number
        place = (grid[:, 0] + 1j * grid[:, 1] - target[0]) * factor + source[0]
        positions = np.column_stack([place.real, place.imag]).astype(np.float32)
        return sample_bilinear(image, positions).reshape(image.shape)

    return turn


def _eyes(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Centres of both eyes as complex pixel positions."""
    points = landmarks[:, :2] * size - 0.5
    return np.array([complex(*points[list(eye)].mean(axis=0)) for eye in (RIGHT_EYE, LEFT_EYE)])
