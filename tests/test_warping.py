"""Warping: known moves of drawn shapes, folds and their smoothing, landmarks outside the image."""

import numpy as np
import pytest
from scipy.spatial import Delaunay
from threadpoolctl import threadpool_info, threadpool_limits

from drawn_shapes import SIZE, noise, own_places, shape
from facestats.composites.contours import FACE_OVAL, LEFT_CORNERS, RIGHT_CORNERS
from facestats.composites.mesh import Mesh
from facestats.composites.warping import EyeAligner, Warper, align_eyes, sample
from facestats.core.landmarks import MIRROR

HEAD = np.array([0.22, 0.3, 0.25])  # half axes of an ellipsoid, about as deep as a head


def head(yaw=0.0):
    """Landmarks (468, 2) on the front of an ellipsoid turned to a side by so many degrees."""
    front = shape()[:, :2] - 0.5
    depth = HEAD[2] * np.sqrt(1 - ((front / HEAD[:2]) ** 2).sum(axis=1))
    turn = np.radians(yaw)
    return np.column_stack([front[:, 0] * np.cos(turn) + depth * np.sin(turn), front[:, 1]]) + 0.5


def at(image, points):
    """The places (x, y) that an image of places holds at points given as shares of the side."""
    return sample(image, (points[None, :, :2] * len(image) - 0.5).astype(np.float32))[0, :, :2]


@pytest.mark.long
def test_a_face_warped_to_its_own_shape_stays_as_it_is():
    image = noise(0).astype(np.float32)
    for own in (shape(), shape(0.1, turn=0.2, seed=3), shape(0.3), head(45)):
        assert np.abs(Warper(own, SIZE)(image, own) - image).max() < 0.05


@pytest.mark.parametrize(
    "source", [shape(0.06, -0.04), shape(scale=1.2), shape(0.02, turn=0.15, scale=0.9)]
)
def test_inside_the_face_an_affine_move_is_an_affine_move(source):
    target = shape()
    moved = Warper(target, SIZE)(own_places(), source)
    design = np.column_stack([target[:, :2], np.ones(468)])
    move = np.linalg.lstsq(design, source[:, :2], rcond=None)[0]
    inside = 0.5 + 0.8 * (target[FACE_OVAL, :2] - 0.5)
    assert (
        np.abs(at(moved, inside) - np.column_stack([inside, np.ones(len(inside))]) @ move).max()
        < 0.02 / SIZE
    )


def test_a_warp_moves_every_landmark_to_its_target_and_no_corner():
    source, target = shape(0.05, 0.02, turn=0.1, scale=1.1, seed=2), shape()
    image = own_places()
    moved = Warper(target, SIZE)(image, source)
    assert np.median(np.linalg.norm(at(moved, target) - source[:, :2], axis=1)) < 0.25 / SIZE
    corners = np.ix_([0, -1], [0, -1])
    assert np.abs(moved[corners] - image[corners]).max() < 0.5 / SIZE


