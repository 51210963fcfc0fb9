"""Calls in processes of their own: what ends them ends neither the caller nor the next call."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from facestats.errors import FaultError
from facestats.machine import child
from facestats.machine.child import Children, CrashError
from facestats.machine.limits import Limits, OverLimitError

LIMITS = Limits(0.5, 1 << 30)


@pytest.fixture
def children():
    children = Children("child_programs", LIMITS)
    yield children
    children.close()


def test_a_process_is_kept_for_the_next_call(children):
    first, body = children.call({"name": "Anna"}, b"abc")
    assert (first["name"], bytes(body)) == ("Anna", b"cba")
    second, body = children.call({}, bytes(1 << 22))
    assert second["pid"] == first["pid"] != os.getpid()
    assert len(body) == 1 << 22


@pytest.mark.long
def test_a_call_that_takes_too_long_ends_its_process_alone(children):
    with pytest.raises(OverLimitError, match="seconds"):
        children.call({"hang": True}, b"")
    assert children.call({"name": "next"}, b"")[0]["name"] == "next"


def test_a_call_that_crashes_its_process_is_tried_again_once(children):
    with pytest.raises(CrashError, match="SIGSEGV"):
        children.call({"crash": True}, b"")
    assert children.call({"name": "next"}, b"")[0]["name"] == "next"


def test_a_process_that_is_killed_from_outside_is_replaced(children, tmp_path):
    answer, _ = children.call({"kill once": str(tmp_path / "killed")}, b"")
    os.kill(answer["pid"], 9)  # while it is idle
    assert children.call({}, b"")[0]["pid"] != answer["pid"]


def test_a_fresh_process_is_a_new_one(children):
    pid = children.call({}, b"")[0]["pid"]
    assert children.call({}, b"", fresh=True)[0]["pid"] != pid


@pytest.mark.long
def test_processes_that_are_killed_while_they_are_idle_count_for_nothing(children):
    """Two of them in a row were the next call's fault."""
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(children.call, {"wait": 0.3}, b"") for _ in range(2)]
        pids = {call.result()[0]["pid"] for call in calls}
    for pid in pids:
        os.kill(pid, 11)
    for pid in pids:
        wait_for_end(pid)
    assert children.call({}, b"")[0]["pid"] not in pids


def wait_for_end(pid):
    deadline = time.monotonic() + 10
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_process_that_ends_by_itself_is_a_fault(children):
    with pytest.raises(FaultError, match=r"ended twice \(exit code 3\)"):
        children.call({"leave": True}, b"")


def test_an_interrupted_call_leaves_no_answer_for_the_next(children, monkeypatch):
    pid = children.call({}, b"")[0]["pid"]

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(child, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            children.call({"name": "Anna"}, b"")
    answer, _ = children.call({"name": "Bert"}, b"")
    assert (answer["name"], answer["pid"] == pid) == ("Bert", False)


@pytest.mark.long
def test_threads_have_a_process_each(children):
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(children.call, {"wait": 0.3, "n": n}, b"") for n in range(3)]
        answers = [call.result()[0] for call in calls]
    assert [answer["n"] for answer in answers] == [0, 1, 2]
    assert len({answer["pid"] for answer in answers}) > 1


@pytest.mark.long
def test_a_copy_of_the_caller_starts_processes_of_its_own(children):
    pid = children.call({}, b"")[0]["pid"]
    reader, writer = os.pipe()
    if (copy := os.fork()) == 0:
        try:
            os.write(writer, str(children.call({}, b"")[0]["pid"]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        other = int(file.read())
    os.waitpid(copy, 0)
    assert other != pid
    assert children.call({}, b"")[0]["pid"] == pid


def test_no_module_of_the_working_folder_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("import os; os.mkdir('loaded')")
    monkeypatch.chdir(tmp_path)
    children = Children("child_programs", LIMITS)
    children.call({}, b"")
    children.close()
    assert not (tmp_path / "loaded").exists()
