"""`dvc repro` in the background, the stage that it runs, and what is left of both; copies of this
process.
"""

import os
import re
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from programs import start_program
from project import Project

PATIENCE = 120  # seconds that a busy machine may take


def run_in_fork(function: Callable[..., int | None], *arguments, seconds: float = 60) -> int:
    """Call a function in a copy of this process, whose imports are done.

    Returns its exit code, which is the function's; the negative number of a signal that ended it;
    or 1 after an error, whose traceback is printed.
    """
    with warnings.catch_warnings():  # Python 3.12 warns of threads, none of which the copy needs
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if not process:
        code = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            code = function(*arguments) or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Repro:
    """A running `dvc repro` in a process group of its own, as a terminal would start it.

    Parameters
    ----------
    project : whose `dvc repro`
    arguments : further ones
    environment : further variables
    """

    def __init__(self, project: Project, *arguments: str, **environment: str):
        # A file of its own: an orphan of the run before may still write into that one's.
        self._log = TemporaryFile("w+")  # noqa: SIM115 (open as long as the run)
        self._run = start_program(
            [sys.executable, "-m", "dvc", "repro", *arguments],
            project.folder,
            project.environment | {"PYTHONUNBUFFERED": "1"} | environment,
            self._log,
            subprocess.STDOUT,
            hears_ctrl_c=True,
        )
        self.pid = self._run.pid

    def running(self) -> bool:
        return self._run.poll() is None

    def stage(self) -> tuple[str, int] | None:
        """Script of the stage that runs now, and its process."""
        try:
            for process in psutil.Process(self.pid).children(recursive=True):
                try:
                    scripts = [Path(part) for part in process.cmdline()[1:2]]
                except psutil.Error:
                    continue
                if scripts and scripts[0].parent.name == "stages":
                    return scripts[0].stem, process.pid
        except psutil.Error:
            pass
        return None

    def wait_for(self, script: str) -> int | None:
        """Process of a stage, once it runs; None if DVC ends without it."""
        while self.running():
            if (found := self.stage()) and found[0] == script:
                return found[1]
            time.sleep(0.05)  # psutil looks through all processes for it
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
        code = self._run.wait(timeout=5 * PATIENCE)
        self._log.seek(0)
        with self._log:
            return code, self._log.read()


def left_running(project: Project) -> list[list[str]]:
    """Command lines of the processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


def wait_until_none_is_left(project: Project) -> None:
    deadline = time.monotonic() + PATIENCE
    while (left := left_running(project)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def row_counts(output: str, script: str) -> dict[str, int] | None:
    """What the summary line of a stage says; None if the stage did not end well."""
    found = re.search(
        rf"^> python stages/{script}\.py[^\n]*\n(?:(?!Running stage).*\n)*?(rows=.*) seconds=",
        output,
        re.MULTILINE,
    )
    return {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", found[1])} if found else None
