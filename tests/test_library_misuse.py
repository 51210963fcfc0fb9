"""Wrong input to what people import: one of our errors, which names the way out, and never another
library's.
"""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import facestats
from facestats.core.files import write_json
from facestats.errors import ImageError, InputError, ModelError

pytestmark = pytest.mark.slow
PHOTO = "data/raw/face_0001.jpg"
OF_ONE_PHOTO = (
    "calculate_attractiveness_score",
    "detect_landmarks",
    "find_similar",
    "get_clip_embedding",
    "infer_attributes",
    "score_image",
)


@pytest.fixture
def here(built, monkeypatch):
    monkeypatch.chdir(built.folder)
    return built.folder


@pytest.fixture
def other(built, tmp_path, monkeypatch):
    """A project folder of links to the built one's models and faces, as the working directory:
    files in it can be replaced.
    """
    names = [
        *(built.folder / "models").iterdir(),
        *(built.folder / "data/processed/embeddings").glob("embeddings_clip.*"),
    ]
    for path in names:
        link = tmp_path / path.relative_to(built.folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def closed_picture():
    picture = Image.open(PHOTO)
    picture.close()
    return picture


PIXELS = np.zeros((96, 96, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "error", "expected"),
    [
        (
            lambda: PIXELS / 255,
            InputError,
            r"must be RGB, .* and uint8; this one is \(96, 96, 3\) float64; "
            r"PIL\.Image\.fromarray takes grey and RGBA",
        ),
        (lambda: PIXELS[:, :, 0], InputError, r"this one is \(96, 96\) uint8"),
        (lambda: PIXELS[None], InputError, r"this one is \(1, 96, 96, 3\)"),
        (lambda: PIXELS[:0], ImageError, "too small"),
        (lambda: PIXELS.tolist(), InputError, "not list"),
        (lambda: None, InputError, "not NoneType"),
        (lambda: [PHOTO], InputError, "not list"),
        (lambda: io.BytesIO(b"a"), InputError, r"not BytesIO; give what its read\(\) returns"),
        (lambda: "nowhere.jpg", InputError, r"nowhere\.jpg: no such file"),
        (lambda: "https://example.org/a.jpg", InputError, "no such file"),
        (lambda: "data/raw", ImageError, "data/raw: a folder, no photo"),
        (lambda: "a\0b", InputError, "no such file"),
        (lambda: b"", ImageError, "empty file"),
        (lambda: b"hello", ImageError, "not an image that Pillow can read"),
        (closed_picture, ImageError, "damaged image: Operation on closed image"),
        (
            lambda: Image.open(io.BytesIO(Path(PHOTO).read_bytes()[:1500])),
            ImageError,
            "damaged image: image file is truncated",
        ),
        (lambda: Image.new("I", (0, 0)), ImageError, "too small: 0×0 px"),
    ],
)
def test_what_is_no_image_is_named(here, image, error, expected):
    for function in ("score_image", "detect_landmarks"):
        with pytest.raises(error, match=expected):
            getattr(facestats, function)(image())


@pytest.mark.parametrize(
    "mode", ["L", "LA", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "P", "PA"]
)
def test_pictures_of_any_mode_have_landmarks(here, mode):
    picture = Image.open(PHOTO).convert("RGB")
    picture = picture.convert("L").convert(mode) if mode in "IF" else picture.convert(mode)
    assert facestats.detect_landmarks(picture).shape == (468, 3)


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", None, True, float("nan")])
def test_a_number_of_faces_that_is_none_is_named(here, k):
    with pytest.raises(InputError, match=rf"k = {k!r} is not possible: a whole number from 1 on"):
        facestats.find_similar(PHOTO, k=k)


def test_more_similar_faces_than_there_are_give_all(here):
    faces = len(
        pd.read_parquet("data/processed/embeddings/embeddings_clip.parquet", columns=["filename"])
    )
    assert len(facestats.find_similar(PHOTO, k=10**6)) == faces
    assert len(facestats.find_similar(PHOTO, k=np.int64(2))) == 2


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (3, "root = 3 names no folder"),
        (b"x", "root = b'x' names no folder"),
        ("a\0b", "null byte"),
        ("a" * 300, "File name too long"),
    ],
)
def test_what_names_no_project_folder_is_named(root, expected):
    with pytest.raises(InputError, match=expected):
        facestats.load(root)


