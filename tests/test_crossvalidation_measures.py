"""Folds, and the measures of what other folds predict, with intervals that cover."""

import numpy as np
import pytest

from crossvalidated import PLAN, ones, rated, text, validate, without_networks
from facestats.core.stats import classification, regression
from facestats.core.stats.folds import dealt_folds, dealt_share
from facestats.core.stats.intervals import resampled_weights
from facestats.crossvalidation.measures import (
    measure_classes,
    measure_numbers,
)
from facestats.crossvalidation.plan import Division, Plan

# Folds


def test_groups_are_dealt_out_whole_and_evenly():
    groups = np.repeat(np.arange(30), np.resize([1, 1, 2, 5], 30))
    classes = np.resize(["a", "a", "b"], 30)[groups]
    fold = dealt_folds(groups, 5, (0, 1), classes)
    assert all(len(set(fold[groups == group])) == 1 for group in range(30))
    assert np.ptp(np.bincount(fold)) <= 3
    assert all(np.ptp(np.bincount(fold[classes == name], minlength=5)) <= 5 for name in "ab")
    assert np.array_equal(fold, dealt_folds(groups, 5, (0, 1), classes))
    assert not np.array_equal(fold, dealt_folds(groups, 5, (1, 1), classes))
    single = dealt_folds(np.arange(61), 5, (0,))
    assert sorted(np.bincount(single)) == [12, 12, 12, 12, 13]


def test_a_share_is_met_within_half_a_group():
    groups = np.repeat(np.arange(40), 2)
    chosen = dealt_share(groups, 0.2, (3,))
    assert chosen.sum() == pytest.approx(16, abs=2)
    assert all(len(set(chosen[groups == group])) == 1 for group in range(40))
    assert not dealt_share(groups, 0.0, (3,)).any()


def test_inside_stops_and_train_share_no_person():
    groups = text([f"person {i // 3}" for i in range(60)])
    division = Division.of(groups, ones(60), 0.25, PLAN)
    for job in division.jobs:
        parts = [set(groups[rows]) for rows in division.parts(*job)]
        assert sum(map(len, parts)) == 20
        assert all(parts)


def test_few_faces_are_divided_more_often_and_a_number_is_taken_as_it_is():
    repeats = {n: Plan().repeats_of(n) for n in (20, 60, 100, 150, 200, 2000)}
    assert repeats == {20: 5, 60: 5, 100: 3, 150: 2, 200: 2, 2000: 1} | {200: repeats[200]}
    assert Plan(repeats=7).repeats_of(60) == 7


def test_permutations_keep_a_persons_ratings_together_and_lose_none():
    groups = np.repeat(np.arange(20), np.resize([1, 3], 20))
    values = groups.astype(float)
    drawn = PLAN.permuted(values, groups)
    assert drawn.shape == (40, 19)
    assert all(sorted(column) == sorted(values) for column in drawn.T)
    order = drawn[np.argsort(groups, kind="stable")]
    switches = (np.diff(order, axis=0) != 0).sum(axis=0)
    assert (switches == 19).all()  # as many as there are between twenty persons
    assert len({tuple(column) for column in drawn.T}) == 19


# Measures


def test_without_resamples_figures_are_those_of_each_fold_averaged():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=60).round(1)  # with ties
    predicted = {"a": actual + rng.normal(size=(2, 60))}
    folds = np.stack([rng.permutation(60) % 5 for _ in range(2)])
    report = measure_numbers(actual, predicted, folds, np.arange(60), 50, 0)["a"].report()
    for name in ("pearson", "spearman"):
        expected = np.mean(
            [
                regression.measure(actual[fold == k], values[fold == k])[name]
                for values, fold in zip(predicted["a"], folds, strict=True)
                for k in range(5)
            ]
        )
        assert report[name]["value"] == pytest.approx(expected)
    for name in ("mae", "rmse", "r2"):
        whole = [regression.measure(actual, values)[name] for values in predicted["a"]]
        assert report[name]["value"] == pytest.approx(np.mean(whole))
    for metric in report.values():
        assert metric["low"] < metric["value"] < metric["high"]
    assert report["pearson"]["low"] > -1


def test_a_resample_weighs_as_the_rows_that_it_draws():
    rng = np.random.default_rng(1)
    actual, groups = rng.normal(size=40).round(1), np.arange(40)
    values = actual + rng.normal(size=40)
    fold = np.zeros((1, 40), dtype=int)
    drawn = measure_numbers(actual, {"a": values[None]}, fold, groups, 3, 5)["a"].values
    for number, weights in enumerate(resampled_weights(groups, 3, 5), start=1):
        rows = np.repeat(np.arange(40), weights.astype(int))
        expected = regression.measure(actual[rows], values[rows])
        for name in regression.METRICS:
            assert drawn[name][0, number] == pytest.approx(expected[name])


def test_a_constant_has_no_correlation_but_an_error():
    actual = np.arange(30.0)
    folds = np.resize(np.arange(5), (1, 30))
    report = measure_numbers(actual, {"mean": np.full((1, 30), 14.5)}, folds, np.arange(30), 50, 0)[
        "mean"
    ].report()
    assert np.isnan(report["pearson"]["value"])
    assert report["mae"]["value"] == pytest.approx(np.abs(actual - 14.5).mean())


def test_classes_are_counted_over_all_folds_and_persons_are_drawn():
    rng = np.random.default_rng(2)
    actual = np.resize(np.array(["a", "b", "b"], dtype=object), 90)
    wrong = rng.random((2, 90)) < 0.2
    predicted = np.where(wrong, np.where(actual == "a", "b", "a"), actual).astype(object)
    sure = np.full((2, 90), 0.8)
    answered = np.tile(np.arange(90) < 60, (2, 1))

    def report(groups):
        return measure_classes(actual, predicted, sure, answered, groups, 5, 300, 0).report()

    one, triples = report(np.arange(90)), report(np.arange(90) // 3)
    for name in classification.METRICS:
        whole = [
            classification.from_confusion(classification.confusion(actual, row)[0])[name]
            for row in predicted
        ]
        assert one[name]["value"] == pytest.approx(np.mean(whole))
    assert one["coverage"]["value"] == pytest.approx(2 / 3)
    right = (predicted == actual)[:, :60].mean()
    assert one["accuracy_answered"]["value"] == pytest.approx(right)
    assert one["ece"]["value"] == pytest.approx(
        np.mean([abs(0.8 - (row == actual).mean()) for row in predicted])
    )
    assert 0 <= triples["coverage"]["low"] < one["coverage"]["low"]


@pytest.mark.long
def test_an_interval_covers_the_expected_r(monkeypatch):
    """Thirty samples of 60 faces, each with an interval from its own faces alone."""
    without_networks(monkeypatch)
    values, ends = [], []
    for seed in range(30):
        out = validate(*rated(60, seed, 0.8))
        groups = np.arange(60)
        metric = measure_numbers(out.actual.to_numpy(), out.predicted, out.folds, groups, 200, 0)[
            "ridge"
        ].report()["pearson"]
        values.append(metric["value"])
        ends.append((metric["low"], metric["high"]))
    expected = np.mean(values)
    covered = sum(low <= expected <= high for low, high in ends)
    assert covered >= 27
    assert 0.5 < expected < 0.75  # 0.8 is what the best prediction has
    assert np.mean([high - low for low, high in ends]) < 0.6
