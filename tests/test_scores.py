"""From predictions to scores, percentiles and deciles: one photo and the whole table agree."""

import numpy as np
import pandas as pd
import pytest

from facestats.core import tables
from facestats.core.stats.scale import (
    MAX_REFERENCE,
    blend,
    reference_distribution,
    to_decile,
    to_pct,
    to_score,
)
from facestats.scores.scoring import score_table
from facestats.scores.tables import SCORES

WEIGHTS = {"geometric": 0.6, "holistic": 0.4}


def test_the_ends_of_the_scale_are_0_and_100_and_nothing_lies_beyond():
    assert to_score(np.array([0.0, 1, 4, 7, 9]), (1, 7)).tolist() == [0, 0, 50, 100, 100]
    assert to_score(np.array([-2.0]), (-3, 1)).tolist() == [25]


def test_a_percentile_is_the_share_below():
    reference = np.arange(100.0)
    assert to_pct(np.array([49.5, 0.0, 99.0, 24.5]), reference) == pytest.approx(
        [0.5, 0.005, 0.995, 0.25]
    )
    assert to_pct(np.array([1.0]), np.array([0.0, 1, 1, 1, 2])) == pytest.approx([0.5])


@pytest.mark.parametrize(
    "reference",
    [np.arange(20.0), np.array([1.0, 1, 2, 2, 2, 5, 5]), np.array([3.0]), np.full(9, 3.0)],
)
def test_a_percentile_has_no_steps(reference):
    raw = np.linspace(reference[0] - 1, reference[-1] + 1, 20_001)
    pct = to_pct(raw, reference)
    assert (np.diff(pct) >= 0).all()
    assert (pct >= 0).all()
    assert (pct <= 1).all()
    assert np.diff(pct).max() <= 1e-3
    # a rounding error around each face of the reference, the first and the last too
    assert (
        np.abs(to_pct(reference + 1e-9, reference) - to_pct(reference - 1e-9, reference)).max()
        < 1e-8
    )


def test_deciles_hold_a_tenth_each():
    assert to_decile(np.array([0, 0.0999, 0.1, 0.5, 0.8999, 0.9, 1.0])).tolist() == [
        1,
        1,
        2,
        6,
        9,
        10,
        10,
    ]
    reference = reference_distribution(np.random.default_rng(0).normal(size=200))
    assert np.bincount(to_decile(to_pct(reference, reference))).tolist() == [0, *[20] * 10]
    assert to_decile(np.array([0.5])).dtype == np.int32


def test_a_large_reference_is_thinned_without_moving_percentiles():
    values = np.random.default_rng(0).normal(size=50_000)
    thin = reference_distribution(values)
    assert len(thin) == MAX_REFERENCE
    assert np.abs(to_pct(values, thin) - to_pct(values, np.sort(values))).max() < 1e-3
    assert reference_distribution(values[:5]).tolist() == sorted(values[:5])


def test_a_blend_needs_both_parts():
    assert blend(np.array([10.0, np.nan]), np.array([60.0, 60]), WEIGHTS) == pytest.approx(
        [30, np.nan], nan_ok=True
    )


def table_of(model, x, out_of_fold=None, **more):
    names = pd.Index([f"{i:03}.jpg" for i in range(len(x))])
    return score_table(names, x, model, pd.Series(["test"] * len(x)), out_of_fold, **more)


@pytest.mark.long
def test_one_photo_and_the_whole_table_agree(served, rated):
    # twins, so that the reference has ties, and every face of the reference, so that its ends are
    # there
    x = np.concatenate([rated[0][:150], rated[0][:50]])
    served.reference = reference_distribution(served.predict(x))
    table = table_of(served, x)
    alone = pd.concat([table_of(served, x[i : i + 1]) for i in range(len(x))], ignore_index=True)
    assert np.abs(alone["attractiveness_score"] - table["attractiveness_score"]).max() < 0.01
    assert 100 * np.abs(alone["attractiveness_pct"] - table["attractiveness_pct"]).max() < 0.01


