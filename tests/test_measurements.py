"""The measurements: known shapes, copies that must measure the same, shapes that can't be
measured.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from facestats.core.landmarks import LEFT, RIGHT
from facestats.errors import InputError
from facestats.geometry import measurements
from facestats.geometry.anatomy import ALL, PHI, PUPILS, Face
from facestats.geometry.measurements import MEASUREMENTS, NAMES, measure
from resources import OMI
from shapes import known_face, mirrored, uneven_faces

# Between the lines from (-1, 0.8) to (-1.25, 0) and to (0, 1.4).
JAW_ANGLE = np.degrees(np.arccos(-(0.25 + 0.8 * 0.6) / np.hypot(0.25, 0.8) / np.hypot(1, 0.6)))
# What a ruler finds on `known_face`; the lengths (a second True) are still to be divided by its
# size.
KNOWN = {
    "symmetry_score": (1, False),
    "eye_face_ratio": (0.5 / 2.5, False),
    "interpupil_dist": (1.3, True),
    "eye_width_left": (0.5, True),
    "eye_width_right": (0.5, True),
    "ear_left": (0.4, False),
    "ear_right": (0.4, False),
    "ear_mean": (0.4, False),
    "inter_eye_ratio": (0.8 / 0.5, False),
    "golden_ratio": (3 / 2.5, False),
    "golden_deviation": (1.6180339887 - 1.2, False),
    "face_height": (3, True),
    "face_width": (2.5, True),
    "jaw_width": (2, True),
    "chin_height": (0.5, True),
    "jaw_ratio": (2 / 2.5, False),
    "chin_ratio": (0.5 / 3, False),
    "mouth_width": (1, True),
    "smile_intensity": (0.08, False),
    "lip_height": (0.28, True),
    "lip_height_width_ratio": (0.28, False),
    "philtrum_length_ratio": (0.2 / 3, False),
    "nose_width": (0.8, True),
    "nose_length": (0.8, True),
    "nose_width_ratio": (0.8 / 2.5, False),
    "nose_length_ratio": (0.8 / 3, False),
    "brow_eye_left_ratio": (0.1, False),
    "brow_eye_right_ratio": (0.1, False),
    "brow_eye_mean_ratio": (0.1, False),
    "temple_taper_ratio": (2 / 2.2, False),
    "canthal_tilt_left": (0, False),
    "canthal_tilt_right": (0, False),
    "canthal_tilt_mean": (0, False),
    "brow_tilt_left": (0, False),
    "brow_tilt_right": (0, False),
    "brow_tilt_mean": (0, False),
    "gonial_angle_left": (JAW_ANGLE, False),
    "gonial_angle_right": (JAW_ANGLE, False),
    "gonial_angle_mean": (JAW_ANGLE, False),
    "fwhr": (2.5 / 1.3, False),
    "midface_ratio": (1.3 / 1, False),
    "interpupil_face_ratio": (1.3 / 2.5, False),
    "upper_third": (0.9 / 3, False),
    "middle_third": (1 / 3, False),
    "lower_third": (1.1 / 3, False),
    "thirds_deviation": (0.2 / 3 / 3, False),
    "lower_third_ratio": (0.38 / 0.72, False),
    "fifth_outer_left": (0.14, False),
    "fifth_outer_right": (0.14, False),
    "fifth_eye_left": (0.2, False),
    "fifth_eye_right": (0.2, False),
    "fifth_middle": (0.32, False),
    "fifths_deviation": ((0.06 + 0.06 + 0.12) / 5, False),
    "nasal_index": (100, False),
    "lip_ratio": (0.12 / 0.16, False),
    "mouth_nose_ratio": (1 / 0.8, False),
    "cheekbone_height": (1.5 / 1.9, False),
    "chin_philtrum_ratio": (0.5 / 0.2, False),
    "mouth_opening": (0.12, False),
}
# Moves of `known_face`, and what changes by them, to what; lengths as above.
MOVED = {
    "a smile": (
        {"p61": (-0.7, 0.5)},
        {"smile_intensity": 0.18 / 1.4, "mouth_width": 1.4, "lip_height_width_ratio": 0.2},
    ),
    "corners that hang": ({"p61": (-0.5, 0.78)}, {"smile_intensity": -0.1}),
    "an open mouth": (
        {"p14": (0, 0.84), "p17": (0, 1.0)},
        {
            "lip_height": 0.28,
            "chin_height": 0.4,
            "smile_intensity": 0.13,
            "mouth_opening": 0.22,
            "lower_third_ratio": 0.43 / 0.67,
        },
    ),
    "eyes that rise outwards": (
        {"p33": (-0.9, -0.6)},
        {
            "canthal_tilt_left": np.degrees(np.arctan(0.2)),
            "canthal_tilt_right": np.degrees(np.arctan(0.2)),
            "canthal_tilt_mean": np.degrees(np.arctan(0.2)),
        },
    ),
    "brows that fall outwards": (
        {"p46": (-0.85, -0.35), "p70": (-0.85, -0.45)},
        {"brow_tilt_mean": -45, "fwhr": 2.5 / 1.3},
    ),
    "equal thirds": (
        {"p9": (0, -0.6), "p2": (0, 0.4)},
        {"thirds_deviation": 0, "upper_third": 1 / 3, "nasal_index": 100 * 0.8 / 0.9},
    ),
    "equal fifths": (
        {"p33": (-0.75, -0.5), "p133": (-0.25, -0.5)},
        {"fifths_deviation": 0, "fifth_middle": 0.2, "fifth_outer_left": 0.2},
    ),
    "a square jaw": ({"p172": (-1.25, 1.4)}, {"gonial_angle_mean": 90, "jaw_ratio": 1}),
    "a golden face": (
        {"p234": (-1.5 / PHI, 0)},
        {"golden_ratio": PHI, "golden_deviation": 0, "face_width": 3 / PHI},
    ),
    "a narrow face": ({"p234": (-0.75, 0)}, {"golden_ratio": 2, "golden_deviation": 2 - PHI}),
    "parallel sides": ({"p172": (-1.1, 0.8)}, {"temple_taper_ratio": 1, "jaw_ratio": 0.88}),
    "shut eyes": (
        {f"p{point}": (-0.7, -0.5) for point in (160, 158, 153, 144)},
        {"ear_left": 0, "ear_right": 0, "ear_mean": 0},
    ),
}


def size(shape: np.ndarray) -> float:
    away = shape[:, :2] - shape[:, :2].mean(axis=0)
    return np.sqrt(np.mean(away[:, 0] ** 2 + away[:, 1] ** 2))


def swapped(name: str) -> str:
    return name.replace("left", "?").replace("right", "left").replace("?", "right")


def test_columns_are_those_of_the_table_in_its_order():
    measured = measure(uneven_faces())
    assert list(measured.columns) == list(NAMES) == list(KNOWN)
    assert (measured.dtypes == np.float64).all()
    assert len(measured) == 5


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_known_face(name):
    shape = known_face()
    expected, is_length = KNOWN[name]
    assert measure(shape[None])[name][0] == pytest.approx(
        expected / size(shape) if is_length else expected, rel=1e-9
    )


@pytest.mark.parametrize("case", MOVED)
def test_a_known_change(case):
    moved, expected = MOVED[case]
    shape = known_face(**moved)
    measured = measure(shape[None])
    for name, value in expected.items():
        value = value / size(shape) if KNOWN[name][1] else value
        assert measured[name][0] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_left_is_the_persons_own_left():
    """Landmark 263 and its neighbours are on the image's right in a photo."""
    shape = known_face()
    shape[[387, 385, 380, 373], 1] = -0.5  # the left eye shut
    shape[[300, 293, 334, 296, 336, 276, 283, 282, 295, 285], 1] -= 0.3  # the left brow raised
    measured = measure(shape[None]).iloc[0]
    assert shape[263, 0] > 0
    assert (measured.ear_left, measured.ear_right, measured.ear_mean) == pytest.approx(
        (0, 0.4, 0.2)
    )
    assert measured.brow_eye_left_ratio == pytest.approx(0.2)
    assert measured.brow_eye_right_ratio == pytest.approx(0.1)
    assert measured.brow_eye_mean_ratio == pytest.approx(0.15)
    for left, name in ((263, "canthal_tilt"), (276, "brow_tilt"), (397, "gonial_angle")):
        shape = known_face()
        shape[left, 1] -= 0.2
        measured = measure(shape[None]).iloc[0]
        assert measured[f"{name}_right"] == pytest.approx(KNOWN[f"{name}_right"][0], abs=0.1)
        assert abs(measured[f"{name}_left"] - KNOWN[f"{name}_left"][0]) > 5
        assert measured[f"{name}_mean"] == pytest.approx(
            (measured[f"{name}_left"] + measured[f"{name}_right"]) / 2
        )
        assert name == "gonial_angle" or measured[f"{name}_left"] > 0


