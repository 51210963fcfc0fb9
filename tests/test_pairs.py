"""Mirror pairs of the face mesh."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from facestats.core.landmarks import LEFT, MIDLINE, MIRROR, RIGHT
from resources import OMI


def test_the_mirror_image_of_the_mirror_image_is_the_landmark():
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(468))
    assert sorted([*LEFT, *RIGHT, *MIDLINE]) == list(range(468))
    np.testing.assert_array_equal(np.flatnonzero(np.arange(468) == MIRROR), MIDLINE)


@pytest.mark.parametrize(
    ("right", "left"),
    [
        (33, 263),
        (133, 362),
        (159, 386),
        (145, 374),
        (61, 291),
        (78, 308),
        (234, 454),
        (172, 397),
        (127, 356),
        (98, 327),
        (105, 334),
        (64, 294),
        (58, 288),
    ],
)
def test_known_pairs(right, left):
    assert (MIRROR[right], MIRROR[left]) == (left, right)


@pytest.mark.parametrize("point", [1, 2, 4, 10, 152, 168, 6, 0, 13, 14, 17, 164])
def test_midline_points_are_their_own_mirror_image(point):
    assert MIRROR[point] == point


def test_pairs_are_those_of_the_mean_face():
    """Another derivation than the module's: median of level crops, mirrored at the mean midline,
    nearest in 3D.
    """
    if not OMI.is_dir():
        pytest.skip(f"the OMI faces are not at {OMI}")
    shapes = np.load(OMI / "landmarks_mediapipe.npz")["landmarks"].astype(np.float64)
    shapes -= shapes.mean(axis=1, keepdims=True)
    mean = np.median(shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True), axis=0)
    _, partner = linear_sum_assignment(cdist(mean, mean * [-1, 1, 1]) ** 2)
    np.testing.assert_array_equal(partner, MIRROR)
