"""Averages of drawn faces: where every feature goes, what light adds up to, who is left out."""

import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from drawn_shapes import NOSE, SIZE, dots, noise, shape, smooth, write_faces
from facestats.composites.averaging import average_faces
from facestats.composites.contours import LEFT_CORNERS, RIGHT_CORNERS
from facestats.composites.light import gradient_energy, inner_face
from facestats.composites.members import Member
from facestats.composites.mesh import Mesh
from facestats.composites.shapes import find_target, mirrored
from facestats.errors import InputError


@pytest.fixture
def members(tmp_path):
    return lambda *faces: write_faces(tmp_path, *faces)


def brightest(image):
    """Place (x, y) and value of the brightest spot, as shares of the side."""
    grey = image[:, :, 0].astype(float)
    y, x = np.unravel_index(grey.argmax(), grey.shape)
    return (x + 0.5) / len(grey), (y + 0.5) / len(grey), grey.max()


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
    black_and_white = members(
        (np.zeros((4, 4, 3), np.uint8), None), (np.full((4, 4, 3), 255, np.uint8), None)
    )
    assert (
        average_faces(black_and_white, "none", "linear").image[0, 0].tolist() == [188] * 3
    )  # the known half of white
    assert average_faces(black_and_white, "none", "gamma").image[0, 0].tolist() == [128] * 3


@pytest.mark.long
@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
@pytest.mark.parametrize("space", ["linear", "gamma"])
@pytest.mark.parametrize("copies", [1, 2])
def test_the_average_of_one_face_is_that_face(members, align, space, copies):
    image = smooth(0)
    average = average_faces(members(*[(image, shape())] * copies), align, space)
    assert average.image.dtype == np.uint8
    assert np.abs(average.image.astype(int) - image).max() <= 1
    assert average.shape == pytest.approx(shape()[:, :2], abs=1e-6)
    assert average.sharpness["ratio"] == pytest.approx(1, abs=1e-3)


def test_warping_brings_a_feature_to_its_mean_place_and_keeps_it_sharp(members):
    one, other = shape(-0.08, 0.03), shape(0.06, -0.05, scale=1.2)
    faces = members(*((dots(s[NOSE, :2]), s) for s in (one, other)))
    expected = (one[NOSE, :2] + other[NOSE, :2]) / 2
    warped = average_faces(faces, "warp", "gamma")
    x, y, value = brightest(warped.image)
    assert abs(x - expected[0]) <= 1 / SIZE
    assert abs(y - expected[1]) <= 1 / SIZE
    assert warped.shape[NOSE] == pytest.approx(expected, abs=1e-6)
    assert value > 220
    plain = average_faces(faces, "none", "gamma")
    assert brightest(plain.image)[2] < 140  # two pale ghosts
    assert plain.shape[NOSE] == pytest.approx(expected, abs=1e-6)


