"""The combined score: weights given or learned from val faces, and a reason where there are
none.
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from facestats.core.stats.scale import to_score
from facestats.errors import ModelError
from facestats.scores.blending import (
    MIN_FACES,
    BlendWeights,
    blend_weights,
    learn_weights,
    load_blend,
    save_blend,
)
from resources import names

N, SCALE = 240, (1.0, 7.0)
GIVEN = {"geometric": 0.6, "holistic": 0.4}
FILE = '{"geometric": %s, "holistic": %s, "learned": false, "n_val": 0, "why": null, "scale": %s}'


def made_up(weight, noise=3.0, seed=0):
    """Scores of 240 faces, a third of them val, and ratings (1–7) around their blend."""
    rng = np.random.default_rng(seed)
    scores = pd.DataFrame(
        {
            "geometric_score": rng.uniform(30, 70, N),
            "attractiveness_score": rng.uniform(30, 70, N),
            "split": np.resize(["train", "val", "test"], N),
            "out_of_fold": np.resize([True, True, False], N),
        },
        index=names(N),
    )
    points = (
        weight * scores["geometric_score"]
        + (1 - weight) * scores["attractiveness_score"]
        + noise * rng.normal(size=N)
    )
    return scores, 1 + 6 * points / 100


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.6, 1.0])
def test_learned_weights_are_those_that_the_ratings_were_made_with(weight):
    result = learn_weights(*made_up(weight), SCALE)
    assert result.geometric == pytest.approx(weight, abs=0.04)
    assert result.geometric + result.holistic == pytest.approx(1)
    assert (result.learned, result.n_val, result.why) == (True, N // 3, None)


def test_learned_weights_have_the_least_squares_of_val_faces():
    scores, ratings = made_up(0.45, noise=9)
    val = scores["split"] == "val"

    def squares(weight):
        blended = weight * scores["geometric_score"] + (1 - weight) * scores["attractiveness_score"]
        return float(((to_score(ratings, SCALE) - blended)[val] ** 2).sum())

    assert learn_weights(scores, ratings, SCALE).geometric == pytest.approx(
        minimize_scalar(squares, bounds=(0, 1)).x, abs=1e-4
    )


def test_ratings_of_train_and_test_faces_count_for_nothing():
    scores, ratings = made_up(0.3)
    other = ratings.where(scores["split"] == "val", 1.0)
    assert learn_weights(scores, other, SCALE) == learn_weights(scores, ratings, SCALE)
    assert learn_weights(scores, ratings.where(scores["split"] == "val"), SCALE) == learn_weights(
        scores, ratings, SCALE
    )


@pytest.mark.parametrize(("weight", "expected"), [(1.8, 1.0), (-0.7, 0.0)])
def test_weights_stay_between_0_and_1(weight, expected):
    assert learn_weights(*made_up(weight), SCALE).geometric == pytest.approx(expected)


@pytest.mark.parametrize("wanted", ["learned", GIVEN])
@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("geometric_score", "no face has a geometric score: too few ratings"),
        ("attractiveness_score", "no face has a holistic score, for no regressor was trained"),
    ],
)
def test_without_one_of_the_scores_there_is_no_blend(wanted, column, why):
    scores, ratings = made_up(0.5)
    result = blend_weights(
        wanted, scores.assign(**{column: np.nan}), ratings, SCALE, "too few ratings"
    )
    assert (result.why, result.geometric, result.holistic) == (why, None, None)
    assert np.isnan(result(np.array([50.0]), np.array([60.0]))).all()


def test_too_few_val_faces_are_told_and_never_become_given_weights():
    scores, ratings = made_up(0.5)
    few = ratings.where(scores["split"] != "val")
    few.iloc[np.flatnonzero(scores["split"] == "val")[: MIN_FACES - 1]] = 4.0
    result = blend_weights("learned", scores, few, SCALE)
    assert result == BlendWeights(
        learned=True,
        n_val=19,
        why="19 rated val faces have both scores, 20 are needed to learn the weights",
    )
    assert blend_weights(GIVEN, scores, few, SCALE) == BlendWeights(
        0.6, 0.4
    )  # these need no val faces


def test_val_faces_of_a_fold_that_was_not_trained_do_not_count():
    scores, ratings = made_up(0.25)
    lost = (scores["split"] == "val") & (np.arange(N) < N // 2)
    flattered = scores.assign(out_of_fold=scores["out_of_fold"] & ~lost)
    result = learn_weights(flattered, ratings.mask(lost, 7.0), SCALE)
    assert result == learn_weights(scores, ratings.mask(lost), SCALE)
    assert result.n_val == N // 3 - int(lost.sum())
    without_folds = scores.assign(out_of_fold=False)
    assert learn_weights(without_folds, ratings, SCALE).n_val == N // 3


def test_scores_that_are_the_same_leave_the_weights_open():
    scores, ratings = made_up(0.5)
    result = learn_weights(
        scores.assign(geometric_score=scores["attractiveness_score"]), ratings, SCALE
    )
    assert "any weights would do" in result.why


def test_a_face_without_one_score_has_no_combined_one():
    combined = BlendWeights(0.6, 0.4)(np.array([10.0, np.nan, 10]), np.array([60.0, 60, np.nan]))
    assert combined == pytest.approx([30, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("weights", "scale"),
    [(BlendWeights(0.25, 0.75, True, 40), (1.0, 7.0)), (BlendWeights(why="no ratings"), None)],
)
def test_the_file_gives_back_what_was_saved(tmp_path, weights, scale):
    save_blend(tmp_path / "blend.json", weights, scale)
    assert load_blend(tmp_path / "blend.json") == (weights, scale)
    assert list(json.loads((tmp_path / "blend.json").read_text())) == [
        "geometric",
        "holistic",
        "learned",
        "n_val",
        "why",
        "scale",
        "verdicts",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file; `dvc repro score`"),
        ("{", "dvc repro -f score"),
        ("[]", "dvc repro -f score"),
        ('{"scale": [1, 7], "weight": 1}', "dvc repro -f score"),
        (FILE % ("null", "0.4", "[1, 7]"), "dvc repro -f score"),
        (FILE % ('"a"', "0.4", "[1, 7]"), "dvc repro -f score"),
        (FILE % ("0.5", "0.4", "[1, 7]"), "dvc repro -f score"),
        (FILE % ("0.6", "0.4", "[1]"), "dvc repro -f score"),
        (FILE % ("0.6", "0.4", f"[1, {10**400}]"), "dvc repro -f score"),
        (FILE % (str(10**400), "0.4", "[1, 7]"), "dvc repro -f score"),
    ],
)
def test_a_missing_or_damaged_file_names_the_way_out(tmp_path, text, said):
    if text is not None:
        (tmp_path / "blend.json").write_text(text)
    with pytest.raises(ModelError, match=said):
        load_blend(tmp_path / "blend.json")
