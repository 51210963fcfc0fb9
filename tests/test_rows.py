"""The row store: rows are kept, damaged ones are named and recomputed, runs take turns."""

import errno
import multiprocessing
import os
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from facestats.__main__ import main
from facestats.errors import InputError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.place import find_store
from facestats.rows.store import FILES, RowStore
from facestats.rows.usage import measure, prune

HALF_WRITTEN = f".{'0' * 32}.99999999"  # more than any process has as its number
COLUMNS = {"key": pa.string(), "embedding": pa.list_(pa.float32(), 4)}


def row(name: str, value: float = 0.5) -> dict:
    return {"key": name, "embedding": np.full(4, value, np.float32)}


@pytest.fixture
def open_rows(tmp_path):
    """Opens the same store anew; what it warns of is collected."""
    warnings = []

    def opened(recipe="a" * 64, columns=COLUMNS, **options):
        return RowStore(
            tmp_path / "store", "embed", recipe, columns, warn=warnings.append, **options
        )

    opened.warnings = warnings
    opened.folder = tmp_path / "store" / "embed" / ("a" * 32)
    return opened


def segments_in(folder):
    return sorted(folder.glob("*.parquet"))


def keys_of(table: pa.Table) -> list[str]:
    return sorted(table["key"].to_pylist())


def put(open_rows, *names, **options):
    with open_rows(**options) as rows:
        rows.lookup(names)
        for name in names:
            rows.add(row(name))


def test_rows_are_found_again_bit_for_bit(open_rows):
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    with open_rows() as rows:
        assert len(rows.lookup(["a"])) == 0
        for name, value in zip("abc", values, strict=True):
            rows.add({"key": name, "embedding": value})
    with open_rows() as rows:
        stored = rows.lookup(["c", "a", "other"])
    assert keys_of(stored) == ["a", "c"]
    by_key = dict(zip(stored["key"].to_pylist(), stored["embedding"].to_pylist(), strict=True))
    assert np.array_equal(np.float32(by_key["a"]), values[0])
    assert np.array_equal(np.float32(by_key["c"]), values[2])
    assert open_rows.warnings == []


def test_rows_of_another_recipe_are_not_found(open_rows):
    put(open_rows, "a")
    with open_rows(recipe="b" * 64) as rows:
        assert len(rows.lookup(["a"])) == 0


def test_a_key_is_stored_once(open_rows):
    put(open_rows, "a", "b", "a")
    put(open_rows, "a")
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a", "b"])) == ["a", "b"]


@pytest.mark.long
def test_many_runs_leave_few_segments(open_rows):
    for n in range(60):
        put(open_rows, f"row{n}")
        with open_rows() as rows:
            assert len(rows.lookup([f"row{i}" for i in range(60)])) == n + 1
    assert len(segments_in(open_rows.folder)) <= 17


def test_work_is_saved_while_it_goes_on(open_rows, monkeypatch):
    monkeypatch.setattr("facestats.rows.store._SAVE_EVERY", 0.05)
    with open_rows() as rows:
        rows.add(row("a"))
        time.sleep(0.06)
        rows.add(row("b"))
        assert len(segments_in(open_rows.folder)) == 1


