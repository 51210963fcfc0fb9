"""Composites: who is in, where every feature goes, and what light adds up to."""

import json
import os
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facestats import tables
from facestats.composites.averaging import LEFT_EYE, RIGHT_EYE, _mover, average_faces, contact_sheet
from facestats.composites.filters import Selection
from facestats.composites.members import Members, link, write_members
from facestats.composites.warping import Warper, sample_bilinear
from facestats.errors import InputError
from resources import text

SIZE = 96
NOSE = 4


def shape(dx=0.0, dy=0.0, turn=0.0, scale=1.0, seed=0):
    """468 landmarks around the middle, the eyes level and 0.2 apart; then turned, scaled and moved."""
    points = np.random.default_rng(seed).uniform(-0.2, 0.2, (468, 2))
    for corners, x in ((RIGHT_EYE, -0.1), (LEFT_EYE, 0.1)):
        points[list(corners)] = [[x - 0.03, -0.08], [x + 0.03, -0.08]]
    points[NOSE] = 0, 0.05
    turned = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * scale
    return np.column_stack([turned + [0.5 + dx, 0.5 + dy], np.zeros(468)]).astype(np.float32)


def dots(*points, size=SIZE, sigma=2.5):
    """Bright spots on black, at points given as shares of the side."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = sum(np.exp(-((x - px * size) ** 2 + (y - py * size) ** 2) / (2 * sigma**2)) for px, py in points)
    return np.repeat((255 * image.clip(0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def own_places(size=SIZE):
    """An image whose every pixel holds its own place (x, y), as shares of the side."""
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / size
    return np.stack(np.meshgrid(ramp, ramp), axis=-1)


def brightest(image):
    """Place (x, y) and value of the brightest spot, as shares of the side."""
    grey = image[:, :, 0].astype(float)
    y, x = np.unravel_index(grey.argmax(), grey.shape)
    return (x + 0.5) / len(grey), (y + 0.5) / len(grey), grey.max()


@pytest.fixture
def members(tmp_path):
    def write(*faces):
        rows = []
        for i, (image, landmarks) in enumerate(faces):
            path = tmp_path / f"{i:03}.jpg"
            Image.fromarray(image).save(path, "PNG")  # without loss; Pillow goes by the content
            rows.append((path.name, path, landmarks))
        return pd.DataFrame({"filename": [r[0] for r in rows], "path": [r[1] for r in rows],
                             "landmarks": pd.Series([r[2] for r in rows], dtype=object)})

    return write


def noise(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def smooth(seed, size=SIZE):
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


def decode(codes):
    c = codes / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def test_the_plain_mean_of_codes_and_of_light(members):
    a, b, c = noise(1), noise(2), noise(3)
    faces = members((a, None), (b, shape()), (c, None))
    gamma = average_faces(faces, "none", "gamma")
    assert gamma.used == ["000.jpg", "001.jpg", "002.jpg"]
    assert np.abs(gamma.image - (a.astype(float) + b + c) / 3).max() <= 0.501
    linear = average_faces(faces, "none", "linear").image
    light = np.mean([decode(x) for x in (a, b, c)], axis=0)
    # compare as codes: undo the transfer with numpy's own interpolation of the 256 codes
    assert np.abs(linear - np.interp(light, decode(np.arange(256.0)), np.arange(256))).max() < 0.6
    black_and_white = members((np.zeros((4, 4, 3), np.uint8), None), (np.full((4, 4, 3), 255, np.uint8), None))
    assert average_faces(black_and_white, "none", "linear").image[0, 0].tolist() == [188] * 3  # the known half of white
    assert average_faces(black_and_white, "none", "gamma").image[0, 0].tolist() == [128] * 3


@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
@pytest.mark.parametrize("space", ["linear", "gamma"])
def test_the_average_of_one_face_is_that_face(members, align, space):
    image = smooth(0)
    average = average_faces(members((image, shape()), (image, shape())), align, space).image
    assert average.dtype == np.uint8
    assert np.abs(average.astype(int) - image).max() <= 1


def test_warping_brings_a_feature_to_its_mean_place_and_keeps_it_sharp(members):
    one, other = shape(-0.08, 0.03), shape(0.06, -0.05, scale=1.2)
    faces = members(*((dots(s[NOSE, :2]), s) for s in (one, other)))
    expected = (one[NOSE, :2] + other[NOSE, :2]) / 2
    x, y, value = brightest(average_faces(faces, "warp", "gamma").image)
    assert abs(x - expected[0]) <= 1 / SIZE
    assert abs(y - expected[1]) <= 1 / SIZE
    assert value > 220
    assert brightest(average_faces(faces, "none", "gamma").image)[2] < 140  # two pale ghosts


def test_eyes_meet_after_turning_scaling_and_shifting(members):
    def eyes(s):
        return [s[list(corners), :2].mean(axis=0) for corners in (RIGHT_EYE, LEFT_EYE)]

    shapes = [shape(-0.05, 0.04, turn=0.3), shape(0.05, 0.0, turn=-0.2, scale=1.4), shape()]
    faces = members(*((dots(*eyes(s)), s) for s in shapes))
    image = average_faces(faces, "eyes", "gamma").image
    for i, half in enumerate((image[:, :SIZE // 2], image[:, SIZE // 2:])):
        target = np.mean([eyes(s)[i] for s in shapes], axis=0) * SIZE - [i * SIZE // 2, 0]
        y, x = np.unravel_index(half[:, :, 0].argmax(), half.shape[:2])
        assert np.abs(np.array([x, y]) + 0.5 - target).max() <= 1.2
        assert half.max() > 200


def test_eyes_meet_to_a_hundredth_of_a_pixel():
    small, large = shape(-0.02, turn=0.1, scale=0.6), shape(0.02, scale=1.4)
    moved = _mover("eyes", (small + large) / 2, SIZE)(own_places(), small)
    for corners in (RIGHT_EYE, LEFT_EYE):
        source, target = (s[list(corners), :2].mean(axis=0) for s in (small, (small + large) / 2))
        found = sample_bilinear(moved, (target[None] * SIZE - 0.5).astype(np.float32))[0]
        assert np.abs(found - source).max() < 0.01 / SIZE


def test_a_turn_goes_the_right_way(members):
    # nose below the eyes: were the turn mirrored, the noses would not meet
    shapes = [shape(turn=0.35), shape(turn=-0.35)]
    faces = members(*((dots(s[NOSE, :2]), s) for s in shapes))
    assert brightest(average_faces(faces, "eyes", "gamma").image)[2] > 220


@pytest.mark.parametrize("align", ["eyes", "warp"])
def test_there_is_no_black_border(members, align):
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    shapes = [shape(-0.2, 0.2, turn=0.4, scale=1.5), shape(0.2, -0.1, turn=-0.3, scale=0.6), shape(0.35, 0.0)]
    assert average_faces(members(*((white, s) for s in shapes)), align).image.min() == 255


def test_faces_without_landmarks_are_left_out_and_named_where_they_are_needed(members):
    faces = members((smooth(0), shape()), (np.zeros((SIZE, SIZE, 3), np.uint8), None))
    for align in ("eyes", "warp"):
        average = average_faces(faces, align)
        assert (average.used, average.left_out) == (["000.jpg"], ["001.jpg"])
        assert np.abs(average.image.astype(int) - smooth(0)).max() <= 1
    assert average_faces(faces, "none").left_out == []
    alone = average_faces(faces.iloc[1:], "warp")
    assert (alone.image, alone.used, alone.left_out) == (None, [], ["001.jpg"])


def test_the_order_of_members_hardly_matters(members):
    faces = members(*((smooth(i), shape(0.01 * i, seed=i)) for i in range(6)))
    there, back = average_faces(faces).image, average_faces(faces[::-1]).image
    assert np.abs(there.astype(int) - back).max() <= 1


def test_a_face_of_another_size_is_named(members):
    with pytest.raises(InputError, match=r"001\.jpg is 64×64 px, the faces before it 96×96"):
        average_faces(members((noise(0), None), (noise(1, 64), None)), "none")


@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
def test_memory_does_not_grow_with_the_number_of_faces(members, align):
    faces = members(*((noise(i), shape(seed=i)) for i in range(50)))
    peak = {}
    for n in (5, 5, 50):  # once to warm up
        tracemalloc.start()
        average_faces(faces.head(n), align)
        peak[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[50] - peak[5] < 1e6  # 45 more faces as float32 are 5e6 bytes


# Warping

def test_identical_landmarks_change_nothing():
    image = noise(0).astype(np.float32)
    assert np.abs(Warper(shape(), SIZE)(image, shape()) - image).max() < 0.05


def test_a_warp_moves_every_landmark_to_its_target():
    source, target = shape(0.05, 0.02, turn=0.1, scale=1.1), shape()
    image = own_places()
    moved = Warper(target, SIZE)(image, source)
    found = sample_bilinear(moved, (target[:, :2] * SIZE - 0.5).astype(np.float32))
    assert np.median(np.linalg.norm(found - source[:, :2], axis=1)) < 0.25 / SIZE
    corners = moved[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners - image[[0, 0, -1, -1], [0, -1, 0, -1]]).max() < 0.5 / SIZE


def test_landmarks_beyond_the_edge_tear_nothing():
    image = np.full((SIZE, SIZE, 3), 7, np.float32)
    assert np.allclose(Warper(shape(0.45, scale=1.5), SIZE)(image, shape(-0.4, scale=2.0)), 7)


def test_bilinear_values_are_exact_at_and_between_pixels():
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    places = np.array([[0, 0], [3, 2], [1.5, 0], [1, 0.5], [2.25, 1.5], [-5, 1], [9, 9]], np.float32)
    assert sample_bilinear(image, places).ravel().tolist() == [0, 11, 1.5, 3, 8.25, 4, 11]


# Members' folders

@pytest.fixture
def folder(tmp_path):
    """Face crops, their landmarks (one face has none) and a way to write the members' folder."""
    preproc = tmp_path / "preproc"
    names = ["NA.jpg", "a/ü 1.jpg", "b,\"c\".jpg", "d.jpg"]
    for i, name in enumerate(names):
        (preproc / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth(i, 32)).save(preproc / name, quality=95)
    landmarks = pd.DataFrame({"filename": names, "landmarks": [shape(seed=i).ravel() for i in range(4)],
                              "yaw": np.float32(0)})
    landmarks.at[3, "landmarks"] = None

    def write(rows=names, minimum=1):
        chosen = Selection(pd.DataFrame({"filename": text(rows)}), {"all": 4, "cluster": len(rows)}, minimum)
        write_members(chosen, "group", {"cluster": 1}, landmarks, preproc, tmp_path / "out")
        return tmp_path / "out"

    write.preproc, write.names = preproc, names
    return write


