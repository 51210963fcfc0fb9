"""What is done to a face: its new shape, colours that are added, the strength of its detail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from facestats.composites.light import TO_LINEAR
from facestats.composites.shapes import mirrored
from facestats.core.landmarks import MIRROR
from facestats.pairs.built import Built
from facestats.stimuli.frame import laid_on, similarity
from facestats.stimuli.photo import FacePhoto

Sides = Literal["shape", "colour", "both"]


@dataclass(frozen=True)
class Change:
    """A change of one face.

    Attributes
    ----------
    target : ndarray of float64 (468, 2)
        The shape that it gets, px of the photo.
    colours : list of (Built, float)
        Pictures whose colours (CIELAB) are added, with their weights.
    own : float
        Weight with which its own colours are added.
    mirror : float
        Weight with which the mirror image's colours are added, and its own taken away.
    detail : (Built, Built, float), optional
        Two pictures by the ratio of whose detail its own is multiplied, and the power of the
        ratio.
    """

    target: np.ndarray
    colours: list[tuple[Built, float]] = field(default_factory=list)
    own: float = 0.0
    mirror: float = 0.0
    detail: tuple[Built, Built, float] | None = None

    @property
    def recolours(self) -> bool:
        """Whether colours change."""
        return bool(self.colours or self.own or self.mirror or self.detail)


def along(
    face: FacePhoto, of: Built, minus: Built, shape: float, colour: float, texture: float = 0.0
) -> Change:
    """Move a face along the difference of two composites.

    The part of the difference that is not the same on both sides is left out: it comes from heads
    turned to one side, and from light.

    Parameters
    ----------
    face : FacePhoto
    of, minus : Built
        1 is their whole difference towards `of`; below 0 leads away from it.
    shape, colour, texture : float
        How far.

    Returns
    -------
    Change
    """
    target = face.landmarks + shape * shape_step(face.landmarks, of.drawn[1], minus.drawn[1])
    colours = [
        (picture, sign * colour / 2)
        for end, sign in ((of, 1), (minus, -1))
        for picture in (end, flipped(end))
        if colour
    ]
    return Change(target, colours, detail=(of, minus, texture) if texture else None)


def symmetric(face: FacePhoto, sides: Sides, amount: float) -> Change:
    """Make a face symmetric: at 1 wholly, below 0 less symmetric than it is."""
    target = face.landmarks.copy()
    if sides != "colour":
        other = laid_on(face.landmarks[MIRROR] * [-1, 1], face.landmarks)
        target += amount * (other - face.landmarks) / 2
    return Change(target, mirror=0.0 if sides == "shape" else amount / 2)


def caricature(face: FacePhoto, mean: Built, shape: float, colour: float = 0.0) -> Change:
    """Exaggerate how a face differs from a composite; below 0, bring it nearer."""
    own = laid_on(mean.drawn[1], face.landmarks)
    target = face.landmarks + shape * (face.landmarks - own)
    return Change(target, [(mean, -colour)] if colour else [], own=colour)


def shape_step(landmarks: np.ndarray, of: np.ndarray, minus: np.ndarray) -> np.ndarray:
    """The difference of two shapes as shifts of a face's landmarks.

    Parameters
    ----------
    landmarks : ndarray (468, 2)
        Of the face, px.
    of, minus : ndarray (468, 2)
        Any other unit.

    Returns
    -------
    ndarray of float64 (468, 2)
        Px, turned as the face is; the same on both sides of it.
    """
    minus = minus.astype(np.float64)
    near = laid_on(of, minus)
    step, middle = near - minus, (near + minus) / 2
    # The midline of a composite is upright but for a small turn, which `laid_on` a mirror image
    # takes out.
    factor, _ = similarity(middle[MIRROR] * [-1, 1], middle)
    turned = (step[MIRROR] * [-1, 1]) @ [1, 1j] * factor / abs(factor)
    both = (step @ [1, 1j] + turned) / 2
    factor, _ = similarity(middle, landmarks)
    moved = both * factor
    return np.column_stack([moved.real, moved.imag])


def flipped(built: Built) -> Built:
    """The mirror image of a composite."""
    image, shape = built.drawn
    return Built(built.name, np.ascontiguousarray(image[:, ::-1]), mirrored(shape), built.facts)


def lab(image: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB codes (height, width, 3), also between whole ones: float32."""
    if image.dtype == np.uint8:
        return cv2.cvtColor(TO_LINEAR[image], cv2.COLOR_LRGB2Lab)
    light = np.interp(image, np.arange(256), TO_LINEAR).astype(np.float32)
    return cv2.cvtColor(light, cv2.COLOR_LRGB2Lab)
