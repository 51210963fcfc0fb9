"""Measurements as the tables have them: what pose spoils, pupils, and the colour of the skin."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facestats.core.landmarks import MIRROR
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.irises import Irises, load_irises
from facestats.geometry import skin
from facestats.geometry.anatomy import LEFT_CONTOUR, RIGHT_CONTOUR
from facestats.geometry.columns import COLUMNS, SKIN, measure_faces
from facestats.geometry.measurements import MEASUREMENTS, measure
from resources import encode, jpeg, landmarker_dir, omi_images, studio_photos
from shapes import mirrored, uneven_faces

SIDE = 256
PLAIN = np.zeros(1)
SKIN_RGB = (198, 150, 120)  # L* 65.89, a* 14.04, b* 22.81


@pytest.fixture(scope="module")
def irises():
    return Irises(landmarker_dir())


@pytest.fixture(scope="module")
def face(landmarker):
    """The crop of an OMI face that looks straight ahead: landmarks, and pixels."""
    crop = crop_face(omi_images(9)[8], PreprocessConfig(), landmarker)
    return crop.landmarks, crop.rgb


def one(landmarks, picture, yaw=0.0, pitch=0.0, occlusion=0.0, irises=None) -> pd.Series:
    """The row of one face; the picture is an array."""
    data = encode(Image.fromarray(picture), "PNG")
    pose = (np.array([value]) for value in (yaw, pitch, occlusion))
    return measure_faces(landmarks[None], [data], *pose, irises).iloc[0]


def painted(landmarks, colour, around=(20, 90, 200), lips=(150, 60, 70)) -> np.ndarray:
    """A face whose cheeks and forehead have one colour, and whose lips another."""
    import cv2

    picture = np.full((SIDE, SIDE, 3), around, np.uint8)
    corners = np.rint(landmarks[:, :2] * SIDE).astype(np.int32)
    cv2.fillConvexPoly(picture, cv2.convexHull(corners), colour)
    x, y = corners[14]
    picture[y - 12 : y + 12, x - 30 : x + 30] = lips
    return picture


def test_every_column_is_there_in_the_order_of_the_tables():
    rows = measure_faces(uneven_faces(2), ["none.jpg"] * 2, *[np.zeros(2)] * 3)
    assert tuple(rows.columns) == COLUMNS
    empty = measure_faces(np.empty((0, 468, 3)), [], *[np.empty(0)] * 3)
    assert tuple(empty.columns) == COLUMNS
    assert len(empty) == 0


@pytest.mark.long
@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda each: each.name)
def test_beyond_its_pose_a_measurement_is_empty(measurement):
    yaw, pitch = measurement.max_yaw, measurement.max_pitch
    if np.isinf(yaw):
        yaw = pitch = 89.0  # those that older models and filters use keep their values
    shapes = np.repeat(uneven_faces(1), 6, axis=0)
    rows = measure_faces(
        shapes,
        ["none.jpg"] * 6,
        np.array([0, yaw, -yaw, yaw + 0.1, -yaw - 0.1, 0]),
        np.array([0, -pitch, pitch, 0, 0, pitch + 0.1]),
        np.zeros(6),
    )[measurement.name]
    assert rows[:3].notna().all() or measure(shapes)[measurement.name].isna().all()
    assert rows[:3].nunique() <= 1
    assert rows[3:].isna().all() != np.isinf(measurement.max_yaw)


def test_a_face_turned_by_40_degrees_keeps_no_new_measurement_and_no_colour(face):
    landmarks, picture = face
    row = one(landmarks, picture, yaw=40.0)
    new = [each.name for each in MEASUREMENTS if np.isfinite(each.max_yaw)]
    assert row[[*new, *SKIN]].isna().all()
    assert row["skin_missing"] == "turned away"
    assert row[["symmetry_score", "golden_ratio"]].notna().all()


def test_a_pose_that_is_not_known_counts_as_turned(face):
    row = one(*face, yaw=np.nan)
    assert np.isnan(row["fwhr"])
    assert row["skin_missing"] == "turned away"


def test_the_skins_colour_is_that_of_cheeks_and_forehead(face):
    row = one(face[0], painted(face[0], SKIN_RGB))
    assert row[["skin_l", "skin_a", "skin_b"]].tolist() == pytest.approx(
        [65.89, 14.04, 22.81], abs=0.01
    )
    assert row["skin_ita"] == pytest.approx(np.degrees(np.arctan(15.89 / 22.81)), abs=0.02)
    assert row["skin_ita_class"] == "intermediate"
    assert pd.isna(row["skin_missing"])


def test_cielab_is_that_of_the_standard():
    """White, black, and the primary colours, as tables of sRGB with D65 have them."""
    pixels = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18]]
    expected += [[32.30, 79.19, -107.86]]
    assert skin.to_lab(pixels) == pytest.approx(np.array(expected), abs=0.02)


def test_the_typology_angle_and_its_classes():
    lightness, yellow = np.array([70.0, 50, 30, 60, 60]), np.array([20.0, 15, 20, 0, -3])
    angle = skin.typology_angle(lightness, yellow)
    assert angle[:3] == pytest.approx([45, 0, -45])
    assert np.isnan(angle[3:]).all()
    bounds = np.array([55.1, 55, 41.1, 41, 28.1, 28, 10.1, 10, -29.9, -30, np.nan])
    assert skin.typology_class(bounds).tolist() == [
        "very light",
        *["light"] * 2,
        *["intermediate"] * 2,
        *["tan"] * 2,
        *["brown"] * 2,
        "dark",
        None,
    ]


@pytest.mark.parametrize("tint", [(1, 1, 1), (1.07, 0.9, 0.7), (0.8, 0.95, 1.1)])
def test_a_black_and_white_photo_has_no_skin_colour(face, tint):
    landmarks, picture = face
    grey = np.asarray(Image.fromarray(picture).convert("L"))[..., None] * np.array(tint)
    file = jpeg(Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)), 85)
    row = measure_faces(landmarks[None], [file], PLAIN, PLAIN, PLAIN).iloc[0]
    assert row[list(SKIN)].isna().all()
    assert pd.isna(row["skin_ita_class"])
    assert row["skin_missing"] == "black and white"
    assert row["fwhr"] > 1


def test_photos_in_colour_are_not_taken_for_black_and_white(landmarker):
    for path in omi_images(12):
        crop = crop_face(path, PreprocessConfig(), landmarker)
        assert not isinstance(skin.skin_colour(crop.rgb, crop.landmarks), str), path


@pytest.mark.long
def test_what_hides_the_skin_is_named(face, tmp_path):
    landmarks, picture = face
    assert one(landmarks, picture, occlusion=0.5)["skin_missing"] == "a part is hidden"
    assert pd.isna(one(landmarks, picture, occlusion=np.nan)["skin_missing"])
    blue = painted(landmarks, (120, 150, 198))
    assert one(landmarks, blue)["skin_missing"] == "bluish light"
    away = landmarks + np.float32([2, 0, 0])
    assert one(away, picture)["skin_missing"] == "too little of it in the picture"
    there = measure_faces(landmarks[None], [tmp_path / "none.jpg"], PLAIN, PLAIN, PLAIN).iloc[0]
    assert there["skin_missing"] == "no crop"
    nothing = one(np.full((468, 3), np.nan), picture)
    assert nothing["skin_missing"] == "no landmarks"
    assert nothing.drop("skin_missing").isna().all()


@pytest.mark.long
def test_light_decides_the_class(face):
    """The caution of the page: half the light is another class."""
    landmarks, picture = face
    rows = [one(landmarks, (picture * share).astype(np.uint8)) for share in (1.0, 0.6)]
    assert rows[0]["skin_ita"] > rows[1]["skin_ita"] + 10
    assert rows[0]["skin_ita_class"] != rows[1]["skin_ita_class"]


def test_in_a_mirror_the_skin_stays_and_pupils_change_sides(face, irises):
    landmarks, picture = face
    seen = mirrored(landmarks - np.float32([0.5, 0, 0])) + np.float32([0.5, 0, 0])
    plain, other = one(landmarks, picture), one(seen, picture[:, ::-1])
    assert plain[list(SKIN)].astype(float).to_numpy() == pytest.approx(
        other[list(SKIN)].astype(float).to_numpy(), abs=0.5
    )
    pupils, swapped = irises.find(picture, landmarks), irises.find(picture[:, ::-1], seen)
    assert swapped[::-1] * (-1, 1) + (1, 0) == pytest.approx(pupils, abs=0.004)


def test_pupils_are_where_a_hand_put_them(landmarker, irises):
    """Between the pupils of four photographs: within 2.5 %; the eyes' contours are less sure."""
    for path in studio_photos("female/agata", "female/alica", "male/alex", "male/andrej"):
        if not path.is_file():
            continue
        crop = crop_face(path, PreprocessConfig(), landmarker)
        photo = crop.photo_landmarks[[33, 263], :2] * (crop.width, crop.height)
        corners = crop.landmarks[[33, 263], :2]
        scale = np.linalg.norm(photo[1] - photo[0]) / np.linalg.norm(corners[1] - corners[0])
        pupils = irises.find(crop.rgb, crop.landmarks)
        lines = path.with_suffix(".tem").read_text(encoding="utf-8").splitlines()
        by_hand = np.array([line.split() for line in lines[1:3]], dtype=float)
        between = scale * np.linalg.norm(pupils[1] - pupils[0])
        assert between == pytest.approx(np.linalg.norm(by_hand[1] - by_hand[0]), rel=0.025), path


