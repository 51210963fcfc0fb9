"""Differences of two composites in colour and in shape.

Colours are compared after both are warped to their common shape, shapes after shift, turn and scale
are removed. Two finite groups always differ; the two averages alone can't tell how much of the
difference is chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facestats.composites.contours import PARTS, eye_centres
from facestats.composites.light import TO_LINEAR, inner_face
from facestats.composites.warping import Warper
from facestats.core.landmarks import MIRROR
from facestats.errors import InputError
from facestats.pairs.built import Built

LARGEST = 10  # landmarks that are listed


@dataclass
class Difference:
    """One composite minus another.

    Attributes
    ----------
    pictures : pair of ndarray of float32 (size, size, 3)
        Both composites warped to their common mean shape, light 0–1.
    shape : ndarray of float (468, 2)
        That common shape, as shares of the side.
    lab : ndarray of float32 (size, size, 3)
        Difference of L*, a* and b* (CIELAB, D65).
    inside : ndarray of bool (size, size)
        The pixels of the face, as `inner_face` of the common shape finds them.
    shifts : ndarray of float (468, 2)
        How far each landmark lies to the right of and below its counterpart, percent of the
        distance between the eyes, after the least-squares shift, turn and scale that bring the two
        shapes together.
    scale, turn : float
        What was removed: how much larger the first shape is, and by how many degrees it is turned
        clockwise.
    """

    pictures: tuple[np.ndarray, np.ndarray]
    shape: np.ndarray
    lab: np.ndarray
    inside: np.ndarray
    shifts: np.ndarray
    scale: float
    turn: float

    @property
    def delta_e(self) -> np.ndarray:
        """ΔE*ab (CIE 1976) of each pixel, (size, size): the distance in CIELAB."""
        return np.linalg.norm(self.lab, axis=-1)


def nowhere_in_picture(of: Built, minus: Built) -> str | None:
    """Say why two composites have no pixel to compare; None where they have."""
    if inner_face(_common(of, minus), len(of.drawn[0])).any():
        return None
    return (
        f"the common shape of {of.name} and {minus.name} lies outside the picture, or is too small "
        "in it, so that there is no face to compare"
    )


def _common(of: Built, minus: Built) -> np.ndarray:
    return (of.drawn[1].astype(np.float64) + minus.drawn[1]) / 2


def difference(of: Built, minus: Built) -> Difference:
    """Compare two composites.

    Parameters
    ----------
    of, minus : Built
        With `image` and `shape`, of one size.

    Returns
    -------
    Difference

    Raises
    ------
    InputError
        There is no pixel to compare; `nowhere_in_picture` tells beforehand.
    """
    if why := nowhere_in_picture(of, minus):
        raise InputError(why)
    shape = _common(of, minus)
    (image, of_shape), (minus_image, minus_shape) = of.drawn, minus.drawn
    warp = Warper(shape, len(image))
    pictures = (
        np.clip(warp(TO_LINEAR[image], of_shape), 0, 1),
        np.clip(warp(TO_LINEAR[minus_image], minus_shape), 0, 1),
    )
    first, second = (cv2.cvtColor(picture, cv2.COLOR_LRGB2Lab) for picture in pictures)
    aligned, factor = superimposed(of_shape, minus_shape)
    eyes = np.linalg.norm(np.diff(eye_centres(minus_shape.astype(np.float64)), axis=0))
    return Difference(
        pictures,
        shape,
        first - second,
        inner_face(shape, len(image)),
        100 * (aligned - minus_shape) / eyes,
        float(1 / abs(factor)),
        float(np.degrees(-np.angle(factor))),
    )


def superimposed(shape: np.ndarray, onto: np.ndarray) -> tuple[np.ndarray, complex]:
    """Shift, turn and scale a shape to the least squared distances (ordinary Procrustes).

    Parameters
    ----------
    shape, onto : ndarray (n, 2)

    Returns
    -------
    moved : ndarray of float64 (n, 2)
    factor : complex
        Turn and scale as one number.
    """
    z, target = (points.astype(np.float64) @ [1, 1j] for points in (shape, onto))
    z, middle = z - z.mean(), target.mean()
    factor = np.vdot(z, target - middle) / np.vdot(z, z)
    moved = factor * z + middle
    return np.column_stack([moved.real, moved.imag]), complex(factor)


def one_sided(shifts: np.ndarray) -> np.ndarray:
    """The part of shifts (468, 2) that is not the same on both sides of the face.

    It comes from heads turned to different sides: 96 % of the squared shifts between two samples of
    30 OMI women, and 4 % of those between the women of the highest and the lowest decile.
    """
    return (shifts - shifts[MIRROR] * [-1, 1]) / 2


def measure(result: Difference) -> dict:
    """Measure a difference: colour inside the face, shape by landmark and by part of the face."""
    delta_e, lab = result.delta_e[result.inside], result.lab[result.inside]
    distance = np.linalg.norm(result.shifts, axis=1)
    order = np.argsort(-distance, kind="stable")[:LARGEST]
    return {
        "colour": {
            "measure": "delta E*ab (CIE 1976) inside the face, both warped to their common shape; "
            "about 2.3 is just noticeable",
            "mean": _rounded(delta_e.mean()),
            "median": _rounded(np.median(delta_e)),
            "percentile_95": _rounded(np.percentile(delta_e, 95)),
            "largest": _rounded(delta_e.max()),
            "mean_lightness": _rounded(lab[:, 0].mean()),
            "mean_green_to_red": _rounded(lab[:, 1].mean()),
            "mean_blue_to_yellow": _rounded(lab[:, 2].mean()),
        },
        "shape": {
            "measure": "shift of landmarks in % of the distance between the eyes, after shift, "
            "turn and scale are taken out; right and down as in the picture",
            "root_mean_square": _rounded(np.sqrt(np.mean(distance**2))),
            "one_sided": _rounded(np.sqrt(np.mean(np.sum(one_sided(result.shifts) ** 2, axis=1)))),
            "larger_by": _rounded(100 * (result.scale - 1)),
            "turned_clockwise_degrees": _rounded(result.turn),
            "parts": {
                name: {
                    "right": _rounded(result.shifts[list(points), 0].mean()),
                    "down": _rounded(result.shifts[list(points), 1].mean()),
                    "root_mean_square": _rounded(np.sqrt(np.mean(distance[list(points)] ** 2))),
                }
                for name, points in PARTS.items()
            },
            "largest": [
                {
                    "landmark": int(i),
                    "near": _part(result.shape, i),
                    "right": _rounded(result.shifts[i, 0]),
                    "down": _rounded(result.shifts[i, 1]),
                    "distance": _rounded(distance[i]),
                }
                for i in order
            ],
        },
    }


def _part(shape: np.ndarray, landmark: int) -> str:
    """The part of the face whose outline is nearest."""
    return min(
        PARTS,
        key=lambda name: np.linalg.norm(shape[list(PARTS[name])] - shape[landmark], axis=1).min(),
    )


def _rounded(value: float) -> float:
    return round(float(value), 3) + 0.0  # no -0.0
