"""Metrics equal those of scipy and scikit-learn, their intervals are honest, and what can't be
measured is null.
"""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics

from facestats.core.files import rounded, write_json, write_metrics, write_plot_csv
from facestats.core.stats import classification, regression
from facestats.core.stats.intervals import resampled_rows
from facestats.evaluation.evaluate_project import headlines

RESAMPLES = 200
NOTHING = {"value": None, "low": None, "high": None}


def pairs(n, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    actual = rng.normal(4, 1, n)
    return actual, actual + noise * rng.normal(size=n)


# Regression


@pytest.mark.parametrize("decimals", [8, 0])  # rounded: with ties
def test_regression_metrics_are_scipys_and_scikit_learns(decimals):
    actual, predicted = (np.round(v, decimals) for v in pairs(80))
    assert regression.measure(actual, predicted) == pytest.approx(
        {
            "pearson": scipy.stats.pearsonr(actual, predicted)[0],
            "spearman": scipy.stats.spearmanr(actual, predicted)[0],
            "mae": sklearn.metrics.mean_absolute_error(actual, predicted),
            "rmse": sklearn.metrics.root_mean_squared_error(actual, predicted),
            "r2": sklearn.metrics.r2_score(actual, predicted),
        }
    )


@pytest.mark.parametrize(
    ("n", "constant", "unit"), [(5, 0.1, 1.0), (2000, 56.3333333, 15.0), (3001, 1e6 / 3, 1e4)]
)
def test_constant_predictions_have_no_correlation(tmp_path, n, constant, unit):
    actual = unit * pairs(n)[0]
    report = regression.with_intervals(actual, np.full(n, constant), 20, 0)
    write_json(tmp_path / "m.json", report)
    written = json.loads((tmp_path / "m.json").read_text())
    assert written["pearson"] == written["spearman"] == NOTHING
    assert written["mae"]["value"] == pytest.approx(np.abs(actual - constant).mean())
    assert written["r2"]["value"] <= 0


def test_constant_ratings_have_no_r2():
    measured = regression.measure(np.full(2000, 56.3333333), pairs(2000)[0])
    assert [np.isnan(measured[name]) for name in ("pearson", "spearman", "r2", "mae")] == [
        True,
        True,
        True,
        False,
    ]


def test_small_numbers_correlate_too():
    actual, predicted = pairs(50)
    assert regression.measure(1e-9 * actual, 1e-9 * predicted)["pearson"] == pytest.approx(
        regression.measure(actual, predicted)["pearson"]
    )


def test_intervals_hold_the_value_and_shrink_with_n():
    width = {}
    for n in (40, 1000):
        for name, metric in regression.with_intervals(*pairs(n), RESAMPLES, 0).items():
            assert metric["low"] < metric["value"] < metric["high"]
            width[name, n] = metric["high"] - metric["low"]
    for name in regression.METRICS:
        assert width[name, 1000] < 0.5 * width[name, 40]  # 0.2 by the square root


def test_intervals_of_a_mean_are_those_of_theory():
    actual = np.zeros(400)
    predicted = np.abs(pairs(400)[0])
    result = regression.with_intervals(actual, predicted, 2000, 0)["mae"]
    expected = 1.96 * predicted.std() / 20
    assert [result["value"] - result["low"], result["high"] - result["value"]] == pytest.approx(
        [expected] * 2, rel=0.1
    )


def test_the_seed_decides_the_interval():
    assert regression.with_intervals(*pairs(30), 50, 1) == regression.with_intervals(
        *pairs(30), 50, 1
    )
    assert regression.with_intervals(*pairs(30), 50, 1) != regression.with_intervals(
        *pairs(30), 50, 2
    )


@pytest.mark.long
def test_persons_are_drawn_whole():
    actual, predicted = pairs(30)
    groups = np.repeat(np.arange(30), 10)
    copied = regression.with_intervals(
        np.repeat(actual, 10), np.repeat(predicted, 10), 500, 0, groups
    )
    single = regression.with_intervals(actual, predicted, 500, 0)
    for name in ("pearson", "mae"):
        assert [copied[name][end] for end in ("low", "high")] == pytest.approx(
            [single[name][end] for end in ("low", "high")], abs=0.08
        )
    alone = regression.with_intervals(np.repeat(actual, 10), np.repeat(predicted, 10), 500, 0)[
        "mae"
    ]
    assert alone["high"] - alone["low"] < 0.5 * (copied["mae"]["high"] - copied["mae"]["low"])


def test_rows_of_a_drawn_person_are_that_persons():
    groups = np.array([2, 0, 2, 1, 0, 2])
    drawn = list(resampled_rows(6, 100, 0, groups))
    for rows in drawn:
        times = np.bincount(rows, minlength=6)
        assert all(len(set(times[groups == person])) == 1 for person in range(3))
        assert sum(times[[1, 3, 0]]) == 3
    assert {len(rows) for rows in drawn} > {6}
    assert [list(rows) for rows in resampled_rows(6, 100, 0, np.arange(6))] == [
        list(rows) for rows in resampled_rows(6, 100, 0)
    ]


# Classification


def answers(n, seed=0):
    rng = np.random.default_rng(seed)
    actual = rng.choice(["a", "b", "c", "d"], n, p=[0.5, 0.3, 0.15, 0.05]).astype(object)
    predicted = np.where(rng.random(n) < 0.6, actual, rng.choice(["a", "b", "e"], n)).astype(object)
    return actual, predicted  # d is rare, e is never right


def test_classification_metrics_are_scikit_learns():
    actual, predicted = answers(150)
    matrix, classes = classification.confusion(actual, predicted)
    assert classes == ["a", "b", "c", "d", "e"]
    assert (matrix == sklearn.metrics.confusion_matrix(actual, predicted, labels=classes)).all()
    occurring = sorted(set(actual))
    assert classification.from_confusion(matrix) == pytest.approx(
        {
            "accuracy": sklearn.metrics.accuracy_score(actual, predicted),
            "balanced_accuracy": sklearn.metrics.recall_score(
                actual, predicted, labels=occurring, average="macro", zero_division=0
            ),
            "macro_f1": sklearn.metrics.f1_score(
                actual, predicted, average="macro", zero_division=0
            ),
        }
    )


def test_a_class_that_the_model_cannot_say_counts_as_wrong():
    actual, predicted = np.array(["a"] * 8 + ["rare"] * 2, object), np.array(["a"] * 10, object)
    measured = classification.from_confusion(classification.confusion(actual, predicted)[0])
    assert measured == pytest.approx(
        {"accuracy": 0.8, "balanced_accuracy": 0.5, "macro_f1": (16 / 18) / 2}
    )


def test_intervals_of_a_share_are_those_of_theory_and_shrink():
    width = {}
    for n in (60, 2000):
        report = classification.with_intervals(*answers(n), 500, 0)
        for name, metric in report.items():
            assert metric["low"] < metric["value"] < metric["high"]
            width[name, n] = metric["high"] - metric["low"]
    p = report["accuracy"]["value"]
    assert width["accuracy", 2000] == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 2000), rel=0.1)
    assert all(width[name, 2000] < 0.5 * width[name, 60] for name in classification.METRICS)


