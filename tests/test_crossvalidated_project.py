"""Cross-validated attributes and whole projects, and what is said where there is too little."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from crossvalidated import FAST, PLAN, alone, ones, rated, text, validate
from facestats.attributes.params import Classification, Regression
from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.crossvalidation.attributes import cross_validate_attribute
from facestats.crossvalidation.dataset import Project
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.project import Options, cross_validate
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.errors import InputError
from resources import names

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
