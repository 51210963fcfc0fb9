"""What is edited while a stage runs does not become part of what `dvc.lock` says it used."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from facestats.run.edits import Inputs
from programs import run_program
from resources import ROOT

PIPELINE = {
    "vars": [{"lib": "code"}, {"meta": "data/meta"}],
    "stages": {
        "before": {"cmd": "true", "outs": ["${meta}/faces.parquet"]},
        "own": {
            "foreach": "${composites}",
            "do": {
                "cmd": "python own.py",
                "deps": ["${lib}", "${meta}/faces.parquet", "${data.labels}", "data"],
                "params": ["composites.${key}.filter", "labels"],
                "outs": ["out/${key}"],
            },
        },
    },
}
SCRIPT = """
from facestats.run.stage import run_stage

from pathlib import Path


def main(params, out: Path) -> str:
    seen = Path("labels/labels.csv").read_text()
    edits = iter(Path("edits.txt").read_text().splitlines())
    if edit := next(edits, ""):  # somebody's
        path, text = edit.split("|")
        Path(path).write_text(Path(path).read_text() + text + "\\n")
        Path("edits.txt").write_text("\\n".join(edits))
    out.parent.mkdir(exist_ok=True)
    out.write_text(seen)
    return "written"


if __name__ == "__main__":
    run_stage(main)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["labels"] = "labels"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    for name in (
        "labels/labels.csv",
        "code/a.py",
        "code/__pycache__/a.pyc",
        "data/meta/faces.parquet",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("image\n")
    return tmp_path


def run_as_dvc(project):
    """Run the script as DVC does: as its child, in its group of processes."""
    (project / "stage.py").write_text(SCRIPT, encoding="utf-8")
    parent = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"
    return run_program(
        [sys.executable, "-c", parent, "stage.py", "--out", "out/women"],
        project,
        environment={**os.environ, "DVC_STAGE": "own@women"},
    )


def edit_params(project, section, key, value):
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[section][key] = value
    path.write_text(yaml.safe_dump(params))


def test_what_no_stage_makes_is_watched(project):
    inputs = Inputs("own@women")
    assert (inputs.edited_files(), inputs.edited_params()) == ([], [])
    (project / "code/__pycache__/a.pyc").write_text("other")
    (project / "data/meta/faces.parquet").write_text("other")  # of an earlier stage
    assert inputs.edited_files() == []
    (project / "code/a.py").write_text("other")
    (project / "labels/deep").mkdir()
    (project / "labels/deep/more.csv").write_text("new")
    (project / "labels/labels.csv").unlink()
    assert {*inputs.edited_files()} == {Path("code"), Path("labels"), Path("labels/deep")}


def test_a_file_of_the_same_size_is_another_one_by_its_time(project):
    inputs, file = Inputs("own@women"), project / "labels/labels.csv"
    (project / "new.csv").write_text("IMAGE\n")
    (project / "new.csv").replace(file)
    assert inputs.edited_files() == [Path("labels")]


def test_links_to_folders_are_not_followed(project):
    for name in ("here", "also_here"):
        (project / "labels" / name).symlink_to(".")
    (project / "labels/all").symlink_to(project)
    inputs = Inputs("own@women")
    (project / "elsewhere.txt").write_text("somebody's")
    assert inputs.edited_files() == []
    (project / "labels/all").unlink()
    (project / "labels/labels.csv").write_text("image\nb.jpg\n")
    assert inputs.edited_files() == [Path("labels")]


def test_the_params_of_the_stage_are_compared_by_value(project):
    inputs = Inputs("own@women")
    path = project / "params.yaml"
    path.write_text("# a remark\n" + path.read_text())
    edit_params(project, "clusters", "k", 9)
    edit_params(project, "composites", "men", {"filter": {"gender": "female"}})
    assert inputs.edited_params() == []
    edit_params(project, "labels", "level", not yaml.safe_load(path.read_text())["labels"]["level"])
    edit_params(project, "composites", "women", {"filter": {"gender": "male"}})
    assert inputs.edited_params() == ["composites.women.filter", "labels"]
    path.write_text("labels: [")
    assert inputs.edited_params() == ["composites.women.filter", "labels"]


@pytest.mark.parametrize("pipeline", [None, "stages: [", "stages: {own: {do: {deps: }}}"])
def test_a_pipeline_that_says_nothing_watches_nothing(project, pipeline):
    (project / "dvc.yaml").unlink() if pipeline is None else (project / "dvc.yaml").write_text(
        pipeline
    )
    inputs = Inputs("own@women")
    (project / "labels/labels.csv").write_text("other")
    assert (inputs.edited_files(), inputs.edited_params()) == ([], [])


@pytest.mark.parametrize(
    ("edits", "code", "output", "error"),
    [
        ([], 0, "written", ""),
        (["labels/labels.csv|a.jpg"], 0, "labels changed while the stage ran, which starts", ""),
        (["labels/labels.csv|a.jpg", "labels/labels.csv|b.jpg"], 0, "which starts again", ""),
        ([f"labels/labels.csv|{i}.jpg" for i in range(4)], 1, "", "labels changed each time"),
        (["dvc.yaml|# by somebody"], 0, "written", ""),
    ],
)
def test_a_stage_whose_files_change_starts_again(project, edits, code, output, error):
    (project / "edits.txt").write_text("\n".join(edits))
    done = run_as_dvc(project)
    assert done.returncode == code, done.stderr
    assert output in done.stdout
    assert error in done.stderr
    if code == 0:
        used = (project / "out/women").read_text()
        assert used == (project / "labels/labels.csv").read_text()


def test_a_stage_whose_params_change_fails_with_their_names(project):
    (project / "edits.txt").write_text("params.yaml|labels: {level: false}")
    done = run_as_dvc(project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: labels in params.yaml changed while the stage ran")
