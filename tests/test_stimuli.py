"""Faces moved within their photos: shape, colours, detail, symmetry, caricature."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from drawn_shapes import NOSE, dots, noise, shape, smooth
from facestats.composites.shapes import mirrored
from facestats.composites.texture import bands, gains, magnitudes, strengthened
from facestats.core.landmarks import MIRROR
from facestats.errors import ImageError, InputError
from facestats.pairs.built import Built
from facestats.photos.budget import OverBudgetError
from facestats.photos.layers import open_layers
from facestats.stimuli.changes import Change, along, caricature, lab, shape_step, symmetric
from facestats.stimuli.frame import laid_on
from facestats.stimuli.moving import move_face
from facestats.stimuli.photo import FacePhoto, encoded

WIDTH, HEIGHT, FACE = 260, 300, 220  # px; FACE: side of a square in which the face lies as drawn
AT = 20, 40


def landmarks(**how):
    return shape(**how)[:, :2].astype(np.float64) * FACE + AT


def photo(rgb=None, points=None, **more):
    rgb = smooth(3, HEIGHT)[:, :WIDTH] if rgb is None else rgb
    return FacePhoto(
        np.ascontiguousarray(rgb), landmarks() if points is None else points, 0, **more
    )


def built(name="a", image=None, points=None, size=96):
    return Built(
        name,
        smooth(0, size) if image is None else image,
        shape()[:, :2] if points is None else points,
    )


def plain(colour, size=96):
    return np.broadcast_to(np.array(colour, np.uint8), (size, size, 3)).copy()


def pixels(picture):
    return np.asarray(picture.convert("RGB")).astype(int)


def nose_lower(by):
    """The nose, and all around it ever less."""
    points = shape()[:, :2].copy()
    near = np.exp(-((points - points[NOSE]) ** 2).sum(axis=1) / (2 * 0.1**2))
    points[:, 1] += by * near
    return points


def test_no_change_changes_no_pixel():
    face = photo(noise(1, HEIGHT)[:, :WIDTH])
    moved = move_face(face, along(face, built(points=nose_lower(0.02)), built("b"), 0.0, 0.0))
    assert np.array_equal(pixels(moved), face.rgb)
    assert moved.size == (WIDTH, HEIGHT)


@pytest.mark.long
def test_skin_does_not_glow_where_only_the_composite_had_brows():
    """`minus` has a dark band that `of` lacks."""
    skin, y = (200, 160, 140), round(0.42 * 96)
    banded = plain(skin)
    banded[y - 2 : y + 2, 30:66] = 90, 60, 50
    ends = built(image=plain(skin)), built("b", image=banded)
    rgb = np.broadcast_to(np.array(skin, np.uint8), (HEIGHT, WIDTH, 3)).copy()
    rows = slice(round(AT[1] + 0.40 * FACE), round(AT[1] + 0.44 * FACE))
    columns = slice(round(AT[0] + 0.45 * FACE), round(AT[0] + 0.55 * FACE))
    face = photo(rgb)
    after = pixels(move_face(face, along(face, *ends, 0, 1)))
    assert np.abs(after[rows, columns] - skin).max() < 35  # without a limit: 103
    darker = pixels(move_face(face, along(face, *ends, 0, -1)))
    assert darker[rows, columns].mean() < np.mean(skin) - 20


@pytest.mark.long
@pytest.mark.parametrize("share", [-1.0, 0.5, 1.0])
def test_a_feature_goes_as_far_as_is_asked(share):
    at = landmarks()[NOSE]
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:WIDTH] = dots(at / WIDTH, size=WIDTH, sigma=1.5)
    face = photo(rgb)
    moved = pixels(
        move_face(face, along(face, built(points=nose_lower(0.03)), built("b"), share, 0))
    )
    weights = moved[:, :, 0].astype(float) ** 2
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    centre = [(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()]
    step = shape_step(face.landmarks, nose_lower(0.03), shape()[:, :2])[NOSE]
    assert step[1] > 2
    expected = at + share * step
    assert centre == pytest.approx(expected, abs=0.8)


def test_a_turned_face_is_moved_in_its_own_direction():
    of, minus = nose_lower(0.03), shape()[:, :2]
    upright = shape_step(landmarks(), of, minus)
    turned = shape_step(landmarks(turn=0.4), of, minus)
    cos, sin = np.cos(0.4), np.sin(0.4)
    assert turned[NOSE] == pytest.approx(upright[NOSE] @ [[cos, sin], [-sin, cos]], abs=0.01)
    assert upright[NOSE] == pytest.approx([0, 2.4], abs=0.1)  # less the shift of the whole face


def test_what_lies_on_one_side_only_is_left_out():
    """Heads that are turned to a side differ there; so does light."""
    one_sided = shape()[:, :2] + 0.02 * np.array([1.0, 0.0]) * (shape()[:, [1]] > 0.5)
    step = shape_step(landmarks(), one_sided, shape()[:, :2])
    assert np.abs(step - step[MIRROR] * [-1, 1]).max() < 1e-3
    face = photo(plain((120, 120, 120), HEIGHT)[:, :WIDTH])
    left = plain((120, 120, 120))
    left[:, :48] = 200
    moved = pixels(
        move_face(face, along(face, built(image=left), built("b", plain((120,) * 3)), 0, 1))
    )
    x, y = np.rint(landmarks()[NOSE]).astype(int)
    assert abs(moved[y, x - 20, 0] - moved[y, x + 20, 0]) <= 2
    assert moved[y, x - 20, 0] > 130


def test_hair_and_background_stay():
    face = photo(noise(2, HEIGHT)[:, :WIDTH])
    change = along(face, built(points=shape(scale=1, seed=3)[:, :2]), built("b"), 1, 1)
    changed = np.abs(pixels(move_face(face, change)) - face.rgb).max(axis=-1) > 0
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    assert (
        changed[int(low[1] + 40) : int(high[1] - 40), int(low[0] + 30) : int(high[0] - 30)].mean()
        > 0.9
    )
    assert not changed[:, :8].any()
    assert not changed[:6].any()
    assert not changed[-6:].any()


def test_colours_move_by_the_difference_and_come_back():
    rgb = plain((150, 110, 90), HEIGHT)[:, :WIDTH]
    face = photo(rgb)
    of, minus = built(image=plain((160, 120, 110))), built("b", plain((140, 120, 100)))
    moved = move_face(face, along(face, of, minus, 0, 0.5))
    x, y = np.rint(face.landmarks[NOSE]).astype(int)
    expected = lab(rgb)[y, x] + 0.5 * (lab(of.drawn[0]) - lab(minus.drawn[0]))[48, 48]
    colours = lab(np.asarray(moved))
    assert colours[y, x] == pytest.approx(expected, abs=0.5)
    assert np.array_equal(np.asarray(moved)[2, 2], rgb[2, 2])
    again = photo(np.asarray(moved))
    back = move_face(again, along(again, of, minus, 0, -0.5))
    assert np.abs(pixels(back) - rgb).max() <= 2


def test_the_mask_has_a_soft_edge():
    face = photo(plain((120, 120, 120), HEIGHT)[:, :WIDTH])
    of, minus = built(image=plain((255, 255, 255))), built("b", plain((120, 120, 120)))
    row = pixels(move_face(face, along(face, of, minus, 0, 1)))[int(face.landmarks[NOSE, 1]), :, 0]
    assert np.abs(np.diff(row)).max() <= 16
    assert row.max() - row.min() > 100


def test_wholly_symmetric_is_its_own_mirror_image():
    face = photo(smooth(5, HEIGHT)[:, :WIDTH], landmarks(seed=2))
    change = symmetric(face, "both", 1)
    other = laid_on(change.target[MIRROR] * [-1, 1], change.target)
    assert np.abs(other - change.target).max() < 0.01 * FACE
    assert np.array_equal(symmetric(face, "colour", 1).target, face.landmarks)
    level = photo(smooth(5, HEIGHT)[:, :WIDTH], mirrored(shape()[:, :2]) * FACE + AT)
    moved = pixels(move_face(level, symmetric(level, "colour", 1)))
    middle = level.landmarks[:, 0].min() / 2 + level.landmarks[:, 0].max() / 2
    y = int(level.landmarks[NOSE, 1])
    for away in (10, 20, 28):
        left, right = moved[y, round(middle - 0.5 - away)], moved[y, round(middle - 0.5 + away)]
        assert np.abs(left - right).max() <= 12
    half = symmetric(face, "shape", 0.5).target
    assert half == pytest.approx((face.landmarks + symmetric(face, "shape", 1).target) / 2)


def test_a_caricature_leads_away_from_the_mean_and_back_to_it():
    points = landmarks(seed=4)
    face, mean = photo(points=points), built("mean")
    assert caricature(face, mean, -1.0).target == pytest.approx(laid_on(shape()[:, :2], points))
    away = caricature(face, mean, 0.5).target - laid_on(shape()[:, :2], points)
    assert away == pytest.approx(1.5 * (points - laid_on(shape()[:, :2], points)))
    assert caricature(face, mean, 0.5).own == 0
    assert caricature(face, mean, 0.5, 0.3).own == pytest.approx(0.3)


def test_a_face_at_the_edge_of_its_photo_leaves_no_streaks():
    rgb = noise(4, HEIGHT)[:, :WIDTH]
    points = landmarks() - [landmarks()[:, 0].min() - 3, 0]
    face = photo(rgb, points)
    moved = pixels(move_face(face, along(face, built(points=nose_lower(0.04)), built("b"), 1, 0)))
    assert np.array_equal(moved[:, 0], rgb[:, 0])


def test_a_face_that_takes_more_than_its_budget_is_refused():
    face = photo()
    change = symmetric(face, "shape", 1)
    with pytest.raises(OverBudgetError, match=r"the face is too large to be moved: \d+ px"):
        move_face(face, change, max_pixels=100_000)
    assert move_face(face, change, max_pixels=20_000_000).size == (WIDTH, HEIGHT)


def test_a_shape_that_folds_is_refused():
    face = photo()
    inside_out = face.landmarks.copy()
    inside_out[:, 0] = 2 * inside_out[:, 0].mean() - inside_out[:, 0]
    with pytest.raises(InputError, match="would fold over itself; ask for a smaller shape"):
        move_face(face, Change(inside_out))


def test_grey_and_transparent_photos_stay_so():
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :10] = 0
    change = along(
        photo(), built(image=plain((200, 90, 90))), built("b", plain((120, 120, 120))), 0, 1
    )
    cut_out = move_face(photo(alpha=alpha), change)
    assert cut_out.mode == "RGBA"
    assert np.array_equal(np.asarray(cut_out.getchannel("A")), alpha)
    grey = move_face(photo(plain((120,) * 3, HEIGHT)[:, :WIDTH], grey=True), change)
    assert grey.mode == "L"
    assert Image.open(io.BytesIO(encoded(cut_out, ".jpg"))).getpixel((2, 2)) == (255, 255, 255)
    assert Image.open(io.BytesIO(encoded(cut_out, ".png"))).mode == "RGBA"
    assert Image.open(io.BytesIO(encoded(grey, ".jpeg"))).mode == "L"


@pytest.mark.parametrize(("mode", "grey"), [("L", True), ("LA", True), ("RGBA", False)])
def test_transparency_and_greyness_come_from_the_file(mode, grey):
    picture = Image.new("RGBA", (40, 60), (10, 20, 30, 0)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # stands on its side
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif)
    found = open_layers(buffer.getvalue())
    rgb, alpha = found.rgb, found.alpha
    assert found.grey is grey
    if "A" in mode:
        assert alpha is not None
        assert alpha.shape == (40, 60)
        assert not alpha.any()
        assert rgb[0, 0, 2] in (18, 19, 20, 30)
    else:
        assert alpha is None


def test_bands_add_up_to_the_picture():
    picture = noise(1)[:, :, 0].astype(np.float32) / 255
    parts = bands(picture)
    coarsest = cv2.GaussianBlur(picture, (0, 0), 16, borderType=cv2.BORDER_REPLICATE)
    assert sum(parts) + coarsest == pytest.approx(picture, abs=1e-5)
    ones = np.ones((*picture.shape, len(parts)), np.float32)
    assert strengthened(picture, ones) == pytest.approx(picture, abs=1e-5)


def test_detail_gets_the_strength_that_is_wanted():
    random = np.random.default_rng(0).normal(0, 1, (96, 96)).astype(np.float32)
    weak, strong = 0.5 + 0.02 * random, 0.5 + 0.06 * random
    gain = gains(magnitudes(strong), magnitudes(weak))
    assert np.median(gain[20:-20, 20:-20]) == pytest.approx(3, rel=0.1)
    assert np.abs(strengthened(weak, gain) - strong)[20:-20, 20:-20].max() < 0.04


@pytest.mark.long
def test_texture_adds_the_detail_of_one_composite_and_takes_it_away():
    def freckled(strength):
        return np.clip(120 + strength * (noise(7).astype(float) - 128), 0, 255).astype(np.uint8)

    face = photo(
        np.clip(120 + 0.15 * (noise(8, HEIGHT).astype(float) - 128), 0, 255)[:, :WIDTH].astype(
            np.uint8
        )
    )
    of, minus = built(image=freckled(0.3)), built("b", freckled(0.1))
    x, y = np.rint(face.landmarks[NOSE]).astype(int)
    spread = [
        pixels(move_face(face, along(face, of, minus, 0, 0, amount)))[
            y - 20 : y + 20, x - 20 : x + 20
        ]
        .mean(axis=-1)
        .std()
        for amount in (-1, 0, 1)
    ]
    assert spread[0] < 0.8 * spread[1] < spread[1] < 0.8 * spread[2]


def test_a_picture_too_wide_for_a_jpeg_is_an_error_of_its_own():
    wide = Image.new("RGB", (65_501, 2))
    with pytest.raises(ImageError, match=r"65501 × 2 px are too many for a JPEG"):
        encoded(wide, ".jpg")
    assert encoded(wide, ".png").startswith(b"\x89PNG")
