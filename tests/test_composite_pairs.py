"""Two composites: what lies between them, and where they differ."""

import io
import json
import os
import shutil

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image

from facestats.composites.contours import LEFT_CORNERS, LINES, PARTS, RIGHT_CORNERS, eye_centres
from facestats.core.landmarks import MIRROR
from facestats.errors import InputError
from facestats.pairs.built import Built, drawn_differently, read_composite, why_not_comparable
from facestats.pairs.continuum import SIDE, continuum, shares, strip
from facestats.pairs.difference import (
    difference,
    measure,
    nowhere_in_picture,
    one_sided,
    superimposed,
)
from facestats.pairs.figure import difference_figure
from programs import run_program, stage_command
from resources import ROOT

SIZE = 96
CHIN = 152
EYES = 0.2  # between the eyes, as a share of the side


def shape(seed=0):
    """468 landmarks in a disc around the middle, the eyes level and EYES apart, the chin below."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, 468), 0.25 * np.sqrt(rng.uniform(0, 1, 468))
    points = np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None]
    for corners, x in ((RIGHT_CORNERS, -EYES / 2), (LEFT_CORNERS, EYES / 2)):
        points[list(corners)] = [[x - 0.03, -0.08], [x + 0.03, -0.08]]
    points[CHIN] = 0, 0.3
    return (points + 0.5).astype(np.float32)


def smooth(seed, size=SIZE):
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


def plain(*colour, size=SIZE):
    return np.broadcast_to(np.array(colour, np.uint8), (size, size, 3)).copy()


def built(name="a", image=None, points=None, n=5, **render):
    return Built(
        name,
        smooth(0) if image is None else image,
        shape() if points is None else points,
        {
            "name": name,
            "built": True,
            "n": n,
            "why": None,
            "render": {"align": "warp"} | render,
            "members": [f"{name}.jpg", "both.jpg"],
        },
    )


def moved(points, landmark, right=0.0, down=0.0):
    """The shape with one landmark elsewhere, by percent of the distance between the eyes."""
    other = points.copy()
    other[landmark] += np.float32([right, down]) * EYES / 100
    return other


# Between two composites


@pytest.mark.long
def test_the_ends_of_a_continuum_are_the_composites():
    one, other = built("a", smooth(0)), built("b", smooth(1), shape(1))
    pictures = list(continuum(one, other, 4))
    assert len(pictures) == 4
    for end, picture in ((one, pictures[0]), (other, pictures[-1])):
        assert picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - end.image).max() <= 1
    assert np.abs(pictures[1].astype(int) - one.image).max() > 10


def test_a_continuum_from_a_composite_to_itself_stands_still():
    for picture in continuum(built(), built(), 3):
        assert np.abs(picture.astype(int) - smooth(0)).max() <= 1


def test_a_feature_walks_in_equal_steps_and_stays_one():
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5

    def dot(place):
        spot = np.exp(-((x - place[0] * SIZE) ** 2 + (y - place[1] * SIZE) ** 2) / 12)
        return np.repeat((255 * spot).astype(np.uint8)[:, :, None], 3, axis=2)

    points = shape()
    further = (points + np.float32([0.08, -0.04])).astype(np.float32)
    for share, picture in zip(
        shares(5),
        continuum(
            built("a", dot(points[CHIN]), points), built("b", dot(further[CHIN]), further), 5
        ),
        strict=True,
    ):
        row, column = np.unravel_index(picture[:, :, 0].argmax(), (SIZE, SIZE))
        expected = (points[CHIN] + share * np.array([0.08, -0.04])) * SIZE
        assert np.abs(np.array([column, row]) + 0.5 - expected).max() <= 1
        assert picture.max() > 220  # one spot, not two pale ones


def test_colours_are_mixed_as_light():
    pictures = list(continuum(built("a", plain(0, 0, 0)), built("b", plain(255, 255, 255)), 3))
    assert [int(picture[5, 5, 0]) for picture in pictures] == [
        0,
        188,
        255,
    ]  # 188 is half the light of white


@pytest.mark.parametrize(
    ("steps", "columns", "rows"), [(2, 2, 1), (9, 9, 1), (10, 5, 2), (25, 9, 3)]
)
def test_a_strip_shows_every_picture_with_its_share(steps, columns, rows):
    pictures = [Image.fromarray(plain(10 * i, 0, 0)) for i in range(steps)]
    sheet = np.asarray(strip(pictures, ("women", "a" * 60), (60, 7)))
    below = sheet.shape[0] // rows - SIDE
    assert abs(sheet.shape[1] - columns * SIDE) < 6 * columns
    for i in range(steps):
        left, top = i % columns * (sheet.shape[1] + 4) // columns, i // columns * (SIDE + below)
        assert sheet[top + 5, left + 5, 0] == 10 * i
        label = sheet[top + SIDE : top + SIDE + below, left : left + SIDE]
        assert (label < 100).any()
        assert (label[:, [0, -1]] > 200).all()  # a long name is made smaller, not cut off


# Where two composites differ


def test_a_composite_does_not_differ_from_itself():
    result = difference(built(), built())
    assert result.delta_e.max() == 0
    numbers = measure(result)
    assert {
        numbers["colour"][k]
        for k in ("mean", "median", "percentile_95", "largest", "mean_lightness")
    } == {0}
    assert (
        numbers["shape"]["root_mean_square"]
        == numbers["shape"]["larger_by"]
        == numbers["shape"]["turned_clockwise_degrees"]
        == 0
    )
    assert {v for part in numbers["shape"]["parts"].values() for v in part.values()} == {0}


@pytest.mark.long
@pytest.mark.parametrize(
    ("of", "minus", "expected"),
    [
        (
            (255, 255, 255),
            (0, 0, 0),
            {"mean": 100, "mean_lightness": 100, "mean_green_to_red": 0, "mean_blue_to_yellow": 0},
        ),
        ((119, 119, 119), (255, 255, 255), {"mean": 49.97, "mean_lightness": -49.97}),
        # sRGB red is L* 53.24, a* 80.09, b* 67.20 (D65), and black is 0, 0, 0
        (
            (255, 0, 0),
            (0, 0, 0),
            {
                "mean": 117.34,
                "mean_lightness": 53.24,
                "mean_green_to_red": 80.09,
                "mean_blue_to_yellow": 67.20,
            },
        ),
    ],
)
def test_colours_differ_as_cielab_says(of, minus, expected):
    colour = measure(difference(built("a", plain(*of)), built("b", plain(*minus))))["colour"]
    for key, value in expected.items():
        assert colour[key] == pytest.approx(value, abs=0.15), key


@pytest.mark.long
def test_only_what_is_inside_the_face_counts():
    image = smooth(0).copy()
    image[:15] = image[-8:] = 255 - image[0, 0]
    result = difference(built("a", image), built())
    assert result.delta_e.max() > 10
    assert measure(result)["colour"]["largest"] == 0
    assert 0.15 < result.inside.mean() < 0.3  # a disc of a quarter of the side, and the chin


def test_what_only_lies_elsewhere_in_the_crop_is_no_difference_of_shape():
    points = shape()
    turned = cv2.transform(points[None], cv2.getRotationMatrix2D((0.5, 0.5), -3, 1.1))[0] + [
        0.03,
        -0.02,
    ]  # clockwise
    numbers = measure(
        difference(built("a", points=turned.astype(np.float32)), built(points=points))
    )["shape"]
    assert numbers["root_mean_square"] == pytest.approx(0, abs=0.002)
    assert numbers["larger_by"] == pytest.approx(10, abs=0.01)
    assert numbers["turned_clockwise_degrees"] == pytest.approx(3, abs=0.01)


@pytest.mark.long
@pytest.mark.parametrize(("right", "down"), [(12, 0), (0, -9), (-8, 7)])
def test_a_shift_is_told_with_its_direction_and_size(right, down):
    points = shape()
    result = difference(built("a", points=moved(points, CHIN, right, down)), built(points=points))
    first = measure(result)["shape"]["largest"][0]
    assert (first["landmark"], first["near"]) == (CHIN, "jaw")
    assert [first["right"], first["down"]] == pytest.approx(
        [right, down], abs=0.25
    )  # 467 landmarks stay, and hold it nearly
    assert first["distance"] == pytest.approx(np.hypot(right, down), abs=0.25)


def test_what_is_the_same_on_both_sides_is_told_from_what_is_not():
    everything_to_the_right = np.repeat([[1.0, 0.0]], 468, axis=0)
    assert one_sided(everything_to_the_right).tolist() == everything_to_the_right.tolist()
    assert np.abs(one_sided(everything_to_the_right[:, ::-1])).max() == 0  # everything down
    shifts = np.random.default_rng(0).normal(size=(468, 2))
    both_sides = shifts + shifts[MIRROR] * [-1, 1]
    assert np.abs(one_sided(both_sides)).max() < 1e-12
    assert one_sided(shifts + both_sides) == pytest.approx(one_sided(shifts))


def test_superimposing_leaves_the_least_squares():
    one, other = (shape(i).astype(np.float64) for i in range(2))
    aligned, _ = superimposed(one, other)
    least = ((aligned - other) ** 2).sum()
    for dx, dy, turn, scale in np.random.default_rng(0).normal(
        0, [0.01, 0.01, 0.02, 0.02], (200, 4)
    ):
        turned = cv2.transform(
            aligned[None], cv2.getRotationMatrix2D((0.5, 0.5), np.degrees(turn), 1 + scale)
        )[0]
        assert ((turned + [dx, dy] - other) ** 2).sum() >= least


def test_parts_of_the_face_are_landmarks_of_their_own():
    points = [point for part in PARTS.values() for point in part]
    assert len(points) == len(set(points))
    assert set(points) == {point for line in LINES for point in line}
    assert max(points) < 468
    assert eye_centres(shape())[:, 0].tolist() == pytest.approx([0.5 - EYES / 2, 0.5 + EYES / 2])


@pytest.mark.long
def test_a_panel_shows_both_composites_whatever_the_names_are():
    result = difference(built("a", plain(200, 0, 0)), built("b", plain(0, 0, 200), shape(1)))
    for name in ("a", "w" * 60, "m$n_$"):
        panel = np.asarray(difference_figure(result, [(name, 60), (name, 1)], 3)).astype(int)
        for colour in (
            (200, 0, 0),
            (0, 0, 200),
        ):  # long names pushed one over the other, and made them small
            assert (np.abs(panel - colour).max(axis=2) <= 2).sum() > 100**2, (name, colour)


# What can't be compared


def test_composites_that_were_not_built_or_have_no_landmarks_say_why():
    empty = Built("empty", facts={"why": "too few faces match", "n": 0})
    flat = built("flat")
    flat.shape = None
    assert why_not_comparable(built(), built("b")) is None
    assert (
        why_not_comparable(built(), empty)
        == "the composite empty was not built: too few faces match"
    )
    assert why_not_comparable(flat, empty).startswith(
        "no member of the composite flat has landmarks"
    )
    assert why_not_comparable(flat, empty).endswith(
        "; the composite empty was not built: too few faces match"
    )


def test_faces_outside_the_picture_or_too_small_in_it_are_named():
    for points in (shape() + [2, 0], 0.5 + 0.02 * (shape() - 0.5)):
        outside = built("outside", points=points.astype(np.float32))
        assert nowhere_in_picture(outside, outside).startswith(
            "the common shape of outside and outside lies outside the picture"
        )
        with pytest.raises(InputError, match="no face to compare"):
            difference(outside, outside)
    assert nowhere_in_picture(built(), built("b")) is None
    half = built("half", points=(shape() + [0.5, 0]).astype(np.float32))  # beyond the edge in part
    assert measure(difference(built(), half))["colour"]["largest"] > 0


def test_other_sizes_are_named():
    with pytest.raises(InputError, match="a is 96×96 px, b is 64×64 px"):
        why_not_comparable(built(), built("b", smooth(1, 64)))


def test_other_ways_of_drawing_are_named():
    assert drawn_differently(built(max_yaw=30.0), built("b", max_yaw=30)) is None
    assert "a and b are drawn in different ways (align: warp and none)" in drawn_differently(
        built(), built("b", align="none")
    )


def write(folder, composite):
    """A composite's folder, as its stage writes it."""
    folder.mkdir(parents=True)
    (folder / "composite.json").write_text(json.dumps(composite.facts))
    if composite.image is not None:
        Image.fromarray(composite.image).save(folder / "composite.jpg", quality=95, subsampling=0)
        np.save(folder / "shape.npy", composite.shape)
    return folder


