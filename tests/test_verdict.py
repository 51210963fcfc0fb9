"""A score that was learned from noise, or that hardly varies, is called so wherever it is shown."""

import copy
import re

import numpy as np
import pandas as pd
import pytest

from cards import trained_run
from facestats.cli import results
from facestats.composites.averaging import Average
from facestats.composites.folder import composite_facts
from facestats.core import tables
from facestats.core.files import write_json
from facestats.core.stats.verdict import crossvalidated_evidence, judge, judge_scores, weigh
from facestats.groups.filters import column_doubts, select_faces
from facestats.report.document import report
from facestats.scores.blending import load_verdicts
from facestats.scores.tables import SCORES
from reports import material_of
from resources import names, splits, text
from test_training_stage import made_up_stage

N = 200


def table(
    signal: float, spread: float = 1.0, n: int = N, folds: bool = True
) -> tuple[pd.DataFrame, pd.Series]:
    """Scores whose correlation with ratings is about `signal`, and these ratings."""
    rng = np.random.default_rng(3)
    actual, noise = rng.normal(size=(2, n))
    predicted = 50 + 10 * spread * signal * (
        signal * actual + np.sqrt(1 - signal**2) * noise if signal else noise
    )
    split = splits(n)
    scores = pd.DataFrame(
        {
            "attractiveness_score": predicted,
            "geometric_score": np.nan,
            "combined_score": np.nan,
            "split": split,
            "out_of_fold": folds & (split != "test"),
            "geometric_out_of_fold": False,
        }
    )
    return scores, pd.Series(50 + 10 * actual)


def verdict(scores, ratings, persons=None):
    return judge_scores(
        scores, ratings, text([None] * len(scores)) if persons is None else persons, (0.0, 100.0)
    )["holistic"]


def test_a_score_that_follows_the_raters_has_no_doubt():
    judged = verdict(*table(0.7))
    assert (judged.word, judged.text) == ("says something", None)
    assert [one.n for one in judged.evidence] == [133, 67]
    assert all(0 < one.low < one.r2 < one.high < 0.8 for one in judged.evidence)


def test_noise_says_nothing():
    scores, ratings = table(0.7)
    judged = verdict(scores, ratings.sample(frac=1, random_state=1, ignore_index=True))
    assert judged.word == "says nothing"
    assert (
        "the holistic score says nothing: on 133 held-out faces it is no closer to the "
        "ratings than their mean is: R² −" in judged.text
    )
    assert "; on 67 test faces it is no closer" in judged.text


def test_predictions_that_hardly_vary_say_nothing_whatever_their_r():
    judged = verdict(*table(0.7, spread=0.001))
    assert judged.word == "says nothing"
    assert "hardly vary, by 0.1% of what ratings do" in judged.text
    assert (
        np.corrcoef(
            *[
                column[splits(N) == "test"]
                for column in (table(0.7, 0.001)[0]["attractiveness_score"], table(0.7)[1])
            ]
        )[0, 1]
        > 0.5
    )


def test_an_interval_that_reaches_0_shows_nothing():
    scores, ratings = table(0.35, n=60)
    judged = verdict(scores, ratings)
    assert judged.word in ("not shown", "says nothing")
    assert any(one.low <= 0 for one in judged.evidence)


def test_too_few_persons_show_nothing():
    scores, ratings = table(0.97, n=27)
    judged = verdict(scores, ratings)
    assert judged.word == "not shown"
    assert (
        "on 9 test faces, too few to tell; on 18 held-out faces it is closer: R² 0." in judged.text
    )
    scores, ratings = table(0.9)
    assert (
        "too few to tell" in verdict(scores, ratings, text([str(i % 3) for i in range(N)])).text
    )  # three people with many pictures


def test_without_folds_val_speaks_and_without_ratings_nobody_does():
    scores, ratings = table(0.7, folds=False)
    assert [one.n for one in verdict(scores, ratings).evidence] == [34, 67]
    judged = judge_scores(scores, ratings * np.nan, text([None] * N), None)
    assert judged["holistic"].word == "not measured"
    assert (
        judge_scores(
            scores.assign(attractiveness_score=np.nan), ratings, text([None] * N), (0.0, 100.0)
        )
        == {}
    )


def test_ratings_that_are_all_the_same_show_nothing():
    same = np.full(30, 50.0)
    assert (
        judge("holistic", (weigh(same, same + np.arange(30), np.arange(30), "test face"),)).word
        != "says something"
    )


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """The stages' outs where ratings are noise."""
    stage = made_up_stage(tmp_path_factory.mktemp("noise"))
    rated = stage.rows["rating"].notna()
    stage.rows.loc[rated, "rating"] = np.random.default_rng(5).permutation(
        stage.rows.loc[rated, "rating"]
    )
    stage.train()
    stage.score()
    return stage


@pytest.mark.long
def test_a_regressor_that_learned_noise_says_so_in_its_run_its_model_and_its_table(noise):
    verdicts = load_verdicts(noise.folder / "blend.json")
    assert verdicts["holistic"]["word"] == "says nothing"
    assert f"warning: {verdicts['holistic']['text']}" in noise.warnings.splitlines()
    assert tables.read_doubts(noise.folder / SCORES.name) == {
        "attractiveness": verdicts["holistic"]["text"]
    }