def test_symmetry_falls_by_the_procrustes_distance():
    """Two pairs at one height, pushed sideways in opposite ways by e: no shift, turn or scale makes
    up for it.
    """
    shape = known_face()
    shape[[RIGHT[0], RIGHT[1], LEFT[0], LEFT[1]], 1] = 0.1
    size_squared = 468 * size(shape) ** 2
    e = 0.8
    shape[[RIGHT[0], LEFT[0]], 0] += e
    shape[[RIGHT[1], LEFT[1]], 0] -= e
    t = np.sqrt(4 * e**2 / size_squared)
    assert measure(shape[None]).symmetry_score[0] == pytest.approx(1 - 2 * t / (1 + t**2), rel=1e-9)


def test_symmetry_is_scipys_procrustes_distance():
    flat = uneven_faces() * (1, 1, 0)
    for shape, score in zip(flat, measure(flat).symmetry_score, strict=True):
        *_, squared = procrustes(shape[:, :2], mirrored(shape)[:, :2])
        assert score == pytest.approx(1 - np.sqrt(squared), rel=1e-9)
        assert 0 < score < 0.99


def test_in_a_mirror_left_and_right_are_swapped_and_all_else_stays():
    faces = uneven_faces()
    pupils = faces[:, [159, 386], :2]
    for known in (None, pupils):
        swapped_pupils = None if known is None else (known * (-1, 1))[:, ::-1]
        seen = measure(mirrored(faces), swapped_pupils).rename(columns=swapped)[list(NAMES)]
        pd.testing.assert_frame_equal(seen, measure(faces, known), rtol=1e-9)


