"""`facestats compare`: differences between runs on the faces of both, and which runs it takes."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.__main__ import main
from facestats.cli.compare_runs import read_run
from facestats.comparison import differences
from facestats.comparison.differences import compare
from facestats.core import tables
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.errors import InputError
from facestats.labels.tables import SPLITS
from programs import run_program
from runs_to_compare import made_run, rows, run_of, two_halves

N = 60


@pytest.fixture
def quick(monkeypatch):
    """Few resamples, for many simulations."""
    monkeypatch.setattr(differences, "RESAMPLES", 200)


def by_measure(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    return {one.measure: one for one in compare(a, b).differences}


@pytest.mark.thorough
@pytest.mark.long
def test_where_nothing_differs_the_interval_covers_0_as_often_as_it_says(quick):
    """Two halves of the features tell as much: neither is better, whichever seems so."""
    covered = dict.fromkeys(("pearson", "mae"), 0)
    for seed in range(100):
        (first, second), actual, _ = two_halves(N, seed)
        for measure, one in by_measure(run_of(first, actual), run_of(second, actual)).items():
            covered[measure] += one.minus["low"] <= 0 <= one.minus["high"]
    assert all(count >= 88 for count in covered.values()), covered
    assert covered["mae"] < 100


def test_several_faces_a_person_are_no_more_evidence_than_persons(quick):
    (first, second), actual, persons = two_halves(20, 0, faces=6)
    of_persons = by_measure(run_of(first, actual, persons), run_of(second, actual, persons))["mae"]
    alone = np.arange(len(actual))
    first, second = (
        run_of(x, actual, persons).assign(person_group=[f"{i}" for i in alone])
        for x in (first, second)
    )
    of_faces = by_measure(first, second)["mae"]
    assert (of_persons.n_persons, of_faces.n_persons) == (20, 120)
    assert of_persons.standard_error() > 1.3 * of_faces.standard_error()


def test_faces_are_of_one_person_if_either_run_says_so():
    (first, second), actual, _ = two_halves(N, 0)
    a, b = run_of(first, actual), run_of(second, actual)
    a.loc[a["filename"].isin(["face_0000.jpg", "face_0001.jpg"]), "person_group"] = "twins"
    b.loc[b["filename"].isin(["face_0001.jpg", "face_0002.jpg"]), "person_group"] = "twins"
    assert {one.n_persons for one in compare(a, b).differences} == {N - 2}


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_true_difference_is_told_in_the_right_direction(quick, repeats):
    (poor, good), actual, _ = two_halves(100, 1, more=1.0)
    runs = run_of(poor, actual, repeats=repeats), run_of(good, actual, repeats=repeats)
    for measure, one in by_measure(*runs).items():
        assert one.better() == "B"
        assert one.verdict(("main", "wide")) == "wide is better"
        assert (one.minus["value"] > 0) == (measure == "pearson")
    for measure, one in by_measure(*runs[::-1]).items():
        assert one.verdict(("main", "wide")) == "main is better", measure


def test_the_figures_are_those_of_the_cross_validation_itself():
    (first, second), actual, _ = two_halves(N, 3)
    table = run_of(first, actual, repeats=2)
    one = by_measure(table, run_of(second, actual, repeats=2))["pearson"]
    by_fold = [
        part["actual"].corr(part["predicted"]) for _, part in table.groupby(["repeat", "fold"])
    ]
    assert one.of_a["value"] == pytest.approx(np.mean(by_fold))
    assert one.minus["value"] == pytest.approx(one.of_b["value"] - one.of_a["value"])


def test_faces_needed_follow_from_the_standard_error(quick):
    (first, second), actual, _ = two_halves(N, 5, more=0.1)
    one = by_measure(run_of(first, actual), run_of(second, actual))["mae"]
    assert one.better() is None
    factor = (one.detectable() / abs(one.minus["value"])) ** 2
    assert one.needed() == pytest.approx(N * factor)
    assert one.detectable() == pytest.approx(2.80 * one.standard_error(), rel=1e-2)
    assert f"no difference that {N} faces can show; about " in one.verdict()


def test_the_number_of_faces_needed_is_capped(quick):
    (first, second), actual, _ = two_halves(N, 5)
    one = by_measure(run_of(first, actual), run_of(second, actual))["mae"]
    tiny = replace(one, minus={"value": 0.001, "low": -0.5, "high": 0.502})
    assert tiny.verdict().endswith("more than 100 times as many might")


def test_the_same_predictions_are_called_the_same(quick):
    (first, _), actual, _ = two_halves(N, 0)
    for one in compare(run_of(first, actual), run_of(first, actual)).differences:
        assert one.verdict() == "the same predictions"
        assert (one.better(), one.minus["value"]) == (None, 0)


def test_predictions_that_do_not_vary_have_no_r(quick):
    (first, _), actual, _ = two_halves(N, 0)
    flat = run_of(first, actual).assign(predicted=4.0)
    one = by_measure(run_of(first, actual), flat)["pearson"]
    assert one.verdict() == "undefined: predictions or labels do not vary"
    assert np.isnan(one.needed())


def test_fewer_than_ten_persons_get_no_interval(quick):
    (first, second), actual, _ = two_halves(N, 0)
    a, b = run_of(first, actual), run_of(second, actual)
    comparison = compare(a, b, only={f"face_{i:04d}.jpg" for i in range(9)})
    assert {one.verdict() for one in comparison.differences} == {"9 persons, too few to tell"}


def classes_of(answers: list[str], actual: list[str], folds: int = 5) -> pd.DataFrame:
    fold, known = np.arange(len(actual)) % folds, np.asarray(actual, dtype=object)
    given = np.asarray(answers, dtype=object)
    return rows("gender", "trained", 0, fold, np.arange(len(actual)), known, given)


def test_classes_are_compared_by_balanced_accuracy(quick):
    actual = ["female"] * 40 + ["male"] * 20
    half = ["female", "male"] * 20 + ["male", "female"] * 10
    one = compare(classes_of(half, actual), classes_of(actual, actual)).differences[0]
    assert (one.measure, one.of_a["value"], one.of_b["value"]) == ("balanced_accuracy", 0.5, 1)
    assert one.verdict() == "B is better"


def test_faces_and_labels_that_differ_are_left_out_and_counted(quick):
    (first, second), actual, _ = two_halves(N, 0)
    a, b = run_of(first, actual), run_of(second, actual)
    b.loc[:1, "filename"] = ["new_1.jpg", "new_2.jpg"]
    b.loc[5, "actual"] = actual[5] + 1
    comparison = compare(a, b, ("main", "wide"))
    assert {one.n for one in comparison.differences} == {N - 3}
    assert comparison.notes == [
        "rating: left out 2 faces in main alone, 2 faces in wide alone, 1 face with another label"
    ]


def test_runs_whose_raters_differ_are_not_compared_face_by_face(quick):
    """As after `labels.drop_raters`: nearly every mean rating moves."""
    (first, second), actual, _ = two_halves(N, 0)
    a, b = run_of(first, actual), run_of(second, actual)
    same = b["filename"] == "face_0005.jpg"
    b["actual"] = b["actual"].where(same, b["actual"] + 0.25)
    comparison = compare(a, b)
    assert comparison.differences == []
    assert comparison.notes == [
        f"rating: left out {N - 1} faces with another label",
        "rating: each run predicts labels of its own, which can't be compared face by face; "
        "`dvc metrics diff` shows each run's own figures",
    ]
    assert compare(a, b.assign(actual=b["actual"] + 1)).differences == []


def test_divisions_into_folds_may_differ(quick):
    (first, _), actual, _ = two_halves(N, 0)
    a = run_of(first, actual, repeats=3)
    b = run_of(first, actual, repeats=2, folds=4, seed=9)
    comparison = compare(a, b)
    assert comparison.notes == ["rating: compared over the first 2 divisions into folds of each"]
    assert all(one.better() is None for one in comparison.differences)


def test_what_one_run_lacks_is_said(quick):
    (first, _), actual, _ = two_halves(N, 0)
    a = run_of(first, actual)
    more = pd.concat([a, a.assign(model="geometric"), a.assign(target="rating_trustworthy")])
    notes = compare(a, more, ("main", "wide")).notes
    assert notes == [
        "rating: only wide has geometric",
        "rating_trustworthy is not cross-validated in main",
    ]


# Runs


class MadeProject:
    """A git repository with what `compare` reads, and no pipeline behind it."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in (".dvc", "metrics", CROSSVALIDATED.location.rpartition("/")[0]):
            (folder / name).mkdir(parents=True)
        (folder / "dvc.yaml").write_text("stages: {}\n")
        (folder / ".gitignore").write_text("/data\n/.dvc\n")
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return run_program(["git", *who, *arguments], self.folder, check=True).stdout.strip()

    def run(self, table: pd.DataFrame, hidden: int = 64, val_loss: float = 0.5) -> None:
        """Write what a run leaves in the workspace and in DVC's cache."""
        made_run(self.folder, table, hidden, val_loss)

    def write(self, name: str, content: dict) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content))

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "run")
        return self.git("rev-parse", "HEAD")

    def experiment(self, name: str, baseline: str) -> None:
        """Keep the workspace as an experiment, as DVC does, and go back."""
        self.git("checkout", "-q", "--detach")
        commit = self.commit()
        self.git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", commit)
        self.git("checkout", "-q", "main")


