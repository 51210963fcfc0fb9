"""Cross-validated ratings are nested, and unbiased on noise."""

import os

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crossvalidated import (
    FAST,
    PLAN,
    SCORING,
    alone,
    mean_r,
    ones,
    rated,
    text,
    validate,
    without_networks,
)
from facestats.crossvalidation.baselines import PENALTIES
from facestats.crossvalidation.chance import ridge_predictions
from facestats.crossvalidation.geometric import Shapes, cross_validate_geometry
from facestats.crossvalidation.geometric_folds import (
    GeometricFolds,
    load_geometric,
    save_geometric,
)
from facestats.crossvalidation.measures import (
    by_chance,
)
from facestats.crossvalidation.plan import Division, Plan
from facestats.crossvalidation.ratings import Scoring, cross_validate_rating
from facestats.scores.params import Mlp
from resources import names
from seeds import SEED

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


@pytest.mark.thorough
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


# Nested


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("weights", [{"geometric": 0.6, "holistic": 0.4}, "learned"])
@pytest.mark.long
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


@pytest.mark.long
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
