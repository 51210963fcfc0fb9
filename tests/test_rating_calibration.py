"""Calibration mends what is off, leaves alone what is not, and never changes the order of faces."""

import numpy as np
import pytest

from facestats.scores.calibration import Calibration, fit_calibration


def rated(n, seed, truth):
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(20, 80, n)
    return predicted, truth(predicted) + 8 * rng.normal(size=n)


def error(calibration, truth):
    """Root mean square of what is off between 25 and 75."""
    grid = np.linspace(25, 75, 200)
    return np.sqrt(np.mean((calibration(grid) - truth(grid)) ** 2))


def straight(p):
    return p


def stretched(p):
    return 50 + 1.6 * (p - 50)


def bent(p):
    return 50 + 30 * np.tanh((p - 50) / 8)


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize(
    ("truth", "expected", "most"),
    [(straight, "none", 0.0), (stretched, "linear", 1.0), (bent, "isotonic", 3.5)],
)
def test_auto_takes_the_simplest_that_mends_it(truth, expected, most):
    kinds, before, after = [], [], []
    for seed in range(10):
        calibration = fit_calibration(*rated(300, seed, truth), "auto")
        kinds.append(calibration.kind)
        before.append(error(Calibration(), truth))
        after.append(error(calibration, truth))
    assert kinds.count(expected) >= 7
    assert np.mean(after) <= max(most, 0.35 * np.mean(before)) + (expected == "none")


@pytest.mark.parametrize("kind", ["linear", "isotonic"])
def test_held_out_faces_with_a_prediction_near_s_are_rated_near_s(kind):
    calibration = fit_calibration(*rated(2000, 0, stretched), kind)
    predicted, ratings = rated(5000, 1, stretched)
    calibrated = calibration(predicted)
    for low in range(10, 90, 20):
        near = (calibrated >= low) & (calibrated < low + 20)
        assert calibrated[near].mean() == pytest.approx(ratings[near].mean(), abs=1.0)


@pytest.mark.parametrize("kind", ["none", "linear", "isotonic", "auto"])
@pytest.mark.parametrize("truth", [straight, stretched, bent])
def test_no_order_is_changed_and_no_ties_are_made(kind, truth):
    calibration = fit_calibration(*rated(150, 3, truth), kind)
    assert (np.diff(calibration(np.linspace(-50, 150, 4001))) > 0).all()


def test_few_faces_are_left_alone_and_some_get_a_line_at_most():
    kinds = {
        n: {fit_calibration(*rated(n, seed, bent), "auto").kind for seed in range(8)}
        for n in (5, 19, 60)
    }
    assert kinds[5] == kinds[19] == {"none"}
    assert kinds[60] <= {"none", "linear"}


@pytest.mark.parametrize("kind", ["linear", "isotonic", "auto"])
def test_what_says_nothing_about_ratings_is_left_alone(kind):
    predicted, ratings = rated(200, 0, straight)
    for p, y in (
        (np.full(200, 3.0), ratings),
        (predicted, np.full(200, 3.0)),
        (predicted, -ratings),
    ):
        assert fit_calibration(p, y, kind).kind == "none"


def test_without_correction_a_prediction_stays_what_it_is():
    assert Calibration()(np.array([-3.5, 0.0, 71.25])).tolist() == [-3.5, 0.0, 71.25]