@pytest.fixture
def made(tmp_path, quick):
    return MadeProject(tmp_path)


@pytest.fixture
def grid(made):
    """A run on main, and two experiments of which the second is better."""
    (poor, good), actual, _ = two_halves(N, 1, more=1.0)
    made.run(run_of(poor, actual), val_loss=0.6)
    baseline = made.commit()
    made.run(run_of(poor + 0.1 * good, actual), hidden=32, val_loss=0.55)
    made.experiment("narrow", baseline)
    made.run(run_of(good, actual), hidden=256, val_loss=0.4)
    made.experiment("wide", baseline)
    return made


def printed(made: MadeProject, capsys, *arguments: str, code: int = 0) -> str:
    assert main(["compare", "--root", str(made.folder), *arguments]) == code
    output = capsys.readouterr()
    return output.err if code else output.out


@pytest.mark.long
def test_an_experiment_is_compared_with_the_branch(grid, capsys):
    output = printed(grid, capsys, "main", "wide")
    assert output.startswith("wide (")
    assert "  mlp.hidden: 64 → 256\n" in output
    assert "rating, 60 faces of 60 persons" in output
    assert output.count("wide is better") == 2
    assert "no parameter differs" not in output


@pytest.mark.long
def test_the_default_is_the_last_commit_and_the_workspace(grid, capsys):
    (_, good), actual, _ = two_halves(N, 1, more=1.0)
    grid.run(run_of(good, actual), hidden=512)
    output = printed(grid, capsys)
    assert output.startswith("workspace, compared with HEAD (")
    assert "  mlp.hidden: 64 → 512\n" in output
    assert "workspace is better" in output


