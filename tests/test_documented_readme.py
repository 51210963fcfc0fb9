"""The blocks of README.md and of the pages about photos, attributes and rows, run as they stand on
the small project.
"""

import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image, ImageOps

from documented import block, run_documented
from facestats.params.project import check_params
from processes import row_counts
from project import Project, executed
from resources import ROOT
from sharing import colleague, open_office

pytestmark = pytest.mark.slow

META = "data/processed/metadata"
README = "README.md"
STUDY = "docs/first_study.md"
COMPOSITES = "docs/methods/composites.md"


@pytest.fixture
def stranger(project, tmp_path) -> tuple[Project, Path]:
    """A project that works on the sample, whose rows are known, and a folder of photos elsewhere:
    the known ones and one more.
    """
    photos = shutil.move(project.folder / "data/raw", tmp_path / "photos")
    shutil.move(project.folder / "data/labels", tmp_path / "labels")
    for name in ("data/raw.dvc", "data/labels.dvc", "data/.gitignore"):
        (project.folder / name).unlink()
    project.set_params({"data.images": "data/sample/images", "data.labels": "data/sample/labels"})
    project.keep_stages("fetch_landmarker", "preprocess", "labels")
    project.commit("on the sample")
    project.git("rm", "-rqf", "metrics")  # as after a run that had nothing to measure
    project.commit("on the sample, without metrics")
    with Image.open(photos / "face_0001.jpg") as photo:
        ImageOps.mirror(photo).save(photos / "one_more.jpg")
    return project, tmp_path


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("document", [README, STUDY])
def test_own_photos(stranger, document):
    project, folder = stranger
    photos = {"/path/to/photos": str(folder / "photos")}
    if document == README:
        output = run_documented(project, README, "own photos", photos)
    else:
        labels = {"/path/to/labels.csv": str(folder / "labels/labels.csv")}
        output = run_documented(project, STUDY, "put in place", photos | labels)
        assert "photos, " in output
        output = run_documented(project, STUDY, "run")
    assert executed(output) == {"preprocess", "labels"}
    assert row_counts(output, "preprocess")["computed"] == 1
    assert project.git("status", "--short").stdout == ""  # all of the run is committed
    assert yaml.safe_load(project.read("data/raw.dvc"))["outs"][0]["push"] is False
    labels = pd.read_parquet(project.folder / META / "labels.parquet")
    assert labels["gender"].notna().any() == (document != README)
    assert "data/raw" in yaml.safe_load(project.read("params.yaml"))["data"]["images"]


@pytest.mark.thorough
def test_experiments(project):
    """Without the training, which tests/test_experiments.py runs by the same command, and with a
    composite that the small project has.
    """
    project.set_params({"continua": {}, "differences": {}})
    project.keep_stages("score", "evaluate", "select", "composite", "continuum")
    project.commit("stages")
    output = run_documented(
        project,
        README,
        "experiments",
        {"NAME": "$(dvc exp list --name-only | tail -1)", "older_adults": "top_rated"},
    )
    new = {f"{stage}@{name}" for stage in ("select", "composite") for name in ("women", "young")}
    assert executed(output) == {"score", "evaluate", "continuum@ageing"} | new
    assert re.search(r"Experiment .* geometry.appearance", output)
    assert "Changes for experiment" in output


def test_sharing(built, tmp_path):
    office = open_office(built, tmp_path, "fetch_landmarker", "preprocess", "labels")
    yours, theirs, forget = block(README, "sharing").text.splitlines()

    def say(project: Project, line: str) -> str:
        return project.run("bash", "-euxc", line).stdout

    say(office, yours.replace("/srv/facestats", str(tmp_path / "remote")))
    office.commit("remote")
    office.git("push", "-q")
    other = colleague(office, tmp_path / "other")
    assert executed(say(other, theirs)) == set()
    assert (other.folder / "data/raw/face_0001.jpg").is_file()
    assert "data/raw/face_0003.jpg: would be removed" in say(
        office, forget.replace("--person anna", "face_0003.jpg")
    )


def test_the_groups_and_the_figure_of_the_first_study(built, monkeypatch, tmp_path):
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    sections |= yaml.safe_load(block(STUDY, "groups").text)
    params = check_params(sections)
    assert params.composites["women"].filter.n is None
    assert params.composites["top_fifth"].filter.age_range == [18, 120]  # no children
    assert params.stimuli["towards_top"].filter.n == 10
    assert params.continua["women_to_men"].steps == 5

    (tmp_path / "data").symlink_to(built.folder / "data")
    (tmp_path / "models").symlink_to(built.folder / "models")
    monkeypatch.chdir(tmp_path)
    code = block(COMPOSITES, "figure").text.replace("N = 15", "N = 5")
    exec(compile(code, COMPOSITES, "exec"), {})
    with Image.open("figure.png") as picture:
        assert picture.width > 1000
    low, high = (json.loads(Path(f"{name}.json").read_text()) for name in ("lowest", "highest"))
    assert low["n"] == high["n"] == 5
    assert low["rating"]["value"] < high["rating"]["value"]


def test_python(built, monkeypatch):
    monkeypatch.chdir(built.folder)
    code = block(README, "from python").text.replace("photo.jpg", "data/raw/face_0001.jpg")
    names = {}
    exec(
        compile(
            code.replace("facestats.score", "scores = facestats.score").replace(
                "facestats.find", "near = facestats.find"
            ),
            README,
            "exec",
        ),
        names,
    )
    shown = re.search(r"Score\((.*?)\)", code, re.DOTALL)[1]
    assert re.findall(r"(\w+)=", shown) == [field.name for field in fields(names["scores"])]
    assert names["near"]["filename"].iloc[0] == "face_0001.jpg"
    assert len(names["near"]) == 10


def test_an_attribute_in_words(project):
    for key, prompts in yaml.safe_load(block("docs/attributes.md", "hat").text)["zeroshot"].items():
        project.set_params({f"zeroshot.{key}": prompts})
    assert project.repro("attributes") == {"zeroshot", "attributes"}
    output = pd.read_parquet(project.folder / META / "zeroshot.parquet")
    assert {"hat_prob_with", "hat_prob_without"} < set(output.columns)
    final = pd.read_parquet(project.folder / META / "attributes_clean.parquet")
    assert set(final["hat_source"]) <= {"zeroshot", "unknown"}
    assert set(final["hat_final"]) <= {"with", "without", "unknown"}


@pytest.mark.thorough
def test_rows(project, tmp_path):
    """That FACESTATS_ROWS moves the store, the block of docs/methods/reproducibility.md shows: with
    the usual one, rows would be reused.
    """
    project.keep_stages("fetch_clip", "fetch_landmarker", "preprocess", "embed")
    output = run_documented(
        project, "docs/methods/rows.md", "rows", {"/fast/disk/rows": str(tmp_path / "rows")}
    )
    assert "removed: rows=" in output
    assert executed(output) == {"preprocess", "embed"}
    assert {stage: row_counts(output, stage)["reused"] for stage in ("preprocess", "embed")} == {
        "preprocess": 0,
        "embed": 0,
    }
