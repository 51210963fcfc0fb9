"""Programs that tests start end in time, whatever they leave in the background, and none outlives
its test.
"""

import ast
import os
import re
import sys

import psutil
import pytest

from programs import end_programs, programs_of, run_program
from resources import ROOT

TESTS = ROOT / "tests"
DETACHED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    os.chdir("/")
    if os.fork() == 0:
        print("worker", flush=True)  # and holds what it prints to
        time.sleep(300)
    os._exit(0)
os.wait()
"""


@pytest.mark.long
def test_a_worker_in_the_background_keeps_nobody_waiting_and_is_ended(tmp_path):
    done = run_program([sys.executable, "-c", DETACHED], tmp_path, seconds=60)
    assert done.returncode == 0, done.stderr
    assert len(programs_of(tmp_path)) == 1
    end_programs(tmp_path / "elsewhere")
    assert len(programs_of(tmp_path)) == 1
    end_programs(tmp_path)
    assert programs_of(tmp_path) == []


@pytest.mark.long
def test_a_command_that_hangs_is_killed_with_its_children_and_its_output_shown(tmp_path):
    with pytest.raises(
        AssertionError, match=r"(?s)sleep 300.* still ran after 1 seconds.*so far.*in trouble"
    ):
        run_program(
            ["bash", "-c", "echo so far; echo in trouble >&2; sleep 300; true"], tmp_path, seconds=1
        )
    assert programs_of(tmp_path) == []


def test_a_command_reads_nothing_from_the_terminal(tmp_path):
    assert run_program(["cat"], tmp_path, seconds=60).stdout == ""


def test_both_outputs_and_the_exit_code_come_back(tmp_path):
    done = run_program(["bash", "-c", "echo out; echo Größe >&2; exit 3"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "Größe\n")
    with pytest.raises(AssertionError, match="Größe"):
        run_program(["bash", "-c", "echo Größe >&2; exit 3"], tmp_path, check=True)


@pytest.mark.long
def test_what_hangs_is_named_and_what_a_test_leaves_in_its_folder_is_ended(tmp_path):
    script = """
import time
from programs import start_program

def leave(folder):
    open(f"../{folder.name}.pid", "w").write(str(start_program(["sleep", "300"], folder).pid))

def test_that_ends(tmp_path):
    leave(tmp_path)

def test_that_hangs(tmp_path):
    leave(tmp_path)
    time.sleep(300)
"""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/test_it.py").write_text(script)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        tmp_path,
        "-p",
        "no:cacheprovider",
        "-p",
        "programs",
        "--timeout",
        "2",
        "--basetemp",
        tmp_path / "base",
        "test_it.py",
    ]
    done = run_program(
        command, tmp_path / "work", os.environ | {"PYTHONPATH": str(TESTS)}, seconds=120
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert re.search(r"FAILED .*test_it.py::test_that_hangs - Failed: Timeout", done.stdout), (
        done.stdout
    )
    pids = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.long
def test_no_other_file_starts_programs():
    starts = re.compile(
        r"subprocess\.(run|Popen|call|check_\w+|getoutput)|os\.(system|popen|spawn\w+)"
    )
    places = [
        f"{path.name}:{node.lineno}"
        for path in TESTS.glob("*.py")
        if path.name not in ("programs.py", "warm.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and starts.fullmatch(ast.unparse(node.func))
    ]
    assert places == []