@pytest.mark.long
def test_models_that_predict_the_same_stand_on_one_line(grid, capsys):
    (poor, _), actual, _ = two_halves(N, 1, more=1.0)
    grid.run(run_of(poor, actual), hidden=512)
    output = printed(grid, capsys)
    assert (
        "\n  rating, 60 faces of 60 persons\n    the same predictions: holistic score\n" in output
    )
    assert "→  " not in output


@pytest.mark.long
def test_commits_and_tags_are_runs_too(grid):
    commit = grid.git("rev-parse", "main")
    grid.git("tag", "v1")
    runs = [read_run(grid.folder, name) for name in ("main", "v1", "HEAD", commit, commit[:8])]
    assert {run.commit for run in runs} == {commit}
    assert runs[-1].title() == commit[:8]
    assert runs[0].title() == f"main ({commit[:7]})"


@pytest.mark.long
def test_json_has_all_that_is_printed(grid, capsys):
    content = json.loads(printed(grid, capsys, "main", "wide", "--json"))
    compared = content["compared"][0]
    assert compared["changed_params"] == {"mlp.hidden": [64, 256]}
    r = compared["differences"][0]
    assert (r["measure"], r["better"], r["verdict"]) == ("pearson", "other", "wide is better")
    difference = r["other"]["value"] - r["first"]["value"]
    assert r["difference"]["value"] == pytest.approx(difference, rel=1e-4)
    assert content["chosen"] is None


@pytest.mark.long
def test_validation_faces_choose_and_the_others_measure(grid, capsys):
    output = printed(grid, capsys, "main", "narrow", "wide")
    assert "best.val_loss chooses wide: 0.4, the lowest of 3." in output
    assert f"On the {N - 9} faces outside val, which did not choose" in output
    content = json.loads(printed(grid, capsys, "main", "narrow", "wide", "--json"))
    assert content["chosen"]["val_loss"] == {"main": 0.6, "narrow": 0.55, "wide": 0.4}
    assert {facts["n"] for facts in content["chosen"]["outside_val"]} == {N - 9}


