"""What a killed DVC leaves in its own files: `doctor` names it with the way out."""

import json
import os
import sys
import time

import pytest

from facestats.__main__ import main
from facestats.cli import doctor_locks
from facestats.cli.doctor_inputs import examine_inputs
from facestats.params.project import load_params
from programs import run_program, start_program
from resources import ROOT

LOCK = "schema: '2.0'\nstages:\n  labels:\n    cmd: python stages/labels.py\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_locks, "_PAUSE", 0)
    for name in ("data/labels", "data/raw", ".dvc/tmp"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/manual_labels.csv").write_text(
        "filename,gender,ethnicity,age,rating,person\n"
    )
    ratings = "data/manual_ratings.csv"
    (tmp_path / ratings).write_bytes((ROOT / ratings).read_bytes())
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / ".dvc/tmp/rwlock").write_text("{}")
    return tmp_path


def problems(root) -> list[str]:
    return [
        problem.message
        for problem in examine_inputs(root, load_params(root / "params.yaml")).problems
    ]


def holders(pid: int) -> str:
    entry = {"pid": pid, "cmd": "dvc repro"}
    return json.dumps({"write": {"/a": entry}, "read": {"/b": [entry]}})


@pytest.mark.long
def test_photos_and_labels_that_params_does_not_name_yet_are_looked_at(root, capsys):
    (root / "data/labels/labels.csv").write_text("image,age\na.jpg,young\n")
    (root / "data/raw/loop.jpg").symlink_to("loop.jpg")
    asked = ["doctor", "--inputs", "--root", str(root)]
    own = ["--images", "data/raw", "--labels", "data/labels"]
    assert main(asked) == 0  # params.yaml names the sample
    assert main([*asked, *own]) == 1
    assert "loop.jpg is a link to itself" in capsys.readouterr().out
    (root / "data/raw/loop.jpg").unlink()
    (root / "data/raw/a.jpg").write_bytes(b"")
    assert main([*asked, *own]) == 1
    assert "line 2, column age" in capsys.readouterr().out


def test_whole_files_are_no_problem(root):
    assert problems(root) == []
    (root / "dvc.lock").unlink()
    (root / ".dvc/tmp/rwlock").unlink()
    assert problems(root) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "way_out", "text"),
    [
        *(
            ("dvc.lock", "`git checkout dvc.lock`", text)
            for text in (
                "",
                "schema: '2.0'\nstages:\n  labels:\n    cm",
                "stages:\n",
                "- a\n",
                "<<<<<<< HEAD\na: {",
            )
        ),
        *(
            (
                ".dvc/tmp/rwlock",
                "remove it while no DVC runs",
                text,
            )  # the list of those who hold locks
            for text in (
                "",
                '{"write": {"/a": {"pi',
                "[]",
                '{"write": {"/a": {}}}',
                '{"read": {"/a": 3}}',
            )
        ),
    ],
)
def test_a_file_that_was_cut_off_is_named_with_the_way_out(root, name, way_out, text):
    (root / name).write_text(text)
    (found,) = problems(root)
    assert found.startswith(str(root / name))
    assert way_out in found


@pytest.mark.long
@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_file_that_dvc_is_writing_is_looked_at_again(root, name, monkeypatch):
    whole = (root / name).read_bytes()
    (root / name).write_bytes(b"")
    monkeypatch.setattr(doctor_locks.time, "sleep", lambda _: (root / name).write_bytes(whole))
    assert problems(root) == []


def test_a_lock_that_was_cut_off_between_two_stages_is_named(root):
    """It is whole by its form; the stages that it lacks stand in the last commit's."""
    entry = "  {0}:\n    cmd: python stages/{0}.py\n"
    names = ["labels", "removed", "split", *(f"train_attribute@{key}" for key in "abc")]
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n" + "".join(map(entry.format, names)))
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (["init", "-q"], ["add", "dvc.lock"], [*who, "commit", "-qm", "a"]):
        run_program(["git", *command], root, check=True)
    params = load_params(root / "params.yaml")
    assert examine_inputs(root, params).warnings == []
    (root / "dvc.lock").write_text(LOCK)
    found = examine_inputs(root, params)
    assert found.problems == []
    (warning,) = found.warnings  # dvc.yaml has no stage `removed`
    assert warning.message.startswith(
        f"{root / 'dvc.lock'} lacks 4 stages of the last commit (split, train_attribute@a, "
        "train_attribute@b, …): was DVC killed while it wrote it?"
    )
    assert "`git checkout dvc.lock`" in warning.message


def test_a_holder_that_is_another_program_by_now_is_named(root):
    (root / ".dvc/tmp/rwlock").write_text(holders(os.getpid()))
    (found,) = problems(root)
    assert f"process {os.getpid()}" in found


def test_a_holder_that_runs_or_is_gone_is_no_problem(root):
    script = root / "dvc"  # as the command is called that a package manager installs
    script.write_text(
        "import os, time\nopen('up', 'w').close()\nwhile os.path.exists('up'):\n    "
        "time.sleep(0.01)\n"
    )
    run = start_program([sys.executable, script], root)
    while not (root / "up").exists():
        time.sleep(0.01)
    (root / ".dvc/tmp/rwlock").write_text(holders(run.pid))
    assert problems(root) == []
    (root / "up").unlink()
    os.waitid(
        os.P_PID, run.pid, os.WEXITED | os.WNOWAIT
    )  # dead, but not buried: DVC takes it for alive
    assert "which is dead" in problems(root)[0]
    run.wait()
    assert problems(root) == []
