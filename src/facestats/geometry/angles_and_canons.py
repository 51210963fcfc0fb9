"""Tilts and angles, and how far a face follows the canons: thirds, fifths and other ratios.

`anatomy` says what lengths and sides are. Heights and widths are measured along the axes of the
upright face, other lengths between two points. Each is left empty in the tables beyond the head
pose up to which it changes by at most half a standard deviation between people; `python -m
benchmarks.measurements` measures that angle on turned pictures, and docs/measurements.md has it.
"""

from __future__ import annotations

import numpy as np

from facestats.geometry.anatomy import (
    ALAE,
    CANONS,
    CHEEKS,
    CHIN,
    FARKAS,
    GLABELLA,
    HEIGHT,
    INNER_BROWS,
    INNER_LIPS,
    JAW,
    LEFT_BROW_ENDS,
    LEFT_CHEEKBONE,
    LEFT_CORNERS,
    LIP_TOP,
    LOWER_LIP,
    MOUTH,
    NOSE,
    OWN,
    PHILTRUM,
    PUPILS,
    RIGHT_BROW_ENDS,
    RIGHT_CHEEKBONE,
    RIGHT_CORNERS,
    SUBNASALE,
    UPPER_LIP,
    ZERO,
    Face,
    Measurement,
    entering,
    ratio,
)
from facestats.geometry.feature_ratios import (
    chin_height,
    face_width,
    mouth_width,
    nose_length,
    nose_width,
)

MEASUREMENTS: list[Measurement] = []  # in the order of the table's columns
measures = entering(MEASUREMENTS)
POWELL = "Powell & Humphreys 1984: {}"
FISSURE = FARKAS.format("inclination of the eye fissure, en–ex")
BROW = "own definition; the brow's ends as in Gunter & Antrobus 1997"
ANGLE = "own definition on Farkas' go and gn"
LEFT_BROW_POINTS = LEFT_BROW_ENDS[0] + LEFT_BROW_ENDS[1]
RIGHT_BROW_POINTS = RIGHT_BROW_ENDS[0] + RIGHT_BROW_ENDS[1]
TOP, MENTON = HEIGHT
EYES = RIGHT_CORNERS + LEFT_CORNERS
# Borders of the vertical fifths, from the person's right to the left.
FIFTHS = (CHEEKS[0], *RIGHT_CORNERS, *reversed(LEFT_CORNERS), CHEEKS[1])


def _y(face: Face, *landmarks: int) -> np.ndarray:
    """Mean height of some landmarks, downwards."""
    return face.centre(landmarks)[:, 1]


def _tilt(inner: np.ndarray, outer: np.ndarray, side: int) -> np.ndarray:
    """Degrees by which a line rises from its inner end; `side`: -1 right, 1 left."""
    across, up = side * (outer[:, 0] - inner[:, 0]), inner[:, 1] - outer[:, 1]
    angle = np.degrees(np.arctan2(up, across))
    return np.where(np.hypot(across, up) > ZERO, angle, np.nan)


def _gonial(face: Face, cheek: int, jaw: int) -> np.ndarray:
    """Degrees between the lines from the angle of the jaw to the cheek and to the chin."""
    up, along = (face.points[:, end] - face.points[:, jaw] for end in (cheek, MENTON))
    cross = up[:, 0] * along[:, 1] - up[:, 1] * along[:, 0]
    angle = np.degrees(np.arctan2(np.abs(cross), (up * along).sum(axis=1)))
    lengths = np.minimum(np.linalg.norm(up, axis=1), np.linalg.norm(along, axis=1))
    return np.where(lengths > ZERO, angle, np.nan)


def _third(face: Face, upper: int, lower: int) -> np.ndarray:
    return ratio(_y(face, lower) - _y(face, upper), _y(face, MENTON) - _y(face, TOP))


def _fifth(face: Face, number: int) -> np.ndarray:
    x = face.points[:, :, 0]
    right, left = FIFTHS[number], FIFTHS[number + 1]
    return ratio(x[:, left] - x[:, right], x[:, CHEEKS[1]] - x[:, CHEEKS[0]])


def _pupil_distance(face: Face) -> np.ndarray:
    return np.linalg.norm(face.pupils[:, 1] - face.pupils[:, 0], axis=1)


@measures(LEFT_CORNERS, "degrees", FISSURE, upto=(22, 30))
def canthal_tilt_left(face):
    """By how much the left eye's outer corner lies above its inner one: the angle of the line
    between them; negative where it falls.
    """
    outer, inner = LEFT_CORNERS
    return _tilt(face.points[:, inner], face.points[:, outer], 1)