def test_the_table_of_scores_is_one(served, rated, tmp_path):
    table = table_of(served, rated[0])
    tables.write(table.assign(image=table["filename"]), tmp_path / "s.parquet", SCORES)
    assert table["attractiveness_raw"].to_numpy() == pytest.approx(
        served.predict(rated[0]), abs=1e-5
    )
    assert set(table["attractiveness"]) == set(range(1, 11))
    order = table.sort_values("attractiveness_raw")
    assert order["attractiveness_pct"].is_monotonic_increasing
    assert order["attractiveness_score"].is_monotonic_increasing
    assert table[["geometric_score", "combined_score", "geometry_zscore"]].isna().all(axis=None)


def test_without_a_model_every_score_is_null(rated, tmp_path):
    table = table_of(None, rated[0][:3])
    tables.write(table.assign(image=table["filename"]), tmp_path / "s.parquet", SCORES)
    assert table.filter(regex="attractiveness|score").isna().all(axis=None)
    assert table["split"].tolist() == ["test"] * 3


def test_predictions_of_folds_take_the_place_of_the_models_own(served, rated):
    honest = pd.Series({"002.jpg": 1.6, "000.jpg": 6.4})
    table, own = table_of(served, rated[0][:4], honest), served.predict(rated[0][:4])
    assert table["out_of_fold"].tolist() == [True, False, True, False]
    assert table["attractiveness_raw"].tolist() == pytest.approx([6.4, own[1], 1.6, own[3]])
    assert table["attractiveness_score"].iloc[[0, 2]].tolist() == pytest.approx([90, 10])
    assert table["attractiveness_pct"].tolist() == pytest.approx(
        to_pct(table["attractiveness_raw"], served.reference).tolist()
    )
    without = table_of(None, rated[0][:4], honest)
    assert not without["out_of_fold"].any()
    assert without["attractiveness_raw"].isna().all()


def geometry():
    """Two faces with landmarks, the first of them rated, one without; the fourth is missing."""
    return pd.DataFrame(
        {
            "geometric_raw": [6.4, 2.5, np.nan],
            "geometry_zscore": [0.5, -1.5, np.nan],
            "geometric_out_of_fold": [True, False, False],
        },
        index=["002.jpg", "000.jpg", "001.jpg"],
    )


def test_geometric_ratings_become_scores_on_the_raters_scale(served, rated, tmp_path):
    table = table_of(served, rated[0][:4], geometry=geometry(), scale=(1.0, 7.0))
    assert table["geometric_score"].tolist() == pytest.approx([25, np.nan, 90, np.nan], nan_ok=True)
    assert table["geometry_zscore"].tolist() == pytest.approx(
        [-1.5, np.nan, 0.5, np.nan], nan_ok=True
    )
    assert table["geometric_out_of_fold"].tolist() == [False, False, True, False]
    assert not table["out_of_fold"].any()
    tables.write(table.assign(image=table["filename"]), tmp_path / "s.parquet", SCORES)


def test_a_pretrained_regressors_scale_is_not_that_of_the_geometry(served, rated):
    served.scale = (0.0, 100.0)
    table = table_of(served, rated[0][:4], geometry=geometry(), scale=(1.0, 7.0))
    assert table["geometric_score"].iloc[2] == pytest.approx(90)
    assert table["attractiveness_score"].iloc[2] == pytest.approx(served.predict(rated[0][2:3])[0])


def test_geometry_stands_without_a_regressor_and_its_zscore_without_ratings(rated):
    without = table_of(None, rated[0][:4], geometry=geometry(), scale=(1.0, 7.0))
    assert without["geometric_score"].notna().sum() == 2
    assert without["attractiveness_score"].isna().all()
    unrated = table_of(
        None,
        rated[0][:4],
        geometry=geometry().assign(geometric_raw=np.nan, geometric_out_of_fold=False),
        scale=None,
    )
    assert unrated["geometric_score"].isna().all()
    assert unrated["geometry_zscore"].notna().sum() == 2
