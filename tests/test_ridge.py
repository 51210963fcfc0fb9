"""The lines of the regressor: fast ways to leave faces out give what fitting the others gives."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from facestats.scores.correction import left_out_parts
from facestats.scores.params import Mlp
from facestats.scores.ridge import fit_averaged_ridge

ALONE = [0, 7, 33]  # faces that are left out one by one
SHAPES = pytest.mark.parametrize(("n", "d"), [(40, 12), (40, 36), (40, 60), (5000, 6)], ids=str)


def standardised(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of very different scales, one that hardly any face has and one that none has.

    Their ratings; their scales.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) * np.logspace(0, -3, d) + 3
    x[:, 0], x[:, 1] = np.arange(n) == 3, 2.0
    y = x @ rng.normal(size=d) + rng.normal(size=n) * 0.3
    std = x.std(axis=0)
    std[1] = 1.0
    return (x - x.mean(axis=0)) / std, (y - y.mean()) / y.std(), std


def plain(ridge, z, y, rows):
    """The ridge's lines fitted on some rows by scikit-learn, as one function."""
    lines = [
        (weight, factor, Ridge(penalty).fit(z[rows] * factor, y[rows]))
        for weight, factor, penalty in zip(
            ridge.weights, ridge.factors, ridge.penalties, strict=True
        )
    ]
    return lambda some: sum(weight * line.predict(some * factor) for weight, factor, line in lines)


@SHAPES
def test_the_blend_and_its_left_out_predictions_are_those_of_lines_fitted_anew(n, d):
    z, y, std = standardised(n, d)
    ridge = fit_averaged_ridge(z, y, std)
    assert ridge.mean.predict(z) == pytest.approx(plain(ridge, z, y, np.ones(n, bool))(z), abs=1e-9)
    for face in ALONE:
        anew = plain(ridge, z, y, np.arange(n) != face)(z[[face]])
        assert ridge.mean.left_out[face] == pytest.approx(anew[0], abs=1e-8)


@pytest.mark.long
@SHAPES
def test_a_line_without_a_part_is_the_one_fitted_on_the_others(n, d):
    z, y, std = standardised(n, d)
    ridge, part = fit_averaged_ridge(z, y, std), np.arange(n) % 4 == 1
    line = ridge.refit(z, y, part)
    assert line.predict(z) == pytest.approx(plain(ridge, z, y, ~part)(z), abs=1e-8)
    left_out = dict(zip(np.flatnonzero(~part), line.left_out, strict=True))
    for face in set(ALONE) - set(np.flatnonzero(part)):
        anew = plain(ridge, z, y, ~part & (np.arange(n) != face))(z[[face]])
        assert left_out[face] == pytest.approx(anew[0], abs=1e-8)


def test_each_member_learns_what_the_line_without_its_part_misses():
    z, y, std = standardised(40, 12)
    options = Mlp(hidden=[4], ensemble=4, epochs=2, patience=2)
    ridge = fit_averaged_ridge(z, y, std)
    parts = left_out_parts(z, y, np.arange(len(z)), ridge, options)
    for part in range(4):
        outside = parts.part == part
        without = plain(ridge, z, y, ~outside)
        assert parts.left_out_residuals[outside] == pytest.approx(
            (y - without(z))[outside], abs=1e-8
        )
        assert not set(parts.seen[part].tolist()) & set(np.flatnonzero(outside))
        assert (parts.residuals[part].numpy()[outside] == 0).all()
        assert (
            np.abs(parts.residuals[part].numpy()[~outside]).mean()
            > np.abs((y - without(z))[~outside]).mean()
        )  # left out one by one
