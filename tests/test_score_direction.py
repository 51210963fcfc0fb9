"""Faces moved along the geometric score: the change that is predicted comes out, and attributes
stay where they are.
"""

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import facestats.serving.stimuli as stimuli
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.layout import COMPOSITES_MANIFEST, CROPS, FACES_TABLE, FINAL_TABLE
from facestats.core.manifests import models_sha256
from facestats.errors import InputError, ModelError, WithheldError
from facestats.faces.dedup import perceptual_hash
from facestats.faces.quality import grey_crop
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.training import sampler_for, train_pipeline
from facestats.params.errors import checked_options
from facestats.serving.manifest import MixedPartsError
from facestats.serving.stimuli import Mover, direction_of
from facestats.stimuli.params import How
from facestats.stimuli.photo import FacePhoto
from facestats.stimuli.score import score_direction
from rated_shapes import draw, made_up

N = 120


def fitted(landmarks, ratings, crops):
    sampler = sampler_for(landmarks) if crops else None
    pipeline, why = train_pipeline(features(landmarks, sampler, crops), ratings)
    return GeometryModel(pipeline, why, fit_zscore(measure(landmarks)), sampler, len(ratings))


@pytest.fixture(scope="module")
def faces():
    landmarks, tone, ratings = made_up(N, 1)
    crops = [draw(one, i) for i, one in enumerate(tone)]
    return landmarks, tone, ratings, crops


@pytest.fixture(scope="module")
def model(faces):
    landmarks, _, ratings, crops = faces
    return fitted(landmarks, ratings, crops)


def test_the_change_in_shape_is_the_one_that_is_predicted(faces):
    landmarks, _, ratings, _ = faces
    model = fitted(landmarks, ratings, None)
    direction = score_direction(model, landmarks, [])
    assert direction.pictures is None
    assert direction.by_shape > 5
    face = FacePhoto(np.zeros((8, 8, 3), np.uint8), landmarks[0, :, :2].astype(float), 0)
    for amount in (-0.5, 0.5):
        moved = landmarks[0].copy()
        moved[:, :2] = direction.change(face, amount, 0).target
        change = model.predict(moved[None])[0] - model.predict(landmarks[:1])[0]
        assert change == pytest.approx(amount * direction.by_shape, rel=0.25)


def test_the_change_in_colour_is_the_tone_that_was_liked(faces, model):
    direction = score_direction(model, *faces[:1], [])
    assert direction.by_colour > 5
    high, low = (picture.image for picture in direction.pictures)
    inside = high.sum(axis=-1) > 0
    red, green, blue = (high - low)[inside].mean(axis=0)
    assert red > 10
    assert max(abs(green), abs(blue)) < 0.3 * red
    face = FacePhoto(np.zeros((8, 8, 3), np.uint8), faces[0][0, :, :2].astype(float), 0)
    assert len(direction.change(face, 0, 0.5).colours) == 2
    assert direction.change(face, 0.5, 0).colours == []


def test_an_attribute_stays_where_it_is(faces, model):
    """Of what makes the rating, shape and tone, the tone is kept."""
    landmarks, tone, _, crops = faces
    free = score_direction(model, landmarks, crops)
    kept = score_direction(model, landmarks, crops, pd.DataFrame({"tone": tone}))
    assert abs(kept.by_colour) < 0.35 * free.by_colour
    assert kept.by_shape > free.by_shape
    with pytest.raises(InputError, match="one is not known of 20 faces, or the same of all"):
        score_direction(model, landmarks, crops, pd.DataFrame({"one": np.ones(N)}))


def test_values_laid_out_as_a_picture_are_sampled_back(model):
    values = np.random.default_rng(0).integers(60, 200, model.sampler.n_values)
    image, landmarks = model.sampler.picture(values)
    assert image.shape[0] == image.shape[1]
    shown = np.rint(image).astype(np.uint8)
    again = model.sampler(shown, np.column_stack([landmarks, landmarks[:, 0]]))
    assert np.abs(again.astype(int) - values).mean() < 2


TABLES = FINAL_TABLE, FACES_TABLE