@pytest.mark.long
def test_where_validation_can_not_choose_that_is_said(grid, capsys):
    baseline = grid.git("rev-parse", "main")
    (_, good), actual, _ = two_halves(N, 1, more=1.0)
    grid.run(run_of(good, actual))
    (grid.folder / "metrics/summary.json").write_text("{}")
    grid.experiment("old", baseline)
    output = printed(grid, capsys, "main", "wide", "old")
    assert "can't be told: metrics/summary.json has no best.val_loss in old" in output
    grid.run(run_of(good, actual))
    grid.write("params.yaml", {"mlp": {"hidden": 64, "loss": "huber"}})
    grid.experiment("huber", baseline)
    assert "their mlp.loss differs" in printed(grid, capsys, "main", "wide", "huber")
    grid.run(run_of(good, actual)[::-1])
    other = tables.read(grid.folder / SPLITS.location, SPLITS)
    assert (other["split"] == "val").sum() == 9
    grid.experiment("split", baseline)
    assert "their rated val faces differ" in printed(grid, capsys, "main", "wide", "split")


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.long
def test_differences_are_drawn(grid, capsys, tmp_path, suffix):
    path = tmp_path / f"plots/compare.{suffix}"
    printed(grid, capsys, "main", "narrow", "wide", "--plot", str(path))
    data = path.read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])
    if suffix == "pdf":
        assert b"/FontFile2" in data
        assert b"CreationDate" not in data


# What can't be compared


@pytest.mark.long
def test_an_unknown_name_is_refused_with_the_nearest(grid, capsys):
    error = printed(grid, capsys, "main", "wyde", code=2)
    assert "wyde is no commit, branch, tag or experiment of" in error
    assert "Did you mean wide?" in error
    assert "Did you mean workspace?" in printed(grid, capsys, "worksapce", "main", code=2)


@pytest.mark.long
def test_names_that_look_like_options_or_ranges_are_names(grid):
    for name in ("--all", "main..wide", "^main", "-"):
        with pytest.raises(InputError, match="is no commit, branch, tag or experiment"):
            read_run(grid.folder, name)


@pytest.mark.long
def test_an_experiment_of_another_commit_with_the_same_name(grid):
    (first, _), actual, _ = two_halves(N, 1)
    baseline = grid.git("rev-parse", "main")
    grid.run(run_of(first, actual), hidden=16)
    second = grid.commit()
    grid.run(run_of(first, actual), hidden=8)
    grid.experiment("wide", second)
    assert read_run(grid.folder, "wide").params["mlp.hidden"] == 8  # of this commit
    grid.git("checkout", "-q", "--detach", baseline)
    assert read_run(grid.folder, "wide").params["mlp.hidden"] == 256
    grid.git("checkout", "-q", "main")
    grid.run(run_of(first, actual), hidden=4)
    grid.commit()
    with pytest.raises(InputError, match="wide is the name of 2 experiments, none of them of this"):
        read_run(grid.folder, "wide")


def test_a_commit_from_before_the_stage(made):
    made.write("dvc.lock", {"schema": "2.0", "stages": {"split": {"outs": []}}})
    made.commit()
    with pytest.raises(InputError, match=r"HEAD has no cross-validated predictions: its dvc\.lock"):
        read_run(made.folder, "HEAD")


def test_predictions_that_are_not_in_the_cache(grid):
    for path in (grid.folder / ".dvc/cache/files/md5").glob("??/*"):
        path.unlink()
    with pytest.raises(InputError, match="wide are not in DVC's cache: `dvc fetch"):
        read_run(grid.folder, "wide")


