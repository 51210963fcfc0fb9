"""Eyes level at fixed places, the same bytes whatever the number of processes."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facestats.core import tables
from facestats.errors import InputError, ModelError
from facestats.faces.align import (
    align_face,
    center_square,
    crop_transform,
    eye_centers,
    to_crop_frame,
)
from facestats.faces.crop import NoFaceError, PreprocessConfig, crop_face
from facestats.faces.keys import recipe_hash, row_key
from facestats.faces.photo import process_photo
from facestats.faces.preprocess import preprocess_folder
from facestats.faces.quality import grey_crop, sharpness
from facestats.faces.tables import FACES
from programs import run_program, stage_command, start_program
from resources import backdrop, jpeg, landmarker_dir, write_params

CONFIG = PreprocessConfig()
SIDE = 4.0  # eye distances, for a margin of 0.3
EYES = np.array([[0.5 - 0.5 / SIDE, 0.5 - 0.25 / SIDE], [0.5 + 0.5 / SIDE, 0.5 - 0.25 / SIDE]])


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2))


# --- crops ----------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.thorough)])
def test_eyes_lie_level_at_fixed_places(photos, crops, landmarker, step):
    off = []
    for photo, crop in zip(photos[::step], crops[::step], strict=True):
        assert crop.rgb.shape == (512, 512, 3)
        assert np.allclose(eye_centers(crop.landmarks[:, :2]), EYES, atol=1e-5)
        for turned in (photo.rotate(-20, Image.Resampling.BICUBIC, fillcolor="gray"), photo):
            again = landmarker.detect(crop_face(turned, CONFIG, landmarker).rgb)[0]
            off.append(np.abs(eye_centers(again.landmarks[:, :2]) - EYES).max())
    assert np.median(off) < 0.005
    assert np.max(off) < 0.03


def test_landmarks_lie_on_the_crop(crops, landmarker):
    for crop in crops[:10]:
        again = landmarker.detect(crop.rgb)[0].landmarks
        distance = np.linalg.norm(again[:, :2] - crop.landmarks[:, :2], axis=1).mean()
        assert distance < 0.015
        assert np.abs(again[:, 2] - crop.landmarks[:, 2]).mean() < 0.03


def test_the_margin_sets_the_crops_side(photos, landmarker):
    distances = []
    for margin in (0.0, 0.3, 1.0):
        crop = crop_face(photos[0], PreprocessConfig(margin=margin), landmarker)
        left, right = eye_centers(crop.landmarks[:, :2])
        distances.append(right[0] - left[0])
    assert np.allclose(distances, [1 / 2.5, 1 / 4, 1 / 7.5], atol=1e-5)


def test_unaligned_crops_have_the_same_centre_but_stand_as_in_the_photo(photos, landmarker):
    tilted = photos[0].rotate(15, Image.Resampling.BICUBIC, fillcolor="gray")
    straight, turned = (
        crop_face(tilted, PreprocessConfig(align=a), landmarker) for a in ("none", "eyes")
    )
    left, right = eye_centers(straight.landmarks[:, :2])
    assert np.degrees(np.arctan2(*(right - left)[::-1])) == pytest.approx(
        straight.pose.roll, abs=0.01
    )
    assert np.linalg.norm(right - left) == pytest.approx(1 / SIDE, abs=1e-5)
    assert straight.pose == turned.pose
    face_down = np.array(
        [-np.sin(np.radians(straight.pose.roll)), np.cos(np.radians(straight.pose.roll))]
    )
    assert np.allclose((left + right) / 2 + face_down * 0.25 / SIDE, 0.5, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("photo_paths", ["omi"], indirect=True)  # drawn hair has edges of a pixel
def test_large_photos_are_shrunk_without_jagged_edges(photos, landmarker):
    large = photos[0].resize((2600, 2600), Image.Resampling.BICUBIC)
    stripes = np.asarray(large).copy()
    stripes[::2] = 255 - stripes[::2]  # averages to grey wherever it is antialiased
    face = landmarker.detect(np.asarray(large))[0]
    crop = crop_transform(face.landmarks, 2600, 2600, 0.3, "eyes")
    assert np.abs(align_face(stripes, crop, 256)[40:200, 40:200].astype(int) - 127).max() < 12
    reference = Image.fromarray(align_face(np.asarray(large), crop, 1024)).resize(
        (256, 256), Image.Resampling.LANCZOS
    )
    assert psnr(align_face(np.asarray(large), crop, 256), np.asarray(reference)) > 40


def test_outside_of_the_photo_its_edge_is_repeated(photos, landmarker):
    tight = Image.fromarray(np.asarray(photos[0])[100:470, 90:420])
    white = Image.new("RGB", tight.size, "white")
    crop = crop_face(tight, PreprocessConfig(margin=1.0), landmarker)
    assert crop.rgb[:, :3].min() > 0 or crop.rgb.min(axis=2).mean() > 20
    transform = center_square(*white.size)
    far = type(transform)(transform.x, transform.y, transform.side * 3, 0.4)
    assert (align_face(np.asarray(white), far, 128) == 255).all()


def test_a_square_that_is_already_right_is_left_alone(photos):
    rgb = np.asarray(photos[0])
    assert np.array_equal(align_face(rgb, center_square(512, 512), 512), rgb)


@pytest.mark.long
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_rotated_photo_gives_the_crop_of_the_upright_one(photos, landmarker, orientation):
    stored = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    wide = Image.new("RGB", (640, 512), "gray")
    wide.paste(photos[1], (64, 0))
    turned = process_photo(
        jpeg(wide.transpose(stored[orientation]), 98, exif=exif, subsampling=0), CONFIG, landmarker
    )
    upright = process_photo(jpeg(wide, 98, subsampling=0), CONFIG, landmarker)
    assert (turned.row["width"], turned.row["height"]) == (640, 512)
    assert np.allclose(turned.row["landmarks"], upright.row["landmarks"], atol=0.005)
    pixels = [np.asarray(Image.open(io.BytesIO(done.jpeg))) for done in (turned, upright)]
    assert psnr(*pixels) > 30


@pytest.mark.long
def test_a_drafted_jpeg_gives_the_crop_of_the_whole_photo(photos, landmarker):
    large = photos[2].resize((2400, 2400), Image.Resampling.BICUBIC)
    drafted = crop_face(jpeg(large, 95), CONFIG, landmarker)
    whole = crop_face(large, CONFIG, landmarker)
    assert (drafted.width, drafted.height) == (2400, 2400)
    assert np.allclose(drafted.landmarks, whole.landmarks, atol=0.01)
    assert np.allclose(drafted.box, whole.box, atol=40)
    assert psnr(drafted.rgb, whole.rgb) > 28


@pytest.mark.long
def test_a_face_a_tenth_as_wide_as_a_large_photo_is_cut_out_of_all_its_pixels(photos, landmarker):
    photo = Image.fromarray(backdrop(4000, 3000))
    photo.paste(photos[3].resize((700, 700), Image.Resampling.LANCZOS), (2900, 1900))
    done = process_photo(jpeg(photo, 95), CONFIG, landmarker)
    assert done.row["status"] == "ok"
    assert 2900 < done.row["box"][0] < done.row["box"][2] < 3600
    results = landmarker.detect(np.asarray(Image.open(io.BytesIO(done.jpeg))))[0]
    assert np.allclose(eye_centers(results.landmarks[:, :2]), EYES, atol=0.02)
    sharp = crop_face(photos[3], CONFIG, landmarker)
    assert done.row["sharpness"] > 0.4 * sharpness(grey_crop(sharp.rgb))


def test_without_a_face_the_photo_is_rejected_or_its_middle_taken(landmarker):
    empty = jpeg(Image.fromarray(backdrop(600, 400)))
    rejected = process_photo(empty, CONFIG, landmarker)
    assert rejected.row["status"] == "rejected"
    assert rejected.row["reason"] == "no face found"
    assert (rejected.row["width"], rejected.row["height"], rejected.row["face_count"]) == (
        600,
        400,
        0,
    )
    assert rejected.jpeg is None
    with pytest.raises(NoFaceError):
        crop_face(empty, CONFIG, landmarker)

    kept = process_photo(empty, PreprocessConfig(on_no_face="center_crop"), landmarker)
    assert (kept.row["status"], kept.row["face_count"]) == ("ok", 0)
    assert kept.row["reason"] == "no face found: centre square"
    assert "landmarks" not in kept.row
    middle = (
        Image.open(io.BytesIO(empty))
        .crop((100, 0, 500, 400))
        .resize((512, 512), Image.Resampling.BICUBIC)
    )
    assert psnr(np.asarray(Image.open(io.BytesIO(kept.jpeg))), np.asarray(middle)) > 30


def test_crop_coordinates_follow_the_square():
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[:] = (0.5, 0.5, 0.1)
    landmarks[[33, 133]] = (0.4, 0.4, 0)
    landmarks[[362, 263]] = (0.6, 0.5, 0)
    crop = crop_transform(landmarks, 1000, 500, 0.3, "eyes")
    assert np.degrees(crop.angle) == pytest.approx(np.degrees(np.arctan2(50, 200)))
    assert crop.side == pytest.approx(4 * np.hypot(50, 200))
    mapped = to_crop_frame(landmarks, 1000, 500, crop)
    assert np.allclose(eye_centers(mapped[:, :2]), EYES, atol=1e-6)
    assert mapped[0, 2] == pytest.approx(0.1 * 1000 / crop.side)


# --- the stage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(photo_paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for path in photo_paths:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "bad.jpg").write_bytes(b"bad")
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.long
def test_the_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    results = []
    for workers in (1, 2):
        frame = preprocess_folder(
            folder, tmp_path / str(workers), CONFIG, landmarker_dir(), workers
        )
        tables.write(frame, tmp_path / f"{workers}.parquet", FACES)
        results.append(
            (contents(tmp_path / str(workers)), (tmp_path / f"{workers}.parquet").read_bytes())
        )
    assert results[0] == results[1]
    assert len(results[0][0]) == 40
    assert frame["image"].tolist() == sorted(frame["image"])
    assert frame.loc[frame["status"] == "ok", "confidence"].min() > 0.5


def test_a_row_is_keyed_by_what_it_was_computed_from(tmp_path):
    models = landmarker_dir()
    assert recipe_hash(CONFIG, models) == recipe_hash(PreprocessConfig(), models)
    recipe = recipe_hash(CONFIG, models)
    for other in (
        PreprocessConfig(size=256),
        PreprocessConfig(margin=0.31),
        PreprocessConfig(align="none"),
    ):
        assert recipe_hash(other, models) != recipe
    for path in models.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert recipe_hash(CONFIG, tmp_path) == recipe
    next(tmp_path.iterdir()).write_bytes(b"other weights")
    assert recipe_hash(CONFIG, tmp_path) != recipe
    assert row_key("a", recipe) != row_key("b", recipe)


@pytest.mark.long
def test_a_name_as_long_as_a_file_system_takes_is_no_trouble(folder, tmp_path):
    (tmp_path / "photos").mkdir()
    name = "n" * 251 + ".jpg"
    source = next(path for path in sorted(folder.iterdir()) if path.name != "bad.jpg")
    (tmp_path / "photos" / name).write_bytes(source.read_bytes())
    frame = preprocess_folder(
        tmp_path / "photos", tmp_path / "out", PreprocessConfig(size=96), landmarker_dir()
    )
    assert frame["status"].tolist() == ["ok"]
    assert (tmp_path / "out" / name).is_file()


def test_faces_are_not_written_among_the_photos(folder, tmp_path):
    with pytest.raises(InputError, match="lies in the folder of the photos"):
        preprocess_folder(folder, folder / "out", CONFIG, landmarker_dir())
    with pytest.raises(ModelError, match="fetch_landmarker"):
        preprocess_folder(folder, tmp_path / "out", CONFIG, tmp_path)


def run_stage(images: Path, faces: str, cwd: Path) -> subprocess.CompletedProcess:
    write_params(cwd, {"data": {"images": str(images)}})
    return run_program(
        stage_command(
            "preprocess", landmarker=landmarker_dir(), crops=faces, faces="meta/faces.parquet"
        ),
        cwd,
    )


@pytest.mark.long
def test_the_stage_prints_one_line_and_why_photos_were_rejected(few_drawn_paths, tmp_path):
    (folder := tmp_path / "photos").mkdir()
    for path in few_drawn_paths:
        shutil.copyfile(path, folder / path.name)
    (folder / "bad.jpg").write_bytes(b"bad")
    run = run_stage(folder, "faces", tmp_path)
    assert run.returncode == 0, run.stderr
    assert "rows=5 reused=0 computed=5 rejected=1 seconds=" in run.stdout
    assert len(run.stdout.splitlines()) == 1
    (warning,) = run.stderr.splitlines()
    assert warning.startswith("warning: 1 of 5 photos are left out (1: ")
    assert len(tables.read(tmp_path / "meta" / "faces.parquet", FACES)) == 5

    run = run_stage(folder, "faces", tmp_path)
    assert "files of an earlier run stay there" in run.stderr

    run = run_stage(tmp_path / "none", "other", tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "no such folder; expected a folder with photos" in run.stderr


def children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_stage_is_stopped(folder, tmp_path, how):
    photos = tmp_path / "photos"
    photos.mkdir()
    for copy in range(100):
        for path in folder.glob("*1.jpg"):
            os.link(path, photos / f"{copy}-{path.name}")
    script = (
        "from facestats.faces.preprocess import preprocess_folder\n"
        "from facestats.faces.crop import PreprocessConfig\n"
        f"if __name__ == '__main__': preprocess_folder({str(photos)!r}, 'out', PreprocessConfig(), "
        f"{str(landmarker_dir())!r}, 2)\n"
    )
    (tmp_path / "run.py").write_text(script)
    with open(tmp_path / "stderr", "w") as stderr:
        run = start_program([sys.executable, "run.py"], tmp_path, stderr=stderr, hears_ctrl_c=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and len(list((tmp_path).glob("out/*.jpg"))) < 5:
        time.sleep(0.05)
    workers = children(run.pid)
    assert len(workers) >= 2
    run.send_signal(how)
    run.wait(timeout=20)
    while time.monotonic() < deadline and any(map(alive, workers)):
        time.sleep(0.05)
    assert not any(map(alive, workers))
    if how == signal.SIGINT:
        assert "resource_tracker" not in (tmp_path / "stderr").read_text()
