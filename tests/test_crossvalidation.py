"""Cross-validation is nested, unbiased on noise, and says why where it cannot be."""

import os
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facestats.attributes.params import Classification, Regression
from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.core.stats import classification, regression
from facestats.core.stats.folds import dealt_folds, dealt_share
from facestats.core.stats.intervals import resampled_weights
from facestats.crossvalidation import ratings as ratings_module
from facestats.crossvalidation.attributes import cross_validate_attribute
from facestats.crossvalidation.baselines import PENALTIES
from facestats.crossvalidation.chance import ridge_predictions
from facestats.crossvalidation.dataset import Project
from facestats.crossvalidation.geometric import Shapes, cross_validate_geometry
from facestats.crossvalidation.geometric_folds import (
    GeometricFolds,
    load_geometric,
    save_geometric,
)
from facestats.crossvalidation.measures import (
    by_chance,
    fold_correlations,
    measure_classes,
    measure_numbers,
)
from facestats.crossvalidation.plan import Division, Plan
from facestats.crossvalidation.project import Options, cross_validate
from facestats.crossvalidation.ratings import Scoring, cross_validate_rating
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.errors import InputError
from facestats.scores.params import Mlp
from resources import SEED, names

FAST = Mlp(hidden=4, ensemble=2, epochs=2, folds=0)
PLAN = Plan(repeats=1, permutations=19, bootstrap=100)
SCORING = Scoring(FAST, {"geometric": 0.6, "holistic": 0.4}, (0.0, 10.0), 0.2)


def text(values) -> pd.Series:
    return pd.Series(values, index=names(len(values)), dtype="str")


def alone(n: int) -> pd.Series:
    return text([f"bytes {i:04}" for i in range(n)])


def ones(n: int) -> pd.Series:
    return pd.Series(True, index=names(n))