def test_pupils_come_from_the_irises_or_else_from_the_eyes_contours(face, irises):
    landmarks, picture = face
    found, without = one(landmarks, picture, irises=irises), one(landmarks, picture)
    assert (found["pupils_source"], without["pupils_source"]) == ("irises", "contours")
    assert found["interpupil_face_ratio"] == pytest.approx(
        without["interpupil_face_ratio"], rel=0.08
    )
    assert found["interpupil_face_ratio"] != without["interpupil_face_ratio"]
    assert found["interpupil_dist"] == without["interpupil_dist"]  # between the corners, as before
    middles = [landmarks[list(eye), :2].mean(axis=0) for eye in (RIGHT_CONTOUR, LEFT_CONTOUR)]
    assert irises.find(picture, landmarks) == pytest.approx(np.array(middles), abs=0.03)


def test_a_closed_eye_has_no_pupil(face, irises):
    landmarks, picture = face
    closed = landmarks.copy()
    closed[159], closed[145] = (
        landmarks[[159, 145]].mean(axis=0),
        landmarks[[159, 145]].mean(axis=0),
    )
    assert np.isnan(irises.find(picture, closed)).tolist() == [[True, True], [False, False]]
    row = one(closed, picture, irises=irises)
    assert row["pupils_source"] == "contours"
    assert row["midface_ratio"] > 0


