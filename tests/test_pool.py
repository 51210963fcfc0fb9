"""Worker processes: the limits of one item, and the others when its process ends."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from facestats.errors import FaultError, InputError
from facestats.machine import pool
from facestats.machine.limits import Limits, OverLimitError, is_own_limit
from facestats.machine.pool import KilledError, ordered_map
from programs import run_program

LIMITS = Limits(seconds=1, memory=1 << 28)
_state = []


def set_up(*arguments):
    _state[:] = arguments


def work(item):
    """What an item says."""
    if item == "hang":
        while True:
            pass
    if item == "memory":
        try:
            np.ones(1 << 29)  # 4 GB
        except MemoryError:
            assert is_own_limit(1 << 28)
            raise OverLimitError("memory") from None
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if isinstance(item, tuple):  # killed at the first attempt only
        try:
            os.close(os.open(item[1], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "second"
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "fault":
        raise FaultError("a disk that fails")
    if item == "bug":
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "a bug")
    return item


def over(item, error):
    return f"{item}: {error}"


@pytest.mark.long
def test_items_over_their_limits_are_results_and_the_others_are_done():
    items = [*range(9), "hang", *range(5), "memory", *range(9), "hang", "crash", 9]
    results = list(ordered_map(work, items, 2, set_up, (), LIMITS, over))
    assert results == [
        {
            "hang": "hang: seconds",
            "memory": "memory: memory",
            "crash": "crash: SIGSEGV",
        }.get(item, item)
        for item in items
    ]


@pytest.mark.long
def test_a_process_that_is_killed_once_costs_nothing(tmp_path):
    items = [*range(6), ("kill", str(tmp_path / "first")), *range(6)]
    assert list(ordered_map(work, items, 2, set_up, ())) == [*range(6), "second", *range(6)]


@pytest.mark.long
def test_an_item_whose_process_is_killed_twice_is_named():
    done = []

    def collect(results):
        for result in results:
            done.append(result)

    with pytest.raises(
        KilledError,
        match=r"^<kill>: its worker process was killed twice \(signal SIGKILL\), most likely for "
        "lack of memory.*fewer processors",
    ):
        collect(
            ordered_map(
                work, [*range(6), "kill", *range(6)], 1, set_up, (), name=lambda item: f"<{item}>"
            )
        )
    assert done == list(range(6))


@pytest.mark.long
@pytest.mark.parametrize(
    ("item", "error", "text"),
    [("fault", FaultError, "a disk that fails"), ("bug", UnicodeDecodeError, "a bug")],
)
def test_an_error_arrives_as_it_was_raised(item, error, text):
    with pytest.raises(error, match=text):
        list(ordered_map(work, [1, item], 1, set_up, ()))


def fail():
    raise InputError("no models")


@pytest.mark.long
def test_an_error_of_the_setup_arrives_too():
    with pytest.raises(InputError, match="no models"):
        list(ordered_map(work, [1, 2], 1, fail, ()))


@pytest.mark.long
def test_no_shared_memory_is_needed(monkeypatch):
    """Queues and locks of `multiprocessing` need /dev/shm, which some containers lack."""
    import _multiprocessing

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_multiprocessing, "SemLock", refuse)
    assert list(ordered_map(work, range(20), 2, set_up, ())) == list(range(20))


@pytest.mark.long
def test_processes_end_with_the_one_who_asks(monkeypatch):
    results = ordered_map(work, iter(range(1000)), 2, set_up, ())
    assert next(results) == 0
    children = {process.pid for process in pool.multiprocessing.active_children()}
    assert len(children) == 2
    results.close()
    deadline = time.monotonic() + 5
    while pool.multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not pool.multiprocessing.active_children()


@pytest.mark.long
def test_ctrl_c_while_a_stage_imports_is_one_word():
    script = (
        "import os, signal, time\n"
        # a shell's background jobs inherit that it is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from facestats.run.stage import run_stage\n"
        "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    )
    done = run_program([sys.executable, "-c", script])
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


held = []


def hold(item):
    """Take what earlier items left, and keep some of it."""
    if len(held) + item > 3:
        raise OverLimitError("memory")
    held.append(item)
    return item


@pytest.mark.long
def test_what_earlier_items_hold_is_no_fault_of_the_next():
    """Sixteen profiles of colours, kept for later photos, had a good one rejected."""
    found = ordered_map(
        hold, [1, 1, 3, 1, 9, 2], 1, set_up, (), Limits(9, 1 << 30), lambda item, error: str(error)
    )
    assert list(found) == [1, 1, 3, 1, "memory", 2]