def array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def test_a_composite_comes_back_from_its_folder(tmp_path):
    back = read_composite(write(tmp_path / "a", built()))
    assert np.abs(back.image.astype(int) - smooth(0)).mean() < 2
    assert back.shape.tobytes() == shape().tobytes()
    assert back.summary() == {
        "name": "a",
        "built": True,
        "n": 5,
        "filter": None,
        "render": {"align": "warp"},
        "note": None,
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("composite.json", None),
        ("composite.json", b"{}"),
        ("composite.json", b"[1]"),
        ("composite.json", b"{"),
        ("composite.jpg", None),
        ("composite.jpg", b"no picture"),
        ("shape.npy", b"no array"),
        ("shape.npy", array(np.zeros((468, 2), np.float32)).replace(b", }", b", }\x1b[", 1)),
        (
            "shape.npy",
            array(np.zeros((468, 2), np.float32)).replace(b"(468,", b"(9" + b"0" * 17 + b",", 1),
        ),
        ("shape.npy", array(np.zeros((468, 3), np.float32))),
        ("shape.npy", array(np.full((468, 2), np.nan, np.float32))),
        ("shape.npy", array(np.full((468, 2), np.inf, np.float32))),
        ("shape.npy", array(np.full((468, 2), "a"))),
        ("composite.json", b'{"name": "a", "built": true, "render": ["warp"]}'),
        ("composite.json", b'{"name": "a", "built": false, "filter": "women"}'),
    ],
)
def test_a_folder_that_is_no_composite_is_named(tmp_path, name, content):
    folder = write(tmp_path / "a", built())
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(InputError, match="`dvc repro` writes it") as error:
        read_composite(folder)
    assert str(folder) in str(error.value)


