"""Holistic, geometric, combined and z-score on the same faces, and their differences."""

import json

import numpy as np
import pandas as pd
import pytest

from facestats.core.files import write_json
from facestats.core.stats import regression
from facestats.crossvalidation.baselines import OTHERS, predicted_by_all
from facestats.evaluation.attractiveness import COMPARED, METRICS, evaluate_attractiveness
from facestats.scores.blending import BlendWeights
from resources import splits, text

N, SCALE = 240, (1.0, 7.0)
GIVEN = BlendWeights(0.6, 0.4)


def faces(worth=0.8, seed=0):
    """Ratings 1–7.

    The holistic score and the geometric one, which knows `worth` of what the other does not.
    """
    rng = np.random.default_rng(seed)
    shared, own, noise = rng.normal(size=(3, N))
    ratings = pd.Series(np.clip(4 + 0.6 * shared + 0.6 * own + 0.3 * noise, 1, 7))
    scores = pd.DataFrame(
        {
            "attractiveness_score": 50 + 10 * shared,
            "geometric_score": 50 + 10 * worth * own,
            "geometry_zscore": 0.1 * own + rng.normal(size=N),
            "split": splits(N).to_numpy(),
            "out_of_fold": splits(N).to_numpy() != "test",
        }
    )
    scores["combined_score"] = GIVEN(scores["geometric_score"], scores["attractiveness_score"])
    return ratings, scores


def measure(ratings, scores, weights=GIVEN, **changes):
    options = {
        "embeddings": np.random.default_rng(1).normal(size=(N, 4)).astype(np.float32),
        "ratings": ratings,
        "split": scores["split"],
        "predicted": 1 + 6 * scores["attractiveness_score"] / 100,
        "resamples": 60,
        "seed": 0,
        "person": text([None] * N),
        "scale": SCALE,
        "reliability": {"ceiling": {"value": 0.95, "low": 0.94, "high": 0.96}},
        "scores": scores,
        "weights": weights,
    }
    return evaluate_attractiveness(**options | changes)


def test_every_model_is_measured_in_rating_units_on_the_same_faces():
    ratings, scores = faces()
    metrics = measure(ratings, scores).metrics
    test = (scores["split"] == "test").to_numpy()
    assert metrics["test"]["n"] == test.sum()
    assert metrics["test"]["n_left_out"] == 0
    for name, points in (
        ("geometric", scores["geometric_score"]),
        ("combined", scores["combined_score"]),
        ("combined_60_40", 0.6 * scores["geometric_score"] + 0.4 * scores["attractiveness_score"]),
    ):
        missed = (1 + 6 * points / 100 - ratings)[test]
        assert metrics["test"][name]["mae"]["value"] == pytest.approx(missed.abs().mean())
        assert (
            metrics["test"][name]["pearson"]["low"]
            < metrics["test"][name]["pearson"]["value"]
            < metrics["test"][name]["pearson"]["high"]
        )
        assert metrics["test"][name].keys() == {*METRICS, "minus_mlp"}


@pytest.mark.long
def test_of_the_zscore_there_are_correlations_only():
    ratings, scores = faces()
    metrics = measure(ratings, scores).metrics["test"]
    test = scores["split"] == "test"
    assert metrics["geometry_zscore"]["pearson"]["value"] == pytest.approx(
        np.corrcoef(scores["geometry_zscore"][test], ratings[test])[0, 1]
    )
    assert {
        key for key, metric in metrics["geometry_zscore"].items() if metric["value"] is not None
    } == {"pearson", "spearman"}
    times = measure(ratings, scores.assign(geometry_zscore=-3 * scores["geometry_zscore"])).metrics[
        "test"
    ]
    assert times["geometry_zscore"]["pearson"]["value"] == pytest.approx(
        -metrics["geometry_zscore"]["pearson"]["value"]
    )


@pytest.mark.long
def test_learned_weights_stand_in_the_metrics_and_come_from_val_faces():
    ratings, scores = faces()
    result = measure(ratings, scores).metrics
    assert result["weights"]["combined"] == {
        "geometric": 0.6,
        "holistic": 0.4,
        "learned": False,
        "n_val": 0,
        "why": None,
    }
    learned = result["weights"]["combined_learned"]
    assert learned["learned"]
    assert learned["n_val"] == (scores["split"] == "val").sum()
    combined = (
        learned["geometric"] * scores["geometric_score"]
        + learned["holistic"] * scores["attractiveness_score"]
    )
    test = scores["split"] == "test"
    assert result["test"]["combined_learned"]["pearson"]["value"] == pytest.approx(
        np.corrcoef(combined[test], ratings[test])[0, 1]
    )
    other = measure(
        ratings.where(scores["split"] != "test", ratings.iloc[::-1].to_numpy()), scores
    ).metrics
    assert other["weights"] == result["weights"]


