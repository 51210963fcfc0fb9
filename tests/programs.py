"""Programs that tests start: each with a time limit, no standard input and its output in files, and
none outlives its test.

A pipe stays open as long as anybody holds it, such as a worker in the background: who reads from it
waits for that worker.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import psutil
import pytest

import warm
from resources import ROOT

LIMIT = 600  # seconds, of a command on a busy machine; the longest takes a minute on two idle cores
# in the environment of every program that tests start, and of all that it starts: process of
# pytest, folder
_MARK = "FACESTATS_TEST_PROGRAM"
_places: set[Path] = set()  # folders where programs were started


@pytest.fixture(name="tmp_path")
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    """pytest's own, with an end to all programs that still run in it."""
    yield tmp_path
    if any(where.is_relative_to(tmp_path.resolve()) for where in _places):
        end_programs(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def no_program_is_left() -> Iterator[None]:
    """An end to what fixtures of several tests have started."""
    yield
    end_programs(Path("/"))


def run_program(
    command: Sequence[str | Path],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = False,
    seconds: float = LIMIT,
) -> subprocess.CompletedProcess:
    """Run a program to its end; its output is text.

    Parameters
    ----------
    folder : where it works
    environment : all of its variables; None: those of this process
    check : fail where it does not end with 0
    seconds : fail, with what it has written, where it takes longer; it is killed then, with what it
        has started
    """
    with _output() as out, _output() as err:
        program, late = start_program(command, folder, environment, out, err), threading.Event()

        def kill() -> None:
            late.set()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)

        clock = threading.Timer(seconds, kill)  # `wait(seconds)` would look only every 50 ms
        clock.start()
        try:
            program.wait()
        finally:
            clock.cancel()
            if program.returncode is None:
                kill()
                program.wait()
        assert not late.is_set(), (
            f"{_line(command)} still ran after {seconds} seconds\n{_text(out)}\n{_text(err)}"
        )
        done = subprocess.CompletedProcess(command, program.returncode, _text(out), _text(err))
    assert not check or done.returncode == 0, f"{_line(command)}\n{done.stdout}\n{done.stderr}"
    return done


def stage_command(script: str, **options: str | Path) -> list[str | Path]:
    """The command line of a stage's script; its paths by the names of its options."""
    words = ((f"--{name.replace('_', '-')}", value) for name, value in options.items())
    return [
        warm.python(),
        ROOT / f"stages/{script}.py",
        *(word for pair in words for word in pair),
    ]


def start_program(
    command: Sequence[str | Path],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: IO | int = subprocess.DEVNULL,
    stderr: IO | int = subprocess.DEVNULL,
    hears_ctrl_c: bool = False,
    **options: Any,
) -> subprocess.Popen:
    """Start a program in a process group of its own, as a terminal does; `end_programs` ends it
    with the test.

    stdout, stderr : files, no pipes
    hears_ctrl_c : also where pytest itself is deaf to it, as jobs are that a script starts in the
        background
    options : further ones of `subprocess.Popen`
    """
    assert subprocess.PIPE not in (stdout, stderr)
    marked = mark_of_programs(Path(folder or "."))
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**(os.environ if environment is None else environment), **marked},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) if hears_ctrl_c else None,
        **options,
    )


def mark_of_programs(folder: Path) -> dict[str, str]:
    """A variable for the environment of a program, by which `end_programs` finds it and all that it
    starts.
    """
    _places.add(place := folder.resolve())
    return {_MARK: f"{os.getpid()} {place}"}


def programs_of(folder: Path) -> list[psutil.Process]:
    """What still runs of the programs that this process has started in the folder or below it, and
    of those that they have started.
    """
    return [process for process, where in _marked() if where.is_relative_to(folder.resolve())]


def end_programs(folder: Path) -> None:
    """End `programs_of` the folder: workers of a queue of DVC's by its own command, the rest by a
    kill.
    """
    if not any(where.is_relative_to(folder.resolve()) for _, where in _marked()):
        return
    for queue in {
        where
        for process, where in _marked()
        if where.is_relative_to(folder.resolve()) and "queue-worker" in _arguments(process)
    }:
        with contextlib.suppress(AssertionError, OSError):  # the kill below does it too
            run_program([warm.python(), "-m", "dvc", "queue", "stop", "--kill"], queue, seconds=60)
    while left := programs_of(folder):  # a program may start another one while it is being killed
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)


def _marked() -> Iterator[tuple[psutil.Process, Path]]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mark = process.environ().get(_MARK, "")
            if mark.startswith(f"{os.getpid()} ") and process.status() != psutil.STATUS_ZOMBIE:
                yield process, Path(mark.partition(" ")[2])


def _arguments(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def _output() -> IO[str]:
    return TemporaryFile("w+", encoding="utf-8", errors="replace")


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _line(command: Sequence[str | Path]) -> str:
    return " ".join(map(str, command))
