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
from facestats.composites.params import Render
from facestats.composites.texture import magnitudes
from facestats.core.doubts import SEPARATOR
from facestats.groups.filters import select_faces
from facestats.groups.params import Filter
from facestats.pairs.built import read_composite


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
