"""How pytest runs: the order of the tests, their folders, and the warm parent of its processes."""

import contextlib
import gc
import importlib
import os
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

import warm
from resources import OMI
from seeds import SEED, seed_of_run

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every stage would compile what it imports
sys.dont_write_bytecode = False  # and every run of pytest these tests, 10 s of a processor
# One thread a process: there are more workers than processors, and a fifth of what training takes
# went to threads that wait for each other. tests/test_runs.py runs the pipeline with two.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "OMP_WAIT_POLICY", "PASSIVE"
)  # threads that wait take no processor from the other worker's: a third less for `zeroshot`

# Files that take longest, the longest first: with short ones at the end, pytest's workers end
# together. One of the first three makes `built`, which the next files wait for; two need none.
LONG = (
    "test_kills.py",
    "test_runs.py",
    "test_full_disk.py",
    "test_row_bucket.py",
    "test_preprocess.py",
    "test_staleness.py",
    "test_row_runs.py",
    "test_sharing.py",
    "test_links.py",
    "test_documented_readme.py",
    "test_sharing_servers.py",
    "test_experiments.py",
    "test_service_fuzz.py",
    "test_service.py",
    "test_app_runs.py",
    "test_package.py",
    "test_forget.py",
    "test_queue_after_a_kill.py",
    "test_library.py",
    "test_documented.py",
    "test_stale.py",
    "test_faults.py",
    "test_doubts.py",
    "test_warm.py",
    "test_rows_of_two_users.py",
    "test_labelling_benchmark.py",
    "test_budget.py",
    "test_service_docs.py",
    "test_serving_runs.py",
    "test_paths.py",
    "test_output.py",
    "test_landmarks.py",
    "test_zeroshot.py",
    "test_growth.py",
    "test_pretrain.py",
    "test_regressor.py",
)

# Where tests have their folders: copies of projects, thousands of files each, cost a file system on
# a disk 3 % of the processors and waits.
MEMORY = "/dev/shm"
ROOM = 4 << 30  # bytes; four workers take less than 2

SLOW = 1200  # seconds, of a test that drives real DVC; that of the others is in pyproject.toml


def pytest_configure(config: pytest.Config) -> None:
    """Start the warm parent, one for all workers; it ends with this process.

    The fixtures import all that tests do, 5 s of a processor: they are for processes that run
    tests, which one that only hands them to workers does not.
    """
    worker = hasattr(config, "workerinput")
    if not worker:
        if has_room(MEMORY) and "TMPDIR" not in os.environ:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)
        warm.start()
    if worker or config.getoption("dist", "no") == "no" or config.option.collectonly:
        config.pluginmanager.import_plugin("shared_fixtures")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list) -> None:
    """Make pytest's workers copies of the warm parent, too."""
    for spec in specs:
        if spec.popen:
            spec.python = warm.python()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each of pytest's workers begins with other files, so that in a fresh clone all together
    compile them once, 10 s of a processor.
    """
    if facts := getattr(session.config, "workerinput", None):
        own = int(facts["workerid"].removeprefix("gw"))
        for path in sorted(Path(__file__).parent.glob("test_*.py"))[own :: facts["workercount"]]:
            with contextlib.suppress(Exception, pytest.skip.Exception):  # collecting tells why
                importlib.import_module(path.stem)


def has_room(folder: str) -> bool:
    """Whether projects of tests may lie in a folder that is memory: twice what they take is left,
    there and of all memory, and programs may run from it.
    """
    with contextlib.suppress(OSError):
        facts = os.statvfs(folder)
        free = min(facts.f_bavail * facts.f_frsize, psutil.virtual_memory().available / 2)
        return free > ROOM and os.access(folder, os.W_OK) and not facts.f_flag & os.ST_NOEXEC
    return False


def leave_further_cases(items: list[pytest.Item]) -> None:
    """Mark as thorough what comes after the first n cases of a test marked `first_cases(n)`."""
    cases: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("first_cases")
        if mark and not item.get_closest_marker("thorough"):
            test = item.nodeid.partition("[")[0]
            if cases[test] >= mark.args[0]:
                item.add_marker("thorough")
            cases[test] += 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        if {"built", "project", "unlabelled"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("long")
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        if OMI.is_dir() and parameters.get("photo_paths") == "drawn":
            item.add_marker("thorough")  # drawn faces stand in for OMI's where there are none
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW))
    leave_further_cases(items)


def pytest_collection_finish() -> None:
    """Turn the garbage collector on again, which `run_stage`'s module has turned off.

    It never looks at modules: each look takes 0.5 s, and more in a fork, which copies them then.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_report_header() -> str:
    return f"{SEED}={seed_of_run()}"