def test_pupils_that_are_known_are_measured_and_the_eyes_contour_stands_in_for_others():
    face = known_face()[None]
    pupils = np.array([[[-0.7, -0.6], [0.7, -0.4]]])
    measured = measure(face, pupils).iloc[0]
    between = np.hypot(1.4, 0.2)
    assert measured.interpupil_face_ratio == pytest.approx(between / 2.5)
    assert measured.midface_ratio == pytest.approx(between / 1)
    unknown = measure(face, np.full((1, 2, 2), np.nan))
    pd.testing.assert_frame_equal(unknown, measure(face))


@pytest.mark.long
@pytest.mark.parametrize("degrees", [-170, -30, 12, 90, 180])
@pytest.mark.parametrize(
    ("scale", "shift"), [(1, (0, 0, 0)), (1e-3, (3, -2, 0.5)), (700, (-40, 900, 7))]
)
def test_copies_measure_the_same(degrees, scale, shift):
    faces = uneven_faces()
    copies = scale * faces @ Rotation.from_euler(
        "z", degrees, degrees=True
    ).as_matrix().T + np.array(shift)
    pd.testing.assert_frame_equal(measure(copies), measure(faces), rtol=1e-7)


def test_a_batch_is_its_rows_one_by_one(monkeypatch):
    faces = uneven_faces(7).astype(np.float32)
    one_by_one = pd.concat([measure(face[None]) for face in faces], ignore_index=True)
    pd.testing.assert_frame_equal(measure(faces), one_by_one, check_exact=True)
    monkeypatch.setattr(measurements, "_CHUNK", 3)
    pd.testing.assert_frame_equal(measure(faces), one_by_one, check_exact=True)