def test_headlines_take_one_value_a_model_and_target():
    metrics = {"pearson": {"value": 0.5, "low": 0.1, "high": 0.9}, "mae": {"value": 3.0}}
    nothing = {"pearson": {"value": None, "low": None, "high": None}}
    of_attributes = {
        "age": {"n": 7, "mae": {"value": 4.0}, "pearson": {"value": 0.2}},
        "hat": {"n": 5, "balanced_accuracy": {"value": None}, "accuracy": {"value": 1.0}},
    }
    of_scores = {
        "test": {
            "n": 9,
            "mlp": metrics,
            "ridge": metrics,
            "geometric": nothing,
            "combined": nothing,
            "mean": metrics,
        },
        "verdicts": {
            "holistic": {"word": "says something", "text": ""},
            "geometric": {"word": "says nothing", "text": "…"},
        },
    }
    none = {target: {"why": "too many"} for target in ("rating", "age")}
    assert headlines(of_scores, of_attributes, none, {}) == {
        "pearson": {"mlp": 0.5, "ridge": 0.5, "geometric": None, "combined": None},
        "mae": {"age": 4.0},
        "balanced_accuracy": {"hat": None},
        "faces": 9,
        "verdict": "says nothing",
        "best": {"val_loss": None},
    }
    better = {"pearson": {"value": 0.6}}
    crossvalidated = {
        "rating": {
            "why": None,
            "n": 60,
            **dict.fromkeys(("mlp", "ridge", "geometric", "combined"), better),
        },
        "age": {"why": None, "n": 50, "trained": {"mae": {"value": 3.5}}},
        "hat": {"why": None, "n": 40, "trained": {"balanced_accuracy": {"value": 0.7}}},
    }
    assert headlines(of_scores, of_attributes, crossvalidated, {"best": {"val_loss": 0.3}}) == {
        "pearson": {"mlp": 0.6, "ridge": 0.6, "geometric": 0.6, "combined": 0.6},
        "mae": {"age": 3.5},
        "balanced_accuracy": {"hat": 0.7},
        "faces": 60,
        "verdict": "says nothing",
        "best": {"val_loss": 0.3},
    }


def test_last_bits_make_no_other_metrics(tmp_path):
    """Sums in another order, as another machine takes them, give the same file in git."""
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other
    for name, figure, nothing in (("a", one, one - 0.6), ("b", other, other - 0.6)):
        write_metrics(tmp_path / f"{name}.json", {"r": {"value": figure, "n": 7}, "gap": [nothing]})
        points = pd.DataFrame({"group": ["<b>"], "value": [figure], "missing": [np.nan], "n": [7]})
        write_plot_csv(tmp_path / f"{name}.csv", points)
    for suffix in ("json", "csv"):
        texts = [(tmp_path / f"{name}.{suffix}").read_text() for name in "ab"]
        assert texts[0] == texts[1]
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "r": {"value": 0.6, "n": 7},
        "gap": [0.0],
    }
    assert rounded({"a": (2 / 3, 12_345_678, True, "t")}) == {
        "a": [0.666667, 12_345_678, True, "t"]
    }
