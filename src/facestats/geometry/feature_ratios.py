"""Symmetry, and lengths and ratios of eyes, brows, mouth, nose, chin and jaw, one function each.

`anatomy` says what lengths and sides are.
"""

from __future__ import annotations

import numpy as np

from facestats.core.landmarks import MIRROR, N_LANDMARKS
from facestats.geometry.anatomy import (
    ALAE,
    ALL,
    CANONS,
    CHEEKS,
    CHIN,
    EYE_ASPECT,
    FARKAS,
    HEIGHT,
    INNER_LIPS,
    JAW,
    LEFT_BROW,
    LEFT_CORNERS,
    LEFT_EYE,
    LOWER_LIP,
    MOUTH,
    NOSE,
    OWN,
    PHI,
    PHILTRUM,
    RIGHT_BROW,
    RIGHT_CORNERS,
    RIGHT_EYE,
    TEMPLES,
    UPPER_LIP,
    Face,
    Measurement,
    entering,
    ratio,
)

MEASUREMENTS: list[Measurement] = []  # in the order of the table's columns
measures = entering(MEASUREMENTS)


def _aspect(face: Face, eye: tuple[int, ...]) -> np.ndarray:
    outer, upper, upper_inner, inner, lower_inner, lower = eye
    return ratio(
        face.length((upper, lower)) + face.length((upper_inner, lower_inner)),
        2 * face.length((outer, inner)),
    )


def _brow_over_eye(face: Face, brow: tuple[int, ...], corners: tuple[int, int]) -> np.ndarray:
    return ratio(
        np.linalg.norm(face.centre(brow) - face.centre(corners), axis=1), face.length(HEIGHT)
    )


@measures(ALL, "1 − distance, 0 to 1", "Klingenberg et al. 2002; Dryden & Mardia 1998")
def symmetry_score(face):
    """1 less the full Procrustes distance between the shape and its mirror image with the landmark
    pairs swapped. The distance is what is left between two shapes of unit centroid size, one laid
    over the other as shift, turn and scale allow: 1 is perfect symmetry.
    """
    shape = (face.points[..., 0] + 1j * face.points[..., 1]) / N_LANDMARKS**0.5
    mirrored = -np.take(
        shape.conj(), MIRROR, axis=1
    )  # [:, MIRROR] lays rows out apart: sums would then depend on how many there are
    fit = (mirrored.conj() * shape).sum(axis=1, keepdims=True)
    return 1 - np.linalg.norm(shape - fit * mirrored, axis=1)


@measures(
    RIGHT_CORNERS + LEFT_CORNERS + CHEEKS,
    "face widths",
    CANONS.format("an eye is a fifth of the face"),
)
def eye_face_ratio(face):
    """Mean width of both eyes by `face_width`."""
    return ratio((eye_width_left(face) + eye_width_right(face)) / 2, face_width(face))


@measures(
    RIGHT_CORNERS + LEFT_CORNERS,
    "sizes",
    "Farkas 1994: pupil to pupil; pupils put between the corners",
)
def interpupil_dist(face):
    """Between the eye centres, each the middle of its eye's corners: the 468 points have no irises,
    so gaze does not matter.
    """
    return np.linalg.norm(face.centre(LEFT_CORNERS) - face.centre(RIGHT_CORNERS), axis=1)


@measures(LEFT_CORNERS, "sizes", FARKAS.format("ex–en, left"))
def eye_width_left(face):
    """Between the corners of the left eye."""
    return face.length(LEFT_CORNERS)


@measures(RIGHT_CORNERS, "sizes", FARKAS.format("ex–en, right"))
def eye_width_right(face):
    """Between the corners of the right eye."""
    return face.length(RIGHT_CORNERS)


@measures(LEFT_EYE, "eye widths", EYE_ASPECT)
def ear_left(face):
    """Eye aspect ratio of the left eye: mean of two heights between the lids by the width between
    the corners; near 0 when closed.
    """
    return _aspect(face, LEFT_EYE)


@measures(RIGHT_EYE, "eye widths", EYE_ASPECT)
def ear_right(face):
    """Eye aspect ratio of the right eye, as `ear_left`."""
    return _aspect(face, RIGHT_EYE)


@measures(LEFT_EYE + RIGHT_EYE, "eye widths", EYE_ASPECT)
def ear_mean(face):
    """Mean of `ear_left` and `ear_right`."""
    return (ear_left(face) + ear_right(face)) / 2


@measures(RIGHT_CORNERS + LEFT_CORNERS, "eye widths", CANONS.format("the eyes lie an eye apart: 1"))
def inter_eye_ratio(face):
    """Between the inner corners of the eyes (en–en) by the mean width of both eyes."""
    return ratio(
        face.length((RIGHT_CORNERS[1], LEFT_CORNERS[1])),
        (eye_width_left(face) + eye_width_right(face)) / 2,
    )


@measures(HEIGHT + CHEEKS, "face widths", "popular belief in the golden section")
def golden_ratio(face):
    """`face_height` by `face_width`. The mesh ends below the hairline and near the ears: with it,
    faces are about as high as wide.
    """
    return ratio(face_height(face), face_width(face))