@measures(RIGHT_CORNERS, "degrees", FISSURE, upto=(22, 30))
def canthal_tilt_right(face):
    """The same of the right eye."""
    outer, inner = RIGHT_CORNERS
    return _tilt(face.points[:, inner], face.points[:, outer], -1)


@measures(EYES, "degrees", FISSURE, upto=(33, 30))
def canthal_tilt_mean(face):
    """Mean of `canthal_tilt_left` and `canthal_tilt_right`."""
    return (canthal_tilt_left(face) + canthal_tilt_right(face)) / 2


@measures(LEFT_BROW_POINTS, "degrees", BROW, upto=(27, 7))
def brow_tilt_left(face):
    """By how much the outer end of the left brow lies above its inner end: the angle of the line
    between them.
    """
    outer, inner = LEFT_BROW_ENDS
    return _tilt(face.centre(inner), face.centre(outer), 1)


@measures(RIGHT_BROW_POINTS, "degrees", BROW, upto=(27, 7))
def brow_tilt_right(face):
    """The same of the right brow."""
    outer, inner = RIGHT_BROW_ENDS
    return _tilt(face.centre(inner), face.centre(outer), -1)


@measures(LEFT_BROW_POINTS + RIGHT_BROW_POINTS, "degrees", BROW, upto=(32, 7))
def brow_tilt_mean(face):
    """Mean of `brow_tilt_left` and `brow_tilt_right`."""
    return (brow_tilt_left(face) + brow_tilt_right(face)) / 2


@measures((CHEEKS[1], JAW[1], MENTON), "degrees", ANGLE, upto=(9, 9))
def gonial_angle_left(face):
    """Angle at the left angle of the jaw, seen from the front, between the lines to the cheek's
    outermost point (454) and to the chin (152). The gonial angle of a lateral radiograph is another
    one.
    """
    return _gonial(face, CHEEKS[1], JAW[1])


@measures((CHEEKS[0], JAW[0], MENTON), "degrees", ANGLE, upto=(9, 9))
def gonial_angle_right(face):
    """The same on the right side."""
    return _gonial(face, CHEEKS[0], JAW[0])


@measures((*CHEEKS, *JAW, MENTON), "degrees", ANGLE, upto=(20, 8))
def gonial_angle_mean(face):
    """Mean of `gonial_angle_left` and `gonial_angle_right`."""
    return (gonial_angle_left(face) + gonial_angle_right(face)) / 2


@measures(
    (*CHEEKS, LIP_TOP, *INNER_BROWS),
    "heights",
    "facial width-to-height ratio: Weston et al. 2007 on skulls, Carré & McCormick 2008 on photos",
    upto=(21, 30),
)
def fwhr(face):
    """`face_width` by the height from the inner ends of the brows to the top of the upper lip."""
    return ratio(face_width(face), _y(face, LIP_TOP) - _y(face, *INNER_BROWS))


@measures(
    (*PUPILS, LIP_TOP), "heights", "popular belief, with the pupils of Farkas 1994", upto=(33, 30)
)
def midface_ratio(face):
    """Between the pupils, by the height from the pupils to the top of the upper lip."""
    return ratio(_pupil_distance(face), _y(face, LIP_TOP) - face.pupils[..., 1].mean(axis=1))


@measures(
    (*PUPILS, *CHEEKS),
    "face widths",
    "Pallett et al. 2010, who found 0.46 of the width between the ears",
    upto=(14, 28),
)
def interpupil_face_ratio(face):
    """Between the pupils, by `face_width`."""
    return ratio(_pupil_distance(face), face_width(face))


@measures(
    (*HEIGHT, GLABELLA),
    "face heights",
    POWELL.format("trichion–glabella; the mesh has no hairline"),
    upto=(33, 30),
)
def upper_third(face):
    """Height from the top of the mesh (10) to between the brows (9), by that of the face (10 to
    152). The mesh ends below the hairline: it is less than a third.
    """
    return _third(face, TOP, GLABELLA)


@measures(
    (*HEIGHT, GLABELLA, SUBNASALE),
    "face heights",
    POWELL.format("glabella–subnasale"),
    upto=(33, 30),
)
def middle_third(face):
    """Height from between the brows (9) to the base of the nose (2), by that of the face."""
    return _third(face, GLABELLA, SUBNASALE)


@measures((*HEIGHT, SUBNASALE), "face heights", POWELL.format("subnasale–menton"), upto=(33, 30))
def lower_third(face):
    """Height from the base of the nose (2) to the chin (152), by that of the face."""
    return _third(face, SUBNASALE, MENTON)


