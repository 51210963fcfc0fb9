"""The section of the report on traits and groups of raters, and figures by class and group."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cards import trained_run
from facestats.crossvalidation.classes import by_class
from facestats.crossvalidation.plan import Plan
from facestats.evaluation.params import Evaluate
from facestats.evaluation.rater_groups import evaluate_groups
from facestats.evaluation.trait_figures import draw_traits
from facestats.evaluation.traits import TraitFigures, best_figures
from facestats.labels.rater_groups import group_columns, group_means, measure_groups
from facestats.report.document import model_card
from facestats.report.section_traits import traits
from test_traits import two_groups


def cross_validated(n=60, repeats=2, seed=0):
    """Predictions of women that follow the ratings, and of men that do not."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(size=n)
    women = np.arange(n) % 2 == 0
    rows = []
    for model, noise in (("mlp", 0.3), ("ridge", 1.0), ("mean", 5.0)):
        for repeat in range(repeats):
            predicted = np.where(women, actual, 0) + noise * rng.normal(size=n)
            rows.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "repeat": repeat,
                        "filename": [f"{i}.jpg" for i in range(n)],
                        "fold": rng.permutation(n) % 5,
                        "person_group": [f"{i}.jpg" for i in range(n)],
                        "actual": actual,
                        "predicted": predicted,
                    }
                )
            )
    table = pd.concat(rows, ignore_index=True)
    folds = table[table["model"] == "mlp"].set_index(["repeat", "filename"])["fold"]
    keys = pd.MultiIndex.from_frame(table[["repeat", "filename"]])
    gender = pd.Series(np.where(women, "female", "male"), [f"{i}.jpg" for i in range(n)])
    return table.assign(fold=folds.reindex(keys).to_numpy()), gender


def test_r_by_class_is_that_of_the_class_alone():
    table, gender = cross_validated()
    found = by_class(table, gender, Plan(bootstrap=100))
    assert set(found) == {"female", "male"}
    assert set(found["female"]) == {"n", "mlp", "ridge"}
    assert found["female"]["n"] == 30
    assert found["female"]["mlp"]["pearson"]["value"] > 0.85
    assert abs(found["male"]["mlp"]["pearson"]["value"]) < 0.5
    few = gender.where(gender == "female")
    assert set(by_class(table, few, Plan(bootstrap=100))) == {"female"}


def test_a_score_may_follow_one_group_more():
    judgements = two_groups(own=1.0, noise=0.3, n=80)
    groups, _ = group_columns(judgements[["rater_gender"]], judgements)
    means = group_means(judgements, {}, groups)
    women = means[means["group"] == "female"].set_index("filename")["rating"]
    fold = np.arange(80) % 5
    rows = {"repeat": 0, "filename": women.index, "fold": fold, "person_group": women.index}
    rows |= {
        "predicted": women.to_numpy() - fold,
        "model": "mlp",
    }  # each fold at a level of its own
    predicted = pd.DataFrame(rows)
    options = Evaluate(bootstrap=200)
    report = evaluate_groups(options, means, predicted)["rater_gender"]
    found = report["holistic"]
    assert found["n"] == 80
    assert found["groups"]["female"]["value"] == pytest.approx(1)
    assert found["pairs"][0]["groups"] == ["female", "male"]
    assert found["pairs"][0]["difference"]["low"] > 0
    assert report["combined"]["why"] == "0 faces rated by all groups, 10 are needed"


def run_with_traits():
    run = trained_run()
    table, gender = cross_validated()
    judgements = two_groups(n=40, raters=4)
    groups = measure_groups(judgements, group_columns(judgements[["rater_gender"]], judgements)[0])
    nothing = {"why": "no face has a label"}
    facts = run.attractiveness | {
        "crossvalidated": nothing,
        "gender": by_class(table, gender, Plan(bootstrap=100)),
    }
    labels = run.labels | {"rater_groups": groups}
    return dataclasses.replace(run, labels=labels, traits={"kind": facts, "calm": facts})


@pytest.mark.long
def test_the_card_has_a_row_for_each_trait_and_pair_of_groups():
    run = run_with_traits()
    card = model_card(run)
    for row in ("| `kind` |", "| … female | 30 |", "| `calm` |", "rater_gender"):
        assert row in card
    assert "female and male | 40 |" in card
    assert "of test faces" in card
    assert traits(trained_run()) is None
    assert "Several traits" not in model_card(trained_run())


@pytest.mark.long
def test_the_summary_has_r_of_each_trait():
    figures = TraitFigures(run_with_traits().traits, {})
    facts = figures.metrics["calm"]
    assert best_figures(facts) is facts["test"]
    assert figures.headlines()["traits"]["calm"]["mlp"] == facts["test"]["mlp"]["pearson"]["value"]
    assert "\n  calm: mlp: r=" in figures.summary()
    assert TraitFigures({}, {}).headlines() == {}


@pytest.mark.long
def test_the_figure_has_a_panel_for_each_trait_or_says_why_there_is_none(tmp_path):
    points = pd.DataFrame({"actual": [1.0, 2.0], "predicted": [1.5, 1.0]})
    sizes = []
    for many in (0, 1, 4):
        draw_traits({f"trait {i}": points for i in range(many)}, tmp_path / "traits.png")
        sizes.append(Image.open(tmp_path / "traits.png").size)
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]