def test_what_surrounds_a_face_goes_along_and_the_edge_does_not():
    source, target = shape(0.05), shape()
    moved = Warper(target, SIZE)(own_places(), source) - own_places()
    row = SIZE // 2
    right = np.arange(int(0.7 * SIZE), SIZE)  # the outline is at 0.7, the ring at 0.85
    shift = moved[row, right, 0]
    assert shift[: len(right) // 3] == pytest.approx(0.05, abs=0.003)
    assert (np.diff(shift) < 1e-4).all()  # fading, without a step
    assert abs(shift[-1]) < 0.005


def test_eyes_meet_to_a_hundredth_of_a_pixel():
    small, large = shape(-0.02, turn=0.1, scale=0.6), shape(0.02, scale=1.4)
    target = (small + large) / 2
    moved = EyeAligner(target, SIZE)(own_places(), small)
    for corners in (RIGHT_CORNERS, LEFT_CORNERS):
        source, goal, eye = (
            s[list(corners), :2].mean(axis=0) for s in (small, target, align_eyes(small, target))
        )
        assert np.abs(at(moved, goal[None])[0] - source).max() < 0.01 / SIZE
        assert eye == pytest.approx(goal, abs=1e-6)


def test_bilinear_values_are_exact_at_and_between_pixels():
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    places = np.array(
        [[[0, 0], [3, 2], [1.5, 0], [1, 0.5], [2.25, 1.5], [-5, 1], [9, 9]]], np.float32
    )
    assert sample(image, places).ravel().tolist() == [0, 11, 1.5, 3, 8.25, 4, 11]


# Folds


def test_no_target_has_folds():
    for target in (shape(), shape(0.45), head(40), shape(0.6, 0.3, scale=2.0), shape(scale=2.5)):
        assert Mesh(target).folded(target) == 0
        assert Mesh(target).unfolded(target)[1] == 0


def test_a_turned_head_folds_more_the_further_it_is_turned():
    mesh = Mesh(head())
    folded = [mesh.folded(head(yaw)) for yaw in (0, 10, 40, 50, 60)]
    assert folded[0] == folded[1] == 0 < folded[2] < folded[3] < folded[4]
    assert mesh.folded(head(-40)) == pytest.approx(mesh.folded(head(40)), abs=0.02)


def test_folds_are_smoothed_away_where_they_are_and_nothing_else_moves():
    mesh, turned = Mesh(head()), head(45)
    points, left = mesh.unfolded(turned)
    assert mesh.folded(turned) > 0 == left
    moved = np.linalg.norm(points[:468] - turned, axis=1) > 0
    assert 0 < moved.sum() < 200
    toward, away = turned[moved, 0], turned[~moved, 0]
    assert toward.mean() > away.mean()  # the hidden side is the one that the head is turned to
    assert np.array_equal(points[-32:], mesh.points(turned)[-32:])  # the edge


def test_a_face_with_its_sides_swapped_is_not_unfolded():
    swapped = shape()[MIRROR]
    assert Mesh(shape()).folded(swapped) > 0.1
    assert Mesh(shape()).unfolded(swapped)[1] > 0


# Landmarks outside the image


@pytest.mark.long
@pytest.mark.parametrize(
    "source", [shape(0.0, 0.35), shape(0.0, -0.35, scale=1.2), shape(-0.35), shape(0.3, 0.3)]
)
def test_a_face_that_reaches_outside_folds_nothing_and_goes_on_with_edge_pixels(source):
    assert source[:, :2].min() < 0 or source[:, :2].max() > 1
    mesh = Mesh(shape())
    assert mesh.unfolded(source)[1] == mesh.folded(source) == 0
    places = own_places()
    moved = Warper(shape(), SIZE)(places, source)
    assert (
        places[..., :2].min() - 1e-6 <= moved[..., :2].min() <= moved.max() <= places.max() + 1e-6
    )  # nothing from nowhere
    inside = ((source[:, :2] > 0.02) & (source[:, :2] < 0.98)).all(axis=1)
    assert (
        np.median(np.abs(at(moved, shape()) - source[:, :2])[inside]) < 0.25 / SIZE
    )  # and what is visible is where it belongs


def test_a_target_outside_the_image_tears_nothing():
    image = np.full((SIZE, SIZE, 3), 7, np.float32)
    assert np.allclose(Warper(shape(0.45, scale=1.5), SIZE)(image, shape(-0.4, scale=2.0)), 7)


def test_threads_do_not_wait_for_each_other_at_tiny_systems(monkeypatch):
    """On two busy processors the first warp took 3 s instead of 0.1 s."""
    threads = []

    class Watched(Delaunay):
        @property
        def transform(self):
            blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
            threads.append({each["num_threads"] for each in blas})
            return super().transform

    monkeypatch.setattr("facestats.composites.mesh.Delaunay", Watched)
    with threadpool_limits(2):
        Warper(shape(), SIZE)
    assert threads[0] == {1}  # what is read later was computed then