def test_eyes_meet_after_turning_scaling_and_shifting(members):
    def eyes(s):
        return [s[list(corners), :2].mean(axis=0) for corners in (RIGHT_CORNERS, LEFT_CORNERS)]

    shapes = [shape(-0.05, 0.04, turn=0.3), shape(0.05, 0.0, turn=-0.2, scale=1.4), shape()]
    average = average_faces(members(*((dots(*eyes(s)), s) for s in shapes)), "eyes", "gamma")
    for i, half in enumerate((average.image[:, : SIZE // 2], average.image[:, SIZE // 2 :])):
        target = np.mean([eyes(s)[i] for s in shapes], axis=0)
        assert eyes(average.shape)[i] == pytest.approx(
            target, abs=1e-6
        )  # the picture's own landmarks say so too
        y, x = np.unravel_index(half[:, :, 0].argmax(), half.shape[:2])
        assert np.abs(np.array([x, y]) + 0.5 - (target * SIZE - [i * SIZE // 2, 0])).max() <= 1.2
        assert half.max() > 200


def test_a_turn_goes_the_right_way(members):
    # nose below the eyes: were the turn mirrored, the noses would not meet
    shapes = [shape(turn=0.35), shape(turn=-0.35)]
    faces = members(*((dots(s[NOSE, :2]), s) for s in shapes))
    assert brightest(average_faces(faces, "eyes", "gamma").image)[2] > 220


@pytest.mark.parametrize("align", ["eyes", "warp"])
def test_there_is_no_black_border(members, align):
    white = np.full((SIZE, SIZE, 3), 255, np.uint8)
    shapes = [
        shape(-0.1, 0.12, turn=0.3, scale=1.4),
        shape(0.1, -0.1, turn=-0.2, scale=0.7),
        shape(0.25, 0.0),
    ]
    average = average_faces(members(*((white, s) for s in shapes)), align)
    assert len(average.used) == 3
    assert average.image.min() == 255


@pytest.mark.long
def test_the_corners_of_a_warped_average_are_those_of_the_pictures(members):
    images = [smooth(i) for i in range(3)]
    faces = members(*((image, shape(0.02 * i, seed=i)) for i, image in enumerate(images)))
    corners = np.ix_([0, -1], [0, -1])
    mean = np.mean([image[corners] for image in images], axis=0)
    assert (
        np.abs(average_faces(faces, "warp", "gamma").image[corners] - mean).max() < 5
    )  # smooth images change by 10 a pixel


# Mirror images


@pytest.mark.long
@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
def test_a_symmetric_average_is_its_own_mirror_image(members, align):
    faces = members(*((noise(i), shape(0.02 * i, turn=0.1 * i, seed=i)) for i in range(3)))
    average = average_faces(faces, align, symmetric=True)
    assert np.array_equal(average.image, average.image[:, ::-1])
    assert average.shape == pytest.approx(mirrored(average.shape), abs=1e-6)
    assert not np.array_equal(average.image, average_faces(faces, align).image)


@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
def test_symmetric_means_averaged_with_mirror_images(members, align):
    def flipped(landmarks):
        return np.column_stack([mirrored(landmarks[:, :2]), landmarks[:, 2]]).astype(np.float32)

    one, other = (smooth(1), shape(0.04, 0.02, seed=1)), (smooth(2), shape(-0.02, turn=0.1, seed=2))
    with_mirror_images = average_faces(
        members(one, other, *((i[:, ::-1], flipped(s)) for i, s in (one, other))), align
    )
    average = average_faces(members(one, other), align, symmetric=True)
    assert average.shape == pytest.approx(with_mirror_images.shape, abs=1e-6)
    assert np.abs(average.image.astype(int) - with_mirror_images.image).max() <= 1


# Who is left out


@pytest.mark.long
def test_faces_without_landmarks_are_left_out_and_named_where_they_are_needed(members):
    faces = members((smooth(0), shape()), (np.zeros((SIZE, SIZE, 3), np.uint8), None))
    for align in ("eyes", "warp"):
        average = average_faces(faces, align)
        assert (average.used, average.left_out) == (["000.jpg"], {"no_landmarks": ["001.jpg"]})
        assert np.abs(average.image.astype(int) - smooth(0)).max() <= 1
    plain = average_faces(faces, "none")
    assert (plain.left_out, len(plain.used)) == ({}, 2)
    assert plain.shape == pytest.approx(shape()[:, :2])  # the mean of those that have any
    alone = average_faces(faces.iloc[1:], "warp")
    assert (alone.image, alone.shape, alone.used, alone.left_out) == (
        None,
        None,
        [],
        {"no_landmarks": ["001.jpg"]},
    )
    assert (
        average_faces(faces.iloc[1:], "none").shape,
        average_faces(faces.iloc[1:], "none").sharpness,
    ) == (None, None)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_landmarks_with_a_number_that_is_none_are_no_landmarks(members, broken):
    spoilt = shape()
    spoilt[5, 0] = broken
    faces = members((smooth(0), shape()), (smooth(1), spoilt))
    for align in ("eyes", "warp"):
        assert average_faces(faces, align).left_out == {"no_landmarks": ["001.jpg"]}
    plain = average_faces(faces, "none")
    assert (len(plain.used), plain.left_out) == (2, {})
    assert plain.shape == pytest.approx(shape()[:, :2])


def test_faces_turned_too_far_are_left_out_of_warping_only(members):
    faces = members(
        (smooth(0), shape(), 25.0),
        (smooth(1), shape(), -25.1),
        (smooth(2), shape(), 60.0),
        (smooth(3), shape(), None),
    )
    average = average_faces(faces, "warp")
    assert (average.used, average.left_out) == (
        ["000.jpg", "003.jpg"],
        {"max_yaw": ["001.jpg", "002.jpg"]},
    )
    assert average_faces(faces, "warp", max_yaw=60).left_out == {}
    assert average_faces(faces, "eyes").left_out == {}


def test_a_face_that_cannot_be_unfolded_is_left_out_and_does_not_shape_the_mean(members):
    inside_out = shape()
    inside_out[:, 0] = 1 - inside_out[:, 0]
    faces = members(*[(smooth(0), shape())] * 4, (np.zeros((SIZE, SIZE, 3), np.uint8), inside_out))
    average = average_faces(faces)
    assert average.left_out == {"folded": ["004.jpg"]}
    assert average.shape == pytest.approx(shape()[:, :2], abs=1e-6)
    assert np.abs(average.image.astype(int) - smooth(0)).max() <= 1


def test_no_face_folds_on_the_way_to_the_mean_of_those_that_are_left():
    def turned(angle):
        points = shape()
        x, y = points[:, 0] - 0.5, points[:, 1] - 0.5
        depth = np.sqrt(np.maximum(0, 0.2**2 - x**2 - (y / 1.3) ** 2))
        points[:, 0] = 0.5 + x * np.cos(angle) + depth * np.sin(angle)
        return points

    # without the second face the mean moves, and the third one, which went to the mean of all
    # three, folds
    faces = [Member(str(i), None, turned(angle)) for i, angle in enumerate((0, -1.01, 0.68))]
    assert (
        Mesh(np.mean([face.landmarks for face in faces], axis=0)).unfolded(faces[2].landmarks)[1]
        == 0
    )
    target = find_target(faces, "warp", False, 90)
    assert (target.left_out, target.used) == ({"folded": ["1", "2"]}, [True, False, False])
    assert target.goal == pytest.approx(faces[0].landmarks[:, :2])


# Input


def test_the_order_of_members_hardly_matters(members):
    faces = members(*((smooth(i), shape(0.01 * i, seed=i)) for i in range(6)))
    there, back = average_faces(faces).image, average_faces(faces[::-1]).image
    assert np.abs(there.astype(int) - back).max() <= 1


def test_a_face_of_another_size_is_named(members):
    with pytest.raises(InputError, match=r"001\.jpg is 64×64 px, the faces before it 96×96"):
        average_faces(members((noise(0), None), (noise(1, 64), None)), "none")


def test_a_crop_that_is_not_square_is_named(members):
    with pytest.raises(InputError, match=r"000\.jpg is 96×50 px; a face crop is square"):
        average_faces(members((smooth(0)[:50], shape())))


def test_a_file_that_is_gone_is_named(members):
    faces = members((noise(0), None), (noise(1), None))
    faces["path"].iloc[1].unlink()
    with pytest.raises(InputError, match=r"001\.jpg can't be read as an image .*No such file"):
        average_faces(faces, "none")


def test_a_file_that_is_no_image_is_named(members):
    faces = members((noise(0), None))
    for content in (b"", b"no image", b"\xff\xd8\xff\xe0 torn"):
        faces["path"].iloc[0].write_bytes(content)
        with pytest.raises(InputError, match=r"000\.jpg can't be read as an image"):
            average_faces(faces, "none")


def test_jpegs_are_read_as_pillow_reads_them(members):
    faces = members((smooth(0), None))
    path = faces["path"].iloc[0]
    for mode in ("RGB", "L"):
        Image.fromarray(smooth(0)).convert(mode).save(path, "JPEG", quality=90)
        assert np.array_equal(
            average_faces(faces, "none").image, np.asarray(Image.open(path).convert("RGB"))
        )


@pytest.mark.long
@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
def test_memory_does_not_grow_with_the_number_of_faces(members, align):
    faces = members(*((noise(i), shape(0.001 * i)) for i in range(50)))
    peak = {}
    for n in (5, 5, 50):  # once to warm up
        tracemalloc.start()
        assert len(average_faces(faces.head(n), align).used) == n
        peak[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[50] - peak[5] < 1e6  # 45 more faces as float32 are 5e6 bytes


# Sharpness


def test_gradient_energy_is_the_mean_of_squared_slopes():
    ramp = np.arange(10.0) * 0.02
    everywhere = np.ones((10, 10), bool)
    assert gradient_energy(ramp[None] + 2 * ramp[:, None], everywhere) == pytest.approx(
        0.02**2 + 0.04**2
    )
    assert np.isnan(gradient_energy(ramp[None] + ramp[:, None], ~everywhere))


def test_the_inner_face_is_the_hull_less_its_rim():
    corners = np.zeros((468, 2)) + 0.5
    corners[:4] = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.6], [0.2, 0.6]]
    y, x = np.nonzero(inner_face(corners, 100))
    assert np.allclose((x.min(), x.max(), y.min(), y.max()), (22, 78, 22, 58), atol=1)


def test_sharpness_compares_the_same_members(members):
    shapes = [shape(0.04), shape(-0.04), shape(0.0, 0.04)]
    faces = members(*((dots(s[NOSE, :2]), s) for s in shapes), (noise(0), None))
    warped = average_faces(faces, "warp").sharpness
    plain = average_faces(faces.head(3), "none")
    where = inner_face(average_faces(faces, "warp").shape, SIZE)
    assert warped["gradient_energy_none"] == pytest.approx(
        gradient_energy(decode(plain.image[:, :, 0]), where), rel=0.02
    )
    assert warped["ratio"] == pytest.approx(
        warped["gradient_energy"] / warped["gradient_energy_none"]
    )
    assert warped["ratio"] > 2
    assert plain.sharpness["ratio"] == pytest.approx(1)


@pytest.mark.long
@pytest.mark.parametrize("align", ["none", "eyes", "warp"])
def test_threads_change_no_bit(members, align):
    faces = members(*((noise(i, 256), shape(0.01 * i, turn=0.05 * i, seed=i)) for i in range(4)))
    threads, result = cv2.getNumThreads(), []
    try:
        for number in (1, 4):
            cv2.setNumThreads(number)
            average = average_faces(faces, align)
            result.append((average.image.tobytes(), average.shape.tobytes(), average.sharpness))
    finally:
        cv2.setNumThreads(threads)
    assert result[0] == result[1]