def test_a_folder_without_the_iris_model_is_no_error(tmp_path):
    assert load_irises(tmp_path) is None


@pytest.mark.long
def test_a_batch_is_its_faces_one_by_one_whatever_the_threads(face, irises, monkeypatch):
    landmarks, picture = face
    pictures = [np.roll(picture, 2 * i, axis=2) for i in range(3)]
    files = [encode(Image.fromarray(each), "PNG") for each in pictures]
    shapes, pose = np.stack([landmarks + np.float32(i / 512) for i in range(3)]), np.zeros(3)
    alone = pd.concat(
        [
            measure_faces(shapes[i : i + 1], files[i : i + 1], PLAIN, PLAIN, PLAIN, irises)
            for i in range(3)
        ],
        ignore_index=True,
    )
    for workers in (1, 3):
        monkeypatch.setattr(
            "facestats.geometry.columns.count_workers", lambda n, workers=workers: workers
        )
        together = measure_faces(shapes, files, pose, pose, pose, Irises(landmarker_dir(), workers))
        pd.testing.assert_frame_equal(together, alone, check_exact=True)


def test_the_regions_of_skin_are_mirror_images():
    assert [MIRROR[i] for i in skin.RIGHT_CHEEK] == list(skin.LEFT_CHEEK)
    assert {int(MIRROR[i]) for i in skin.FOREHEAD} == {*skin.FOREHEAD}
