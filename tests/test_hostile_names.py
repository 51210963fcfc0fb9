"""Names that strangers chose: whatever is in them is shown escaped, and ends no command."""

import csv
import io
import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo
from PIL import Image

import warm
from facestats.__main__ import main
from facestats.core.files import read_json, write_json
from facestats.machine.output import _Text, one_line, shell_words
from facestats.scores.scoring import write_index
from programs import run_program
from resources import ROOT

NAMES = [
    b"plain.jpg",
    b"a\nwarning: forged.jpg",
    b"e\x1b[31mred\x1b]0;title\x07.jpg",
    "b\u202egpj.exe".encode(),
    b"-rf.jpg",
    b"--person.jpg",
    b"cr\rX.jpg",
    b"del\x7f.jpg",
    "c1\u009b31m.jpg".encode(),
    "line\u2028.jpg".encode(),
    "zero\u200bwidth.jpg".encode(),
    b"tab\t.jpg",
    b"'q\"$(x)`.jpg",
    b"x" * 240 + b".jpg",
    b"=cmd.jpg",
]
NOT_UTF8 = [b"\xff.jpg", b"dir\xff\x1b/in.jpg", b"\xed\xa0\x80.jpg"]
PERSON = "ann\x1b[31m"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A DVC project whose photos and labels are called like this."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "data/raw").mkdir(parents=True)
    (folder / "data/labels").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(
        params.replace("data/sample/images", "data/raw")
        .replace("data/sample/labels", "data/labels")
        .replace("source: wheel", "source: none")
    )
    (folder / "data/manual_ratings.csv").write_text("rater,image,rating\n")
    (folder / "data/manual_labels.csv").write_text("filename,gender,ethnicity,age,rating,person\n")
    pixels = np.random.default_rng(0)
    for name in [*NAMES, *NOT_UTF8]:
        path = os.path.join(os.fsencode(folder / "data/raw"), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            Image.fromarray(pixels.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(file, "JPEG")
    buffer = io.StringIO()
    csv.writer(buffer).writerows(
        [["image", "person"], *([name.decode(), PERSON] for name in NAMES)]
    )
    (folder / "data/labels/labels.csv").write_text(buffer.getvalue(), encoding="utf-8")
    Repo.init(str(folder), no_scm=True).close()
    return folder


def facestats(folder, *arguments) -> subprocess.CompletedProcess:
    done = run_program(
        [warm.python(), "-m", "facestats", *arguments],
        folder,
        os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert "Traceback" not in done.stderr
    assert not [
        sign for sign in done.stdout + done.stderr if sign != "\n" and not sign.isprintable()
    ]
    assert "\nwarning: forged" not in done.stdout + done.stderr
    return done


@pytest.mark.long
def test_forget_takes_a_person_under_such_names_to_the_end(hostile, tmp_path):
    folder = shutil.copytree(hostile, tmp_path / "project", symlinks=True)
    done = facestats(folder, "forget", "--person", PERSON)
    assert done.returncode == 0, done.stderr
    left = sorted(
        os.path.relpath(os.path.join(base, name), os.fsencode(folder / "data/raw"))
        for base, _, names in os.walk(os.fsencode(folder / "data/raw"))
        for name in names
    )
    assert left == sorted(NOT_UTF8)
    assert (folder / "data/labels/labels.csv").read_text().strip() == "image,person"
    assert r"e\u001b[31mred\u001b]0;title\u0007.jpg: removed" in done.stdout
    done = facestats(folder, "forget", *map(os.fsdecode, NOT_UTF8))
    assert done.returncode == 0, done.stderr
    assert r"forget $'dir\xff\x1b/in.jpg' $'\xed\xa0\x80.jpg' $'\xff.jpg' --cache" in done.stdout
    assert not list((folder / "data/raw").iterdir())


@pytest.mark.long
def test_doctor_names_them(hostile):
    done = facestats(hostile, "doctor", "--inputs")
    assert done.returncode == 1
    assert r"data/raw/dir\xff\u001b has a name that is not valid UTF-8" in done.stdout
    findings = json.loads(facestats(hostile, "doctor", "--inputs", "--json").stdout)
    assert {problem["path"] for problem in findings["problems"]} == {
        "data/raw/dir\\xff\x1b",
        r"data/raw/\xff.jpg",
        r"data/raw/\xed\xa0\x80.jpg",
    }


@pytest.mark.long
def test_a_mistyped_command_is_shown_escaped(tmp_path):
    assert facestats(tmp_path, "models\x1b[31m\udcff").returncode == 2


def test_json_for_people_shows_names_escaped(tmp_path):
    """And is read back as it was."""
    names = ["b\u202egpj.exe", "a\u200b\U000e0041.jpg", "größe 🙂.jpg", "x\r\n\t.jpg"]
    write_json(tmp_path / "names.json", {"names": names})
    text = (tmp_path / "names.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "names.json") == {"names": names}
    assert one_line(text.replace("\n", "")) == text.replace("\n", "")
    assert "größe 🙂.jpg" in text
    assert "b\\u202egpj.exe" in text
    write_json(tmp_path / "names.json", {name: place for place, name in enumerate(names)})
    write_index(tmp_path / "index.json", pd.Series(names))
    assert (tmp_path / "index.json").read_bytes() == (tmp_path / "names.json").read_bytes()


def test_names_stand_on_one_line_and_can_be_typed():
    names = [os.fsdecode(name) for name in [*NAMES, *NOT_UTF8]]
    assert all(
        one_line(name).encode("utf-8", "surrogateescape").decode(errors="replace").isprintable()
        for name in names
    )
    done = run_program(
        ["bash", "-c", f"printf '%s\\0' {shell_words(names)} | od -An -v -tx1"], check=True
    )
    assert bytes.fromhex(done.stdout) == b"".join(name + b"\0" for name in [*NAMES, *NOT_UTF8])


def test_bars_of_progress_and_tables_pass():
    buffer = io.BytesIO()
    with _Text(buffer, "utf-8") as text:
        text.write("\rreading: 50%")
        text.write("a\tb\n\x1b[2Kc\rd")
        text.flush()
        assert buffer.getvalue() == b"\rreading: 50%a\tb\n\\u001b[2Kc\\rd"


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "x.jpg", "--output", "{}"],
        ["score", "x.jpg", "--root", "{}"],
        ["transform", "x.jpg", "--to", "women", "--output", "{}.jpg"],
        ["export", "--root={}"],
        ["export", "--only", "tables {}"],
        ["compare", "{}", "workspace"],
        ["compare", "HEAD", "--plot", "sub/{}"],
        ["import", "omi", "{}"],
        ["models", "convert", "{}", "--trust"],
        ["models", "convert", "x.pkl", "--trust", "-o", "{}"],
        ["similar", "{}", "--root", "{}"],
        ["results", "--root", "{}"],
    ],
)
def test_names_of_the_command_line_stand_on_one_line(arguments, tmp_path, capsys):
    name = "a\nerror:forged\t\r\x1b[31m\u202e"
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert main([word.format(name) for word in arguments]) == 2
    said = capsys.readouterr().err
    assert one_line(name) in said
    assert name not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["results", "a\nforged: line\x1b[31m"],
        ["rows", "--sample", "2\n\x1b[31m"],
        ["labels", "merge", "a.csv", "--new\x1b[31m\nforged"],
        ["sc\nforged\x1b[31m"],
    ],
)
def test_an_argument_that_nobody_knows_is_shown_escaped(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "\x1b" not in last
    assert "error: " in last
    assert "forged" in last or "2\\n" in last
