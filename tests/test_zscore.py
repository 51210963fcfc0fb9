"""The mean of z-scores."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from facestats.geometry.measurements import SIGNS, fit_zscore, measure
from shapes import uneven_faces


def frame(**columns) -> pd.DataFrame:
    """The signed measurements of three faces, 1, 2 and 3 unless given."""
    return pd.DataFrame({name: columns.get(name, [1.0, 2.0, 3.0]) for name in SIGNS})


def test_the_golden_ratio_is_in_it_and_counts_against_a_face_that_misses_it():
    assert SIGNS["golden_deviation"] == -1
    assert set(SIGNS) <= set(measure(uneven_faces(1)).columns)
    level = pd.DataFrame(0.1, index=range(3), columns=list(SIGNS)).assign(
        golden_deviation=[0.1, 0.2, 0.3]
    )
    np.testing.assert_allclose(
        fit_zscore(level)(level), np.array([1, 0, -1]) * np.sqrt(1.5) / len(SIGNS), atol=1e-12
    )


def test_each_measurement_counts_alike_whatever_its_unit():
    plain = frame()
    unit = plain * np.logspace(-3, 3, len(SIGNS)) + 5
    np.testing.assert_allclose(fit_zscore(unit)(unit), fit_zscore(plain)(plain), atol=1e-9)


def test_new_faces_are_measured_against_those_it_was_fitted_on():
    score = pickle.loads(pickle.dumps(fit_zscore(frame())))
    better = frame(symmetry_score=[1.0, 2.0, 9.0])
    gain = score(better) - score(frame())
    assert gain == pytest.approx([0, 0, 6 / np.sqrt(2 / 3) / len(SIGNS)])
    assert score.n == 3
    assert score(frame()).dtype == np.float64


def test_faces_that_were_not_measured_have_no_score_and_do_not_count():
    with_gap = pd.concat([frame(), frame().head(1) * np.nan], ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = fit_zscore(with_gap)
        np.testing.assert_array_equal(score(with_gap), [*fit_zscore(frame())(frame()), np.nan])
        assert np.isnan(fit_zscore(frame().head(0))(frame())).all()
    assert score.n == 3


def test_what_does_not_vary_counts_as_nothing():
    same = frame(golden_deviation=[0.1, 0.1, 0.1])
    np.testing.assert_allclose(
        fit_zscore(same)(same.assign(golden_deviation=[0.1, 0.9, 0.1])), fit_zscore(same)(same)
    )