def read(out):
    return Members(out / "members.csv", out / "faces")


def test_members_come_back_as_they_were_written(folder):
    out = folder()
    members = list(read(out))
    assert [m.filename for m in members] == folder.names
    for i in range(3):
        assert members[i].landmarks.tobytes() == shape(seed=i).tobytes()
    assert members[3].landmarks is None
    assert [m.path.read_bytes() for m in members] == [(folder.preproc / n).read_bytes() for n in folder.names]
    selection = json.loads((out / "selection.json").read_text())
    assert selection == {"name": "group", "filter": {"cluster": 1}, "built": True, "n": 4, "found": 4, "min_results": 1,
                         "matched": {"all": 4, "cluster": 4}, "relaxed": []}
    average = average_faces(members)
    assert (average.used, average.left_out) == (folder.names[:3], folder.names[3:])


def test_too_few_members_are_none(folder):
    out = folder(folder.names[:2], minimum=3)
    assert (out / "members.csv").read_text() == "filename\n"
    assert len(read(out)) == 0
    assert [p.name for p in (out / "faces").iterdir()] == ["landmarks.parquet"]
    selection = json.loads((out / "selection.json").read_text())
    assert [selection[k] for k in ("built", "n", "found", "min_results")] == [False, 0, 2, 3]
    assert average_faces(read(out)).image is None


