"""The geometric score: learned from shape and pixels, the same for one photo and for many, and
honest about what it lacks.
"""

import hashlib
import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from facestats.core.landmarks import MIRROR
from facestats.errors import ImageError, InputError, ModelError
from facestats.geometry.appearance import FaceSampler
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import GeometryModel, features, load_geometry
from facestats.geometry.training import (
    COORDINATES,
    MIN_TRAIN,
    make_pipeline,
    out_of_fold,
    sampler_for,
    train_pipeline,
)
from rated_shapes import SIZE, draw, made_up, symmetric_points, turned, write_crops
from resources import OMI, backdrop

N = 160


def correlation(a, b) -> float:
    return np.corrcoef(a, b)[0, 1]


def fitted(landmarks, ratings, faces=None) -> GeometryModel:
    sampler = sampler_for(landmarks) if faces is not None else None
    pipeline, why = train_pipeline(features(landmarks, sampler, faces), ratings)
    return GeometryModel(pipeline, why, fit_zscore(measure(landmarks)), sampler, len(ratings))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Landmarks, ratings and crops of faces to learn from, and of others."""
    train, test = made_up(N, 1), made_up(60, 2)
    folder = tmp_path_factory.mktemp("crops")
    return [
        (
            landmarks,
            ratings,
            write_crops(folder / name, [f"{i}.jpg" for i in range(len(tone))], tone),
        )
        for name, (landmarks, tone, ratings) in (("train", train), ("test", test))
    ]


@pytest.fixture(scope="module")
def models(faces):
    landmarks, ratings, crops = faces[0]
    return fitted(landmarks, ratings), fitted(landmarks, ratings, crops)


# What is learned


@pytest.mark.long
def test_shape_says_its_half_of_the_ratings_and_pixels_the_other(faces, models):
    landmarks, ratings, crops = faces[1]
    assert 0.6 < correlation(models[0].predict(landmarks), ratings) < 0.8
    assert correlation(models[1].predict(landmarks, crops), ratings) > 0.95


def test_place_size_and_turn_of_a_head_do_not_move_a_score_that_shape_gives(faces, models):
    landmarks, _, _ = faces[1]
    moved = turned(turned(landmarks - 0.5, 20, "y"), 15) * 1.3 + 0.4
    np.testing.assert_allclose(models[0].predict(moved), models[0].predict(landmarks), atol=1e-3)
    mirrored = landmarks[:, MIRROR] * (-1, 1, 1)
    np.testing.assert_allclose(models[0].predict(mirrored), models[0].predict(landmarks), atol=1e-3)


@pytest.mark.long
def test_held_out_predictions_are_those_of_pipelines_without_the_group(faces):
    landmarks, ratings, _ = faces[0]
    x = features(landmarks, None, None)
    groups = pd.Series(np.repeat([f"person {i}" for i in range(N // 2)], 2))
    predicted, problems = out_of_fold(x, ratings, groups, 4, 0)
    assert not problems
    assert 0.6 < correlation(predicted, ratings) < 0.8
    changed = ratings.copy()
    changed[:2] += 30  # the first person's
    again, _ = out_of_fold(x, changed, groups, 4, 0)
    assert again[:2] == pytest.approx(predicted[:2], rel=1e-9)
    assert (again != predicted).any()
    assert (out_of_fold(x, ratings, groups, 4, 1)[0] != predicted).any()


@pytest.mark.parametrize("n", [0, MIN_TRAIN - 1])
def test_too_few_ratings_train_nothing_and_say_so(n, faces, tmp_path):
    landmarks, ratings, _ = faces[0]
    pipeline, why = train_pipeline(features(landmarks[:n], None, None), ratings[:n])
    assert (pipeline, why) == (None, f"{n} rated faces with landmarks in train; 20 are needed")
    GeometryModel(None, why, fit_zscore(measure(landmarks))).save(tmp_path / "m.safetensors")
    model = load_geometry(tmp_path / "m.safetensors")
    assert (model.trained, model.why) == (False, why)
    assert np.isnan(model.predict(landmarks)).all()
    assert np.isfinite(model.zscore(landmarks)).all()


def test_equal_ratings_train_nothing(faces):
    x = features(faces[0][0], None, None)
    for rating in (
        np.full(N, 4.0),
        np.where(np.arange(N) % 2, 4.0, np.nextafter(4, 5)),
    ):  # means of more raters end otherwise
        assert train_pipeline(x, rating) == (
            None,
            f"all {N} rated train faces have the same rating, 4",
        )


def test_shapes_that_do_not_differ_say_the_mean_rating(faces):
    landmarks, ratings, _ = faces[0]
    pipeline, _ = train_pipeline(features(np.repeat(landmarks[:1], N, axis=0), None, None), ratings)
    np.testing.assert_allclose(
        pipeline.predict(features(landmarks, None, None)), ratings.mean(), atol=1
    )


# The model file


@pytest.mark.long
def test_the_model_from_the_file_has_a_pipeline_and_predicts_the_same(faces, models, tmp_path):
    landmarks, _, crops = faces[1]
    for model, appearance in zip(models, (False, True), strict=True):
        model.save(tmp_path / "m.safetensors")
        loaded = load_geometry(tmp_path / "m.safetensors")
        assert isinstance(loaded.pipeline, Pipeline)
        assert (loaded.trained, loaded.why, loaded.n_train, loaded.sampler is not None) == (
            True,
            None,
            N,
            appearance,
        )
        np.testing.assert_allclose(
            loaded.predict(landmarks, crops), model.predict(landmarks, crops), rtol=1e-9
        )
        rows = features(landmarks, model.sampler, crops)
        np.testing.assert_allclose(
            loaded.pipeline.predict(rows), model.pipeline.predict(rows), rtol=1e-9
        )
        np.testing.assert_allclose(loaded.zscore(landmarks), model.zscore(landmarks), rtol=1e-9)


@pytest.mark.long
def test_the_file_has_the_same_bytes_with_any_number_of_threads(faces, tmp_path):
    landmarks, ratings, crops = faces[0]
    result = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted(landmarks, ratings, crops).save(tmp_path / "m.safetensors")
        result.add(hashlib.sha256((tmp_path / "m.safetensors").read_bytes()).hexdigest())
    assert len(result) == 1


def test_other_files_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors: no such model"):
        load_geometry(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    (tmp_path / "cut.safetensors").write_bytes(
        pickle.dumps({"kind": "facestats geometry", "format": 1})[:20]
    )
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("text", "cut", "folder"):
        with pytest.raises(
            ModelError,
            match=rf"{name}\.safetensors is not a facestats geometry .*dvc repro geometry",
        ):
            load_geometry(tmp_path / f"{name}.safetensors")


# One photo and many


@pytest.mark.long
def test_one_photo_is_scored_as_among_many_and_faces_without_landmarks_are_not(faces, models):
    landmarks, _, crops = faces[1]
    some = landmarks.copy()
    some[3] = np.nan
    for model in models:
        together = model.predict(some, crops)
        alone = [model.predict(some[i : i + 1], crops[i : i + 1])[0] for i in range(len(some))]
        np.testing.assert_allclose(together, alone, atol=1e-4)
        assert np.flatnonzero(np.isnan(together)).tolist() == [3]
    as_bytes = models[1].predict(landmarks[:2], [path.read_bytes() for path in crops[:2]])
    as_arrays = models[1].predict(
        landmarks[:2], [np.asarray(Image.open(path)) for path in crops[:2]]
    )
    np.testing.assert_array_equal(as_bytes, as_arrays)  # nothing to reduce at this size
    assert len(models[0].predict(landmarks[:0])) == 0


def test_a_model_that_looks_at_pixels_asks_for_them(faces, models, tmp_path):
    landmarks, _, crops = faces[1]
    with pytest.raises(InputError, match=r"geometry\.appearance"):
        models[1].predict(landmarks)
    (tmp_path / "broken.jpg").write_bytes(crops[0].read_bytes()[:200])
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        models[1].predict(landmarks[:1], [tmp_path / "broken.jpg"])


# The sampler


def ramp() -> np.ndarray:
    """A crop whose red is x, and whose green is y, in pixels."""
    across = np.broadcast_to(np.arange(SIZE), (SIZE, SIZE))
    return np.stack([across, across.T, np.zeros_like(across)], axis=-1).astype(np.uint8)


def test_a_sample_follows_the_landmarks():
    target = symmetric_points(0)
    sampler = FaceSampler(target)
    for size, x, y in ((1.0, 0.5, 0.5), (0.6, 0.4, 0.55)):
        values = sampler(ramp(), target * size + (x, y, 0)).reshape(-1, 3)
        assert (
            np.abs(values[:, 0] - (x * SIZE - 0.5)).max() <= 1
        )  # both sides of the midline on average
        low, high = (y - 0.3 * size) * SIZE, (y + 0.3 * size) * SIZE
        assert abs(values[:, 1].min() - low) < 3
        assert abs(values[:, 1].max() - high) < 3


def test_a_mirrored_face_has_the_same_sample():
    face, landmarks = draw(1.0, 0), made_up(1, 0)[0][0]
    sampler = FaceSampler(symmetric_points(0))
    mirrored = landmarks[MIRROR].copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    difference = sampler(face, landmarks).astype(int) - sampler(
        np.ascontiguousarray(face[:, ::-1]), mirrored
    )
    assert np.abs(difference).max() <= 1
    assert sampler(face, landmarks).std() > 3


def test_landmarks_outside_of_the_crop_see_its_edge():
    sampler = FaceSampler(symmetric_points(0))
    assert (
        sampler(ramp(), symmetric_points(0) + (9, 0.5, 0)).reshape(-1, 3)[:, 0] == SIZE - 1
    ).all()


def test_large_crops_are_reduced_alike_whether_decoded_whole_or_not(tmp_path):
    face = backdrop(512, 512)
    Image.fromarray(face).save(tmp_path / "face.jpg", quality=95, subsampling=0)
    sampler, landmarks = FaceSampler(symmetric_points(0)), symmetric_points(0) + 0.5
    by_decoder = sampler(tmp_path / "face.jpg", landmarks).astype(int)
    whole = sampler(np.asarray(Image.open(tmp_path / "face.jpg")), landmarks)
    assert np.abs(by_decoder - whole).mean() < 1


# Real faces


@pytest.mark.long
def test_shape_alone_says_what_people_said_of_the_omi_faces():
    if not (OMI / "landmarks_mediapipe.npz").is_file():
        pytest.skip(f"the OMI faces are not at {OMI}")
    known = np.load(OMI / "landmarks_mediapipe.npz")
    names = pd.Index(known["filename"].tolist()).str.removesuffix(".jpg")
    ratings = (
        pd.read_csv(OMI / "attribute_means.csv", dtype={"stimulus": "str"})
        .set_index("stimulus")["attractive"]
        .loc[names]
        .to_numpy()
    )
    x = known["landmarks"].reshape(len(names), COORDINATES)
    folds = KFold(10, shuffle=True, random_state=0)
    with threadpool_limits(1):
        predicted = cross_val_predict(
            make_pipeline(len(x) * 9 // 10, appearance=False), x, ratings, cv=folds
        )
    assert correlation(predicted, ratings) >= 0.58