@pytest.mark.long
def test_a_stale_workspace(grid):
    (first, _), actual, _ = two_halves(N, 1)
    grid.git("checkout", "-q", "main", "--", ".")
    with pytest.raises(
        InputError, match=r"stale: crossvalidated\.parquet is not the one of dvc\.lock"
    ):
        read_run(grid.folder, "workspace")  # `git checkout` without `dvc checkout`
    grid.run(run_of(first, actual))
    grid.write("params.yaml", {"mlp": {"hidden": 64, "loss": "mse"}, "clusters": {"k": 9}})
    read_run(grid.folder, "workspace")  # nothing that the predictions follow from
    grid.write("params.yaml", {"mlp": {"hidden": 65, "loss": "mse"}})
    with pytest.raises(
        InputError, match=r"stale: mlp\.hidden changed after the run\. `dvc repro` first"
    ):
        read_run(grid.folder, "workspace")
    grid.run(run_of(first, actual))
    lock = yaml.safe_load((grid.folder / "dvc.lock").read_text())
    lock["stages"]["split"]["outs"][0]["md5"] = 32 * "0"
    grid.write("dvc.lock", lock)
    with pytest.raises(InputError, match=r"splits\.parquet changed after the run"):
        read_run(grid.folder, "workspace")
    (grid.folder / CROSSVALIDATED.location).unlink()
    with pytest.raises(InputError, match="`dvc repro crossvalidate` makes it"):
        read_run(grid.folder, "workspace")


@pytest.mark.long
def test_runs_with_other_faces_or_without_ratings(grid, capsys):
    (first, _), actual, _ = two_halves(N, 1)
    table = run_of(first, actual)
    grid.run(table.assign(filename=[f"other_{i}.jpg" for i in range(N)]))
    error = printed(grid, capsys, code=2)
    assert "HEAD and workspace have no cross-validated face in common: rating: left out 60" in error
    grid.run(classes_of(["female"] * N, ["female", "male"] * (N // 2)))
    error = printed(grid, capsys, code=2)
    assert "rating is not cross-validated in workspace" in error


def test_outside_of_a_project_and_before_the_first_commit(tmp_path, made, capsys):
    error = printed(made, capsys, code=2)
    assert "has no commit yet" in error
    if os.geteuid() == 0:  # who may give it to another user
        made.git("init")
        os.chown(made.folder, 61001, -1)
        assert "git config --global --add safe.directory" in printed(made, capsys, code=2)
    (made.folder / "dvc.yaml").unlink()
    assert "run this from the folder that holds it" in printed(made, capsys, code=2)


def test_wrong_arguments(grid, capsys):
    assert "two different runs" in printed(grid, capsys, "workspace", "workspace", code=2)
    assert "a plot is .png, .svg or .pdf" in printed(
        grid, capsys, "main", "wide", "--plot", "x.jpg", code=2
    )


@pytest.mark.long
def test_damaged_files_of_a_commit_are_named(grid):
    (grid.folder / "dvc.lock").write_text("stages: [\n")
    grid.commit()
    with pytest.raises(InputError, match=r"dvc\.lock of HEAD can't be checked: it is no YAML"):
        read_run(grid.folder, "HEAD")


@pytest.mark.thorough
@pytest.mark.slow
def test_an_experiment_that_dvc_has_run(project, capsys):
    def compared(*names: str) -> dict:
        assert main(["compare", "--root", str(project.folder), "--json", *names]) == 0
        return json.loads(capsys.readouterr().out)["compared"][0]

    changed = "mlp.hidden=[8]"
    project.dvc("exp", "run", "-q", "-n", "small", "-S", changed, "crossvalidate")
    here = compared()
    there = compared("main", "small")
    assert here["changed_params"] == there["changed_params"] == {"mlp.hidden": [[256, 64], [8]]}
    assert here["differences"] == [
        one | {"verdict": one["verdict"].replace("small", "workspace").replace("main", "HEAD")}
        for one in there["differences"]
    ]
    reported = json.loads(project.git("show", "main:metrics/crossvalidated.json").stdout)
    for one in there["differences"]:
        figure = reported[one["target"]][one["model"]][one["measure"]]["value"]
        assert one["first"]["value"] == pytest.approx(figure, rel=1e-4, abs=1e-9)
    of_rating = {one["model"] for one in there["differences"] if one["target"] == "rating"}
    assert {"mlp", "ridge"} <= of_rating
    others = [one for one in there["differences"] if one["model"] in ("ridge", "trained")]
    assert {one["verdict"] for one in others} == {"the same predictions"}
    project.set_params({"mlp.hidden": [16]})
    with pytest.raises(InputError, match=r"stale: mlp\.hidden changed after the run"):
        read_run(project.folder, "workspace")