# The stages


@pytest.fixture
def work(tmp_path):
    """A working directory with two composites and one that was not built, and a way to run a stage
    there.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["composites"] = dict.fromkeys(
        ["a", "b", "c", "far", "nowhere"], params["composites"]["women"]
    )
    params["continua"] = {
        "walk": {"from": "a", "to": "b", "steps": 3},
        "none": {"from": "a", "to": "c", "steps": 3},
    }
    params["continua"]["lost"] = {"from": "a", "to": "nowhere", "steps": 3}
    params["differences"] = {
        "gap": {"of": "a", "minus": "b"},
        "none_either": {"of": "c", "minus": "a"},
        "gap_far": {"of": "a", "minus": "far"},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    write(tmp_path / "a", built())
    write(tmp_path / "b", built("b", smooth(1), shape(1), n=7))
    write(
        tmp_path / "c",
        Built(
            "c", facts={"name": "c", "built": False, "n": 0, "why": "too few faces", "members": []}
        ),
    )

    def run(stage, name, **environment):
        command = stage_command(stage, name=name, composites=".")
        done = run_program(command, tmp_path, os.environ | environment)
        assert "Traceback" not in done.stderr
        return done

    run.folder = tmp_path
    return run


@pytest.mark.thorough
@pytest.mark.long
def test_the_stages_write_the_same_bytes_again(work):
    result = {}
    for attempt, order in enumerate(({}, {"PYTHONHASHSEED": "1"})):  # of what sets hold
        assert work("continuum", "walk", **order).returncode == 0
        assert work("difference", "gap", **order).returncode == 0
        result[attempt] = {
            path.relative_to(work.folder).as_posix(): path.read_bytes()
            for name in ("walk", "gap")
            for path in (work.folder / name).rglob("*.*")
        }
        for name in ("walk", "gap"):
            shutil.rmtree(work.folder / name)
    assert result[0] == result[1]
    assert set(result[0]) == {
        "walk/continuum.jpg",
        "walk/continuum.json",
        "walk/frames/00.jpg",
        "walk/frames/01.jpg",
        "walk/frames/02.jpg",
        "gap/difference.jpg",
        "gap/difference.json",
    }
    walk, gap = (
        json.loads(result[0]["walk/continuum.json"]),
        json.loads(result[0]["gap/difference.json"]),
    )
    assert set(walk) == {"name", "built", "why", "steps", "shares", "from", "to"}
    assert (walk["from"]["n"], walk["to"]["n"], walk["shares"]) == (5, 7, [0, 0.5, 1])
    assert set(gap) == {
        "name",
        "built",
        "why",
        "of",
        "minus",
        "faces_in_both",
        "chance",
        "colour",
        "shape",
    }
    assert gap["faces_in_both"] == 1
    assert "a part of every difference is chance" in gap["chance"]
    frame = np.asarray(Image.open(io.BytesIO(result[0]["walk/frames/02.jpg"]))).astype(int)
    assert (
        np.abs(frame - np.asarray(Image.open(work.folder / "b/composite.jpg"))).max() <= 4
    )  # JPEG once more


@pytest.mark.long
def test_a_composite_that_was_not_built_leaves_its_pictures_unbuilt(work):
    for stage, name in (("continuum", "none"), ("difference", "none_either")):
        done = work(stage, name)
        assert done.returncode == 0
        assert f".{name} is not built: the composite c was not built: too few faces" in done.stderr
        facts = json.loads((work.folder / name / f"{stage}.json").read_text())
        assert (facts["built"], facts["why"]) == (
            False,
            "the composite c was not built: too few faces",
        )
        assert [path.name for path in (work.folder / name).iterdir()] == [f"{stage}.json"]


@pytest.mark.long
def test_faces_outside_the_picture_leave_the_difference_unbuilt(work):
    write(work.folder / "far", built("far", points=shape() + np.float32([4, 0])))
    done = work("difference", "gap_far")
    assert done.returncode == 0
    assert (
        "differences.gap_far is not built: the common shape of a and far lies outside the picture"
        in done.stderr
    )
    assert json.loads((work.folder / "gap_far/difference.json").read_text())["built"] is False


@pytest.mark.long
def test_a_missing_folder_is_one_line(work):
    done = work("continuum", "lost")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere is not the folder of a composite")
