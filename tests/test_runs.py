"""The pipeline as its users run it: from nothing, without labels, with mistakes in it."""

import json

import pandas as pd
import pytest

import facestats
import warm
from project import FETCHED, Project, executed

pytestmark = pytest.mark.slow
TWO_THREADS = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}


@pytest.mark.thorough  # test_row_steps.py and test_threads.py hold it stage by stage
def test_another_run_in_two_steps_gives_the_same_lock(built, tmp_path):
    """From an empty cache, the last photos first, with two threads instead of one.

    A mistake in the labels stops the first run behind `embed`: named as targets, stages would run
    in another order, and DVC lists them in the order in which they first ran.
    """
    other = Project(tmp_path)
    other.add_drawn_faces(n=100, seed=7)
    other.commit("the same small project")
    raw, later, labels = (
        other.folder / "data/raw",
        tmp_path / "later",
        other.folder / "data/labels/labels.csv",
    )
    later.mkdir()
    for path in sorted(raw.glob("*.*"))[:50]:
        path.rename(later / path.name)
    right = labels.read_text()
    labels.write_text(right.replace("image", "where", 1))
    with warm.other_parent(**TWO_THREADS):
        first = other.dvc("repro", check=False, **TWO_THREADS)
        assert first.returncode != 0
        assert "no column `image`" in first.stderr
        assert executed(first.stdout) == FETCHED | {"preprocess", "embed", "labels"}
        for path in later.iterdir():
            path.rename(raw / path.name)
        labels.write_text(right)
        assert {"preprocess", "embed", "evaluate"} <= other.repro(**TWO_THREADS)
    assert other.read("dvc.lock") == built.read("dvc.lock")


def test_too_few_faces_leave_the_composite_unbuilt_and_say_so(project):
    facts = json.loads(project.read("data/processed/composites/impossible/composite.json"))
    assert (facts["built"], facts["n"]) == (False, 0)
    selection = json.loads(project.read("data/interim/members/impossible/selection.json"))
    assert selection["matched"] == {"all": 110, "gender": 0, "flags": 0}
    assert not (project.folder / "data/processed/composites/impossible/composite.jpg").exists()
    against = json.loads(
        project.read("data/processed/composites/women_minus_nobody/difference.json")
    )
    assert (against["built"], against["of"]["n"], against["minus"]["n"]) == (False, 8, 0)
    assert "the composite impossible was not built: too few faces match" in against["why"]
    assert not (
        project.folder / "data/processed/composites/women_minus_nobody/difference.jpg"
    ).exists()


@pytest.mark.thorough
def test_continua_come_and_go_on_the_command_line(project):
    new = "+continua.added={from: top_rated, to: women, steps: 2}"
    done = project.dvc("exp", "run", "-S", new)
    assert executed(done.stdout) == {"continuum@added", "composites_manifest", "report"}
    there, back = (
        project.read(f"data/processed/composites/{name}")
        for name in ("women_to_top/frames/00.jpg", "added/frames/01.jpg")
    )
    assert there == back
    project.set_params({"continua": {}, "differences": {}})
    assert project.repro() == {"report"}
    assert "continuum@" not in project.dvc("stage", "list", "--name-only").stdout


@pytest.mark.thorough
def test_a_continuum_from_a_composite_that_is_not_there_names_those_that_are(project):
    done = project.dvc(
        "exp", "run", "-S", "+continua.wrong={from: wimen, to: top_rated, steps: 3}", check=False
    )
    assert done.returncode != 0
    assert (
        "continuum@wrong" in done.stderr
    )  # DVC's own words: it looks for the folder before any stage runs
    assert "data/processed/composites/wimen" in done.stderr
    problems = project.facestats("doctor", check=False).stderr
    assert (
        "continua.wrong.from = 'wimen' is no composite. Did you mean women? There are "
        "impossible, top_rated, women" in problems
    )
    (project.folder / "data/processed/composites/wimen").mkdir()  # what an earlier params.yaml left
    done = project.dvc("repro", "continuum@wrong", check=False)
    assert "continua.wrong.from = 'wimen' is no composite" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_few_faces_can_be_an_error(project):
    project.set_params({"composites.impossible.filter.on_few": "error"})
    done = project.dvc("repro", check=False)
    assert done.returncode != 0
    assert "composites.impossible finds too few: 0 faces of at least 4" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_any_label_the_pipeline_runs_through(unlabelled, tmp_path):
    project = unlabelled.copy(tmp_path / "copy")
    rated = json.loads(project.read("metrics/attractiveness.json"))
    assert rated["trained"] is False
    assert rated["test"]["mlp"]["pearson"]["value"] is None
    attributes = json.loads(project.read("metrics/attributes.json"))
    assert {name: facts["trained"] for name, facts in attributes.items()} == dict.fromkeys(
        attributes, False
    )
    fairness = json.loads(project.read("metrics/fairness.json"))
    assert (fairness["attributes"], fairness["largest_gaps"]) == (["skin_ita_class"], {})
    report = project.read("data/processed/report.html").decode()
    assert "Nobody labelled any of 110 faces." in report
    assert "is not measured: 0 rated faces in train" in report
    card = project.read("docs/model_card.md").decode()
    assert "not trained: 0 rated faces in train" in card
    assert "Nobody labelled any of 110 faces." in card
    assert (
        attributes["gender"]["zeroshot"]["why"]
        == "0 test faces with a label that prompts can say, 2 are needed"
    )
    table = pd.read_parquet(project.folder / "data/processed/metadata/attributes_final.parquet")
    assert set(table["age_source"]) == {"zeroshot"}
    assert table["age_final"].between(18, 80).all()
    for target in ("gender", "ethnicity", "glasses"):
        answered = table[f"{target}_final"] != "unknown"
        assert set(table[f"{target}_source"][answered]) <= {"zeroshot"}
        assert set(table[f"{target}_source"][~answered]) <= {"unknown"}
    assert table["gender_source"].eq("zeroshot").any()
    women = json.loads(project.read("data/interim/members/women/selection.json"))
    assert women["matched"]["gender"] == (table["gender_final"] == "female").sum()
    assert (project.folder / "data/processed/composites/women/composite.json").exists()
    alone = facestats.load(project.folder).attributes(project.folder / "data/raw/face_0001.jpg")
    row = table.set_index("filename").loc["face_0001.jpg"]
    assert (alone["gender"], alone["gender_source"]) == (row["gender_final"], "zeroshot")
    assert alone["age"] == pytest.approx(row["age_final"], abs=0.01)
    assert sum(alone["age_probabilities"].values()) == pytest.approx(1)
    assert "ethnicity" not in alone
    assert table["attractiveness"].isna().all()
    assert "0 rated faces in train" in project.facestats("results").stdout
    failed = project.facestats("score", "data/raw/face_0001.jpg", check=False)
    assert failed.returncode == 2
    assert "no attractiveness model was trained: 0 rated faces in train" in failed.stderr


def test_a_wrong_parameter_stops_the_stage_with_its_name(project):
    text = (project.folder / "params.yaml").read_text()
    (project.folder / "params.yaml").write_text(text.replace("  epochs: 5", "  epochs: five"))
    done = project.dvc("repro", check=False)
    assert done.returncode != 0
    assert "mlp.epochs = 'five' is not possible" in done.stderr
    assert "Traceback" not in done.stderr
