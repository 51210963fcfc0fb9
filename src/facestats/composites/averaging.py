"""Averaging faces, in one pass over the pixels: memory does not grow with the number of members.

A first pass over the landmarks alone finds the mean shape. A face of 512 px then takes 2 ms to
decode, 0.2 ms to linearise (a table of 256), 1 ms to compute where its pixels come from, 3 ms to
fetch them, and 0.1 ms to add.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pandas as pd
import simplejpeg
from PIL import Image

from facestats.composites.light import (
    LUMINANCE,
    TO_GAMMA,
    TO_LINEAR,
    compare_sharpness,
    to_codes,
)
from facestats.composites.members import Member
from facestats.composites.outline import (
    RAYS,
    Segmenter,
    find_outline,
    mirrored_outline,
    own_pixels,
    own_rows,
)
from facestats.composites.params import FIRST, Render
from facestats.composites.shapes import Target, find_target
from facestats.composites.texture import MeanDetail
from facestats.composites.warping import EyeAligner, Warper
from facestats.errors import InputError
from facestats.machine.faults import fault, is_passing

ALIGNMENTS, SPACES = (get_args(Render.model_fields[name].annotation) for name in ("align", "space"))
DEFAULT = Render()
_LEAST = 0.08  # what a row counts at least, so that there is something everywhere


@dataclass
class Average:
    """An average face.

    Attributes
    ----------
    image : ndarray of uint8 (size, size, 3), optional
        sRGB; None where no member could be used.
    used : list of str
        Names of the members that are in it.
    left_out : dict
        Names by reason: `no_landmarks` (the alignment needs them), `max_yaw` (turned further),
        `folded` (triangles fold over on the way to the mean shape).
    shape : ndarray of float32 (468, 2), optional
        Mean landmarks of the picture as shares of its side; None where no member has landmarks.
    sharpness : dict, optional
        As `light.compare_sharpness` returns it; None without a shape.
    values : ndarray of float64 (size, size, 3), optional
        The average before it was rounded to codes, in the space that was averaged.
    """

    image: np.ndarray | None = None
    used: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    shape: np.ndarray | None = None
    sharpness: dict[str, float] | None = None
    values: np.ndarray | None = None


def average_faces(
    members: pd.DataFrame | Iterable[Member],
    align: str = DEFAULT.align,
    space: str = DEFAULT.space,
    symmetric: bool = DEFAULT.symmetric,
    max_yaw: float = DEFAULT.max_yaw,
    texture: bool = DEFAULT.texture,
    segmenter: Segmenter | None = None,
) -> Average:
    """Average face crops of one size.

    The defaults are those of `composites.<name>.render` in `params.yaml`.

    Parameters
    ----------
    members : DataFrame or iterable of Member
        With `filename`, `path`, `landmarks` ((468, 3), 0–1 of the crop, or None) and `yaw`
        (degrees; may be missing). An iterable must allow several passes. Faces are read one by one,
        and none is kept.
    align : str
        `none`: plain mean; `eyes`: turned, scaled and shifted so that the eyes meet; `warp`: every
        triangle of the face, and its surroundings, moved to the mean shape.
    space : str
        `linear` averages light, `gamma` the codes of the file.
    symmetric : bool
        Average with the mirror image of every face: pixels flipped, landmarks flipped and swapped
        left for right.
    max_yaw : float
        With `warp`, faces turned further to a side (degrees) are left out, since their far cheek is
        hidden. Triangles fold over on 1.2 % of the picture at 20–25° (median of 43 OMI faces), and
        on 2.6 % at 30–35° (of 16, of which 5 can't be unfolded); from 30°, unfolded noses are bent.
    texture : bool
        With `warp`: detail inside the face is as strong as in the faces on average.
    segmenter : Segmenter, optional
        With `warp`: outlines of hair, ears and neck are aligned too, and what lies beyond the edge
        of a photo (of a crop: below it) counts for little.

    Returns
    -------
    Average

    Raises
    ------
    InputError
        An unknown `align` or `space`, crops that differ in size or are not square, or a file that
        is missing or no image.
    """
    if align not in ALIGNMENTS or space not in SPACES:
        raise InputError(
            f"align = {align!r}, space = {space!r}; align is one of {', '.join(ALIGNMENTS)}, "
            f"space one of {', '.join(SPACES)}"
        )
    members = _Rows(members) if isinstance(members, pd.DataFrame) else members
    target = find_target(members, align, symmetric, max_yaw)
    result = Average(
        left_out=target.left_out,
        shape=None if target.shape is None else target.shape.astype(np.float32),
    )
    table = TO_LINEAR if space == "linear" else TO_GAMMA
    total: Any = None
    plain: Any = None
    move: Callable = _stay
    outlines, mean_outline = _outlines(members, target, segmenter, symmetric)
    weight: Any = 0.0
    detail = MeanDetail(target.goal) if texture and target.goal is not None else None
    for member, is_used in zip(members, target.used, strict=True):
        if not is_used:
            continue
        codes = _read(member)
        image = cv2.LUT(codes, table[None])
        _check_size(member, image, total)
        if total is None:
            total, plain = np.zeros(image.shape), np.zeros(image.shape[:2])
            if align != "none":
                kind = {"eyes": EyeAligner, "warp": Warper}[align]
                move = kind(target.goal, len(image), *mean_outline)
        outline = next(outlines)
        moved = move(image, member.landmarks, *outline)
        if outline:
            counts = move(_own_share(member, codes), member.landmarks, *outline)[..., None]
            weight = weight + counts.astype(np.float64)
            cv2.accumulate(moved * counts, total)
        else:
            cv2.accumulate(moved, total)
        if detail is not None:
            detail.add(cv2.transform(moved, LUMINANCE))
        cv2.accumulate(cv2.transform(image, LUMINANCE), plain)
        result.used.append(member.filename)
    if total is None:
        return result
    mean, plain = total / (weight if mean_outline else len(result.used)), plain / len(result.used)
    if symmetric:
        # A mirror image warps to a symmetric shape as the mirror image of the face's own warp.
        mean, plain = (mean + mean[:, ::-1]) / 2, (plain + plain[:, ::-1]) / 2
    if result.shape is not None:
        luminance = plain if align == "none" else mean @ LUMINANCE[0].astype(np.float64)
        result.sharpness = compare_sharpness(luminance, plain, result.shape)
    if detail is not None:
        mean = detail.give_to(mean, mean @ LUMINANCE[0].astype(np.float64))
    result.values, result.image = mean, to_codes(mean, space)
    return result


def averaging_options(render: Render, selection: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `average_faces` for a composite.

    Parameters
    ----------
    render : Render
    selection : mapping
        `selection.json`. Members that were filtered by `yaw` are turned alike, so that none is
        left out for it.
    """
    options = render.model_dump(include={*FIRST, "texture"})
    turned = ((selection.get("filter") or {}).get("columns") or {}).get("yaw")
    return options | ({"max_yaw": 90.0} if turned else {})


def _outlines(
    members: Iterable[Member], target: Target, segmenter: Segmenter | None, symmetric: bool
) -> tuple[Iterator[tuple[np.ndarray, ...]], tuple[np.ndarray, ...]]:
    """The outline of each member that is used, and their mean; nothing without a segmenter."""
    if segmenter is None or target.goal is None:
        return repeat(()), ()
    outlines = [
        find_outline(segmenter(_read(member)), member.landmarks)
        for member, is_used in zip(members, target.used, strict=True)
        if is_used and member.landmarks is not None
    ]
    mean = np.mean(outlines, axis=0) if outlines else np.zeros((RAYS, 2))
    if symmetric:
        mean = (mean + mirrored_outline(mean)) / 2
    return ((outline,) for outline in outlines), (mean,)


def _check_size(member: Member, image: np.ndarray, total: np.ndarray | None) -> None:
    """Refuse a crop that is not square, or of another size than those in `total`."""
    height, width = image.shape[:2]
    if total is None and height != width:
        raise InputError(f"{member.filename} is {width}×{height} px; a face crop is square")
    if total is not None and image.shape != total.shape:
        raise InputError(
            f"{member.filename} is {width}×{height} px, the faces before it "
            f"{total.shape[1]}×{total.shape[0]}; a composite needs faces of one size"
        )


def _own_share(member: Member, codes: np.ndarray) -> np.ndarray:
    """How much of each pixel (size, size, 1) is the photo's own: 1, or less beyond its edge."""
    own = (
        np.repeat(own_rows(codes)[:, None], len(codes), axis=1)
        if member.inside is None
        else own_pixels(member.inside())
    )
    return np.maximum(own, _LEAST)[..., None]


class _Rows:
    """The rows of a DataFrame as members."""

    def __init__(self, table: pd.DataFrame):
        self._table = table

    def __iter__(self) -> Iterator[Member]:
        for row in self._table.itertuples():
            landmarks = row.landmarks if isinstance(row.landmarks, np.ndarray) else None
            yield Member(row.filename, row.path, landmarks, getattr(row, "yaw", None))


def _stay(image: np.ndarray, _: np.ndarray | None) -> np.ndarray:
    return image


def _read(member: Member) -> np.ndarray:
    if member.pixels is not None:
        return member.pixels()
    try:
        data = Path(member.path).read_bytes()
        try:
            # The bits of Pillow, in two thirds of its time.
            return simplejpeg.decode_jpeg(data, colorspace="RGB")
        except ValueError:  # another format than the pipeline's own
            with Image.open(io.BytesIO(data)) as image:
                return np.asarray(image.convert("RGB"))
    except OSError as error:
        if is_passing(error):
            raise fault(member.filename, error) from None
        raise InputError(f"{member.filename} can't be read as an image ({error})") from None
