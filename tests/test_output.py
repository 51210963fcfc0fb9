"""Output fits every terminal and log, and a failure to print undoes nothing."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from facestats.machine import output
from facestats.machine.output import print_json
from programs import run_program, start_program
from resources import ROOT

NAME = "Größe → 80 % 🙂.jpg"
STAGE = """
from pathlib import Path
from facestats.run.stage import run_stage, warn

def main(params, folder):
    (name,) = [path.name for path in folder.iterdir()]
    Path("out.txt").write_text(name, encoding="utf-8")
    warn(f"{name} … is doubtful")
    for _ in range(3000):
        print("rows", flush=True)
    return f"{name}: done"

run_stage(main)
"""
ASCII = {"PYTHONIOENCODING": "ascii"}
LATIN_1 = {"PYTHONIOENCODING": "iso8859-1"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PLACES = {
    "": "",
    "closed": " >&- 2>&-",
    "gone": " 2>&1 | head -1 >/dev/null; exit ${PIPESTATUS[0]}",
    "full": " >/dev/full",
}


def environment(changes: dict[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"))
    }
    return kept | {"PYTHONPATH": str(ROOT / "src")} | changes


@pytest.fixture
def stage(tmp_path):
    """Runs a stage on a folder with one file that has signs of four kinds in its name."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / NAME).touch()

    def run(place: str, changes: dict[str, str]):
        return run_program(
            ["bash", "-c", f"{sys.executable} stage.py --folder photos{PLACES[place]}"],
            tmp_path,
            environment(changes),
        )

    run.out = tmp_path / "out.txt"
    return run


@pytest.mark.first_cases(2)
@pytest.mark.long
@pytest.mark.parametrize(
    ("changes", "shown", "dots"),
    [
        (ASCII, r"Gr\u00f6\u00dfe -> 80 % \ud83d\ude42.jpg", "..."),
        (LATIN_1, r"Größe -> 80 % \ud83d\ude42.jpg", "..."),
        (C_LOCALE, r"Gr\u00f6\u00dfe -> 80 % \ud83d\ude42.jpg", "..."),
        ({"PYTHONIOENCODING": "utf-8"}, NAME, "…"),
    ],
)
def test_every_encoding_gets_what_it_can_show(stage, tmp_path, changes, shown, dots):
    with open(tmp_path / "said", "wb") as file_said:
        program = start_program(
            [sys.executable, "stage.py", "--interim", ".", "--folder", "photos"],
            tmp_path,
            environment(changes),
            file_said,
            file_said,
        )
        assert program.wait(120) == 0
    text = (tmp_path / "said").read_bytes().decode("iso8859-1" if changes is LATIN_1 else "utf-8")
    assert f"warning: {shown} {dots} is doubtful" in text
    assert f"{shown}: done seconds=" in text
    assert stage.out.read_text(encoding="utf-8") == NAME
    assert json.loads((tmp_path / "warnings/stage.json").read_text(encoding="utf-8")) == [
        f"{NAME} … is doubtful"
    ]


@pytest.mark.parametrize("place", ["closed", "gone", "full"])
@pytest.mark.long
def test_a_stage_whose_output_nobody_takes_ends_well(stage, place):
    done = stage(place, ASCII)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert stage.out.read_text(encoding="utf-8") == NAME


@pytest.mark.first_cases(1)
@pytest.mark.long
@pytest.mark.parametrize("place", ["", "full"])
def test_a_command_says_what_it_has_to_say_in_ascii_or_that_it_could_not(tmp_path, place):
    (tmp_path / "params.yaml").write_bytes(
        (ROOT / "params.yaml").read_bytes().replace(b"data/sample/", b"data/")
    )
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data/images" / NAME).symlink_to("nowhere")
    done = run_program(
        ["bash", "-c", f"{sys.executable} -m facestats doctor --inputs{PLACES[place]}"],
        tmp_path,
        environment(C_LOCALE),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    file_said, failure = (
        r"Gr\u00f6\u00dfe -> 80 % \ud83d\ude42.jpg is a link to nothing",
        "warning: not all output could be written: No space left on device\n",
    )
    assert (file_said in done.stdout, done.stderr) == (not place, failure if place else "")


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "utf-8", "utf-16"])
def test_json_stays_json(encoding, monkeypatch, tmp_path):
    with open(tmp_path / "said", "w", encoding=encoding) as file_said:
        monkeypatch.setattr(sys, "stdout", file_said)
        print_json({"image": NAME})
    assert json.loads(Path(tmp_path / "said").read_text(encoding=encoding)) == {"image": NAME}


def test_a_start_in_utf8_mode_is_not_repeated_where_the_environment_is_ignored(monkeypatch):
    """`python -E` in a locale that is not UTF-8 started itself again for ever."""
    started = []
    flags = SimpleNamespace(utf8_mode=0)
    monkeypatch.setattr(output.sys, "getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setattr(output.sys, "flags", flags)
    monkeypatch.setattr(output.sys, "orig_argv", ["python", "-E", "stage.py", "--folder", "x"])
    monkeypatch.setattr(output.os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(output, "_secure", lambda stream, number: stream)
    monkeypatch.setitem(sys.modules, "colorama", None)  # would be changed for good
    output.secure_output()
    ((program, arguments, changed),) = started
    assert arguments == [program, "-X", "utf8", "-E", "stage.py", "--folder", "x"]
    assert changed["PYTHONUTF8"] == "1"
    flags.utf8_mode = 1
    output.secure_output()
    assert len(started) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "begin",
    ["import facestats.run.stage", "from facestats.__main__ import command; command()"],
)
def test_read_only_shared_memory_is_no_warning(tmp_path, begin):
    """joblib says that it takes one process, which nothing here asks it for more than."""
    (tmp_path / "script.py").write_text(
        "import _multiprocessing, sys\n"
        "def refuse(*_, **__): raise OSError(30, 'Read-only file system')\n"
        "_multiprocessing.SemLock = refuse\n"
        "sys.argv[1:] = ['labels', '--help']\n"
        "sys.modules.pop('joblib', None)\n"
        "try:\n"
        f"    {begin}\n"
        "except SystemExit:\n"
        "    pass\n"
        "import joblib\n"
        "assert joblib._multiprocessing_helpers.mp is None\n"
    )
    done = run_program([sys.executable, tmp_path / "script.py"], tmp_path, seconds=60)
    assert (done.returncode, done.stderr) == (0, "")
