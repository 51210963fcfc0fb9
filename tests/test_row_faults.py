"""A failing machine says nothing about what is stored or in use: no row is removed for it."""

import errno

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facestats.errors import FaultError, InputError
from facestats.machine import faults
from facestats.rows import dvc_cache, files, segments, usage
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.folder import Folder
from facestats.rows.place import open_store
from facestats.rows.recipes import read_rows, recipes
from facestats.rows.removal import forget_rows
from facestats.rows.store import RowStore
from facestats.rows.usage import measure, prune

COLUMNS = {"key": pa.string()}
MD5 = "0" * 32
FAULTS = ["EMFILE", "EIO", "ENOMEM", "EACCES"]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(faults, "PAUSES", (0,))


@pytest.fixture
def cache(tmp_path):
    """A project whose `embed` uses the row a, of a.jpg; b and c are stored, too."""
    with RowStore(tmp_path / "store", "embed", "a" * 64, COLUMNS) as rows:
        rows.lookup([])
        for name in "abc":
            rows.add({"key": name})
    embeddings(tmp_path / "embeddings.parquet")
    (tmp_path / "dvc.lock").write_text(
        f"stages: {{embed: {{outs: [{{path: embeddings.parquet, md5: '{MD5}'}}]}}}}"
    )
    return DvcCache(tmp_path, tmp_path / "cache")


def embeddings(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"filename": ["a.jpg"], "key": ["a"]}).to_parquet(path)


def kept(cache: DvcCache) -> list[str]:
    table = read_rows(cache.root / "store", "embed", "a" * 64, COLUMNS)
    return sorted(table["key"].to_pylist())


def failing(name: str):
    def fail(*_, **__):
        raise OSError(getattr(errno, name), "no", "embeddings.parquet")

    return fail


def remove_unused(cache):
    prune(cache.root / "store", cache)


def remove_a_person(cache):
    forget_rows(cache.root / "store", cache, [], ["b.jpg"])


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("command", [remove_unused, remove_a_person])
def test_outs_that_cannot_be_read_are_not_unused(cache, monkeypatch, command, name):
    with monkeypatch.context() as patch:
        patch.setattr(usage.pq, "ParquetFile", failing(name))
        with pytest.raises(FaultError, match=r"embeddings\.parquet can't be read: .*no fault of"):
            command(cache)
    assert kept(cache) == ["a", "b", "c"]
    command(cache)
    assert kept(cache) == ["a"]


@pytest.mark.parametrize("command", [remove_unused, remove_a_person])
def test_want_of_memory_does_not_make_an_out_unused(cache, monkeypatch, command):
    def fail(*_, **__):
        raise pa.ArrowMemoryError("realloc of size 128 failed")

    with monkeypatch.context() as patch:
        patch.setattr(usage.pq, "ParquetFile", fail)
        with pytest.raises(FaultError, match="Cannot allocate memory"):
            command(cache)
    assert kept(cache) == ["a", "b", "c"]


def test_a_fault_at_the_second_look_does_not_keep_a_persons_row(cache, monkeypatch):
    """The row of a.jpg would be taken for another face's."""
    opened, calls = pq.ParquetFile, []

    def second_fails(path, **options):
        calls.append(path)
        return opened(path, **options) if len(calls) == 1 else failing("EIO")()

    monkeypatch.setattr(usage.pq, "ParquetFile", second_fails)
    forget_rows(cache.root / "store", cache, [], ["a.jpg"])
    monkeypatch.undo()
    assert kept(cache) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_dvc_lock_that_cannot_be_read_lists_no_outs(cache, monkeypatch, name):
    """It is read for each recipe: once was enough to find that there are outs."""
    read, calls = dvc_cache.Path.read_bytes, []

    def later_fails(path):
        calls.append(path)
        return read(path) if len(calls) == 1 else failing(name)()

    monkeypatch.setattr(dvc_cache.Path, "read_bytes", later_fails)
    with pytest.raises(FaultError, match=r"dvc\.lock can't be read"):
        prune(cache.root / "store", cache)
    monkeypatch.undo()
    assert kept(cache) == ["a", "b", "c"]


@pytest.mark.parametrize("damaged", [False, True])
def test_pruning_is_refused_where_an_out_is_lost(cache, damaged):
    """As in a clone before `dvc pull`, whose store is shared."""
    out = cache.root / "embeddings.parquet"
    out.unlink()
    if damaged:
        out.write_bytes(b"PAR1")
    with pytest.raises(
        InputError,
        match=r"embeddings\.parquet is missing or damaged, also in DVC's cache, so it is unknown "
        "which rows are in use; `dvc pull` or `dvc repro`, then prune",
    ):
        prune(cache.root / "store", cache)
    assert kept(cache) == ["a", "b", "c"]
    measure(cache.root / "store", cache)  # counts none as used
    embeddings(cache.object(MD5))
    prune(cache.root / "store", cache)
    assert kept(cache) == ["a"]


def test_a_table_without_keys_uses_no_row(cache):
    pd.DataFrame({"filename": ["a.jpg"]}).to_parquet(cache.root / "embeddings.parquet")
    prune(cache.root / "store", cache)
    assert kept(cache) == []


@pytest.mark.parametrize("name", ["EMFILE", "EIO", "ENOMEM"])
def test_a_store_that_cannot_be_read_is_not_empty(cache, monkeypatch, name):
    monkeypatch.setattr(Folder, "names", failing(name))
    for command in (remove_unused, remove_a_person, lambda _: recipes(cache.root / "store")):
        with pytest.raises(OSError, match="no"):
            command(cache)


def test_a_store_of_somebody_else_is_left_with_the_reason(cache, monkeypatch):
    monkeypatch.setattr(Folder, "names", failing("EACCES"))
    store = cache.root / "store"
    assert prune(store, cache) == {store: "can't be read (no)"}
    assert forget_rows(store, cache, [], ["b.jpg"]) == ({}, {store: "can't be read (no)"})


def test_want_of_memory_is_no_damage_of_a_segment(cache, monkeypatch):
    """A damaged segment is removed."""

    def fail(*_, **__):
        raise pa.ArrowMemoryError("realloc of size 128 failed")

    with monkeypatch.context() as patch:
        patch.setattr(segments, "_check_size", fail)
        for command in (remove_unused, remove_a_person):
            with pytest.raises(MemoryError):
                command(cache)
    assert kept(cache) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["EMFILE", "EIO"])
def test_a_file_of_a_row_that_cannot_be_read_is_neither_lost_nor_damaged(
    tmp_path, monkeypatch, name
):
    (tmp_path / MD5).write_bytes(b"")
    with open_store(tmp_path) as folder:
        assert files.is_sound(folder, MD5) is False
        monkeypatch.setattr(Folder, "read", failing(name))
        with pytest.raises(OSError, match="no"):
            files.is_sound(folder, MD5)
