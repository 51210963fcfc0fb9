"""Detail given back to composites, their masks, lossless files, and groups of turned faces."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from drawn_shapes import NOSE, SIZE, noise, shape, smooth, write_faces
from facestats.composites.averaging import average_faces, averaging_options
from facestats.composites.finish import GREY, finished, mask_of, on_white, png
from facestats.composites.folder import composite_facts, preview, write_composite
from facestats.composites.light import TO_LINEAR, to_codes
from facestats.composites.outline import Segmenter, find_outline, mirrored_outline, own_rows
from facestats.composites.params import Render
from facestats.composites.texture import magnitudes
from facestats.core.doubts import SEPARATOR
from facestats.errors import ModelError
from facestats.groups.filters import select_faces
from facestats.groups.params import Filter
from facestats.pairs.built import read_composite
from resources import landmarker_dir


def freckled(seed):
    """The same face with other freckles."""
    grain = cv2.GaussianBlur(noise(seed).astype(np.float32), (0, 0), 0.8)
    return np.clip(smooth(0) * 0.3 + 60 + 0.8 * (grain - 128), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    return write_faces(folder, *((freckled(seed), shape()) for seed in range(12)))


def strength(image):
    place = np.rint(shape()[NOSE, :2] * SIZE).astype(int)
    rows, columns = (slice(at - 12, at + 12) for at in place[::-1])
    found = magnitudes(TO_LINEAR[image].mean(axis=-1))
    return found[rows, columns, :3].mean(axis=(0, 1))


@pytest.mark.long
def test_texture_gives_an_average_the_detail_of_its_faces(faces):
    single = np.mean([strength(freckled(seed)) for seed in range(12)], axis=0)
    plain = strength(average_faces(faces).image)
    detailed = strength(average_faces(faces, texture=True).image)
    assert (plain < 0.5 * single).all()
    assert detailed == pytest.approx(single, rel=0.2)


def test_texture_leaves_what_is_around_the_face(faces):
    plain, detailed = average_faces(faces).image, average_faces(faces, texture=True).image
    assert np.array_equal(plain[:8], detailed[:8])
    assert np.array_equal(plain[:, :8], detailed[:, :8])


@pytest.mark.parametrize("kind", ["oval", "face"])
def test_a_mask_shows_the_face_alone(kind):
    shown = mask_of(shape()[:, :2], SIZE, kind)
    y, x = np.rint(shape()[NOSE, :2] * SIZE).astype(int)[::-1]
    assert shown[y, x] == 1
    assert not shown[:4].any()
    assert not shown[:, :4].any()
    assert 0.08 < shown.mean() < 0.25


def test_backgrounds_are_grey_or_transparent():
    values = TO_LINEAR[smooth(1)].astype(np.float64)
    cut = ("linear", shape()[:, :2], "face")
    grey = finished(values, *cut, "grey", 8)
    assert grey[0, 0].tolist() == [GREY] * 3
    clear = finished(values, *cut, "transparent", 16)
    assert clear.dtype == np.uint16
    assert clear[0, 0, 3] == 0
    assert clear[48, 48, 3] == 65535
    assert np.array_equal(clear[:, :, :3], to_codes(values, "linear", 16))
    assert on_white(finished(values, *cut, "transparent", 8))[0, 0].tolist() == [255] * 3
    assert np.array_equal(finished(values, "linear", None, "face", "grey", 8), smooth(1))


def test_sixteen_bits_hold_more_than_eight():
    values = np.linspace(0.2, 0.21, 96 * 96).reshape(96, 96, 1).repeat(3, axis=2)
    codes = cv2.imdecode(np.frombuffer(png(to_codes(values, "linear", 16)), np.uint8), -1)
    assert codes.dtype == np.uint16
    assert len(np.unique(codes)) > 300
    assert len(np.unique(to_codes(values, "linear"))) < 10


def written(folder, faces, **options):
    render = Render(**options)
    average = average_faces(faces, **averaging_options(render, {}))
    facts = composite_facts(average, render.used(), {}, pd.Series(dtype=float))
    write_composite(folder, "a", average, facts, faces["path"].iloc[0].parent, folder / "s.json")
    return average, json.loads((folder / "composite.json").read_text())


@pytest.mark.long
def test_files_hold_what_was_asked_for(tmp_path, faces):
    average, facts = written(tmp_path / "plain", faces)
    assert facts["render"].keys() == {"align", "space", "symmetric", "max_yaw"}
    assert not (tmp_path / "plain/composite.png").exists()
    assert np.array_equal(preview(average, Render().model_dump()), average.image)
    options = {"texture": True, "mask": "face", "background": "transparent", "format": "png"}
    average, facts = written(tmp_path / "cut", faces, **options)
    assert facts["render"]["texture"] is True
    with Image.open(tmp_path / "cut/composite.png") as picture:
        assert picture.mode == "RGBA"
        assert np.array_equal(np.asarray(picture.convert("RGB")), average.image)
    with Image.open(tmp_path / "cut/composite.jpg") as picture:
        assert min(picture.getpixel((0, 0))) > 250
    # behind a mask the whole composite is there for continua, differences and stimuli
    assert np.array_equal(read_composite(tmp_path / "cut").drawn[0], average.image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "oval"}, "mask and background go together"),
        ({"background": "grey"}, "mask and background go together"),
        ({"mask": "face", "background": "transparent"}, "a JPEG can't be transparent"),
        ({"texture": True, "align": "eyes"}, "texture needs align: warp, found eyes"),
        ({"outlines": True, "align": "none"}, "outlines needs align: warp, found none"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Render(**options)


def test_a_group_of_turned_faces_is_drawn_and_not_left_out(tmp_path):
    turned = write_faces(tmp_path, *((smooth(i), shape(), 30.0 + i) for i in range(4)))
    assert average_faces(turned, **averaging_options(Render(), {})).image is None
    options = averaging_options(Render(), {"filter": {"columns": {"yaw": [20, 40]}}})
    assert len(average_faces(turned, **options).used) == 4


def test_faces_are_filtered_by_a_band_of_yaw():
    table = pd.DataFrame(
        {
            "filename": ["a", "b", "c", "d"],
            "yaw": [-35.0, 0.0, 25.0, 35.0],
            "doubts": ["extreme_pose", None, None, SEPARATOR.join(["dark", "extreme_pose"])],
        }
    )
    assert select_faces(table, {"columns": {"yaw": [20, 40]}}).rows["filename"].tolist() == ["c"]
    assert select_faces(table, {"columns": {"yaw": [-40, -20]}}).rows["filename"].tolist() == ["a"]
    assert select_faces(table, {}).rows["filename"].tolist() == ["b", "c"]
    assert Filter.model_validate({"yaw": [20, 40]}).columns == {"yaw": [20, 40]}


def disc(radius, centre=(0.5, 0.5), size=128):
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return (np.hypot(x - centre[0], y - centre[1]) < radius).astype(np.float32)


def test_the_outline_is_where_the_person_ends():
    outline = find_outline(disc(0.4), shape())
    assert np.hypot(*(outline - 0.5).T) == pytest.approx(0.4, abs=0.02)
    aside = find_outline(disc(0.35, (0.55, 0.5)), shape())
    mirror = find_outline(disc(0.35, (0.45, 0.5)), shape())
    assert mirrored_outline(aside) == pytest.approx(mirror, abs=0.02)
    whole = find_outline(np.ones((128, 128), np.float32), shape())
    assert np.abs(whole - 0.5).max() == pytest.approx(0.485, abs=0.01)


def test_outlines_meet_where_the_faces_alone_do_not(tmp_path):
    """Heads of two sizes around the same face."""
    radii = (0.34, 0.44)

    def head(radius):
        return (60 + 160 * disc(radius, size=SIZE)[:, :, None].repeat(3, 2)).astype(np.uint8)

    def segmenter(rgb):
        return (rgb[:, :, 0] > 140).astype(np.float32)

    faces = write_faces(tmp_path, *((head(radius), shape()) for radius in radii))
    column = {
        name: average_faces(faces, segmenter=how).image[2:46, SIZE // 2, 0].astype(int)
        for name, how in (("plain", None), ("met", segmenter))
    }
    between = {name: ((values > 90) & (values < 200)).sum() for name, values in column.items()}
    assert between["plain"] >= 8
    assert between["met"] <= 4


def test_rows_that_repeat_the_edge_of_a_photo_count_for_nothing():
    rgb = noise(0)
    assert own_rows(rgb).tolist() == [1] * SIZE
    rgb[80:] = rgb[80]
    counts = own_rows(rgb)
    assert not counts[81:].any()
    assert counts[:70].all()
    assert own_rows(np.full((SIZE, SIZE, 3), 255, np.uint8)).tolist() == [1] * SIZE


def test_streaks_below_one_photo_are_filled_by_the_others(tmp_path):
    whole = noise(1)
    short = whole.copy()
    short[80:] = (255, 0, 0)
    faces = write_faces(tmp_path, (short, shape()), *((whole, shape()) for _ in range(3)))

    def segmenter(rgb):
        return np.ones(rgb.shape[:2], np.float32)

    below = slice(88, None), slice(None), 1  # the streak's green is missing there
    plain, mended = (average_faces(faces, segmenter=how).image for how in (None, segmenter))
    away = [np.abs(one[below].astype(int) - whole[below]).mean() for one in (plain, mended)]
    assert away[1] < 0.3 * away[0]


def test_a_folder_without_the_segmentation_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"render.outlines needs selfie_segmentation\.tflite in"):
        Segmenter(tmp_path)


def test_the_segmentation_runs():
    person = Segmenter(landmarker_dir())(noise(0))
    assert person.shape == (256, 256)
    assert person.min() >= 0
    assert person.max() <= 1
