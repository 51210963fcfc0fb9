"""A queued run whose worker was killed goes away as docs/troubleshooting.md says it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from documented import read
from documented_commands import spans
from project import Project

pytestmark = pytest.mark.slow

STAGES = "stages:\n  wait:\n    cmd: echo $$ > {pid}; exec sleep 120\n    params: [a]\n    outs: [o]\n"
PATIENCE = 120  # seconds that a busy machine may take


@pytest.fixture
def queued(tmp_path):
    """A project whose only stage waits."""
    project = Project.at(tmp_path)
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


def test_a_task_that_was_killed_is_removed_and_can_be_queued_anew(queued, tmp_path):
    (command,) = (span for span in spans(read("docs/troubleshooting.md")) if span.startswith("dvc queue kill"))
    queued.dvc("exp", "run", "--queue", "-n", "one", "-S", "a=2")
    # What it says goes nowhere: the worker would hold a pipe open as long as it lives.
    subprocess.run([sys.executable, "-m", "dvc", "queue", "start"], cwd=queued.folder, env=queued.environment, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline, queued.dvc("queue", "status").stdout
        time.sleep(0.2)
    end_of_group(int((tmp_path / "pid").read_text()))
    assert "Running" in queued.dvc("queue", "status").stdout  # for ever
    subprocess.run(["bash", "-eux", "-c", command.replace("NAME", "one")], cwd=queued.folder, env=queued.environment, check=True)
    assert "No experiment tasks in the queue" in queued.dvc("queue", "status").stdout
    queued.dvc("exp", "run", "--queue", "-n", "one", "-S", "a=3")
    assert "Queued" in queued.dvc("queue", "status").stdout