def test_what_was_finished_before_an_error_is_kept(open_rows):
    def interrupted():
        with open_rows() as rows:
            rows.add(row("a"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a"])) == ["a"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_segment_is_named_and_its_rows_are_wanted_again(open_rows, damage):
    put(open_rows, "a")
    [path] = segments_in(open_rows.folder)
    damage(path)
    with open_rows() as rows:
        assert len(rows.lookup(["a"])) == 0
        rows.add(row("a"))
    assert str(path) in open_rows.warnings[0]
    assert "its bytes are not those that were written" in open_rows.warnings[0]
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a"])) == ["a"]
    assert len(open_rows.warnings) == 1


def test_rows_of_another_variant_are_named(open_rows):
    put(open_rows, "a", recipe="b" * 64)
    [path] = segments_in(open_rows.folder.with_name("b" * 32))
    open_rows.folder.mkdir()
    path.rename(open_rows.folder / path.name)
    with open_rows() as rows:
        assert len(rows.lookup(["a"])) == 0
    assert "of another variant or other parameters" in open_rows.warnings[0]
    assert segments_in(open_rows.folder) == []


def test_rows_with_other_columns_are_named(open_rows):
    put(open_rows, "a")
    with open_rows(columns={**COLUMNS, "more": pa.int32()}) as rows:
        assert len(rows.lookup(["a"])) == 0
    assert "its columns are not those of this version" in open_rows.warnings[0]


def test_rows_can_be_computed_anew(open_rows):
    put(open_rows, "a", "b")
    with open_rows(reuse=False) as rows:
        assert len(rows.lookup(["a"])) == 0
        rows.add(row("a", 0.25))
    with open_rows() as rows:
        stored = rows.lookup(["a", "b"])
    assert dict(zip(stored["key"].to_pylist(), stored["embedding"].to_pylist(), strict=True)) == {
        "a": [0.25] * 4,
        "b": [0.5] * 4,
    }


def test_rows_of_an_earlier_run_are_taken_and_kept(open_rows):
    put(open_rows, "a")
    earlier = pa.table(
        {"key": ["a", "b", "c"], "embedding": pa.array([[1.0] * 4] * 3, COLUMNS["embedding"])}
    )
    with open_rows() as rows:
        stored = rows.lookup(["a", "b"], lambda: earlier)
    assert dict(zip(stored["key"].to_pylist(), stored["embedding"].to_pylist(), strict=True)) == {
        "a": [0.5] * 4,
        "b": [1.0] * 4,
    }
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a", "b", "c"])) == ["a", "b"]


def _hold(folder, started, seconds):
    with RowStore(folder, "embed", "a" * 64, COLUMNS) as rows:
        started.set()
        time.sleep(seconds)
        rows.add(row("a"))


def start_other_run(folder, seconds) -> multiprocessing.Process:
    """Another process that holds the rows by now, and will for so long; then it adds one."""
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    other = context.Process(target=_hold, args=(folder, started, seconds), daemon=True)
    other.start()
    assert started.wait(30)
    return other


@pytest.mark.thorough
@pytest.mark.long
def test_a_second_run_waits_for_the_first_and_finds_its_rows(open_rows, tmp_path):
    other = start_other_run(tmp_path / "store", seconds=1)
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a"])) == ["a"]
    other.join()
    assert "another run computes rows of the same kind" in open_rows.warnings[0]


@pytest.mark.long
def test_a_killed_run_holds_no_one_up(open_rows, tmp_path):
    other = start_other_run(tmp_path / "store", seconds=600)
    (open_rows.folder / HALF_WRITTEN).write_bytes(b"x")
    other.kill()
    other.join()
    with open_rows() as rows:
        assert len(rows.lookup(["a"])) == 0
    assert not (open_rows.folder / HALF_WRITTEN).exists()
    assert open_rows.warnings == []


def test_a_store_that_can_be_read_only_is_read(open_rows, monkeypatch):
    put(open_rows, "a")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(RowStore, "_take", refuse)
    with open_rows() as rows:
        assert keys_of(rows.lookup(["a", "b"])) == ["a"]
        rows.add(row("b"))
    assert "can't be written (Permission denied)" in open_rows.warnings[0]
    assert len(segments_in(open_rows.folder)) == 1


def test_without_a_store_nothing_is_found_and_nothing_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RowStore(None, "embed", "a" * 64, COLUMNS) as rows:
        rows.add(row("a"))
        assert len(rows.lookup(["a"])) == 0
        md5 = rows.files.save(b"crop", tmp_path / "faces/a.jpg")
        assert rows.files.place(md5, tmp_path / "faces/b.jpg") is False
    assert [path.name for path in tmp_path.rglob("*")] == ["faces", "a.jpg"]


def test_the_store_lies_beside_the_cache_or_where_the_environment_says(tmp_path, monkeypatch):
    cache = DvcCache(tmp_path, tmp_path / ".dvc/cache")
    cache.folder.mkdir(parents=True)
    assert find_store(cache) == tmp_path / ".dvc/facestats-rows"
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "access", lambda path, _: path != tmp_path / ".dvc"
        )  # a shared cache in a folder of root's
        assert find_store(cache) == tmp_path / ".dvc/cache/facestats-rows"
        (tmp_path / ".dvc/cache/facestats-rows").mkdir()
    assert (
        find_store(cache) == tmp_path / ".dvc/cache/facestats-rows"
    )  # by somebody who could write beside it, too
    assert find_store(None) is None
    monkeypatch.setenv("FACESTATS_ROWS", str(tmp_path / "rows"))
    assert find_store(cache) == find_store(None) == tmp_path / "rows"


# --- usage ----------------------------------------------------------------------------------------


def test_pruning_keeps_what_the_current_outs_use(open_rows, tmp_path):
    columns = {**COLUMNS, "crop": pa.string()}
    with RowStore(tmp_path / "store", "preprocess", "a" * 64, columns) as rows:
        crops = {
            name: rows.files.save(name.encode(), tmp_path / f"out/{name}.jpg") for name in "ab"
        }
        for name in "ab":
            rows.add(row(name) | {"crop": crops[name]})
    put(open_rows, "x")
    pd.DataFrame({"key": ["b", None]}).to_parquet(tmp_path / "faces.parquet")
    (tmp_path / "dvc.lock").write_text(
        "stages: {preprocess: {outs: [{path: faces.parquet, md5: abcdef}]}}"
    )
    cache = DvcCache(tmp_path, tmp_path / "cache")

    usage = measure(tmp_path / "store", cache)
    assert (usage["preprocess"].rows, usage["preprocess"].used) == (2, 1)
    assert (usage["embed"].rows, usage["embed"].used) == (1, 0)
    assert 0 < usage["preprocess"].used_size < usage["preprocess"].size
    with open_rows():  # a run that uses these rows
        assert list(prune(tmp_path / "store", cache)) == [open_rows.folder]
    folder = tmp_path / "store/preprocess" / ("a" * 32)
    assert [path.name for path in (folder / FILES).iterdir()] == [crops["b"]]
    assert measure(tmp_path / "store", cache)["embed"].rows == 1
    assert prune(tmp_path / "store", cache) == {}
    assert "embed" not in measure(tmp_path / "store", cache)
    with RowStore(tmp_path / "store", "preprocess", "a" * 64, columns) as rows:
        assert keys_of(rows.lookup(["a", "b"])) == ["b"]


def test_what_another_user_keeps_to_themselves_is_not_taken_for_nothing(
    open_rows, tmp_path, monkeypatch, capsys
):
    def refuse(folder, name):
        raise PermissionError(errno.EACCES, "Permission denied", name)

    put(open_rows, "x")
    monkeypatch.setattr("facestats.rows.usage.read_manifest", refuse)
    assert measure(tmp_path / "store", None)["embed"].unread == 1
    monkeypatch.setenv("FACESTATS_ROWS", str(tmp_path / "store"))
    assert main(["rows"]) == 0
    assert "warning: without 1 file or folders of the store" in capsys.readouterr().out


def test_pruning_removes_nothing_where_the_current_outs_are_not_known(open_rows, tmp_path):
    put(open_rows, "x")
    with pytest.raises(InputError, match="it is unknown which rows are in use"):
        prune(tmp_path / "store", None)
    (tmp_path / "dvc.lock").write_text("<<<<<<< HEAD")
    with pytest.raises(InputError, match=r"dvc\.lock is missing or damaged"):
        prune(tmp_path / "store", DvcCache(tmp_path, tmp_path / "cache"))
    assert measure(tmp_path / "store", None)["embed"].rows == 1


def test_pruning_leaves_a_folder_alone_that_is_no_row_store(tmp_path):
    mine = [
        tmp_path / "home" / name
        for name in (
            "sub/project/table.parquet",
            "sub/project/.env",
            "sub/project/files/thesis.doc",
        )
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    (tmp_path / "dvc.lock").write_text(
        "stages: {preprocess: {outs: [{path: faces.parquet, md5: abcdef}]}}"
    )
    prune(tmp_path / "home", DvcCache(tmp_path, tmp_path / "cache"))
    assert sorted(path for path in (tmp_path / "home").rglob("*") if path.is_file()) == sorted(mine)


@pytest.mark.parametrize("odd", ["", "files", ".left", "x.parquet", "../{recipe}.lock"])
def test_odd_things_in_the_store_are_no_traceback(open_rows, tmp_path, odd):
    """A file where a folder belongs, folders where files do."""
    place = open_rows.folder / odd.format(recipe=open_rows.folder.name)
    if odd in ("", "files"):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
    else:
        open_rows.folder.mkdir(parents=True)
        place.mkdir()
    with open_rows() as rows:
        rows.lookup(["a"])
        rows.add(row("a"))
    assert len(open_rows.warnings) == (odd not in (".left", "../{recipe}.lock"))
    measure(tmp_path / "store", None)
