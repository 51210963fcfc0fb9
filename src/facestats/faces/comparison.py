"""Whether two crops show the same picture, whatever was done to one of them.

Two copies differ by an affine transformation (a crop, a size, a rotation, a mirror image) and by
tones (brightness, contrast, grey, a filter); two pictures of one person differ in shape as well,
and two people in what is seen. So one crop is laid over the other (Evangelidis and Psarakis 2008,
"Parametric image alignment using enhanced correlation coefficient maximization", PAMI 30), its
tones are matched to the other's, and details of 1 to 2 px of a 64 px crop are correlated in every
neighbourhood of the face: the median says whether the same is seen, and how far the neighbourhoods
are still displaced, whether its shape is the same. Before that, patches of one crop are looked for
in the other: nineteen of twenty pairs of different faces end there, in a fifth of the time. `python
-m benchmarks.copies` measures both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facestats.errors import InputError

SIDE = 64  # px of the crops that are compared
SURE = 0.986  # median correlation of details that only copies reach
# Median correlation that copies with other tones reach, if the median displacement (px) is no
# larger.
ALIKE, STILL = 0.93, 0.17
# Least median correlation of a copy's patches with their best places in the other crop.
_MET = 0.9
_PATCH = 6  # px from a patch's middle to its edge
_SEARCH = 3  # px around a patch's own place that are searched
_COARSE = 32  # px, of a first alignment
_HOPELESS = 0.86  # least correlation of a copy's aligned coarse crops
_DARK, _LIGHT = 5, 248  # grey levels beyond which details may have been cut off
_POINTS = [(y, x) for y in range(9, 60, 4) for x in range(12, 54, 4)]


def _ellipse(side: int) -> np.ndarray:
    """Where the face is in an aligned crop: bool (side, side)."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return ((x - 0.5) / 0.344) ** 2 + ((y - 0.523) / 0.406) ** 2 <= 1


_FACE = _ellipse(SIDE)
# ranks of the pixels between whose tones others are matched
_TONES = np.linspace(0, _FACE.sum() - 1, 33).round().astype(int)
_MASKS = {side: _ellipse(side).astype(np.uint8) for side in (_COARSE, SIDE)}
_LEVELS = np.arange(256)
_ROWS, _COLUMNS = np.array([point for point in _POINTS if _FACE[point]]).T
_PATCHES = [(y, x) for y in range(12, 60, 10) for x in range(12, 56, 10) if _FACE[y, x]]


def thumbnail(crop: np.ndarray) -> np.ndarray:
    """The crop (H, W, 3) or (H, W), uint8, as grey levels: uint8 (64, 64)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def read_thumbnail(crop: Path | bytes, size: int) -> np.ndarray:
    """`thumbnail` of a stored crop, a file or its bytes, that is `size` px wide.

    Decoded no larger than needed.

    Raises
    ------
    InputError
        It is no picture, as where it was cut off.
    """
    flag = next(
        (
            flag
            for reduced, flag in (
                (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
                (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
                (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
            )
            if size >= reduced * SIDE
        ),
        cv2.IMREAD_GRAYSCALE,
    )
    data = crop if isinstance(crop, bytes) else crop.read_bytes()
    grey: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if grey is None:
        name = "a crop" if isinstance(crop, bytes) else str(crop)
        raise InputError(f"{name} is no picture any more; `dvc checkout` or `dvc repro` mends it")
    return thumbnail(grey)


def same_picture(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two thumbnails are copies of one picture; a mirror image has to be turned first."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    if _cut(one).sum() > _cut(other).sum():  # cut-off tones can be made, but not undone
        one, other = other, one
    matched = _matched(one, other)
    if not _met(matched, other):
        return False
    if _correlation(one, other) >= SURE:
        return True
    coarse, matrix = _align(_small(matched), _small(other), np.eye(2, 3, dtype=np.float32), 15)
    if coarse < _HOPELESS:
        return False
    # From the coarse pixels' coordinates, of their centres, to those of the thumbnail.
    matrix[:, 2] = 2 * matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5) - 0.5
    matrix = _align(matched, other, matrix, 30)[1]
    laid = cv2.warpAffine(
        other,
        matrix,
        (SIDE, SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    value, one = max(
        ((_correlation(image, laid), image) for image in (one, _matched(one, laid))),
        key=lambda match: match[0],
    )
    return value >= SURE or (value >= ALIKE and _displacement(one, laid) <= STILL)


def _small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)


def _met(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the patches of one crop correlate with the other crop.

    The median of each patch's best place has to reach `_MET`; the search ends as soon as it can't.
    """
    here, there = (
        cv2.GaussianBlur(image, (0, 0), 1) - cv2.GaussianBlur(image, (0, 0), 2)
        for image in (one, other)
    )
    seen, reach, correlations = _seen(one, other), _PATCH + _SEARCH, []
    places = [place for place in _PATCHES if seen[place]] or _PATCHES
    missed = 0
    for y, x in places:
        patch = here[max(y - _PATCH, 0) : y + _PATCH + 1, max(x - _PATCH, 0) : x + _PATCH + 1]
        place = there[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        correlations.append(cv2.minMaxLoc(cv2.matchTemplate(place, patch, cv2.TM_CCOEFF_NORMED))[1])
        missed += correlations[-1] < _MET
        if missed > len(places) / 2:
            return False
    return bool(np.median(correlations) >= _MET)


def _align(
    one: np.ndarray, other: np.ndarray, start: np.ndarray, rounds: int
) -> tuple[float, np.ndarray]:
    """Correlation of two aligned images, and the affine matrix from one's pixels to the other's."""
    side = len(one)
    smooth = [
        even_contrast(cv2.GaussianBlur(image, (0, 0), side / 64), side / 10.7)
        for image in (one, other)
    ]
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, rounds, 1e-4)
    try:
        align: Any = cv2.findTransformECC
        return align(*smooth, start.copy(), cv2.MOTION_AFFINE, stop, _MASKS[side], 1)
    except cv2.error:  # nothing to hold on to, or lost
        return -1.0, start


