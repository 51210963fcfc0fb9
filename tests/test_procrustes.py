"""Generalised Procrustes alignment: place, size and rotation go, everything else stays."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facestats.core.landmarks import MIRROR
from facestats.geometry.procrustes import GeneralizedProcrustes
from rated_shapes import symmetric_points, turned


def moved(shape: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Copies (n, points, d) of a shape, turned by any angle, scaled and shifted."""
    rng = np.random.default_rng(seed)
    d = shape.shape[1]
    if d == 3:
        turns = Rotation.random(n, rng=seed).as_matrix()
    else:
        a = rng.uniform(-np.pi, np.pi, n)
        turns = np.stack(
            [np.stack([np.cos(a), -np.sin(a)], -1), np.stack([np.sin(a), np.cos(a)], -1)], -2
        )
    return rng.uniform(0.1, 10, (n, 1, 1)) * (shape @ turns) + rng.normal(0, 5, (n, 1, d))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_moved_copies_of_a_shape_become_one(dimensions):
    copies = moved(symmetric_points(0)[:, :dimensions], 40)
    model = GeneralizedProcrustes(dimensions).fit(copies)
    aligned = model.transform(moved(symmetric_points(0)[:, :dimensions], 5, seed=1)).reshape(
        5, -1, dimensions
    )
    assert np.abs(aligned - model.consensus_).max() < 1e-12
    assert np.isclose(np.linalg.norm(model.consensus_), 1)
    assert np.abs(model.consensus_.mean(axis=0)).max() < 1e-12


def test_each_rotation_is_the_best_one():
    shapes = np.random.default_rng(0).normal(size=(30, 12, 3))
    model = GeneralizedProcrustes(3).fit(shapes)
    for shape, aligned in zip(shapes, model.transform(shapes).reshape(shapes.shape), strict=True):
        centred = shape - shape.mean(axis=0)
        centred /= np.linalg.norm(centred)
        best, _ = Rotation.align_vectors(model.consensus_, centred)
        np.testing.assert_allclose(aligned, best.apply(centred), atol=1e-9)


def test_the_consensus_is_the_mean_of_what_is_aligned_to_it_in_any_order_of_shapes():
    shapes = moved(symmetric_points(0), 30) * np.random.default_rng(2).normal(1, 0.1, (30, 468, 3))
    model = GeneralizedProcrustes(3).fit(shapes)
    mean = model.transform(shapes).mean(axis=0).reshape(-1, 3)
    assert np.abs(mean / np.linalg.norm(mean) - model.consensus_).max() < 1e-9
    np.testing.assert_allclose(
        GeneralizedProcrustes(3).fit(shapes[::-1]).consensus_, model.consensus_, atol=1e-12
    )
    flat = shapes.reshape(30, -1)
    assert (
        GeneralizedProcrustes(3).fit(flat).transform(flat).tobytes()
        == model.transform(shapes).tobytes()
    )


def test_a_shape_does_not_become_its_mirror_image():
    shape = np.random.default_rng(0).normal(size=(20, 3))
    model = GeneralizedProcrustes(3).fit(shape[None])
    same, mirrored = model.transform(np.stack([shape, shape * (-1, 1, 1)])).reshape(2, -1, 3)
    assert np.abs(same - model.consensus_).max() < 1e-12
    assert np.abs(mirrored - model.consensus_).max() > 0.1


def test_symmetric_alignment_makes_a_face_and_its_mirror_image_one():
    rng = np.random.default_rng(0)
    faces = symmetric_points(0) + rng.normal(0, 0.01, (20, 468, 3)) + 0.5
    model = GeneralizedProcrustes(mirror=MIRROR).fit(faces)
    np.testing.assert_array_equal(model.consensus_[MIRROR] * (-1, 1, 1), model.consensus_)
    mirrored = turned(faces[:, MIRROR] * (-1, 1, 1), 10)
    np.testing.assert_allclose(model.transform(mirrored), model.transform(faces), atol=1e-9)
    assert np.abs(GeneralizedProcrustes().fit(faces).transform(mirrored - faces)).max() > 1e-3


def test_a_shape_that_is_one_point_is_no_number_less():
    model = GeneralizedProcrustes(2).fit(moved(symmetric_points(0)[:, :2], 5))
    assert (model.transform(np.ones((1, 468, 2))) == 0).all()
