"""Copies of the warm parent are what fresh processes are, and what cannot be one is a fresh
process.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import psutil
import pytest

import warm
from programs import run_program, start_program

PYTHON = warm.python()
pytestmark = pytest.mark.skipif(sys.executable == PYTHON, reason="there is no warm parent")

SCRIPT = """
import atexit, os, sys
import beside
if __name__ == "__main__":
    atexit.register(print, "at the end")
    print(sys.argv, sys.path[0], __file__, os.getcwd(), os.environ["FACESTATS_X"], beside.VALUE)
    print("torch" in sys.modules, os.getppid(), file=sys.stderr)
"""
ENDS = {
    "": 0,
    "import sys; sys.exit(3)": 3,
    "import sys; sys.exit('no')": 1,
    "raise ValueError('x')": 1,
    "import os; os._exit(7)": 7,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
    "raise KeyboardInterrupt": -signal.SIGINT,
}
WAIT = (
    "import time; print('runs', flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: exit(5)"
)


@pytest.fixture
def script(tmp_path):
    (tmp_path / "s.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text("VALUE = 1\n")
    return tmp_path


def run(folder: Path, **changes: str) -> subprocess.CompletedProcess:
    given = os.environ | {"FACESTATS_X": "x"} | changes
    return run_program([PYTHON, "s.py", "a b"], folder, given)


def test_a_copy_sees_what_a_fresh_process_sees_and_is_warm(script):
    done = run(script)
    fresh = run_program([sys.executable, "s.py", "a b"], script, os.environ | {"FACESTATS_X": "x"})
    assert (done.returncode, done.stdout) == (0, fresh.stdout)
    assert done.stderr.startswith("True "), (Path(os.environ[warm.FOLDER]) / "log").read_text()
    assert fresh.stderr == f"False {os.getpid()}\n"


def test_changed_code_counts(script):
    run(script)
    (script / "beside.py").write_text("VALUE = 22\n")
    assert " 22\n" in run(script).stdout


@pytest.mark.parametrize(
    "changes",
    [{"OMP_NUM_THREADS": "1"}, {"LC_ALL": "C"}, {"ATEN_CPU_CAPABILITY": "default"}, {"HOME": "/"}],
)
def test_other_variables_that_packages_read_get_a_fresh_process(script, changes):
    assert run(script, **changes).stderr.startswith("False ")


def test_a_folder_with_modules_of_the_packages_names_gets_a_fresh_process(script):
    (script / "torch.py").write_text("")
    assert run(script).stderr.startswith("False ")


def test_other_words_get_a_fresh_process(tmp_path):
    done = run_program([PYTHON, "-c", "import sys; print('torch' in sys.modules)"], tmp_path)
    assert done.stdout == "False\n"
    limited = ["bash", "-c", f"ulimit -n 200; {PYTHON} s.py"]
    (tmp_path / "s.py").write_text("import sys; print('torch' in sys.modules)")
    assert run_program(limited, tmp_path).stdout == "False\n"


@pytest.mark.parametrize("text", ENDS)
def test_it_ends_as_a_fresh_process_does(tmp_path, text):
    (tmp_path / "s.py").write_text(text)
    done = run_program([PYTHON, "s.py"], tmp_path)
    fresh = run_program([sys.executable, "s.py"], tmp_path)
    assert done.returncode == fresh.returncode == ENDS[text]
    assert done.stderr == fresh.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it_and_it_ends_with_who_asked(tmp_path, number):
    (tmp_path / "s.py").write_text("import os; print(os.getpid(), flush=True)\n" + WAIT)
    with TemporaryFile("w+") as out:
        program = start_program([PYTHON, "s.py"], tmp_path, stdout=out, hears_ctrl_c=True)
        while "runs" not in (os.pread(out.fileno(), 100, 0).decode()):
            time.sleep(0.02)
        program.send_signal(number)
        assert program.wait(60) == (5 if number == signal.SIGINT else -number)
        copy = int(os.pread(out.fileno(), 100, 0).split()[0])
    deadline = time.monotonic() + 60
    while psutil.pid_exists(copy) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not psutil.pid_exists(copy)
