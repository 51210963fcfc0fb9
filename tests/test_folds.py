"""Out-of-fold predictions: no model has seen the face's rating, nor that of a copy."""

import numpy as np
import pandas as pd
import pytest

from facestats.core import tables
from facestats.core.stats.identity import same_faces
from facestats.scores import folds
from facestats.scores.folds import out_of_fold
from facestats.scores.tables import SCORES_OUT_OF_FOLD
from facestats.scores.training import train_regressor
from rated import QUICK, noisy_line
from resources import names

N = 240
ALONE = pd.Series([f"face {i}" for i in range(N)], index=names(N))


@pytest.fixture(scope="module")
def faces():
    return noisy_line(N, 5)


@pytest.fixture
def seen(monkeypatch):
    """Ratings that each fold's model was given, in train and in val."""
    given = []

    def watched(x, y, x_val, y_val, **mlp):
        given.append((y, y_val))
        return train_regressor(x, y, x_val, y_val, **mlp)

    monkeypatch.setattr(folds, "train_regressor", watched)
    return given


def predict(faces, groups=ALONE, **options):
    table, problems = out_of_fold(
        *faces, groups, **{"folds": 4, "stop_share": 0.2, **QUICK, **options}
    )
    assert problems == []
    return table


@pytest.mark.long
def test_no_model_sees_the_ratings_that_it_predicts(faces, seen):
    table = predict(faces)
    assert table["filename"].tolist() == list(names(N))
    assert len(seen) == table["fold"].nunique() == 4
    for fold in table["fold"].unique():
        own = faces[1][table["fold"] == fold]
        [(y, y_val)] = [pair for pair in seen if not np.isin(own, np.concatenate(pair)).any()]
        assert len(y) + len(y_val) == N - len(own)
        assert 0.1 < len(y_val) / (N - len(own)) < 0.3
    assert table["fold"].value_counts().between(40, 80).all()


@pytest.mark.long
def test_a_faces_own_rating_changes_nothing_about_its_prediction(faces):
    x, y = faces
    before, changed = predict(faces), y.copy()
    fold = before["fold"].to_numpy() == before["fold"].iloc[0]
    changed[fold] += np.random.default_rng(0).normal(size=fold.sum()) * 5
    after = predict((x, changed))
    assert after["attractiveness_raw"][fold].to_numpy() == pytest.approx(
        before["attractiveness_raw"][fold].to_numpy(), rel=1e-9
    )
    assert (after["attractiveness_raw"][~fold] != before["attractiveness_raw"][~fold]).all()


def test_memory_of_ratings_does_not_flatter():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 60)).astype(np.float32), rng.normal(size=N)
    table = predict((x, y), ensemble=1, calibration="none")
    assert abs(np.corrcoef(table["attractiveness_raw"], y)[0, 1]) < 3 / np.sqrt(N)


def test_a_group_is_never_on_two_sides(faces, seen):
    groups = pd.Series([f"group {i % 60}" for i in range(N)], index=names(N))
    table = predict(faces, groups)
    assert (table.groupby(groups.to_numpy())["fold"].nunique() == 1).all()
    of_rating = dict(zip(faces[1], groups, strict=True))
    for y, y_val in seen:
        assert not {of_rating[v] for v in y} & {of_rating[v] for v in y_val}


@pytest.mark.long
def test_more_faces_move_no_one_to_another_fold(faces):
    some = np.arange(N) % 3 > 0
    few = predict((faces[0][some], faces[1][some]), ALONE[some])
    assert few.set_index("filename")["fold"].equals(
        predict(faces).set_index("filename")["fold"][some]
    )


def test_a_fold_that_cannot_be_trained_is_named_and_its_faces_left_out():
    x, y = noisy_line(24, 0)
    table, problems = out_of_fold(x, y, ALONE[:24], 4, 0.2, **QUICK)
    assert len(problems) >= 1
    assert all("rated faces in train" in problem for problem in problems)
    left = {int(problem.split(":")[0].removeprefix("fold ")) for problem in problems}
    assert not left & set(table["fold"])


def test_the_table_of_folds_is_one(faces, tmp_path):
    tables.write(predict(faces), tmp_path / "o.parquet", SCORES_OUT_OF_FOLD)
    assert len(tables.read(tmp_path / "o.parquet", SCORES_OUT_OF_FOLD)) == N


def test_one_person_exact_copies_and_near_copies_are_one_group():
    table = pd.DataFrame(
        {
            "filename": list("abcdefgh"),
            "sha256": ["1", "2", "2", "3", "4", "5", "6", "7"],
            "copy_group": list("abbbeegh"),
            "copy_rank": [1, 1, 2, 3, 2, 1, 1, 1],
        }
    )
    persons = pd.Series({"a": "anna", "d": "anna", "g": "gina", "h": "gina"})
    groups = same_faces(table.sample(frac=1, random_state=0), persons)
    members_of = {frozenset(members) for members in groups.groupby(groups).groups.values()}
    assert members_of == {frozenset("abcd"), frozenset("ef"), frozenset("gh")}
    assert groups.index.tolist() == list("abcdefgh")
