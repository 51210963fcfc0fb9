"""Carry out a change of a face within its photo."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from PIL import Image

from facestats.composites.light import TO_LINEAR, to_codes
from facestats.composites.shapes import mirrored
from facestats.composites.texture import gains, magnitudes, strengthened
from facestats.photos.budget import BYTES, MAX_PIXELS, OverBudgetError
from facestats.stimuli.changes import Change, lab
from facestats.stimuli.frame import Frame, similarity
from facestats.stimuli.photo import FacePhoto

_AROUND = 0.12  # distance within which skin is compared, in distances between the eyes: a brow
_LIGHTER = 1.0  # L* by which skin may get lighter than any around it
_MOVED = 150  # bytes that a pixel of the square takes at most


def move_face(photo: FacePhoto, change: Change, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Carry out a change of a face.

    Pixels are fetched bicubically in linear light. Colours are added in CIELAB. Beyond 0.9
    distances between the eyes from the face's outline, the photo stays as it is, to the pixel.

    Parameters
    ----------
    photo : FacePhoto
    change : Change
    max_pixels : int, default MAX_PIXELS
        As of `preprocess.max_pixels`: the memory that a photo of so many may take is what moving
        its face may.

    Returns
    -------
    Image
        Of the photo's size and kind.

    Raises
    ------
    InputError
        The face would fold over itself.
    OverBudgetError
        The face has too many pixels.
    """
    height, width = photo.rgb.shape[:2]
    frame = Frame(photo.landmarks, change.target, width, height)
    most = math.isqrt(max_pixels * BYTES // _MOVED)
    if frame.side > most:
        raise OverBudgetError(
            f"the face is too large to be moved: {frame.side} px with what surrounds it, {most} "
            "are possible; make the photo smaller, or preprocess.max_pixels larger"
        )
    square = _cut(photo.rgb, frame)
    away = frame.moved_from()
    light = TO_LINEAR[square]
    warped = np.clip(_fetched(light, away), 0, 1)
    touched = np.abs(away).max(axis=-1) > 1e-3
    if change.recolours:
        mask = frame.enlarged(frame.mask)
        own = cv2.cvtColor(warped, cv2.COLOR_LRGB2Lab)
        new = _recoloured(own, light, frame, change, photo.grey)
        inside = mask > 0
        new = np.where(inside[:, :, None], own + mask[:, :, None] * (new - own), own)
        warped = np.where(
            inside[:, :, None], np.clip(cv2.cvtColor(new, cv2.COLOR_Lab2LRGB), 0, 1), warped
        )
        touched |= inside
    codes = np.where(touched[:, :, None], to_codes(warped, "linear"), square)
    alpha = photo.alpha
    if alpha is not None:
        moved = _fetched(_cut(alpha, frame).astype(np.float32), away)
        alpha = _pasted(alpha, np.clip(np.rint(moved), 0, 255).astype(np.uint8), frame)
    return photo.to_image(_pasted(photo.rgb, codes, frame), alpha)


def _recoloured(
    own: np.ndarray, light: np.ndarray, frame: Frame, change: Change, grey: bool
) -> np.ndarray:
    """Colours of the moved face, CIELAB, as if the whole square were face."""
    new = own * np.float32(1 + change.own)
    for picture, weight in change.colours:
        image, shape = picture.drawn
        new += np.float32(weight) * frame.enlarged(frame.fetched(lab(image), shape))
    if change.colours and not change.own:
        new = _no_lighter_than_skin(new, own, frame)
    if change.mirror:
        other = frame.positions(mirrored(frame.face)) * np.float32(frame.side / frame.grid)
        shift = np.float32(0.5 * (frame.side / frame.grid - 1))
        none: Any = None
        flipped = cv2.remap(
            np.ascontiguousarray(light[:, ::-1]),
            frame.enlarged(other) + shift,
            none,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        theirs = cv2.cvtColor(np.clip(flipped, 0, 1), cv2.COLOR_LRGB2Lab)
        new += np.float32(change.mirror) * (theirs - own)
    if change.detail:
        new[:, :, 0] = _with_detail(new[:, :, 0], frame, change)
    if grey:
        new[:, :, 1:] = 0
    return new


def _no_lighter_than_skin(new: np.ndarray, own: np.ndarray, frame: Frame) -> np.ndarray:
    """Take back what makes skin lighter than any around it.

    Where one composite has brows and the other has skin, their difference is that of brows and
    skin. On a face that has skin there, it would glow.
    """
    reach = max(1, round(_AROUND * frame.eyes * frame.grid))
    small = (frame.grid, frame.grid)
    before, after = (
        cv2.resize(colours[:, :, 0], small, interpolation=cv2.INTER_AREA) for colours in (own, new)
    )
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    lightest = cv2.GaussianBlur(cv2.dilate(before, kernel), (0, 0), reach / 2)
    everywhere = cv2.GaussianBlur(after - before, (0, 0), 3 * reach)
    most = frame.enlarged(lightest + np.maximum(everywhere, 0) + np.float32(_LIGHTER))
    step = new[:, :, 0] - own[:, :, 0]
    left = np.clip(most - own[:, :, 0], 0, None) / np.maximum(step, 1e-6)
    share = np.where(step > 0, np.minimum(left, 1), 1).astype(np.float32)
    return own + share[:, :, None] * (new - own)


def _with_detail(lightness: np.ndarray, frame: Frame, change: Change) -> np.ndarray:
    assert change.detail is not None
    of, minus, amount = change.detail
    strength = [
        frame.enlarged(frame.fetched(magnitudes(lab(end.drawn[0])[:, :, 0] / 100), end.drawn[1]))
        for end in (of, minus)
    ]
    factor, _ = similarity(minus.drawn[1], frame.target)
    unit = abs(factor) * frame.side / len(minus.drawn[0])  # px of the photo a px of the composite
    return 100 * strengthened(lightness / 100, gains(strength[0], strength[1], amount), unit)


def _fetched(light: np.ndarray, away: np.ndarray) -> np.ndarray:
    side = len(away)
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    none: Any = None
    return cv2.remap(
        light,
        np.stack([x, y], axis=-1) + away,
        none,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _cut(picture: np.ndarray, frame: Frame) -> np.ndarray:
    """The frame's square of a picture; beyond its edge, the edge is repeated."""
    (x, y), side = frame.corner, frame.side
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(y, y + side), 0, height - 1)
    columns = np.clip(np.arange(x, x + side), 0, width - 1)
    return np.ascontiguousarray(picture[rows[:, None], columns[None]])


def _pasted(picture: np.ndarray, square: np.ndarray, frame: Frame) -> np.ndarray:
    """The picture with the frame's square put back."""
    (x, y), side = frame.corner, frame.side
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
    result = picture.copy()
    result[y0:y1, x0:x1] = square[y0 - y : y1 - y, x0 - x : x1 - x]
    return result