def even_contrast(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image with the same mean and contrast around every pixel, within some sigma (px)."""
    centred = image - cv2.GaussianBlur(image, (0, 0), sigma)
    return centred / np.sqrt(cv2.GaussianBlur(centred * centred, (0, 0), sigma) + 16)


def _matched(image: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A thumbnail (0 to 255) with its tones, inside the face, brought to another image's."""
    tones, targets = np.sort(image[_FACE])[_TONES], np.sort(like[_FACE])[_TONES]
    tones, first = np.unique(tones, return_index=True)
    return np.interp(_LEVELS, tones, targets[first]).astype(np.float32)[image.astype(np.uint8)]


def _cut(*images: np.ndarray) -> np.ndarray:
    """Black and white pixels, where details may be cut off: bool (64, 64)."""
    return np.any([(image < _DARK) | (image > _LIGHT) for image in images], axis=0) & _FACE


def _seen(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The part of the face that has details in both: bool (64, 64)."""
    seen = _FACE & (cv2.GaussianBlur(_cut(one, other).astype(np.float32), (0, 0), 1.5) < 0.15)
    return seen if seen.sum() >= _FACE.sum() / 10 else _FACE


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Median over the face of the correlation of details around each pixel."""
    x, y = (
        cv2.GaussianBlur(image, (0, 0), 1) - cv2.GaussianBlur(image, (0, 0), 2)
        for image in (one, other)
    )
    xx, yy, xy = (cv2.GaussianBlur(product, (0, 0), 2.5) for product in (x * x, y * y, x * y))
    correlation = xy / np.sqrt((xx + 0.05) * (yy + 0.05))
    return float(np.median(correlation[_seen(one, other)]))


def _displacement(one: np.ndarray, other: np.ndarray) -> float:
    """Median displacement, px, of the face's parts by Lucas and Kanade (1981)."""

    def details(image: np.ndarray) -> np.ndarray:
        band = cv2.GaussianBlur(image, (0, 0), 1) - cv2.GaussianBlur(image, (0, 0), 4)
        return band / np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 4) + 4)

    x, y = details(one), details(other)
    mean = (x + y) / 2
    slopes = [cv2.Sobel(mean, cv2.CV_32F, *axis, ksize=3) / 8 for axis in ((1, 0), (0, 1))] + [mean]
    weight = _seen(one, other).astype(np.float32)

    def local_sums(product: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(product * weight, (0, 0), 3.5)[_ROWS, _COLUMNS]

    left = (
        np.array([[local_sums(a * b) for a in slopes] for b in slopes]).transpose(2, 0, 1)
        + np.eye(3) * 1e-4
    )
    right = np.array([local_sums(a * (y - x)) for a in slopes]).T
    moved = np.linalg.solve(left, right[..., None])[:, :2, 0]
    hold = np.linalg.eigvalsh(left[:, :2, :2])[:, 0]  # small where there is nothing to hold on to
    return float(np.median(np.hypot(*moved.T)[hold > np.quantile(hold, 0.3)]))
