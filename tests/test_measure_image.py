"""One photo is measured as the table is: by the library, and by the service."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facestats.core import tables
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.irises import Irises
from facestats.faces.preprocess import preprocess_folder
from facestats.faces.tables import FACES
from facestats.geometry.columns import COLUMNS, SKIN, measure_table
from facestats.geometry.pose import is_frontal
from facestats.geometry.shapes import LandmarkTable
from facestats.service import faces as face_routes
from facestats.service.photos import measurements_of
from facestats.service.schemas import Measurements as Answer
from facestats.serving import answers
from facestats.serving.types import Measurements
from resources import landmarker_dir, omi_images

CONFIG = PreprocessConfig(size=256)
HIDDEN = {*SKIN, "skin_ita_class", "skin_missing"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Three photos, and the rows of the table."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "raw").mkdir()
    for path in omi_images(3):
        (folder / "raw" / path.name).write_bytes(path.read_bytes())
    frame = preprocess_folder(folder / "raw", folder / "crops", CONFIG, landmarker_dir(), workers=0)
    tables.write(frame, folder / "faces.parquet", FACES)
    shapes = LandmarkTable(folder / "faces.parquet")
    table = pd.concat(dict(measure_table(shapes, folder / "crops", landmarker_dir())).values())
    return sorted((folder / "raw").iterdir()), shapes.rows.join(table)


@pytest.fixture(scope="module")
def models():
    return SimpleNamespace(irises=Irises(landmarker_dir()), doubts=lambda crop: [])


def answer(photo, models, landmarker, ethnicity) -> Measurements:
    crop = crop_face(photo, CONFIG, landmarker)
    return answers.measurements(models, crop, crop.jpeg(CONFIG.quality), ethnicity)


@pytest.mark.long
def test_one_photo_gives_the_row_of_the_table(measured, models, landmarker):
    photos, table = measured
    for photo, (_, row) in zip(photos, table.iterrows(), strict=True):
        result = answer(photo, models, landmarker, True)
        assert tuple(result.values) == COLUMNS
        for name, value in result.values.items():
            known = row[name]
            assert value == known or (value is None and known != known), name
        pose = {name: float(row[name]) for name in ("yaw", "pitch", "roll")}
        assert {name: result[name] for name in pose} == pose
        assert result.frontal == is_frontal(row["yaw"], row["pitch"])
        assert result.values["pupils_source"] == "irises"


def test_skin_colour_is_answered_only_where_ethnicity_is_asked_for(measured, models, landmarker):
    photos, table = measured
    plain, asked = (answer(photos[0], models, landmarker, each) for each in (False, True))
    assert {*asked} - {*plain} == HIDDEN
    row = table.set_index("filename", drop=False)
    name = row.index[0]
    shown, whole = (face_routes.row_of(row, name, each) for each in (False, True))
    assert {*whole} - {*shown} == HIDDEN


def test_the_service_answers_the_same_as_json(measured, models, landmarker):
    crop = crop_face(measured[0][0], CONFIG, landmarker)
    jpeg = crop.jpeg(CONFIG.quality)
    face = answers.Face(models, crop, jpeg, np.zeros(3, np.float32))
    content = measurements_of(face, True)
    assert content == answers.measurements(models, crop, jpeg, True)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert Answer.model_validate(content).model_dump() == content


def test_the_middle_of_a_photo_without_a_face_has_no_measurements(models, landmarker):
    grey = np.full((300, 300, 3), 128, np.uint8)
    crop = crop_face(grey, PreprocessConfig(on_no_face="center_crop"), landmarker)
    result = answers.measurements(models, crop, crop.jpeg(95), True)
    missing = result.values.pop("skin_missing")
    assert (missing, result.frontal, result.yaw) == ("no landmarks", False, None)
    assert set(result.values.values()) == {None}
