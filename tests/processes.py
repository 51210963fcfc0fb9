"""`dvc repro` in the background, the stage that it runs, and what is left of both; copies of this
process.
"""

import contextlib
import logging
import os
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import dvc.logger
import psutil
from dvc.cli import main as dvc_main

import fast_dvc
import warm
from programs import mark_of_programs
from project import Project

PATIENCE = 120  # seconds that a busy machine may take


def run_in_fork(function: Callable[..., int | None], *arguments, seconds: float = 60) -> int:
    """Call a function in a copy of this process, whose imports are done.

    Returns its exit code, which is the function's; the negative number of a signal that ended it;
    or 1 after an error, whose traceback is printed.
    """

    def in_time() -> int | None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return function(*arguments)

    return os.waitstatus_to_exitcode(os.waitpid(start_fork(in_time), 0)[1])


def start_fork(function: Callable[[], int | None]) -> int:
    """Start a function in a copy of this process; returns its number."""
    with warnings.catch_warnings():  # Python 3.12 warns of threads, none of which the copy needs
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if not process:
        code: object = 1
        try:
            code = function() or 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else int(code is not None))
    return process


class Repro:
    """A running `dvc repro` in a process group of its own, as a terminal would start it.

    DVC is a copy of this process, which has imported it; its stages are processes as anywhere, or
    copies of the warm parent where nobody kills them.

    Parameters
    ----------
    project : whose `dvc repro`
    arguments : further ones
    undisturbed : whether nobody kills a stage of it
    environment : further variables
    """

    def __init__(
        self, project: Project, *arguments: str, undisturbed: bool = False, **environment: str
    ):
        # A file of its own: an orphan of the run before may still write into that one's.
        self._log = TemporaryFile("w+")  # noqa: SIM115 (open as long as the run)
        self._code: int | None = None
        given = project.environment | environment
        given |= {"PATH": warm.path(given["PATH"])} if undisturbed else {"PYTHONUNBUFFERED": "1"}
        given |= mark_of_programs(project.folder)

        def run() -> int:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(project.folder)
            os.environ.clear()
            os.environ.update(given)
            with open(os.devnull) as nothing:
                os.dup2(nothing.fileno(), 0)
            os.dup2(self._log.fileno(), 1)
            os.dup2(1, 2)
            os.closerange(3, 1024)
            sys.stdout, sys.stderr = (
                open(number, "w", buffering=1, closefd=False)  # noqa: SIM115
                for number in (1, 2)
            )
            for name in ("dvc", "dvc_objects", "dvc_data"):
                logging.getLogger(name).handlers.clear()
            dvc.logger.setup()  # to these files
            fast_dvc.uninstall()
            return dvc_main(["repro", *arguments])

        self.pid = start_fork(run)

    def running(self) -> bool:
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code is None

    def stage(self) -> tuple[str, int] | None:
        """Script of the stage that runs now, and its process."""
        for pid in _below(self.pid):
            with contextlib.suppress(OSError, IndexError):  # it has ended
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if (script := Path(words[1])).parent.name == "stages":
                    return script.stem, pid
        return None

    def wait_for(self, script: str) -> int | None:
        """Process of a stage, once it runs; None if DVC ends without it."""
        while self.running():
            if (running := self.stage()) and running[0] == script:
                return running[1]
            time.sleep(0.02)
        return None

    def kill(self, *pids: int) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def interrupt(self) -> None:
        """The terminal's Ctrl-C: to all processes of the group."""
        os.killpg(self.pid, signal.SIGINT)

    def wait(self) -> tuple[int, str]:
        """Exit code and output."""
        deadline = time.monotonic() + 5 * PATIENCE
        while self.running():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert self._code is not None
        self._log.seek(0)
        with self._log:
            return self._code, self._log.read()


def _below(pid: int) -> Iterator[int]:
    """Processes that a process has started, and those that these have started."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in map(int, thread.read_text().split()):
                yield child
                yield from _below(child)


def left_running(project: Project) -> list[list[str]]:
    """Command lines of the processes that work in the project's folder."""
    commands = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.folder) and process.status() != psutil.STATUS_ZOMBIE:
                commands.append(process.cmdline())
        except psutil.Error:
            continue
    return commands


def wait_until_none_is_left(project: Project) -> None:
    deadline = time.monotonic() + PATIENCE
    while (left := left_running(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def row_counts(output: str, script: str) -> dict[str, int] | None:
    """What the summary line of a stage says; None if the stage did not end well."""
    matched = re.search(
        rf"^> python stages/{script}\.py[^\n]*\n(?:(?!Running stage).*\n)*?(rows=.*) seconds=",
        output,
        re.MULTILINE,
    )
    return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", matched[1])} if matched else None
