"""Copies of the warm parent are what fresh processes are, and what cannot be one is a fresh
process.
"""

import marshal
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import psutil
import pytest
import yaml

import warm
from programs import run_program, start_program
from resources import ROOT
from warm_client import surroundings

PYTHON = warm.python()
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.executable == PYTHON, reason="there is no warm parent"),
]

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


def test_code_of_this_project_is_that_of_a_fresh_process(tmp_path):
    """Of another folder, and changed since the parent has loaded it."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "s.py").write_text(
        "import sys; from facestats.params import project\n"
        "print(project.__file__, project._MOST, 'torch' in sys.modules)"
    )
    given = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    path = tmp_path / "src/facestats/params/project.py"
    for most in ("20_000", "30_000_000"):
        path.write_text(path.read_text().replace("_MOST = 20_000", f"_MOST = {most}"))
        done = run_program([PYTHON, "s.py"], tmp_path, given, check=True)
        assert done.stdout.split() == [str(path), str(int(most)), "True"]


def test_a_changed_file_has_all_code_of_this_project_imported_anew(monkeypatch):
    loaded = {name: warm._source(module) for name, module in warm._own_modules()}
    kept = dict(sys.modules)
    warm._forget_changed_code(loaded)
    assert sys.modules == kept
    try:
        warm._forget_changed_code(loaded | {"facestats": ("changed", 0, 0, 0)})
        assert not warm._own_modules()
    finally:
        sys.modules.update(kept)


@pytest.mark.thorough
@pytest.mark.slow
def test_dvc_writes_the_same_files_as_a_fresh_one(tmp_path):
    """Its lock above all, of which copies write only the stages that ran; what git has, too."""
    params = {"a": 1, "b": {"c": "it's # no comment", "d": [0.5, 1e-9, None]}, "e": "123e4"}
    long = "x".join("echo" for _ in range(40))
    stages = {
        "one": {
            "cmd": "echo 1 > one && echo 2 > code/f",
            "deps": ["code"],
            "outs": ["one"],
            "params": ["a", "b"],
        },
        "each": {
            "foreach": ["0123", "it's", "ä b", "k" * 130],
            "do": {
                "cmd": f'mkdir -p "${{item}}" && cat one > "${{item}}/f" && echo {long} {long}',
                "deps": ["one"],
                "outs": [{"${item}": {"cache": False}}],
                "params": ["e"],
            },
        },
        "last": {
            "cmd": "echo 3 > last",
            "deps": ["one", "0123", "code"],
            "outs": ["last"],
            "params": ["b.c"],
        },
    }
    locks = []
    for python in (PYTHON, sys.executable):
        folder, steps = tmp_path / str(len(locks)), []
        folder.mkdir()
        places = ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
        given = os.environ | {"DVC_NO_ANALYTICS": "true", "GIT_CONFIG_GLOBAL": os.devnull}
        given |= {name: str(tmp_path / f"{len(locks)} {name}") for name in places}

        def run(*words, folder=folder, given=given):
            return run_program(words, folder, given, check=True).stdout

        def step(*words, python=python, folder=folder, steps=steps, run=run):
            output = run(python, "-m", "dvc", *words)
            staged = run("git", "ls-files", "--stage")
            staged += run("git", "for-each-ref", "refs/exps", "--format=%(tree)")
            # A fresh one keeps some of its own until the end, and names are in the order of a set.
            lines = sorted(
                " ".join(sorted(line.split())) if line.startswith("\tgit add ") else line
                for line in output.splitlines()
            )
            steps.append((lines, (folder / "dvc.lock").read_bytes(), staged))

        run("git", "init", "-q")
        for name in ("user.name", "user.email"):
            run("git", "config", name, "t")
        run(python, "-m", "dvc", "init", "-q")
        (folder / "code").mkdir()
        (folder / "code/f").write_text("1")
        (folder / "params.yaml").write_text(yaml.safe_dump(params))
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
        step("repro", "last")
        run("git", "add", "-A")
        run("git", "commit", "-q", "-m", "one")
        (folder / "code/f").write_text("another size, which Dulwich sees in the same second")
        step("exp", "run", "-n", "new", "-S", "a=2")
        step("repro")
        (folder / "params.yaml").write_text(yaml.safe_dump(params | {"e": "1_000"}))
        step("repro")
        step("repro")
        step("remove", "one")
        locks.append(steps)
    assert locks[0] == locks[1]
    assert len({lock for _, lock, _ in locks[0]}) == 4
    assert len({staged for *_, staged in locks[0]}) >= 2


@pytest.mark.parametrize(
    "changes",
    [{"OMP_NUM_THREADS": "3"}, {"LC_ALL": "C"}, {"ATEN_CPU_CAPABILITY": "default"}, {"HOME": "/"}],
)
def test_other_variables_that_packages_read_get_a_fresh_process(script, changes):
    assert run(script, **changes).stderr.startswith("False ")


def test_a_folder_with_modules_of_the_packages_names_gets_a_fresh_process(script):
    (script / "torch.py").write_text("")
    assert run(script).stderr.startswith("False ")


@pytest.mark.thorough
def test_another_parent_has_other_variables_for_a_while(script):
    with warm.other_parent(OMP_NUM_THREADS="3"):
        given = os.environ | {"FACESTATS_X": "x", "OMP_NUM_THREADS": "3"}
        assert run_program([warm.python(), "s.py"], script, given).stderr.startswith("True ")
        given["OMP_NUM_THREADS"] = "2"
        assert run_program([warm.python(), "s.py"], script, given).stderr.startswith("False ")
    assert warm.python() == PYTHON
    assert run(script).stderr.startswith("True ")


SPAWNS = """
import multiprocessing, os, sys

def work(line, number):
    line.send((number, "torch" in sys.modules, __name__, os.getcwd()))
    line.recv()
    os.kill(os.getpid(), number)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    line, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, 9))
    process.start()
    theirs.close()
    print(*line.recv())
    line.send("go on")
    process.join()
    print(process.exitcode)
"""


def test_workers_of_multiprocessing_are_copies_too_and_end_as_others_do(tmp_path):
    (tmp_path / "s.py").write_text(SPAWNS)
    done = run_program([PYTHON, "s.py"], tmp_path, check=True)
    fresh = run_program([sys.executable, "s.py"], tmp_path, check=True)
    assert done.stdout == f"9 True __mp_main__ {tmp_path}\n-9\n"
    assert fresh.stdout == done.stdout.replace("True", "False")


def test_who_is_killed_before_the_answer_comes_ends_no_other_program(script):
    parent = Path(os.environ[warm.FOLDER]) / "socket"
    facts = (["s.py"], str(script), dict(os.environ), surroundings(), False, [0, 1, 2])
    request = marshal.dumps(facts)
    with open(os.devnull, "r+b") as nothing:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.connect(str(parent))
                socket.send_fds(link, [len(request).to_bytes(8, "big")], 3 * [nothing.fileno()])
                link.sendall(request)
    assert run(script).stderr.startswith("True ")


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