def test_a_file_is_no_project_folder(here):
    with pytest.raises(ModelError, match=r"no models/serving\.json in .*params\.yaml"):
        facestats.load("params.yaml")


@pytest.mark.parametrize("function", [*OF_ONE_PHOTO, "make_composite"])
def test_a_folder_without_models_says_what_makes_them(tmp_path, monkeypatch, function):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="run `dvc repro`"):
        getattr(facestats, function)(["a.jpg"] if function == "make_composite" else "a.jpg")


@pytest.mark.parametrize("content", [None, b"", b"x", b"{}", b"[]", b"3"])
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("models/serving.json", "detect_landmarks"),
        ("models/attributes.json", "infer_attributes"),
        ("models/blend.json", "score_image"),
        ("models/attractiveness_regressor.pt", "score_image"),
        ("models/zeroshot.npz", "infer_attributes"),
        ("models/age_check.json", "score_image"),
    ],
)
def test_missing_and_damaged_models_are_named(other, built, name, content, function):
    (other / name).unlink()
    if content is not None:
        (other / name).write_bytes(content)
    with pytest.raises(ModelError, match=os.path.basename(name)):
        getattr(facestats, function)(built.folder / PHOTO)


def test_embeddings_of_other_weights_are_not_compared(other, built):
    serving = json.loads((other / "models/serving.json").read_text())
    (other / "models/serving.json").unlink()
    write_json(
        other / "models/serving.json",
        {**serving, "clip": {**serving["clip"], "weights_sha256": "0"}},
    )
    with pytest.raises(
        ModelError, match=r"embeddings_clip\.parquet was computed with other weights .*dvc repro"
    ):
        facestats.load(other).similar(built.folder / PHOTO)


def test_threads_may_share_the_models(here):
    photos = [f"data/raw/face_{i:04}.jpg" for i in (1, 3, 4, 5)]
    alone = [facestats.score_image(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(facestats.score_image, photos * 6)) == alone * 6


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"filename": [None, "face_0001.jpg"]}, "filename must hold a text in every row; found"),
        ({"filename": [1, 2]}, "found .*1"),
        ({"name": ["a"]}, "needs the column filename; it has name"),
        ({"filename": []}, "no face to average: there are no members"),
        ({"filename": ["a.jpg"]}, r"1 name not among the faces of .*, for example a\.jpg"),
        (
            {"filename": ["face_0001.jpg"], "rating": ["good"]},
            "the column rating must hold numbers",
        ),
        (
            {"filename": ["face_0001.jpg"], "combined_score": ["high"]},
            "the column combined_score must hold numbers",
        ),
    ],
)
def test_a_table_that_cannot_be_averaged_is_named(here, table, expected):
    with pytest.raises(InputError, match=expected):
        facestats.make_composite(pd.DataFrame(table))


def test_photos_of_the_pipeline_are_known_by_their_paths_and_by_their_faces_names(here):
    image, face = (
        pd.read_parquet("data/processed/metadata/faces.parquet", columns=["image", "filename"])
        .dropna()
        .loc[lambda t: t["image"] != t["filename"]]
        .iloc[0]
    )
    expected = facestats.score_image(here / "data/raw" / image)
    for name in (image, face, "./" + image, Path(face), here / "data/raw" / face):
        assert facestats.score_image(name) == expected
    assert facestats.detect_landmarks(face) is not None
    faces = facestats.find_similar(face, k=1)
    assert faces[["image", "filename"]].values.tolist() == [[image, face]]
    by_name = facestats.make_composite(pd.DataFrame({"filename": [face]}))
    for table in (pd.DataFrame({"image": [image]}), pd.DataFrame({"filename": [image]})):
        assert facestats.make_composite(table).tobytes() == by_name.tobytes()
    assert facestats.make_composite([face, PHOTO]).info["facestats"]["n"] == 2
    with pytest.raises(
        InputError, match=rf"{image.upper()}: no such file; did you mean {image}"
    ):  # never another photo unawares
        facestats.score_image(image.upper())
    with pytest.raises(InputError, match=r"nowhere\.jpg: no such file"):
        facestats.make_composite([PHOTO, "nowhere.jpg"])


def test_more_faces_than_there_are_give_all(here):
    table = pd.DataFrame({"filename": ["face_0001.jpg", "face_0003.jpg"]})
    assert facestats.make_composite(table, n=10**6).info["facestats"]["n"] == 2