def doubtful_run():
    run = copy.deepcopy(trained_run())
    run.attractiveness["verdicts"]["holistic"] |= {
        "word": "says nothing",
        "text": "the holistic score says nothing: reasons",
    }
    return run


@pytest.mark.long
def test_results_say_it_before_any_figure(tmp_path):
    run = doubtful_run()
    for name, content in {
        "attractiveness": run.attractiveness,
        "train_attractiveness/metrics": run.training,
        "attributes": {},
        "age_check": run.age_check,
    }.items():
        write_json(tmp_path / f"{name}.json", content)
    lines = results._headlines(tmp_path)
    assert lines[0] == "WARNING: the holistic score says nothing: reasons"
    assert lines[1].startswith("ages: ")  # whom the figures are about
    assert "R² = " in lines[2]


@pytest.mark.long
def test_a_report_begins_with_it_and_r_never_stands_alone(tmp_path):
    page = report(material_of(tmp_path, doubtful_run()))[0]
    assert page.index("The holistic score says nothing: reasons.") < page.index("came in;")
    assert re.search(r"with r = \S+ \(\S+ to \S+\) and R² = \S+ \(", page)


def test_composites_of_deciles_say_it_and_others_do_not():
    faces = pd.DataFrame(
        {
            "filename": names(6),
            "gender_final": ["female"] * 6,
            "gender_source": ["label"] * 3 + ["zeroshot"] * 3,
            "attractiveness": [9] * 6,
        }
    )
    doubts = {
        "attractiveness": "the holistic score says nothing: reasons",
        "gender": "right four times of five",
    }

    def note(**conditions):
        judged = select_faces(faces, conditions)
        selection = {"min_results": 1, "doubts": column_doubts(judged.rows, conditions, doubts)}
        return composite_facts(
            Average(np.zeros((2, 2, 3)), list(judged.rows["filename"])),
            {},
            selection,
            pd.Series(dtype=float),
        )["note"]

    assert note(attractiveness=[9, 10]).endswith("; the holistic score says nothing: reasons")
    assert note(gender="female").endswith(
        "; gender of 3 of 6 faces is what prompts say: right four times of five"
    )
    assert column_doubts(faces.iloc[:3], {"gender": "female"}, doubts) == []
    assert column_doubts(faces, {}, doubts) == []


def crossvalidated(r2, low, high, p=None, spread=0.5):
    figures = {"r2": {"value": r2, "low": low, "high": high}, "spread": spread}
    return {"why": None, "n": 60, "n_persons": 58, "mlp": figures | {"by_chance": {"p": p}}}


@pytest.mark.long
@pytest.mark.parametrize(
    ("figures", "word"),
    [
        ((0.3, 0.1, 0.5), "says something"),
        ((0.3, -0.1, 0.5), "not shown"),
        ((0.3, -0.1, 0.5, 0.05), "says something"),
        ((0.3, -0.1, 0.5, 0.2), "not shown"),
        ((-0.1, -0.5, 0.1, 0.01), "says nothing"),
        ((0.3, 0.1, 0.5, 0.01, 0.01), "says nothing"),
    ],
)
def test_few_test_faces_leave_the_word_to_cross_validation(figures, word):
    """Six test faces, which alone would be too few to tell."""
    n = 60
    rng = np.random.default_rng(0)
    ratings = pd.Series(rng.normal(50, 10, n))
    scores = pd.DataFrame(
        {
            "attractiveness_score": ratings + rng.normal(0, 5, n),
            "geometric_score": np.nan,
            "combined_score": np.nan,
            "split": ["test"] * 6 + ["train"] * 54,
            "out_of_fold": [False] * 6 + [True] * 54,
            "geometric_out_of_fold": False,
        }
    )
    evidence = crossvalidated_evidence(crossvalidated(*figures))
    alone = pd.Series([None] * n, dtype="str")
    verdict = judge_scores(scores, ratings, alone, (0, 100), evidence)["holistic"]
    assert verdict.word == word
    assert [part.faces for part in verdict.evidence] == ["cross-validated face"]
    if word == "not shown":
        assert "on 60 cross-validated faces it may be no closer" in verdict.text
    before = judge_scores(scores, ratings, alone, (0, 100))["holistic"]
    assert "on 6 test faces, too few to tell" in before.text


def test_many_test_faces_count_beside_cross_validation():
    n = 300
    ratings = pd.Series(np.random.default_rng(0).normal(50, 10, n))
    scores = pd.DataFrame(
        {
            "attractiveness_score": ratings.to_numpy()[::-1],
            "geometric_score": np.nan,
            "combined_score": np.nan,
            "split": ["test"] * 100 + ["train"] * 200,
            "out_of_fold": [False] * 100 + [True] * 200,
            "geometric_out_of_fold": False,
        }
    )
    evidence = crossvalidated_evidence(crossvalidated(0.3, 0.1, 0.5))
    alone = pd.Series([None] * n, dtype="str")
    verdict = judge_scores(scores, ratings, alone, (0, 100), evidence)["holistic"]
    assert [part.faces for part in verdict.evidence] == ["cross-validated face", "test face"]
    assert verdict.word == "not shown"
    assert crossvalidated_evidence({"why": "too many"}) == {}