@pytest.fixture
def project(faces, model, tmp_path, monkeypatch):
    landmarks, tone, _, crops = faces
    names = [f"{i}.jpg" for i in range(N)]
    folder = tmp_path / "data/processed/preproc"
    folder.mkdir(parents=True)
    for name, crop in zip(names, crops, strict=True):
        stimuli.Image.fromarray(crop).save(folder / name, quality=95)
    classes = np.where(tone > 0, "light", "dark")
    classes[:3] = "unknown"
    final = pd.DataFrame({"filename": names, "skin_final": classes, "age_final": 20.0 + tone})
    final["score_withheld"] = [None] * (N - 1) + ["may be under 18"]
    shapes = pd.DataFrame({"filename": names, "landmarks": list(landmarks.reshape(N, -1))})
    shapes["perceptual_hash"] = [perceptual_hash(grey_crop(crop)).hex() for crop in crops]
    monkeypatch.setattr(tables, "read_all", lambda *_: final)
    monkeypatch.setattr(tables, "read", lambda *_: shapes)
    sha256 = hashlib.sha256(b"table").hexdigest()
    for path in TABLES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"table")
    parts = {"faces": {TABLES[1].as_posix(): sha256}}
    files = {TABLES[0].as_posix(): sha256}
    manifest = {"models_sha256": models_sha256(parts), "files": files}
    write_json(tmp_path / COMPOSITES_MANIFEST, manifest)
    return SimpleNamespace(
        compared_files={},
        geometry=model,
        root=tmp_path,
        parts=SimpleNamespace(manifest=SimpleNamespace(parts=parts)),
    )


def test_attributes_come_from_the_tables_of_the_project(project):
    free, kept = direction_of(project, []), direction_of(project, ["skin", "age"])
    assert abs(kept.by_colour) < 0.5 * free.by_colour
    with pytest.raises(
        InputError, match=r"no attribute 'agge'\. Did you mean age\? There are age, skin"
    ):
        direction_of(project, ["agge"])


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("path", TABLES)
def test_tables_of_another_run_say_nothing_of_these_models(project, path):
    direction_of(project, ["age"])
    (project.root / path).write_bytes(b"another")
    with pytest.raises(MixedPartsError, match=f"{path.name} is not the one that"):
        direction_of(project, ["age"])
    direction_of(project, [])  # needs no table


def test_crops_of_another_run_say_nothing_of_these_models(project, faces):
    path = project.root / CROPS / "3.jpg"
    turned = np.ascontiguousarray(faces[3][3][::-1])
    stimuli.Image.fromarray(turned).save(path, quality=95)
    with pytest.raises(MixedPartsError, match=r"3\.jpg is not the picture that was measured"):
        direction_of(project, ["age"])


def test_without_a_trained_model_there_is_no_direction(project):
    project.geometry = GeometryModel(None, "5 rated faces", None)
    with pytest.raises(ModelError, match=r"no geometric model was trained \(5 rated faces\)"):
        direction_of(project, [])


def test_the_sheet_says_what_is_predicted_and_children_stay_out(project, monkeypatch):
    how = checked_options(How, {"along": "score", "shape": 0.5, "orthogonal": ["age"]})
    mover = Mover(project, how)
    assert mover.by_score
    told = mover.parameters()
    assert told["orthogonal"] == "age"
    assert told["predicted_change"] == pytest.approx(0.5 * mover.direction.by_shape, abs=1e-3)
    monkeypatch.setattr(stimuli.answers, "check_age", lambda face: (None, "may be under 18", []))
    monkeypatch.setattr(stimuli.answers, "Face", lambda *_: None)
    project.crop, project.jpeg, project.embed, project.photo = (lambda _: None,) * 4
    with pytest.raises(WithheldError, match="no stimulus along a score: may be under 18"):
        stimuli.check_age(project, "a.jpg")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"along": "women_minus_men", "shape": 1, "orthogonal": ["age"]}, "needs along: score"),
        ({"along": "score", "texture": 1}, "the geometric score knows no texture"),
    ],
)
def test_options_of_a_score_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        checked_options(How, options)