@measures(
    (*HEIGHT, GLABELLA, SUBNASALE), "face heights", POWELL.format("equal thirds"), upto=(33, 30)
)
def thirds_deviation(face):
    """Mean distance of the three from 1/3, either way."""
    thirds = upper_third(face), middle_third(face), lower_third(face)
    return np.abs(np.stack(thirds) - 1 / 3).mean(axis=0)


@measures(
    (SUBNASALE, *INNER_LIPS, MENTON),
    "heights",
    POWELL.format("upper lip to lower lip and chin, 1:2"),
    upto=(22, 13),
)
def lower_third_ratio(face):
    """Height from the base of the nose (2) to between the lips (13, 14), by that from there to the
    chin (152).
    """
    lips = _y(face, *INNER_LIPS)
    return ratio(lips - _y(face, SUBNASALE), _y(face, MENTON) - lips)


FIFTH = CANONS.format("the face is five eyes wide")


@measures((CHEEKS[1], CHEEKS[0], LEFT_CORNERS[0]), "face widths", FIFTH, upto=(7, 21))
def fifth_outer_left(face):
    """Width from the cheek's outermost point (454) to the outer corner of the left eye, by that of
    the face (234 to 454).
    """
    return _fifth(face, 4)


@measures((*CHEEKS, RIGHT_CORNERS[0]), "face widths", FIFTH, upto=(7, 21))
def fifth_outer_right(face):
    """The same on the right side."""
    return _fifth(face, 0)


@measures((*CHEEKS, *LEFT_CORNERS), "face widths", FIFTH, upto=(10, 16))
def fifth_eye_left(face):
    """Width of the left eye, by that of the face."""
    return _fifth(face, 3)


@measures((*CHEEKS, *RIGHT_CORNERS), "face widths", FIFTH, upto=(10, 16))
def fifth_eye_right(face):
    """Width of the right eye, by that of the face."""
    return _fifth(face, 1)


@measures((*CHEEKS, RIGHT_CORNERS[1], LEFT_CORNERS[1]), "face widths", FIFTH, upto=(14, 14))
def fifth_middle(face):
    """Width between the inner corners of the eyes, by that of the face."""
    return _fifth(face, 2)


@measures(FIFTHS, "face widths", FIFTH, upto=(17, 16))
def fifths_deviation(face):
    """Mean distance of the five from 1/5, either way."""
    fifths = np.stack([_fifth(face, number) for number in range(5)])
    return np.abs(fifths - 1 / 5).mean(axis=0)


@measures((*ALAE, *NOSE), "%", FARKAS.format("al–al × 100 / n–sn"), upto=(33, 24))
def nasal_index(face):
    """`nose_width` in percent of `nose_length`."""
    return 100 * ratio(nose_width(face), nose_length(face))


@measures((*UPPER_LIP, *LOWER_LIP), "lower lips", FARKAS.format("ls–sto by sto–li"), upto=(33, 11))
def lip_ratio(face):
    """Height of the upper lip (0 to 13) by that of the lower lip (14 to 17), at the midline."""
    return ratio(face.length(UPPER_LIP), face.length(LOWER_LIP))


@measures(
    (*MOUTH, *ALAE),
    "nose widths",
    CANONS.format("the mouth is one and a half noses wide"),
    upto=(33, 30),
)
def mouth_nose_ratio(face):
    """`mouth_width` by `nose_width`."""
    return ratio(mouth_width(face), nose_width(face))


@measures((RIGHT_CHEEKBONE, LEFT_CHEEKBONE, MENTON, *EYES), "heights", OWN, upto=(33, 8))
def cheekbone_height(face):
    """Height of the cheekbones' outer ends (116, 345) above the chin (152), by that of the corners
    of the eyes.
    """
    chin = _y(face, MENTON)
    return ratio(chin - _y(face, RIGHT_CHEEKBONE, LEFT_CHEEKBONE), chin - _y(face, *EYES))


@measures(
    (*CHIN, *PHILTRUM),
    "philtrums",
    "popular belief, with the lengths of Farkas 1994",
    upto=(26, 10),
)
def chin_philtrum_ratio(face):
    """`chin_height` by the length of the philtrum (2 to 0)."""
    return ratio(chin_height(face), face.length(PHILTRUM))


@measures(
    (*INNER_LIPS, *MOUTH),
    "mouth widths",
    "own definition, after Ekman & Friesen 1978: action units 25 and 26, lips part, jaw drop",
    upto=(33, 30),
)
def mouth_opening(face):
    """Between the lips (13 to 14), by `mouth_width`; near 0 when closed."""
    return ratio(face.length(INNER_LIPS), mouth_width(face))