@measures(HEIGHT + CHEEKS, "face widths", "popular belief in the golden section")
def golden_deviation(face):
    """How far `golden_ratio` is from (1 + √5) / 2 = 1.618…, either way."""
    return np.abs(golden_ratio(face) - PHI)


@measures(HEIGHT, "sizes", FARKAS.format("tr–gn, from the mesh's top instead of the hairline"))
def face_height(face):
    """From the top of the forehead (10) to the chin (152)."""
    return face.length(HEIGHT)


@measures(
    CHEEKS, "sizes", FARKAS.format("zy–zy; the outermost points of the mesh lie nearer the ears")
)
def face_width(face):
    """Between the outermost points of both cheeks."""
    return face.length(CHEEKS)


@measures(JAW, "sizes", FARKAS.format("go–go"))
def jaw_width(face):
    """Between the angles of the jaw."""
    return face.length(JAW)


@measures(CHIN, "sizes", "own definition; Farkas measures from the fold below the lip, sl–gn")
def chin_height(face):
    """From the lower edge of the lower lip (17) to the chin (152)."""
    return face.length(CHIN)


@measures(JAW + CHEEKS, "face widths", FARKAS.format("go–go by zy–zy"))
def jaw_ratio(face):
    """`jaw_width` by `face_width`."""
    return ratio(jaw_width(face), face_width(face))


@measures(CHIN + HEIGHT, "face heights", OWN)
def chin_ratio(face):
    """`chin_height` by `face_height`."""
    return ratio(chin_height(face), face_height(face))


@measures(MOUTH, "sizes", FARKAS.format("ch–ch"))
def mouth_width(face):
    """Between the corners of the mouth."""
    return face.length(MOUTH)


@measures(
    MOUTH + INNER_LIPS,
    "mouth widths",
    "own definition, after Ekman & Friesen 1978: action unit 12, lip corner puller",
)
def smile_intensity(face):
    """How far the corners of the mouth lie above the middle between the lips (13, 14), mean of
    both; negative where they hang.
    """
    return ratio(face.centre(INNER_LIPS)[:, 1] - face.centre(MOUTH)[:, 1], mouth_width(face))


@measures(UPPER_LIP + LOWER_LIP, "sizes", FARKAS.format("ls–sto and sto–li"))
def lip_height(face):
    """Height of the upper lip (0 to 13) and the lower lip (14 to 17) at the midline together; an
    open mouth does not add to it.
    """
    return face.length(UPPER_LIP) + face.length(LOWER_LIP)


@measures(UPPER_LIP + LOWER_LIP + MOUTH, "mouth widths", OWN)
def lip_height_width_ratio(face):
    """`lip_height` by `mouth_width`."""
    return ratio(lip_height(face), mouth_width(face))


@measures(PHILTRUM + HEIGHT, "face heights", FARKAS.format("sn–ls, by face height"))
def philtrum_length_ratio(face):
    """From the base of the nose (2) to the upper edge of the upper lip (0), by `face_height`."""
    return ratio(face.length(PHILTRUM), face_height(face))


@measures(ALAE, "sizes", FARKAS.format("al–al"))
def nose_width(face):
    """Between the outermost points of the wings of the nose."""
    return face.length(ALAE)


@measures(NOSE, "sizes", FARKAS.format("n–sn"))
def nose_length(face):
    """From between the eyes (168) to the base of the nose (2)."""
    return face.length(NOSE)


@measures(ALAE + CHEEKS, "face widths", CANONS.format("a quarter"))
def nose_width_ratio(face):
    """`nose_width` by `face_width`."""
    return ratio(nose_width(face), face_width(face))


@measures(NOSE + HEIGHT, "face heights", CANONS.format("a third"))
def nose_length_ratio(face):
    """`nose_length` by `face_height`."""
    return ratio(nose_length(face), face_height(face))


@measures(LEFT_BROW + LEFT_CORNERS + HEIGHT, "face heights", OWN)
def brow_eye_left_ratio(face):
    """From the middle between the left eye's corners to the mean of the left brow's ten points, by
    `face_height`.
    """
    return _brow_over_eye(face, LEFT_BROW, LEFT_CORNERS)


@measures(RIGHT_BROW + RIGHT_CORNERS + HEIGHT, "face heights", OWN)
def brow_eye_right_ratio(face):
    """The same on the right side."""
    return _brow_over_eye(face, RIGHT_BROW, RIGHT_CORNERS)


@measures(LEFT_BROW + LEFT_CORNERS + RIGHT_BROW + RIGHT_CORNERS + HEIGHT, "face heights", OWN)
def brow_eye_mean_ratio(face):
    """Mean of `brow_eye_left_ratio` and `brow_eye_right_ratio`."""
    return (brow_eye_left_ratio(face) + brow_eye_right_ratio(face)) / 2


@measures(JAW + TEMPLES, "temple widths", OWN)
def temple_taper_ratio(face):
    """`jaw_width` by the width at the temples (21 to 251): 1 for parallel sides, less for a face
    that narrows downwards.
    """
    return ratio(jaw_width(face), face.length(TEMPLES))