def test_what_cannot_be_measured_is_nan_without_a_warning():
    faces = uneven_faces(6)
    faces[0] = np.nan
    faces[1, 200, 2] = np.inf
    faces[2] = 0.3  # a point
    faces[3, :, 1:] = 0.3  # a line across: no height
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(faces)
        assert measure(faces[:0]).shape == (0, len(NAMES))
    assert measured[:4].isna().all(axis=None)
    pd.testing.assert_frame_equal(measured[4:].reset_index(drop=True), measure(uneven_faces(6)[4:]))


@pytest.mark.parametrize(
    ("moved", "without", "zero"),
    [
        (
            {"p61": (0, 0.6)},
            {"smile_intensity", "lip_height_width_ratio", "mouth_opening"},
            "mouth_width",
        ),
        (
            {"p234": (0, 0)},
            {"golden_ratio", "golden_deviation", "eye_face_ratio", "jaw_ratio", "nose_width_ratio"}
            | {"interpupil_face_ratio", "fifth_middle", "fifths_deviation"}
            | {f"fifth_{part}_{side}" for part in ("outer", "eye") for side in ("left", "right")},
            "face_width",
        ),
        ({"p21": (0, -1)}, {"temple_taper_ratio"}, "temple_taper_ratio"),
        (
            {"p33": (-0.4, -0.5)},
            {"ear_left", "ear_right", "ear_mean", "inter_eye_ratio"}
            | {f"canthal_tilt_{side}" for side in ("left", "right", "mean")},
            "eye_width_left",
        ),
    ],
)
def test_a_ratio_to_nothing_is_nan(moved, without, zero):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(known_face(**moved)[None]).iloc[0]
    assert set(measured.index[measured.isna()]) == without
    assert zero in without or measured[zero] == 0


@pytest.mark.parametrize("shape", [(468, 3), (2, 468, 2), (2, 478, 3), (2, 1404)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"expected \(faces, 468, 3\)"):
        measure(np.zeros(shape))


@pytest.mark.long
@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda measurement: measurement.name)
def test_the_landmarks_named_are_those_used(measurement):
    numbers, used = np.array([*range(468), *PUPILS]), set()
    for seed in range(4):  # a mean of distances may not notice a point in one shape
        shape = known_face()[:, :2] + np.random.default_rng(seed).normal(0, 0.05, (468, 2))
        face = Face(np.repeat(shape[None], 471, axis=0))
        face.points[np.arange(468), np.arange(468)] += (0.013, 0.017)
        face.pupils[[468, 469], [0, 1]] += (0.013, 0.017)
        values = measurement.compute(face)
        used |= {*numbers[np.abs(values[:470] - values[470]) > 1e-12].tolist()}
    assert tuple(sorted(used)) == measurement.landmarks
    assert measurement.unit in (measurement.compute.__doc__ or "")


def test_only_symmetry_looks_at_all_landmarks():
    assert [measurement.name for measurement in MEASUREMENTS if measurement.landmarks == ALL] == [
        "symmetry_score"
    ]


def test_measurements_of_real_faces_say_what_people_see():
    """OMI: who smiles is called happy, low brows masculine, a wide jaw heavy.

    Sizes are those of faces.
    """
    if not OMI.is_dir():
        pytest.skip(f"the OMI faces are not at {OMI}")
    archive = np.load(OMI / "landmarks_mediapipe.npz")
    means = pd.read_csv(OMI / "attribute_means.csv", dtype={"stimulus": "str"}).set_index(
        "stimulus"
    )
    means = means.loc[[name.removesuffix(".jpg") for name in archive["filename"]]].reset_index()
    measured = measure(archive["landmarks"])
    assert measured.smile_intensity.corr(means["happy"]) > 0.8
    assert measured.brow_eye_mean_ratio.corr(means["gender"]) < -0.3
    assert measured.jaw_width.corr(means["weight"]) > 0.4
    assert measured.golden_ratio.between(0.8, 1.4).all()
    assert measured.ear_mean.between(0.1, 0.45).all()


def test_some_measurements_alone_are_those_of_all():
    shapes = np.random.default_rng(0).random((5, 468, 3))
    some = measure(shapes, only=["golden_ratio", "symmetry_score"])
    assert list(some) == ["symmetry_score", "golden_ratio"]
    assert some.equals(measure(shapes)[list(some)])