@pytest.mark.long
def test_differences_are_paired():
    ratings, scores = faces()
    metrics = measure(ratings, scores).metrics["test"]
    difference = metrics["combined"]["minus_mlp"]["pearson"]
    assert difference["value"] == pytest.approx(
        metrics["combined"]["pearson"]["value"] - metrics["mlp"]["pearson"]["value"]
    )
    assert difference["low"] > 0  # the geometric score knows what the holistic one does not
    same = measure(ratings, scores.assign(combined_score=scores["attractiveness_score"])).metrics[
        "test"
    ]["combined"]["minus_mlp"]
    assert all(
        abs(metric[part]) < 1e-9 for metric in same.values() for part in ("value", "low", "high")
    )
    worse = measure(*faces(worth=-1.5)).metrics["test"]["combined"]["minus_mlp"]
    assert worse["pearson"]["high"] < 0 < worse["mae"]["low"]


def test_models_resampled_together_have_the_intervals_that_they_have_alone():
    rng = np.random.default_rng(0)
    actual, groups = rng.normal(size=40), np.arange(40) // 2
    predictions = {"a": actual + rng.normal(size=40), "b": rng.normal(size=40).round(1)}
    together = regression.resampled(actual, predictions, 50, 3, groups)
    for name, values in predictions.items():
        alone = regression.with_intervals(actual, values, 50, 3, groups)
        assert together[name].report().keys() == alone.keys()
        for metric, figures in together[name].report().items():
            assert figures == pytest.approx(alone[metric], rel=1e-9), metric


def test_faces_without_landmarks_are_left_out_of_every_model():
    ratings, scores = faces()
    some = np.flatnonzero(scores["split"] == "test")[:7]
    scores.loc[some, ["geometric_score", "combined_score", "geometry_zscore"]] = np.nan
    metrics = measure(ratings, scores).metrics["test"]
    kept = (scores["split"] == "test") & scores["geometric_score"].notna()
    assert (metrics["n"], metrics["n_persons"], metrics["n_left_out"]) == (
        kept.sum(),
        kept.sum(),
        7,
    )
    assert metrics["mlp"]["mae"]["value"] == pytest.approx(
        (1 + 6 * scores["attractiveness_score"] / 100 - ratings)[kept].abs().mean()
    )


def test_a_geometry_of_few_test_faces_takes_none_from_the_holistic_score():
    ratings, scores = faces()
    scores.loc[
        np.flatnonzero(scores["split"] == "test")[5:],
        ["geometric_score", "combined_score", "geometry_zscore"],
    ] = np.nan
    metrics = measure(ratings, scores).metrics["test"]
    assert (metrics["n"], metrics["n_left_out"]) == ((scores["split"] == "test").sum(), 0)
    assert metrics["mlp"]["pearson"]["value"] is not None
    assert all(metrics[name]["pearson"]["value"] is None for name in OTHERS)
    assert predicted_by_all(
        {"a": np.array([1.0, np.nan, 2])}, np.array([True, True, False])
    ).tolist() == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("lacking", ["geometry", "ratings"])
def test_what_there_is_no_geometry_for_is_null(lacking, tmp_path):
    ratings, scores = faces()
    why = BlendWeights(why="no face has a geometric score")
    if lacking == "geometry":
        result = measure(
            ratings,
            scores.assign(geometric_score=np.nan, combined_score=np.nan, geometry_zscore=np.nan),
            why,
        )
    else:
        result = measure(
            ratings.where(ratings > 99),
            scores.assign(geometric_score=np.nan, combined_score=np.nan),
            why,
            scale=None,
        )
    assert (
        result.metrics["weights"]["combined"]["why"]
        == result.metrics["weights"]["combined_learned"]["why"]
        == why.why
    )
    for name in OTHERS:
        assert all(
            metric["value"] is None
            for key, metric in result.metrics["test"][name].items()
            if key != "minus_mlp"
        )
    for name in COMPARED:
        assert all(
            metric["value"] is None for metric in result.metrics["test"][name]["minus_mlp"].values()
        )
    assert result.metrics["test"]["n"] == (
        0 if lacking == "ratings" else (scores["split"] == "test").sum()
    )
    write_json(tmp_path / "metrics.json", result.metrics)
    assert json.loads((tmp_path / "metrics.json").read_text())["test"]["mean"].keys() == set(
        METRICS
    )


def test_points_of_the_plots_have_the_new_columns():
    ratings, scores = faces()
    points = measure(ratings, scores).points
    assert list(points.columns) == ["actual", "mlp", "ridge", "geometric", "combined"]
    assert points.notna().all(axis=None)
