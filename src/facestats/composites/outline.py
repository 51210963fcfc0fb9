"""The outline of a person: hair, ears, neck, as MediaPipe's selfie segmentation sees it.

The mesh of landmarks ends at the hairline and the jaw. Points of the outline on rays from the
middle of the face give it corners beyond, so that these features meet as well.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facestats.composites.contours import FACE_OVAL
from facestats.composites.shapes import mirrored
from facestats.errors import ModelError
from facestats.faces.models import SEGMENTATION_FILE
from facestats.faces.runtime import load_interpreter

RAYS = 32  # a multiple of 4: each ray has its mirror image
_INPUT = 256  # px, side of the model's input
_STEPS = 200  # places looked at on a ray
_NEAREST = 1.04  # distance from the middle of the face at least, in that of its own outline
_FARTHEST = 0.97  # and at most, in that of the picture's edge
_ROW = 0.6  # codes by which rows differ at least; those that repeat the photo's edge differ less
_RAMP = 0.04  # share of the side within which a picture fades out towards its photo's edge


class Segmenter:
    """Tells a person from the background.

    Parameters
    ----------
    model_dir : Path
        Folder with the model's file.

    Raises
    ------
    ModelError
        The file is missing or not the one that MediaPipe ships.
    """

    def __init__(self, model_dir: Path):
        if not (model_dir / SEGMENTATION_FILE).exists():
            raise ModelError(
                f"render.outlines needs {SEGMENTATION_FILE} in {model_dir}; put it into the folder "
                "that landmarker.source names, or set landmarker.source: wheel, and run `dvc repro`"
            )
        self._run: Callable = load_interpreter(model_dir / SEGMENTATION_FILE)

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """How sure it is of a person, 0–1: float32 (256, 256), for uint8 (side, side, 3)."""
        small = cv2.resize(rgb, (_INPUT, _INPUT), interpolation=cv2.INTER_AREA)
        return self._run(small[None].astype(np.float32) / np.float32(255))[0].reshape(_INPUT, -1)


def find_outline(person: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Find where rays from the middle of the face leave the person.

    Parameters
    ----------
    person : ndarray of float32 (side, side)
        How sure a pixel belongs to the person.
    landmarks : ndarray (468, 2 or 3)
        As shares of the side.

    Returns
    -------
    ndarray of float64 (RAYS, 2)
        As shares of the side; near the edge where a ray does not leave the person.
    """
    oval = landmarks[FACE_OVAL, :2].astype(np.float64)
    middle = oval.mean(axis=0)
    angles = 2 * np.pi * np.arange(RAYS) / RAYS
    ways = np.column_stack([np.cos(angles), np.sin(angles)])
    with np.errstate(divide="ignore"):
        edge = np.abs(np.where(ways > 0, (1 - middle) / ways, middle / ways))
    farthest = np.maximum(_FARTHEST * edge.min(axis=1), 0.05)
    nearest = np.minimum(_NEAREST * _radius(oval - middle, angles), farthest)
    share = np.linspace(0, 1, _STEPS)
    away = nearest[:, None] + share * (farthest - nearest)[:, None]
    places = (middle + away[:, :, None] * ways[:, None]) * len(person) - 0.5
    none: Any = None
    inside = cv2.remap(
        person,
        places.astype(np.float32),
        none,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    outside = inside < 0.5
    first = np.where(outside.any(axis=1), outside.argmax(axis=1), _STEPS - 1)
    reached = away[np.arange(RAYS), first]
    # a strand of hair is no outline
    smooth = (np.roll(reached, 1) + 2 * reached + np.roll(reached, -1)) / 4
    return middle + np.clip(smooth, nearest, farthest)[:, None] * ways


def mirrored_outline(outline: np.ndarray) -> np.ndarray:
    """The outline of the mirror image."""
    order = (RAYS // 2 - np.arange(RAYS)) % RAYS
    return mirrored(outline, order)


def own_rows(rgb: np.ndarray) -> np.ndarray:
    """How much each row counts: 0 where a crop repeats the lower edge of its photo.

    Parameters
    ----------
    rgb : ndarray of uint8 (side, side, 3)

    Returns
    -------
    ndarray of float32 (side,)
        0 to 1.
    """
    side = len(rgb)
    differ = np.abs(np.diff(rgb.astype(np.int16), axis=0)).mean(axis=(1, 2))
    varied = np.flatnonzero(differ >= _ROW)
    last = int(varied[-1]) + 1 if len(varied) else side - 1
    if last >= side - 3:
        return np.ones(side, np.float32)
    return np.clip((last - np.arange(side)) / (_RAMP * side), 0, 1).astype(np.float32)


def own_pixels(inside: np.ndarray) -> np.ndarray:
    """How much each pixel counts by how far within its photo it lies.

    Parameters
    ----------
    inside : ndarray of float32 (side, side)
        Shares of the side, 0 beyond the photo.

    Returns
    -------
    ndarray of float32 (side, side)
        0 to 1.
    """
    return np.minimum(inside / np.float32(_RAMP), np.float32(1))


def _radius(around: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Distance of a closed line from its middle at some angles."""
    own = np.arctan2(around[:, 1], around[:, 0])
    order = np.argsort(own)
    return np.interp(angles, own[order], np.linalg.norm(around, axis=1)[order], period=2 * np.pi)