def rated(n: int, seed: int, signal: float = 0.0, d: int = 20):
    """Embeddings and ratings that correlate by `signal` with what is linear in them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    y = signal * x[:, :4].sum(axis=1) / 2 + np.sqrt(1 - signal**2) * rng.standard_normal(n)
    return x, pd.Series(5 + y, index=names(n))


def without_networks(monkeypatch):
    """Leave the perceptrons out, for tests that are about the ridge regression."""

    def none(*_):
        raise InputError("left out")

    monkeypatch.setattr(ratings_module, "_holistic", none)


def validate(x, y, groups=None, plan=PLAN, **options):
    groups = alone(len(y)) if groups is None else groups
    return cross_validate_rating(x, groups, y, ones(len(y)), SCORING, plan, **options)


def mean_r(out, model="ridge"):
    return float(
        np.mean(
            [
                fold_correlations(out.actual.to_numpy()[:, None], values[:, None], fold)[0]
                for values, fold in zip(out.predicted[model], out.folds, strict=True)
            ]
        )
    )


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


# Noise


@pytest.mark.long
def test_noise_has_no_correlation_on_average_and_is_within_chance(monkeypatch):
    """Twenty seeds of 60 faces; r over all folds at once would be below 0."""
    without_networks(monkeypatch)
    fold_wise, pooled, within = [], [], 0
    for seed in range(20):
        out = validate(*rated(60, 100 + seed))
        fold_wise.append(mean_r(out))
        pooled.append(np.corrcoef(out.actual, out.predicted["ridge"][0])[0, 1])
        chance = by_chance(out.observed["ridge"], out.chance["ridge"])
        assert out.observed["ridge"] == pytest.approx(mean_r(out))
        within += chance["p"] > 0.05
    assert abs(np.mean(fold_wise)) < 3 * np.std(fold_wise) / np.sqrt(20)
    assert np.mean(pooled) < np.mean(fold_wise) - 0.05
    assert within >= 17


def test_a_signal_is_beyond_chance(monkeypatch):
    without_networks(monkeypatch)
    out = validate(*rated(60, 7, 0.9))
    chance = by_chance(out.observed["ridge"], out.chance["ridge"])
    assert chance["p"] == pytest.approx(1 / 20)
    assert chance["high"] < out.observed["ridge"]
    assert chance["permutations"] == 19


def test_permuted_regressions_are_scikit_learns():
    x, y = rated(50, 3, 0.5, d=70)
    for standardised in (True, False):
        steps = [StandardScaler()] if standardised else []
        for rows in (slice(0, 30), slice(0, 48)):
            own = make_pipeline(*steps, RidgeCV(PENALTIES)).fit(
                x[rows].astype(float), y.to_numpy()[rows]
            )
            many = ridge_predictions(
                x[rows], y.to_numpy()[rows, None], x[48:], PENALTIES, standardised
            )
            assert many[:, 0] == pytest.approx(own.predict(x[48:].astype(float)), abs=1e-6)


# Nested


def test_ratings_of_a_fold_do_not_touch_its_predictions():
    x, y = rated(60, 11, 0.5)
    division = Division.of(alone(60), ones(60), 0.2, PLAN)
    before = validate(x, y)
    for fold in (0, 3):
        inside = division.folds[0] == fold
        other = y.copy()
        other[inside] = np.random.default_rng(0).permutation(other[inside]) + 2
        after = validate(x, other)
        for model in ("mlp", "ridge", "mean"):
            assert np.array_equal(
                before.predicted[model][0, inside], after.predicted[model][0, inside]
            )
            assert not np.array_equal(before.predicted[model], after.predicted[model])


def test_copies_and_persons_do_not_leak():
    """Noise in pairs: copies that straddle folds would be predicted nearly perfectly."""
    x, y = rated(40, 5, d=60)
    rng = np.random.default_rng(0)
    x = np.repeat(x, 2, axis=0) + 1e-3 * rng.standard_normal((80, 60)).astype(np.float32)
    y = pd.Series(np.repeat(y.to_numpy(), 2), index=names(80))
    pairs = text([f"person {i // 2}" for i in range(80)])
    told = [mean_r(validate(x, y, groups)) for groups in (alone(80), pairs)]
    assert told[0] > 0.6
    assert abs(told[1]) < 0.45


def test_what_teaches_only_is_not_measured():
    x, y = rated(60, 2, 0.5)
    measured = ones(60)
    measured.iloc[:10] = False
    out = cross_validate_rating(x, alone(60), y, measured, SCORING, PLAN)
    assert list(out.actual.index) == list(names(60)[10:])
    assert out.predicted["ridge"].shape == (1, 50)


@pytest.mark.long
def test_perceptrons_are_permuted_for_few_faces_alone():
    x, y = rated(60, 4, 0.5)
    assert "mlp" not in validate(x, y).chance  # one in ten permutations would be one
    out = validate(x, y, plan=Plan(repeats=1, permutations=190, bootstrap=100))
    assert len(out.chance["mlp"]) == 19
    assert len(out.chance["ridge"]) == 190


def geometric(y, groups):
    division = Division.of(groups, ones(len(y)), SCORING.stop_share, PLAN)
    rows = []
    for repeat, fold in division.jobs:
        inside, stops, _ = division.parts(repeat, fold)
        rows.append(
            pd.DataFrame(
                {
                    "repeat": repeat,
                    "fold": fold,
                    "filename": groups.index[inside | stops],
                    "geometric_raw": y[inside | stops].to_numpy(),
                    "geometry_zscore": 0.5,
                }
            )
        )
    return GeometricFolds(pd.concat(rows, ignore_index=True), [0.0, 0.1], 0.9)


@pytest.mark.parametrize("weights", [{"geometric": 0.6, "holistic": 0.4}, "learned"])
def test_the_combined_score_is_that_of_the_same_fold(weights):
    x, y = rated(160, 6, 0.5)
    groups = alone(160)
    scoring = Scoring(FAST, weights, (0.0, 10.0), 0.3)
    division = Division.of(groups, ones(160), 0.3, PLAN)
    own = geometric(y, groups)
    rows = own.table  # the shares of SCORING's stops: their faces are others
    fresh = [
        pd.DataFrame(
            {
                "repeat": repeat,
                "fold": fold,
                "filename": groups.index[~train],
                "geometric_raw": y[~train].to_numpy(),
                "geometry_zscore": 0.5,
            }
        )
        for repeat, fold in division.jobs
        for train in [division.parts(repeat, fold)[2]]
    ]
    own.table = pd.concat(fresh, ignore_index=True)[list(rows.columns)]
    out = cross_validate_rating(x, groups, y, ones(160), scoring, PLAN, own)
    shares = 0.6 if weights != "learned" else 1.0  # the geometric score is the rating itself
    expected = shares * out.predicted["geometric"] + (1 - shares) * np.clip(
        out.predicted["mlp"], 0, 10
    )
    assert out.predicted["combined"] == pytest.approx(expected, abs=1e-6)
    assert out.predicted["geometric"][0] == pytest.approx(y.to_numpy())
    assert out.chance["geometric"].tolist() == [0.0, 0.1]


def test_shapes_are_learned_outside_of_each_fold_and_handed_on(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.random((468, 3))
    y = pd.Series(rng.normal(5, 1, 50), index=names(50))
    along = rng.standard_normal((468, 3)) * 0.01
    landmarks = (base + along * (y.to_numpy() - 5)[:, None, None]).astype(np.float32)
    landmarks += 1e-4 * rng.standard_normal(landmarks.shape).astype(np.float32)
    landmarks[3] = np.nan

    def run(ratings):
        return cross_validate_geometry(Shapes(landmarks), alone(50), ratings, ones(50), 0.2, PLAN)

    found = run(y)
    assert found.observed > 0.9
    assert max(found.chance) < found.observed
    division = Division.of(alone(50), ones(50), 0.2, PLAN)
    inside = division.parts(0, 1)[0]
    other = y.copy()
    other[inside] += 3
    both = [one.of(0, 1, names(50)[inside])["geometric_raw"] for one in (found, run(other))]
    assert both[0].equals(both[1])
    assert found.of(0, division.folds[0][3], names(50)[[3]])["geometric_raw"].isna().all()
    save_geometric(
        tmp_path / "g.parquet",
        {"rating": found, "rating_x": GeometricFolds(found.table[:0], why="few")},
    )
    again = load_geometric(tmp_path / "g.parquet")
    assert again["rating"].chance == found.chance
    assert again["rating"].of(0, 1, names(50)).equals(found.of(0, 1, names(50)))
    assert again["rating_x"].why == "few"


# Attributes


def labelled(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)).astype(np.float32)
    classes = np.where(x[:, 0] + 0.3 * rng.standard_normal(n) > 0, "f", "m")
    return x, text(classes)


@pytest.mark.long
def test_classes_of_a_fold_do_not_touch_its_answers(monkeypatch):
    folds_of = Plan.folds_of  # with classes, other labels would be dealt out otherwise
    monkeypatch.setattr(
        Plan, "folds_of", lambda self, groups, repeats, _classes: folds_of(self, groups, repeats)
    )
    x, classes = labelled(80)

    def run(labels):
        options = Classification(kind="classification", C=1.0)
        return cross_validate_attribute(
            "gender", options, 5, x, labels, ones(80), alone(80), 0.2, PLAN
        )

    out = run(classes)
    assert (out.predicted["trained"][0] == out.actual).mean() > 0.8
    assert set(out.predicted["majority"][0]) <= {"f", "m"}
    assert np.isfinite(out.sure["trained"]).all()
    inside = out.folds[0] == 2
    other = classes.mask(inside, "f")
    after = run(other)
    for by_model in ("predicted", "sure", "answered"):
        one, two = (getattr(each, by_model)["trained"][0, inside] for each in (out, after))
        assert (one == two).all()
    assert (after.actual[inside] == "f").all()


@pytest.mark.long
def test_numbers_are_predicted_beside_their_mean_and_prompts():
    x, _ = labelled(60)
    ages = pd.Series(40 + 10 * x[:, 1], index=names(60))
    prompts = pd.DataFrame({"age_prob_20-39": 0.5, "age_prob_40-59": 0.5}, index=names(60))
    out = cross_validate_attribute(
        "age",
        Regression(kind="regression"),
        5,
        x,
        ages,
        ones(60),
        alone(60),
        0.2,
        PLAN,
        prompts,
    )
    assert np.abs(out.predicted["trained"] - ages.to_numpy()).mean() < 2
    assert np.ptp(out.predicted["mean"]) < 3
    assert np.unique(out.predicted["zeroshot"]).size == 1


# What cannot be


@pytest.mark.parametrize(
    ("n", "groups", "ratings", "why"),
    [
        (60, None, 5.0, "all 60 rated faces have the same rating, 5"),
        (60, ["person anna"] * 60, None, "60 labelled faces are of 1 person, 10 are needed"),
        (1, None, None, "the 1 labelled face is of 1 person, 10 are needed"),
        (0, None, None, "no face has a label"),
        (61, None, None, "61 labelled faces are more than evaluate.most, 60"),
    ],
)
def test_too_few_too_alike_and_too_many_faces_are_said(n, groups, ratings, why):
    x, y = rated(n, 0)
    y = y if ratings is None else y * 0 + ratings
    groups = alone(n) if groups is None else text(groups)
    with pytest.raises(InputError, match=why):
        validate(x, y, groups, Plan(repeats=1, permutations=19, most=60))


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_all_models_find_nothing_in_noise(seed):
    """60 faces as the pipeline trains them; `make soak` has twenty seeds."""
    seeds = 20 if SEED in os.environ else 3
    plan = Plan(repeats=1, permutations=19)
    found: dict[str, list[float]] = {"mlp": [], "ridge": []}
    for number in range(seeds):
        x, y = rated(60, seed + number, d=100)
        scoring = Scoring(Mlp(), {"geometric": 0.6, "holistic": 0.4}, (0.0, 10.0), 0.2)
        out = cross_validate_rating(x, alone(60), y, ones(60), scoring, plan)
        for model, values in found.items():
            values.append(np.nan_to_num(mean_r(out, model)))
    for values in found.values():
        assert abs(np.mean(values)) < 4 * 0.18 / np.sqrt(seeds)  # by simulation, r varies so much


def test_twenty_faces_have_a_ridge_regression_and_say_what_else_needs_more():
    out = validate(*rated(20, 1))
    assert "ridge" in out.predicted
    assert out.problems["mlp"] == "13 rated faces in train and 3 in val; 20 and 5 are needed"


@dataclass
class Vectors:
    """Stands in for a table of embeddings."""

    names: pd.Index
    x: np.ndarray

    def take(self, chosen):
        return self.x[chosen]


def project(n, ratings, **labels):
    x, _ = rated(n, 3)
    rows = pd.DataFrame(
        {"rating": ratings, "split": "train", "group": alone(n), "minor": False, "scored": True},
        index=names(n),
    )
    rows.loc[names(n)[:4], "split"] = ["val", "val", "test", "excluded"]
    faces = pd.DataFrame(
        {
            "filename": names(n),
            "sha256": [f"{i:064}" for i in range(n)],
            "copy_group": names(n),
            "copy_rank": 1,
        }
    )
    table = pd.DataFrame({"rating": ratings, **labels}, index=names(n))
    return Project(cast(Any, Vectors(names(n), x)), rows, table, faces, (0.0, 10.0))


OPTIONS = Options(
    FAST,
    {"geometric": 0.6, "holistic": 0.4},
    [],
    {"gender": Classification(kind="classification"), "age": Regression(kind="regression")},
    10,
)
NO_CEILING = {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("n", "ratings", "why"),
    [
        (30, np.nan, "no face has a label"),
        (30, 5.0, "all 29 rated faces have the same rating, 5"),
        (8, 5.0, "the 7 labelled faces are of 7 persons, 10 are needed"),
    ],
)
def test_a_project_without_figures_says_why_and_writes_an_empty_table(tmp_path, n, ratings, why):
    found = cross_validate(
        project(n, ratings), PLAN, OPTIONS, {}, pd.DataFrame(index=names(n)), NO_CEILING
    )
    assert found.metrics["rating"]["why"] == why
    assert found.metrics["gender"]["why"] == found.metrics["age"]["why"] == "no face has a label"
    assert len(found.warnings) == 3
    assert found.warnings[0] == f"rating is not cross-validated: {why}"
    assert found.metrics["rating"]["mlp"]["pearson"] == NO_CEILING
    write_metrics(tmp_path / "m.json", found.metrics)
    tables.write(found.table, tmp_path / "t.parquet", CROSSVALIDATED)
    assert tables.read(tmp_path / "t.parquet", CROSSVALIDATED).empty
    assert found.summary() == "faces x repeats: none"


@pytest.mark.long
def test_the_table_holds_each_prediction_once_and_the_metrics_are_of_it(tmp_path):
    n = 60
    x, y = rated(n, 3, 0.7)
    data = project(n, y, gender=text(np.where(x[:, 0] > 0, "f", "m")))
    data.embeddings = cast(Any, Vectors(names(n), x))
    data.rows["rating"] = y
    found = cross_validate(data, PLAN, OPTIONS, {}, pd.DataFrame(index=names(n)), NO_CEILING)
    tables.write(found.table, tmp_path / "t.parquet", CROSSVALIDATED)
    table = tables.read(tmp_path / "t.parquet", CROSSVALIDATED)
    assert set(table["target"]) == {"rating", "gender"}
    ridge = table[(table["target"] == "rating") & (table["model"] == "ridge")]
    assert set(ridge["filename"]) == set(names(n)) - {names(n)[3]}  # which is excluded
    facts = found.metrics["rating"]
    assert (facts["n"], facts["n_persons"], facts["folds"], facts["repeats"]) == (59, 59, 5, 1)
    error = (ridge["actual"] - ridge["predicted"]).abs().mean()
    assert facts["ridge"]["mae"]["value"] == pytest.approx(error)
    answers = table[(table["target"] == "gender") & (table["model"] == "trained")]
    right = (answers["actual_class"] == answers["predicted_class"]).mean()
    assert found.metrics["gender"]["trained"]["accuracy"]["value"] == pytest.approx(right)
    assert answers["actual"].isna().all()
    assert answers["answered"].notna().all()
    assert facts["geometric"]["pearson"] == NO_CEILING
