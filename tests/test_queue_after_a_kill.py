"""A queued run whose worker was killed goes away as docs/troubleshooting.md says it."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from documented import read
from documented_commands import spans
from processes import left_running
from programs import end_programs, programs_of
from project import Project

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

STAGES = (
    "stages:\n  wait:\n    cmd: echo $$ > {pid}; exec sleep 120\n    params: [a]\n    outs: [o]\n"
)
PATIENCE = 120  # seconds that a busy machine may take


@pytest.fixture
def queued(tmp_path):
    """A project whose only stage waits."""
    project = Project.at(tmp_path)
    project.cold = True  # the group of a copy is the warm parent's, and the test kills it
    project.folder.mkdir()
    project.git("init", "-q", "-b", "main")
    project.dvc("init", "-q")
    (project.folder / "params.yaml").write_text("a: 1\n")
    (project.folder / "dvc.yaml").write_text(STAGES.format(pid=tmp_path / "pid"))
    project.commit("waits")
    return project


def end_of_group(pid: int) -> None:
    """Kill a stage with the worker that runs it, and wait until they are gone."""
    group = os.getpgid(pid)
    assert group != os.getpgrp()
    worker = psutil.Process(group)
    os.killpg(group, signal.SIGKILL)
    psutil.wait_procs([worker], timeout=PATIENCE)


def start_queue(queued: Project, pid: Path) -> int:
    """Start a worker in the background, and wait for its first stage.

    Returns that one's process.
    """
    queued.dvc("queue", "start")
    deadline = time.monotonic() + PATIENCE
    while not pid.is_file() or not pid.read_text():
        assert time.monotonic() < deadline, queued.dvc("queue", "status").stdout
        time.sleep(0.2)
    return int(pid.read_text())


def test_a_task_that_was_killed_is_removed_and_can_be_queued_anew(queued, tmp_path):
    (command,) = (
        span for span in spans(read("docs/troubleshooting.md")) if span.startswith("dvc queue kill")
    )
    queued.dvc("exp", "run", "--queue", "-n", "one", "-S", "a=2")
    end_of_group(start_queue(queued, tmp_path / "pid"))
    assert "Running" in queued.dvc("queue", "status").stdout  # for ever
    queued.run("bash", "-euxc", command.replace("NAME", "one"))
    assert "No experiment tasks in the queue" in queued.dvc("queue", "status").stdout
    queued.dvc("exp", "run", "--queue", "-n", "one", "-S", "a=3")
    assert "Queued" in queued.dvc("queue", "status").stdout

    (tmp_path / "pid").unlink()
    start_queue(queued, tmp_path / "pid")  # as a test would that fails in the middle
    assert {"queue-worker", "sleep"} <= {
        argument for process in programs_of(tmp_path) for argument in process.cmdline()
    }
    end_programs(tmp_path)
    assert programs_of(tmp_path) == left_running(queued) == []
