"""Turning shapes to face the viewer, and the flag for those that do."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facestats.geometry.measurements import measure
from facestats.geometry.pose import MAX_PITCH, MAX_YAW, frontalize, is_frontal
from shapes import known_face, symmetric_face, uneven_faces


def turned(shapes: np.ndarray, yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    return shapes @ Rotation.from_euler("yxz", [yaw, pitch, roll], degrees=True).as_matrix().T


def seen_by_a_camera(shape: np.ndarray, distance: float) -> np.ndarray:
    """The shape in a photo, what is nearer drawn larger; `distance` in the shape's unit."""
    seen = shape.copy()
    seen[:, :2] /= 1 + shape[:, 2:] / distance
    return seen


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(30, 0, 0), (-45, 0, 0), (0, 25, 0), (0, 0, 170), (20, -15, 40), (170, 30, 5)],
)
def test_a_far_camera_sees_the_same_face_from_every_side(yaw, pitch, roll):
    """Up to the scale, which is the one the shape had before it was turned."""
    faces = uneven_faces()
    front, again = frontalize(faces, np.inf), frontalize(turned(faces, yaw, pitch, roll), np.inf)
    scale = np.linalg.norm(front, axis=(1, 2)) / np.linalg.norm(again, axis=(1, 2))
    np.testing.assert_allclose(again * scale[:, None, None], front, atol=1e-9)


def test_a_face_that_looks_at_the_camera_stays_as_it_is():
    face = known_face()[None]
    front = frontalize(face)
    height = front[0, 152, 1] - front[0, 10, 1]
    np.testing.assert_allclose(
        front * (3 / height), face[..., :2] - face[..., :2].mean(axis=1), atol=1e-9
    )


@pytest.mark.parametrize(
    "view",
    [{"yaw": 20}, {"yaw": -20}, {"pitch": 15}, {"pitch": -15}, {"yaw": 12, "pitch": 9, "roll": 30}],
)
def test_measurements_of_a_near_camera_move_least_when_it_is_counted_in(view):
    straight = symmetric_face(3)
    unit = np.sqrt((straight[:, :2] ** 2).sum(axis=1).mean())
    photo = seen_by_a_camera(turned(straight, **view), 10 * unit)[None]
    expected = measure(straight[None] * (1, 1, 0)).iloc[0]  # seen from afar

    def off(found) -> float:
        return float((found.iloc[0] - expected).abs().mean())

    flat, corrected = off(measure(photo * (1, 1, 0))), off(measure(photo))
    assert corrected < 0.35 * flat
    if "yaw" in view:
        assert measure(photo * (1, 1, 0)).symmetry_score[0] < 0.9
        assert measure(photo).symmetry_score[0] > 0.97


def test_shapes_without_axes_are_nan():
    faces = uneven_faces(5)
    faces[0] = 0.25
    faces[1, :, 1:] = 0  # no forehead above the chin
    faces[2, :, [0, 2]] = 0  # no sides
    faces[3, 7, 0] = -np.inf
    front = frontalize(faces)
    assert np.isnan(front[:4]).all()
    assert np.isfinite(front[4]).all()
    assert front.shape == (5, 468, 2)


def test_frontal_is_within_both_limits_and_known():
    yaw = [0, MAX_YAW, -MAX_YAW, MAX_YAW + 0.1, -MAX_YAW - 0.1, 0, 0, np.nan, 0]
    pitch = [0, 0, -MAX_PITCH, 0, 0, MAX_PITCH + 0.1, -MAX_PITCH - 0.1, 0, np.nan]
    assert is_frontal(np.float32(yaw[:1]), np.float32(pitch[:1])).tolist() == [True]
    assert is_frontal(yaw, pitch).tolist() == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
    ]
