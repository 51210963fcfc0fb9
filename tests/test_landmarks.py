"""Landmarks agree with MediaPipe's, small faces are found, and model files are checked."""

import sys

import numpy as np
import pytest
from PIL import Image

from detected import find_faces
from facestats.composites.outline import Segmenter
from facestats.errors import ModelError
from facestats.faces import models
from facestats.faces.detector import box_iou, make_anchors, weighted_nms
from facestats.faces.irises import Irises
from facestats.faces.landmarks import Landmarker
from facestats.faces.runtime import load_interpreter
from facestats.faces.warp import sample_square
from facestats.landmarker.fetch import fetch_landmarker
from resources import OMI, backdrop, landmarker_dir


def eye_error(detected: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of (468, 2) px points in distances between the outer eye corners."""
    return np.linalg.norm(detected - truth, axis=1).mean() / np.linalg.norm(truth[33] - truth[263])


@pytest.mark.long
@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.thorough)])
def test_agrees_with_mediapipe_on_omi_faces(landmarker, step):
    reference = OMI / "landmarks_mediapipe.npz"
    if not reference.is_file():
        pytest.skip(f"the landmarks by MediaPipe are not at {reference}")
    with np.load(reference) as saved:
        names, truths = saved["filename"][::step], saved["landmarks"][::step]
    errors, depths = [], []
    for name, truth in zip(names, truths, strict=True):
        face = landmarker.detect(np.asarray(Image.open(OMI / "images" / name).convert("RGB")))[0]
        errors.append(eye_error(face.landmarks[:, :2], truth[:, :2]))
        depths.append(np.abs(face.landmarks[:, 2] - truth[:, 2]).max())
        assert face.presence > 0.99
    assert len(errors) == 745 // step
    assert np.mean(errors) < 0.0005
    assert np.max(errors) < 0.002
    assert np.max(depths) < 0.002


def test_the_detector_has_mediapipes_896_anchors():
    anchors = make_anchors()
    assert anchors.shape == (896, 2)
    assert np.allclose(
        anchors[:3], [[0.5 / 16, 0.5 / 16], [0.5 / 16, 0.5 / 16], [1.5 / 16, 0.5 / 16]]
    )
    assert np.allclose(anchors[512:518], 0.5 / 8)
    assert np.allclose(anchors[-1], 7.5 / 8)


def test_overlapping_boxes_become_their_mean_weighted_by_score():
    def points(x):
        return np.concatenate([[[x, 0.0], [x + 1, 1.0]], np.full((6, 2), x)])

    merged = weighted_nms(
        np.stack([points(0.0), points(0.2), points(5.0)]), np.array([0.6, 0.9, 0.7])
    )
    assert [score for _, score in merged] == [0.9, 0.7]
    assert np.allclose(merged[0][0][0], [0.2 * 0.9 / 1.5, 0.0])
    assert box_iou(np.array([0, 0, 2, 2.0]), np.array([[1, 0, 3, 2.0]]))[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("angle", [0.0, 1e-9])
def test_sampling_has_no_half_pixel_centres_and_rounds_like_opencv(angle):
    rgb = np.repeat(np.array([[0, 100], [50, 201]], np.uint8)[:, :, None], 3, axis=2)
    # A square of side 1 around (0.5, 0.5) in 2 px: positions 0 and 0.5.
    out = sample_square(rgb, (0.5, 0.5), 1.0, angle, 2, replicate=True)
    assert out[:, :, 0].tolist() == [[0, 50], [25, 88]]  # 87.75 and its like, rounded


@pytest.mark.parametrize("angle", [0.0, 1e-9])
def test_outside_of_the_image_is_its_edge_or_black_as_asked(angle):
    rgb = np.full((4, 4, 3), 200, np.uint8)
    black = sample_square(rgb, (2, 2), 12, angle, 6, replicate=False)
    edge = sample_square(rgb, (2, 2), 12, angle, 6, replicate=True)
    assert black[0, 0, 0] == 0
    assert black[3, 3, 0] == 200
    assert (edge == 200).all()


def test_an_image_longer_than_opencv_takes_is_sampled_all_the_same():
    ramp = np.linspace(0, 255, 40_000).astype(np.uint8)
    rgb = np.repeat(np.broadcast_to(ramp, (40, 40_000))[:, :, None], 3, axis=2)
    out = sample_square(rgb, (20_000, 20), 40_000, 0.0, 128, replicate=True)
    assert np.abs(out[64, :, 0].astype(int) - np.arange(128) * 2).max() <= 1


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(
    ("width", "height", "share"), [(3000, 2000, 0.1), (2000, 3000, 0.1), (3000, 3000, 0.05)]
)
def test_a_small_face_in_a_large_photo_is_found_where_it_is(
    photos, landmarker, width, height, share
):
    image = photos[0]
    face = landmarker.detect(np.asarray(image))[0].landmarks[:, :2] * 512
    scale = share * width / np.ptp(face[:, 0])
    side = round(512 * scale)
    photo = backdrop(width, height)
    x, y = int(width * 0.67), int(height * 0.21)
    photo[y : y + side, x : x + side] = np.asarray(
        image.resize((side, side), Image.Resampling.LANCZOS)
    )

    detected = find_faces(photo, landmarker)

    assert len(detected) == 1
    assert detected[0].presence >= 0.9
    assert (
        eye_error(detected[0].landmarks[:, :2] * (width, height), face * (side / 512) + (x, y))
        < 0.03
    )


@pytest.mark.long
def test_where_there_is_no_face_none_is_found(landmarker):
    rng = np.random.default_rng(1)
    blobs = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize(
        (1200, 900), Image.Resampling.BICUBIC
    )
    assert find_faces(np.asarray(blobs), landmarker) == []
    assert find_faces(backdrop(1600, 1200), landmarker) == []


def test_of_several_faces_the_largest_comes_first(photos, landmarker):
    small, large = photos[:2]
    photo = np.concatenate([backdrop(512, 512), np.asarray(large)], axis=1)
    photo[100:400, 50:350] = np.asarray(small.resize((300, 300), Image.Resampling.LANCZOS))
    detected = find_faces(photo, landmarker)
    assert len(detected) == 2
    assert detected[0].center[0] > 512 > detected[1].center[0]
    assert detected[0].area > detected[1].area


def test_models_from_a_folder_are_checked_and_copied(tmp_path):
    written = fetch_landmarker(landmarker_dir(), tmp_path / "out")
    assert (
        {path.name for path in written}
        == {path.name for path in (tmp_path / "out").iterdir()}
        == set(models.SHA256)
    )
    hashes = models.model_hashes(tmp_path / "out")
    assert hashes == {name: models.SHA256[name] for name in models.NEEDED}
    for name in (models.IRIS_FILE, models.SEGMENTATION_FILE):  # who brings three files has neither
        (tmp_path / "out" / name).unlink()
    assert len(fetch_landmarker(tmp_path / "out", tmp_path / "three")) == 3
    assert models.model_hashes(tmp_path / "three") == hashes
    Landmarker(tmp_path / "three")


def test_a_wrong_or_missing_model_file_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / models.DETECTOR_FILE).write_bytes(b"not a model")
    with pytest.raises(
        ModelError,
        match=rf"{models.DETECTOR_FILE} has sha256 .* expected bbff11ce.*landmarker\.source: DIR",
    ):
        fetch_landmarker(tmp_path, tmp_path / "out")
    (tmp_path / models.DETECTOR_FILE).unlink()
    with pytest.raises(ModelError, match=r"no such file.*landmarker\.source: DIR"):
        fetch_landmarker(tmp_path, tmp_path / "out")
    with pytest.raises(ModelError, match="no such folder"):
        fetch_landmarker(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ModelError, match="fetch_landmarker"):
        Landmarker(tmp_path)
    (tmp_path / models.DETECTOR_FILE).write_bytes(b"not a model")
    with pytest.raises(
        ModelError, match=r"has sha256 .* not loaded; `dvc repro -f fetch_landmarker`"
    ):
        Landmarker(tmp_path)


@pytest.mark.parametrize("name", models.SHA256)
def test_a_network_that_was_swapped_after_it_was_fetched_is_not_loaded(tmp_path, name):
    """On a remote or in a shared cache, somebody could replace a network by a program."""
    fetch_landmarker(landmarker_dir(), tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1  # a weight: LiteRT takes it
    (tmp_path / name).write_bytes(content)
    (tmp_path / "other.tflite").write_bytes(content)
    assert load_interpreter(tmp_path / "other.tflite")
    readers = {models.IRIS_FILE: Irises, models.SEGMENTATION_FILE: Segmenter}
    with pytest.raises(ModelError, match=rf"{name} has sha256 .* expected {models.SHA256[name]}"):
        readers.get(name, Landmarker)(tmp_path)


@pytest.mark.long
def test_without_an_index_the_error_names_the_wheel_and_the_ways_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        ModelError,
        match=r"pip could not download mediapipe==0\.10\.21.*index-url.*landmarker\.source: DIR",
    ):
        fetch_landmarker("wheel", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(ModelError, match="pip could not download"):
        fetch_landmarker("wheel", tmp_path / "out")


def test_inner_layers_are_put_out_and_change_no_other_output():
    path = landmarker_dir() / models.MESH_FILE
    tensor = np.random.default_rng(0).random((1, 192, 192, 3), dtype=np.float32)
    plain, layered = load_interpreter(path)(tensor), load_interpreter(path, (53, 141))(tensor)
    assert [array.shape for array in layered[len(plain) :]] == [(1, 48, 48, 32), (1, 6, 6, 128)]
    assert all(np.array_equal(one, other) for one, other in zip(plain, layered, strict=False))


def test_a_damaged_network_is_named_with_inner_layers_too(tmp_path):
    for content in (b"", b"not a model", (landmarker_dir() / models.MESH_FILE).read_bytes()[:1000]):
        (tmp_path / "mesh.tflite").write_bytes(content)
        with pytest.raises(ModelError, match="LiteRT can't load it"):
            load_interpreter(tmp_path / "mesh.tflite", (53,))
