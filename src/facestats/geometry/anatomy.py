"""Landmarks with a name, the shape that is measured, and what a measurement is.

Lengths are in units of *size*, the root mean square distance of the 468 landmarks from their
centroid (the centroid size of Dryden & Mardia 1998, over √468), so that they do not depend on a
single length. *Left* and *right* are the person's own sides: the person's right eye is on the
image's left. Farkas' points (Anthropometry of the Head and Face, 1994) are named where the mesh has
a counterpart; it estimates them, and its topmost point, 10, lies on the forehead below the
hairline. Landmark numbers are those of MediaPipe's face mesh; 468 and 473 are the pupils. A ratio
to a length of 0 is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facestats.core.landmarks import MIRROR, N_LANDMARKS

PHI = (1 + 5**0.5) / 2
ALL = tuple(range(N_LANDMARKS))
ZERO = 1e-9  # shorter lengths, in sizes, count as 0; float32 landmarks are exact to 1e-7

# The right side; the left one is its mirror image. Eyes: outer corner, upper lid twice, inner
# corner, lower lid twice.
RIGHT_EYE, RIGHT_BROW = (33, 160, 158, 133, 153, 144), (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
LEFT_EYE, LEFT_BROW = (tuple(MIRROR[list(points)].tolist()) for points in (RIGHT_EYE, RIGHT_BROW))
RIGHT_CORNERS, LEFT_CORNERS = (RIGHT_EYE[0], RIGHT_EYE[3]), (LEFT_EYE[0], LEFT_EYE[3])
HEIGHT, CHEEKS, JAW, TEMPLES, CHIN = (10, 152), (234, 454), (172, 397), (21, 251), (17, 152)
MOUTH, UPPER_LIP, LOWER_LIP, INNER_LIPS = (61, 291), (0, 13), (14, 17), (13, 14)
PHILTRUM, NOSE, ALAE = (2, 0), (168, 2), (129, 358)
GLABELLA, SUBNASALE, LIP_TOP = 9, 2, 0
RIGHT_CHEEKBONE, LEFT_CHEEKBONE = 116, 345
# Both ends of a brow, each between its upper and lower edge: the outer one, the inner one.
RIGHT_BROW_ENDS = ((46, 70), (55, 107))
LEFT_BROW_ENDS = tuple(tuple(MIRROR[list(end)].tolist()) for end in RIGHT_BROW_ENDS)
INNER_BROWS = (*RIGHT_BROW_ENDS[1], *LEFT_BROW_ENDS[1])
# Contour of an eye, and the numbers that MediaPipe gives the centres of the irises, right and left.
RIGHT_CONTOUR = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_CONTOUR = tuple(MIRROR[list(RIGHT_CONTOUR)].tolist())
PUPILS = (468, 473)

FARKAS, CANONS = "Farkas 1994: {}", "neoclassical canons, Farkas et al. 1985: {}"
EYE_ASPECT = "Soukupová & Čech 2016: eye aspect ratio"
OWN = "own definition"


class Face:
    """n upright shapes seen from the front.

    Parameters
    ----------
    points : ndarray of float64 (n, 468, 2)
        X from the person's right to the left, y down, in any unit.
    pupils : ndarray of float64 (n, 2, 2), optional
        The right and the left one, in the same unit and place; by default the mean of each eye's
        contour.
    """

    def __init__(self, points: np.ndarray, pupils: np.ndarray | None = None):
        centre = points.mean(axis=1, keepdims=True)
        self.points = points - centre
        size = np.sqrt((self.points**2).sum(axis=2).mean(axis=1))
        self.points /= size[:, None, None]
        self.pupils = (
            np.stack([self.centre(RIGHT_CONTOUR), self.centre(LEFT_CONTOUR)], axis=1)
            if pupils is None
            else (pupils - centre) / size[:, None, None]
        )

    def centre(self, landmarks: tuple[int, ...]) -> np.ndarray:
        """Mean position of some landmarks, (n, 2), in sizes."""
        return self.points[:, list(landmarks)].mean(axis=1)

    def length(self, ends: tuple[int, int]) -> np.ndarray:
        """Distance between two landmarks, (n,), in sizes."""
        return np.linalg.norm(self.points[:, ends[0]] - self.points[:, ends[1]], axis=1)


@dataclass(frozen=True)
class Measurement:
    """A measurement: its definition, the landmarks that it uses, and the function for it.

    `max_yaw` and `max_pitch`: degrees, either way, beyond which a table leaves it empty.
    """

    name: str
    definition: str
    landmarks: tuple[int, ...]
    unit: str
    source: str
    compute: Callable[[Face], np.ndarray]
    max_yaw: float = np.inf
    max_pitch: float = np.inf


def entering(measurements: list[Measurement]):
    """Make a decorator that adds a function to a list, and its arguments to the docstring."""

    def measures(
        landmarks: tuple[int, ...],
        unit: str,
        source: str,
        upto: tuple[float, float] = (np.inf, np.inf),
    ):
        def enter(compute: Callable[[Face], np.ndarray]) -> Callable[[Face], np.ndarray]:
            text, used = " ".join((compute.__doc__ or "").split()), tuple(sorted(set(landmarks)))
            measurements.append(
                Measurement(compute.__name__, text, used, unit, source, compute, *upto)
            )
            numbers = "all" if used == ALL else ", ".join(map(str, used))
            compute.__doc__ = f"{text}\n\nLandmarks: {numbers}. Unit: {unit}. Source: {source}."
            return compute

        return enter

    return measures


def ratio(length: np.ndarray, to: np.ndarray) -> np.ndarray:
    """length / to, NaN where `to` is 0."""
    return np.divide(length, to, out=np.full(len(to), np.nan), where=np.abs(to) > ZERO)
