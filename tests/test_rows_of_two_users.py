"""People of one group who share a cache: real users, with either umask.

Nobody can hold the others up for ever.
"""

import fcntl
import multiprocessing
import os
import shutil
import stat
import tempfile
import time
import traceback
from pathlib import Path

import pyarrow as pa
import pytest

from facestats.rows.dvc_cache import DvcCache, find_dvc_cache
from facestats.rows.lock import using
from facestats.rows.place import find_store, sharing_of
from facestats.rows.store import RowStore
from facestats.rows.usage import prune

pytestmark = pytest.mark.long
ANNA, BERT, PASSER_BY, GROUP = 61001, 61002, 61003, 61000
COLUMNS = {"key": pa.string(), "crop": pa.string()}


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_rows_of_two_users"])
    return context


def _as(user: int, umask: int, queue, function, arguments) -> None:
    """Become that user for good, and do it."""
    os.setgroups([] if user == PASSER_BY else [GROUP])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.umask(umask)
    try:
        queue.put((function(*arguments), None))
    except BaseException:
        queue.put((None, traceback.format_exc()))


@pytest.fixture
def as_user(context):
    """Calls a function as a user, in a process of its own, and returns what it returns."""
    if os.geteuid():
        pytest.skip("only root can become two users")

    def call(user: int, umask: int, function, *arguments):
        queue = context.Queue()
        process = context.Process(
            target=_as, args=(user, umask, queue, function, arguments), daemon=True
        )
        process.start()
        result, error = queue.get(timeout=60)
        process.join(60)
        assert error is None, error
        return result

    return call


@pytest.fixture
def cache():
    """A shared cache as DVC's manual has it set up; pytest's own folders are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="facestats-shared-"))
    folder.chmod(0o755)
    (folder / "cache").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "cache", ANNA, GROUP)
    (folder / "cache").chmod(0o2775)
    if os.geteuid() == 0:
        os.chown(folder, 61004, -1)  # nobody of the group, so that the store lies in the cache
    (folder / "dvc.lock").write_text("stages: {other: {outs: [{path: x, md5: y}]}}")
    yield DvcCache(folder, folder / "cache", shared=True)
    shutil.rmtree(folder)


def run(
    cache: DvcCache, add: str, patience: float = 60.0, where: str = ""
) -> tuple[list[str], list[str]]:
    """A run that wants all rows and adds one with its file, on a machine of the kind `where`.

    Returns what it found, and its warnings.
    """
    warnings: list[str] = []
    with (
        tempfile.TemporaryDirectory() as out,
        RowStore(
            find_store(cache),
            "preprocess",
            "a" * 64,
            COLUMNS,
            cache=cache,
            warn=warnings.append,
            patience=patience,
            where=where,
        ) as rows,
    ):
        stored = rows.lookup(["anna's", "bert's", "late"])
        for row in stored.to_pylist():
            assert rows.files.place(row["crop"], Path(out) / "placed.jpg")
        rows.add({"key": add, "crop": rows.files.save(add.encode(), Path(out) / "new.jpg")})
        assert (Path(out) / "new.jpg").read_bytes() == add.encode()
    return sorted(stored["key"].to_pylist()), warnings


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_rows_are_shared_as_dvcs_cache_is(as_user, cache, umask):
    """The second person's first new photo ended in `Permission denied`."""
    assert as_user(ANNA, umask, run, cache, "anna's") == ([], [])
    assert as_user(BERT, umask, run, cache, "bert's") == (["anna's"], [])
    assert as_user(ANNA, umask, run, cache, "late") == (["anna's", "bert's"], [])
    paths = [
        path
        for path in (cache.folder / "facestats-rows").rglob("*")
        if path.suffix != ".lock" and path.name != ".gitignore"
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o2775}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o664}
    assert {path.stat().st_gid for path in paths} == {GROUP}
    (lock,) = (cache.folder / "facestats-rows").rglob("*.lock")
    assert stat.S_IMODE(lock.stat().st_mode) == 0o660
    assert as_user(BERT, umask, prune, cache.folder / "facestats-rows", cache) == {}
    assert list((cache.folder / "facestats-rows").rglob("*.parquet")) == []


def test_a_warning_of_rows_from_elsewhere_comes_once_a_store_for_all(as_user, cache):
    assert as_user(ANNA, 0o077, run, cache, "anna's", 60.0, "one kind") == ([], [])
    _, (warning,) = as_user(ANNA, 0o077, run, cache, "late", 60.0, "another")
    assert "not known to be of this kind of machine (another)" in warning
    assert as_user(BERT, 0o077, run, cache, "bert's", 60.0, "another") == (["anna's", "late"], [])


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_cant_be_written_is_a_warning(as_user, cache, umask):
    """A store that its owner has not shared."""
    alone = DvcCache(cache.root, cache.folder)
    assert as_user(ANNA, umask, run, alone, "anna's") == ([], [])
    stored, warnings = as_user(BERT, umask, run, alone, "bert's")
    assert stored == (["anna's"] if umask == 0o022 else [])
    assert len(warnings) == 1
    assert "can't be written (Permission denied): no row is saved" in warnings[0]
    assert as_user(ANNA, umask, run, alone, "late") == (["anna's"], [])
    assert (
        "can't be written (Permission denied)"
        in next(
            iter(as_user(BERT, umask, prune, cache.folder / "facestats-rows", alone).values()), ""
        )
        or umask == 0o077
    )


def hold(cache: DvcCache, queue) -> None:
    with using(cache.folder / "facestats-rows/preprocess" / ("a" * 32), sharing_of(cache)):
        queue.put("held")
        time.sleep(600)


def grab(lock: Path) -> str:
    """What a user with no rights tries."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "held"
    except OSError as error:
        return type(error).__name__


@pytest.mark.thorough
def test_a_lock_is_not_held_by_a_passer_by(as_user, cache):
    for shared in (cache, DvcCache(cache.root, cache.folder)):
        as_user(ANNA, 0o022, run, shared, "anna's")
        (lock,) = (cache.folder / "facestats-rows").rglob("*.lock")
        assert as_user(PASSER_BY, 0o022, grab, lock) == "PermissionError"
        shutil.rmtree(cache.folder / "facestats-rows")


@pytest.mark.thorough
def test_a_run_that_waits_in_vain_says_for_whom_and_computes_too(as_user, cache, context):
    as_user(ANNA, 0o022, run, cache, "anna's")
    queue = context.Queue()
    holder = context.Process(
        target=_as, args=(BERT, 0o022, queue, hold, (cache, queue)), daemon=True
    )
    holder.start()
    assert queue.get(timeout=60) == "held"
    stored, warnings = as_user(ANNA, 0o022, run, cache, "late", 0.5)
    holder.kill()
    holder.join()
    who = f"process {holder.pid} of {BERT} on {os.uname().nodename}"
    assert stored == ["anna's"]
    assert (
        f"another run computes rows of the same kind ({who}): waiting until it ends or has"
        in warnings[0]
    )
    assert (
        f"are held by another run ({who}) that added none for 0.5 s: this run computes "
        "them, too" in warnings[1]
    )
    assert as_user(ANNA, 0o022, run, cache, "later") == (["anna's", "late"], [])


def test_dvcs_setting_is_read(tmp_path):
    (tmp_path / ".dvc").mkdir()
    assert find_dvc_cache(tmp_path).shared is False
    (tmp_path / ".dvc/config").write_text("[cache]\n    shared = group\n")
    stored = find_dvc_cache(tmp_path)
    assert stored.shared is True
    assert (sharing_of(stored).file, sharing_of(stored).folder) == (0o664, 0o2775)
