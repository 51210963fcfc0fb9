"""The regressor's figures on test faces: against its baselines, the raters' ceiling and its own
promise; null where not measured.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facestats.core.stats import regression
from facestats.crossvalidation.baselines import baseline_predictions, share_of_ceiling
from facestats.evaluation import attractiveness, score_calibration
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.evaluate_project import summary_line
from facestats.report import section_scores
from facestats.report.document import render_markdown
from facestats.scores.blending import BlendWeights
from resources import splits, text

UNKNOWN = {"why": "there is no ratings.csv", "ceiling": {"value": None, "low": None, "high": None}}
KNOWN = {"why": None, "ceiling": {"value": 0.95, "low": 0.94, "high": 0.96}}


@pytest.fixture
def rated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(180, 6)).astype(np.float32)
    ratings = pd.Series(4 + x[:, 0] + 0.5 * rng.normal(size=180))
    return {
        "embeddings": x,
        "ratings": ratings,
        "predicted": pd.Series(4 + 0.9 * x[:, 0]).astype(float),
        "split": splits(180),
        "resamples": 30,
        "seed": 0,
        "person": text([None] * 180),
        "scale": (1, 7),
        "reliability": KNOWN,
    }


def test_models_are_measured_on_rated_test_faces_only(rated):
    rated["ratings"][[0, 3, 5]] = np.nan  # two of test
    result = evaluate_attractiveness(**rated)
    test = (rated["split"] == "test") & rated["ratings"].notna()
    assert result.metrics["test"]["n"] == result.metrics["test"]["n_persons"] == test.sum() == 58
    assert result.metrics["test"]["mlp"]["mae"]["value"] == pytest.approx(
        (rated["ratings"] - rated["predicted"])[test].abs().mean()
    )
    assert result.points.notna().sum().to_dict() == {
        "actual": 58,
        "mlp": 58,
        "ridge": 58,
        "geometric": 0,
        "combined": 0,
    }
    assert result.curve["n"].sum() == 58
    changed = rated | {"ratings": rated["ratings"].where(rated["split"] != "val", 1e6)}
    assert repr(evaluate_attractiveness(**changed).metrics) == repr(
        result.metrics
    )  # as text, where null equals null


def test_baselines_are_fitted_on_train_faces(rated):
    metrics = evaluate_attractiveness(**rated).metrics
    train, test = (rated["ratings"][rated["split"] == name] for name in ("train", "test"))
    assert metrics["test"]["mean"]["rmse"]["value"] == pytest.approx(
        np.sqrt(((test - train.mean()) ** 2).mean())
    )
    for name in ("pearson", "share_of_ceiling", "calibration_slope"):
        assert np.isnan(metrics["test"]["mean"][name]["value"])
    assert 0.8 < metrics["test"]["ridge"]["pearson"]["value"] < 1
    ridge = baseline_predictions(np.eye(4), np.array([1.0, 2, 3, 4]), np.eye(4))["ridge"]
    assert np.isfinite(ridge).all()


def test_every_metric_has_an_interval_around_it(rated):
    for name, metric in evaluate_attractiveness(**rated).metrics["test"]["mlp"].items():
        assert name in attractiveness.METRICS
        assert metric["low"] <= metric["value"] <= metric["high"]


@pytest.mark.parametrize(
    ("change", "trained", "why"),
    [
        ({"predicted": pd.Series([np.nan] * 180)}, False, "no regressor was trained"),
        (
            {"predicted": pd.Series([np.nan] * 180), "untrained": "all ratings are 5"},
            False,
            "no regressor was trained: all ratings are 5",
        ),
        (
            {"ratings": pd.Series([np.nan] * 180), "scale": None},
            True,
            "0 rated test faces, 2 are needed",
        ),
        ({"split": text(["train"] * 180)}, True, "0 rated test faces, 2 are needed"),
    ],
)
def test_what_cannot_be_measured_is_null_and_says_why(rated, change, trained, why):
    result = evaluate_attractiveness(**rated | change)
    assert result.metrics["trained"] is trained
    assert why in result.metrics["why"]
    assert result.metrics["reliability"] == KNOWN
    for name in ("mlp", "ridge", "mean"):
        assert result.metrics["test"][name].keys() == set(attractiveness.METRICS)
        assert all(
            value is None
            for metric in result.metrics["test"][name].values()
            for value in metric.values()
        )
    assert list(result.points.columns) == ["actual", "mlp", "ridge", "geometric", "combined"]
    assert list(result.curve.columns) == [
        "bin",
        "n",
        "predicted",
        "actual",
        "low",
        "high",
        "perfect",
    ]
    assert result.points.empty
    assert result.curve.empty


def test_without_a_regressor_the_geometric_score_is_measured_all_the_same(rated):
    geometric = 100 * (rated["predicted"] - 1) / 6
    scores = pd.DataFrame(
        {
            "geometric_score": geometric,
            "attractiveness_score": np.nan,
            "combined_score": np.nan,
            "geometry_zscore": geometric,
            "split": rated["split"],
            "out_of_fold": False,
        }
    )
    options = {"scores": scores, "weights": BlendWeights(why="no face has a holistic score")}
    with_one = evaluate_attractiveness(**rated).metrics["test"]
    result = evaluate_attractiveness(**rated | options | {"predicted": pd.Series([np.nan] * 180)})
    assert (result.metrics["trained"], result.metrics["why"]) == (False, "no regressor was trained")
    assert result.metrics["test"]["geometric"]["mae"]["value"] == pytest.approx(
        with_one["mlp"]["mae"]["value"]
    )
    assert result.metrics["test"]["ridge"] == with_one["ridge"]
    assert result.metrics["test"]["mlp"]["mae"]["value"] is None
    assert (
        result.metrics["test"]["geometric"]["minus_mlp"]
        == attractiveness.NO_DIFFERENCE["minus_mlp"]
    )
    assert result.points.empty
    run = SimpleNamespace(
        attractiveness=result.metrics | {"verdicts": {}},
        labels={"rating": {"scale": [1, 7]}},
        training={"trained": False},
        metrics=Path("metrics"),
        points={},
    )
    section = section_scores.scores(run)
    assert section.blocks[0].text == "The holistic score is not measured: no regressor was trained."
    card = render_markdown([section], Path("docs"))
    assert "| geometric score |" in card
    assert "| holistic score |" not in card
    line = summary_line(result.metrics)
    assert re.fullmatch(
        r"the holistic score is not measured: no regressor was trained; test faces=\d+ "
        r"ridge: r=0\.\d+ geometric: r=0\.\d+",
        line,
    )


def test_ratings_that_are_all_equal_have_no_correlation_but_an_error(rated):
    metrics = evaluate_attractiveness(**rated | {"ratings": pd.Series([4.0] * 180)}).metrics[
        "test"
    ]["mlp"]
    assert np.isnan(metrics["pearson"]["value"])
    assert np.isnan(metrics["share_of_ceiling"]["value"])
    assert metrics["mae"]["value"] > 0.5


def test_two_test_faces_are_enough_for_figures(rated):
    split = text(["test", "test", *["train"] * 178])
    result = evaluate_attractiveness(**rated | {"split": split})
    assert result.metrics["test"]["n"] == 2
    assert np.isfinite(result.metrics["test"]["mlp"]["mae"]["value"])
    assert result.curve["n"].tolist() == [2]


def test_persons_with_several_faces_are_counted_once(rated):
    person = text(["anna"] * 9 + [None] * 171)
    assert (
        evaluate_attractiveness(**rated | {"person": person}).metrics["test"]
        != evaluate_attractiveness(**rated).metrics["test"]
    )
    assert (
        evaluate_attractiveness(**rated | {"person": person}).metrics["test"]["n_persons"] == 60 - 2
    )


# Share of the ceiling


def test_the_share_is_the_correlation_by_the_ceiling():
    exact = {"value": 0.9, "low": 0.9, "high": 0.9}
    assert share_of_ceiling({"value": 0.45, "low": 0.18, "high": 0.63}, exact) == pytest.approx(
        {"value": 0.5, "low": 0.2, "high": 0.7}
    )


def test_its_interval_is_that_of_a_ratio_of_two_estimates():
    rng = np.random.default_rng(0)
    r, c = 0.6 + 0.08 * rng.normal(size=200_000), 0.9 + 0.03 * rng.normal(size=200_000)
    result = share_of_ceiling(
        {"value": 0.6, "low": 0.6 - 1.96 * 0.08, "high": 0.6 + 1.96 * 0.08},
        {"value": 0.9, "low": 0.9 - 1.96 * 0.03, "high": 0.9 + 1.96 * 0.03},
    )
    assert [result["low"], result["high"]] == pytest.approx(
        np.percentile(r / c, [2.5, 97.5]), abs=0.01
    )


@pytest.mark.parametrize(
    "ceiling", [UNKNOWN["ceiling"], {"value": float("nan"), "low": 0.1, "high": 0.2}]
)
def test_without_reliability_there_is_no_share(ceiling):
    assert all(
        np.isnan(value)
        for value in share_of_ceiling({"value": 0.5, "low": 0.4, "high": 0.6}, ceiling).values()
    )


def test_a_ceiling_that_may_be_nothing_leaves_the_share_open_upwards():
    result = share_of_ceiling(
        {"value": 0.2, "low": -0.1, "high": 0.4}, {"value": 0.3, "low": 0.0, "high": 0.5}
    )
    assert result["value"] == pytest.approx(2 / 3)
    assert np.isnan(result["high"])


# Calibration of the score


def scores(n=400, shift=0.0, slope=1.0, seed=0, noise=11.0):
    rng = np.random.default_rng(seed)
    predicted = rng.normal(50, 8, n)
    return 50 + shift + slope * (predicted - 50) + noise * rng.normal(size=n), predicted


@pytest.mark.long
@pytest.mark.parametrize(
    ("shift", "slope", "error"), [(0, 1, 0), (5, 1, 5), (0, 0.5, 3.14), (0, 1.5, 3.14)]
)
def test_the_calibration_error_is_the_distance_from_the_diagonal(shift, slope, error):
    result = [
        score_calibration.calibration(*scores(shift=shift, slope=slope, seed=seed), 100, seed)
        for seed in range(20)
    ]
    held = [
        f["calibration_error"]["low"] <= error <= f["calibration_error"]["high"] for f in result
    ]
    assert sum(held) >= 18  # 94 to 100 % in 200
    assert np.mean([f["calibration_slope"]["value"] for f in result]) == pytest.approx(
        slope, abs=0.05
    )
    plain = score_calibration.calibration(*scores(20_000, shift, slope), 100, 0)[
        "calibration_error"
    ]
    assert plain["value"] == pytest.approx(error, abs=0.35)


@pytest.mark.long
def test_a_perfect_models_error_is_what_chance_gives():
    result = [
        score_calibration.calibration(*scores(100, seed=seed), 100, seed)["calibration_error"]
        for seed in range(40)
    ]
    assert np.mean([f["by_chance"] for f in result]) == pytest.approx(
        np.mean([f["value"] for f in result]), rel=0.1
    )


def test_bins_hold_equal_numbers_and_the_curve_their_means():
    actual, predicted = scores(100)
    curve = score_calibration.reliability_curve(actual, predicted, 100, 0)
    order = np.argsort(predicted)
    assert curve["n"].tolist() == [10] * 10
    assert curve["predicted"].to_numpy() == pytest.approx(
        predicted[order].reshape(10, 10).mean(axis=1)
    )
    assert curve["actual"].to_numpy() == pytest.approx(actual[order].reshape(10, 10).mean(axis=1))
    assert ((curve["low"] < curve["actual"]) & (curve["actual"] < curve["high"])).all()


@pytest.mark.parametrize(("n", "bins"), [(2, 1), (19, 1), (51, 5), (5000, 10)])
def test_few_faces_make_few_bins(n, bins):
    assert len(score_calibration.reliability_curve(*scores(n), 20, 0)) == bins


def test_equal_predictions_share_a_bin():
    actual, _ = scores(100)
    predicted = np.repeat([40.0, 60.0], [70, 30])
    curve = score_calibration.reliability_curve(actual, predicted, 20, 0)
    assert (curve["n"].tolist(), curve["predicted"].tolist()) == ([70, 30], [40, 60])
    one = score_calibration.calibration(actual, np.full(100, 45.0), 20, 0)
    assert one["calibration_error"]["value"] == pytest.approx(abs(actual.mean() - 45))
    assert np.isnan(one["calibration_slope"]["value"])


def test_the_order_of_faces_does_not_matter():
    actual, predicted = scores(103)
    order = np.random.default_rng(1).permutation(103)
    curves = [
        score_calibration.reliability_curve(actual[o], predicted[o], 20, 0)
        for o in (np.arange(103), order)
    ]
    pd.testing.assert_frame_equal(
        curves[0].drop(columns=["low", "high"]), curves[1].drop(columns=["low", "high"])
    )


def test_metrics_hold_the_regressions():
    assert set(regression.METRICS) < set(attractiveness.METRICS)