def test_the_folder_does_not_depend_on_faces_outside_it(folder):
    out = folder(folder.names[:2])
    assert tables.read(out / "faces/landmarks.parquet", tables.MEMBER_LANDMARKS)["filename"].tolist() == folder.names[:2]
    assert not (out / "faces" / "d.jpg").exists()


def test_members_of_an_earlier_run_are_gone(folder):
    out = folder()
    folder(folder.names[:1])
    assert sorted(p.name for p in (out / "faces").rglob("*.*")) == ["NA.jpg", "landmarks.parquet"]


def test_a_link_is_never_written_through(folder, tmp_path, monkeypatch):
    face = folder.preproc / "d.jpg"
    cached = tmp_path / "cached"
    os.link(face, cached)  # DVC's cache and the face share their bytes
    before = cached.read_bytes()
    out = folder()
    assert (out / "faces" / "d.jpg").samefile(cached)
    face.unlink()
    face.write_bytes(b"another face")
    for fails in (False, True):
        if fails:  # a file system without hard links
            monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
        folder()
        assert (out / "faces" / "d.jpg").read_bytes() == b"another face"
        link(face, out / "faces" / "d.jpg")
        assert cached.read_bytes() == before


def test_a_face_that_is_itself_a_link_is_followed(folder, tmp_path):
    face = folder.preproc / "d.jpg"
    cached = face.rename(tmp_path / "cached")
    face.symlink_to(cached)
    out = folder()
    assert not (out / "faces" / "d.jpg").is_symlink()
    assert (out / "faces" / "d.jpg").read_bytes() == cached.read_bytes()


@pytest.mark.parametrize("content", [None, "", "name\nd.jpg\n", "filename\nstranger.jpg\n"])
def test_a_folder_that_select_did_not_write_is_named(folder, content):
    out = folder()
    if content is None:
        (out / "members.csv").unlink()
    else:
        (out / "members.csv").write_text(content)
    with pytest.raises(InputError, match=r"members\.csv"):
        read(out)


def test_a_contact_sheet_shows_each_face_in_its_place(members):
    faces = members(*((np.full((SIZE, SIZE, 3), 20 * i, np.uint8), None) for i in range(7)))
    sheet = np.asarray(contact_sheet(list(faces["path"]), columns=3, side=10))
    assert sheet.shape == (30, 30, 3)
    assert [sheet[5 + 10 * (i // 3), 5 + 10 * (i % 3), 0] for i in range(7)] == [20 * i for i in range(7)]
    assert (sheet[20:, 10:] == 255).all()
    assert contact_sheet(list(faces["path"]), columns=3, side=10, most=3).size == (30, 10)
