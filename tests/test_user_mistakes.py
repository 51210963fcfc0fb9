"""A mistake of the user, or a damaged file, ends in one message and not in a traceback."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import warm
from facestats.__main__ import main
from facestats.clip.load import load_encoder
from facestats.core import tables
from facestats.core.files import read_json
from facestats.errors import (
    InputError,
    LabelError,
    ModelError,
    ParamsError,
    TableError,
    number_of,
    of_file,
)
from facestats.labels.joining import join_labels
from facestats.params.project import load_params
from facestats.rows.place import PLACE
from facestats.scores.live import TrainingLog
from facestats.scores.regressor import FORMAT, load_regressor
from programs import run_program
from resources import ROOT

LONG = 300 * "a"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "must be a mapping of sections, found nothing"),
        (b"- a\n", "found a list"),
        ("data: ü".encode("utf-16"), r"not UTF-8 \(byte 0xff"),
        (b"a: [", "not valid YAML"),
        (None, "is a folder"),
    ],
)
def test_parameters_that_are_none(tmp_path, content, said):
    path = tmp_path / "params.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ParamsError, match=said):
        load_params(path)


def test_a_section_of_another_type_is_told_in_words_of_yaml(tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {
        "composites": None
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(
        ParamsError, match="composites = None is not possible: input should be a mapping"
    ):
        load_params(tmp_path / "params.yaml")


def test_label_files_that_are_none(tmp_path, faces_of_nobody):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/labels.csv").symlink_to("nowhere.csv")
    with pytest.raises(LabelError, match="is a link to nothing"):
        join_labels(faces_of_nobody, tmp_path / "labels", tmp_path / "manual.csv", "auto")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file, expected a folder"):
        join_labels(faces_of_nobody, tmp_path / "file", tmp_path / "manual.csv", "auto")


@pytest.fixture
def faces_of_nobody():
    import pandas as pd

    return pd.DataFrame({"image": [], "filename": []}, dtype="str")


@pytest.mark.parametrize("content", [b"\x80junk", "pickled", "wrong"])
def test_a_damaged_regressor(tmp_path, content):
    path = tmp_path / "m.pt"
    if content == "pickled":
        torch.save({"format": FORMAT, "trained": Path("/")}, path)
    elif content == "wrong":
        torch.save({"format": FORMAT, "trained": True}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="dvc repro -f train_attractiveness") as caught:
        load_regressor(path)
    assert "weights_only" not in str(caught.value)  # torch's advice would run what is in the file


@pytest.fixture
def spoilt(clip_models, tmp_path):
    """A copy of `tiny` whose weights are cut off."""
    folder = shutil.copytree(clip_models["tiny"], tmp_path / "clip")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    return folder


def test_damaged_weights_of_clip(spoilt):
    with pytest.raises(
        ModelError, match=r"model\.safetensors is damaged .*`dvc repro -f fetch_clip` makes it anew"
    ):
        load_encoder(spoilt)


@pytest.mark.long
def test_a_damaged_face_among_those_to_embed(clip_models, tmp_path, monkeypatch):
    monkeypatch.setenv(PLACE, str(tmp_path / "rows"))
    monkeypatch.syspath_prepend(ROOT / "stages")
    import embed

    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/a.jpg").write_bytes(b"\xff\xd8 cut off")
    with pytest.raises(
        InputError, match=r"a face in .*faces can't be read as an image; `dvc repro -f preprocess`"
    ):
        embed.main(
            load_params(ROOT / "params.yaml"),
            tmp_path / "faces",
            clip_models["tiny"],
            tmp_path / "out.parquet",
            tmp_path / "out.f16.npy",
            tmp_path / "out.rest.npy",
        )
    assert not (tmp_path / "out.parquet").exists()


def test_damaged_files_of_the_pipeline(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match="not a readable parquet file"):
        tables.rating_scale(tmp_path / "t.parquet")
    for content in ("{", "[1]"):
        (tmp_path / "m.json").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"m\.json is damaged"):
            read_json(tmp_path / "m.json")
    with pytest.raises(InputError, match=r"n\.json: no such file"):
        read_json(tmp_path / "n.json")


@pytest.mark.long
def test_a_stage_whose_out_can_not_be_written_says_where(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "out").touch()
    script = (
        "import sys; sys.argv = ['x']; from pathlib import Path; from facestats.run.stage "
        "import run_stage; from facestats.core.files import write_text\n"
        "def main(params): write_text(Path('out/below/it.txt'), '')\n"
        "run_stage(main)"
    )
    done = run_program(
        [sys.executable, "-c", script], tmp_path, os.environ | {"PYTHONPATH": str(ROOT / "src")}
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: out")
    assert "can't be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_on_a_folder_where_a_file_belongs(tmp_path, capsys):
    (tmp_path / "params.yaml").mkdir()
    assert main(["doctor", "--root", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["labels", "template", "-o", LONG],
        ["labels", "merge", LONG],
        ["results", "--root", LONG],
        ["score", "a.jpg", "--root", LONG],
    ],
)
def test_a_name_that_is_too_long(command, capsys, built, monkeypatch):
    monkeypatch.chdir(built.folder)
    assert main(command) == 2
    assert re.search(
        f"^error: .*(?s:{LONG}.*File name too long|File name too long.*{LONG})",
        capsys.readouterr().err,
    )


def test_a_working_folder_that_is_gone_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["results"]) == 2
    assert "the working folder is gone" in capsys.readouterr().err


def test_mending_without_a_remote_is_not_taken_for_done(capsys):
    assert main(["doctor", "--mend"]) == 2
    assert "--mend goes with --remote NAME" in capsys.readouterr().err


def test_other_errors_of_the_system_stay_what_they_are():
    assert of_file(OSError("a library's own words")) is None


def test_numbers_have_their_plural():
    assert [number_of(n, "rated face") for n in (0, 1, 2)] == [
        "0 rated faces",
        "1 rated face",
        "2 rated faces",
    ]


@pytest.mark.long
def test_a_repository_without_a_commit_is_named_and_not_dvclives_traceback(tmp_path, monkeypatch):
    for command in (["git", "init", "-q"], [warm.python(), "-m", "dvc", "init", "-q"]):
        run_program(command, tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="commit once"):
        TrainingLog(tmp_path / "live")
