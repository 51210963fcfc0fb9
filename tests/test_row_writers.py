"""Many writers of one row store at once: none waits, none loses a row, none brings one back."""

import json
import os
import random
import shutil
import signal
import time

import numpy as np
import pyarrow as pa
import pytest

from facestats.cli import rows_fill
from facestats.errors import FaultError, InputError
from facestats.machine.kind import kind_of_machine
from facestats.rows import merging, rewriting, store
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.interface import host_hash
from facestats.rows.manifests import manifest_name, read_manifest
from facestats.rows.place import find_store, open_below
from facestats.rows.recipes import read_rows
from facestats.rows.removal import forget_rows
from facestats.rows.rewriting import rewrite, unique_rows
from facestats.rows.segments import list_segments, remove_lone_manifests, write_segments
from facestats.rows.shard import Shard, parse_shard
from facestats.rows.store import RowStore
from facestats.rows.usage import measure, prune
from processes import run_in_fork, start_fork
from seeds import SEED

COLUMNS = {"key": pa.string(), "sha256": pa.string()}
SCHEMA = pa.schema(COLUMNS.items(), metadata={"stage": "preprocess", "recipe": "a" * 64})
HERE, THERE = "cpu x86_64 AVX512", "cpu aarch64 NEON"


@pytest.fixture
def place(tmp_path):
    """The recipe's folder of a store that is new."""
    with RowStore(tmp_path / "store", "preprocess", "a" * 64, COLUMNS):
        return tmp_path / "store/preprocess" / ("a" * 32)


@pytest.fixture
def folder(place):
    with open_below(place.parent.parent, "preprocess", place.name) as folder:
        yield folder


def opened(place, **options):
    options = {"warn": [].append} | options
    return RowStore(place.parent.parent, "preprocess", "a" * 64, COLUMNS, **options)


def put(place, *keys, **options):
    with opened(place, together=True, **options) as rows:
        for key in keys:
            rows.add(row(key))


def row(key: str) -> dict:
    return {"key": key, "sha256": f"photo of {key}"}


def table(*keys: str) -> pa.Table:
    return pa.Table.from_pylist([row(key) for key in keys], SCHEMA)


def stored(place) -> list[str]:
    rows = read_rows(place.parent.parent, "preprocess", "a" * 64, COLUMNS).to_pylist()
    assert all(one == row(one["key"]) for one in rows)
    return sorted(one["key"] for one in rows)


def forget(place, *keys):
    return forget_rows(place.parent.parent, None, [f"photo of {key}" for key in keys], [])


def test_writers_side_by_side_wait_for_none_and_lose_nothing(place):
    with opened(place, together=True) as one, opened(place, together=True) as other:
        one.add(row("a"))
        other.add(row("b"))
        other.add(row("a"))
    assert stored(place) == ["a", "a", "b"]
    with opened(place) as rows:
        assert sorted(rows.lookup(["a", "b", "c"])["key"].to_pylist()) == ["a", "b"]


def test_a_run_waits_only_for_rows_that_it_misses(place):
    put(place, "a")
    warnings = []
    with opened(place), opened(place, patience=60, warn=warnings.append) as rows:
        assert len(rows.lookup(["a"])) == 1  # at once
        assert warnings == []


def test_a_run_goes_on_as_soon_as_the_rows_are_there_that_it_waits_for(place):
    """The other has computed them, and goes on with its own."""
    first = opened(place)
    with first:
        warnings = []

        def while_waiting(message):
            warnings.append(message)
            put(place, "a")

        with opened(place, patience=60, warn=while_waiting) as rows:
            assert rows.lookup(["a"])["key"].to_pylist() == ["a"]
    assert len(warnings) == 1


def test_where_there_are_no_locks_rows_are_kept_nevertheless(place, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("facestats.rows.lock.fcntl.flock", no_locks)
    warnings = []
    with opened(place, warn=warnings.append) as rows:
        rows.add(row("a"))
    assert (stored(place), warnings) == (["a"], [])
    assert forget(place, "a") == ({"preprocess": 1}, {})


def test_clocks_that_are_an_hour_off_change_nothing(place):
    for number, hours in enumerate((-1, 0, 1, 2)):
        put(place, str(number))
        moment = time.time() + 3600 * hours
        for path in [place, *place.iterdir()]:
            os.utime(path, (moment, moment))
    with opened(place) as rows:
        assert sorted(rows.lookup(list("0123"))["key"].to_pylist()) == list("0123")


# --- manifests ------------------------------------------------------------------------------------


def test_a_listing_reads_no_rows(place, monkeypatch):
    put(place, "a", "b")

    def fail(*_):
        raise AssertionError("a segment was read")

    monkeypatch.setattr("facestats.rows.usage.read_any_segment", fail)
    monkeypatch.setattr(store, "read_segment", fail)
    assert measure(place.parent.parent, None)["preprocess"].rows == 2
    with opened(place) as rows:
        assert len(rows.lookup(["c"])) == 0


def test_a_store_without_manifests_is_read_as_it_is(place):
    put(place, "a", "b")
    for path in place.glob("*.json"):
        path.unlink()
    assert measure(place.parent.parent, None)["preprocess"].rows == 2
    with opened(place) as rows:
        assert sorted(rows.lookup(["a", "b"])["key"].to_pylist()) == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: "[" * 100_000,
        lambda facts: "x" * 2**21,
        lambda facts: json.dumps(facts | {"keys": ["a"] * 5000, "rows": 5000}),
        lambda facts: json.dumps(facts | {"keys": [1]}),
        lambda facts: json.dumps(facts | {"keys": ["\ud800"]}),
        lambda facts: json.dumps(facts | {"keys": {"a": 1}}),
        lambda facts: json.dumps(facts | {"files": ["a", "b", None]}),
        lambda facts: json.dumps(facts | {"files": 7}),
        lambda facts: json.dumps(facts | {"files": ["\ud800"]}),
        lambda facts: json.dumps(facts | {"files": "a"}),
        lambda facts: json.dumps(facts | {"keys": [None]}),
        lambda facts: json.dumps(facts | {"where": "two\nlines"}),
        lambda facts: json.dumps(facts | {"bytes": 1}),
        lambda facts: json.dumps(facts | {"sha256": "b" * 64}),
        lambda facts: json.dumps([facts]),
        lambda facts: json.dumps({}),
    ],
)
def test_a_manifest_that_does_not_fit_is_none(place, folder, change):
    put(place, "a")
    [path] = place.glob("*.json")
    path.write_text(change(json.loads(path.read_text())))
    assert read_manifest(folder, f"{path.stem}.parquet") is None
    with opened(place) as rows:
        assert rows.lookup(["a"])["key"].to_pylist() == ["a"]


def test_a_false_manifest_makes_no_false_row(place):
    put(place, "a")
    [path] = place.glob("*.json")
    path.write_text(path.read_text().replace('["a"]', '["b"]'))
    with opened(place) as rows:
        assert len(rows.lookup(["a"])) == 0
        assert len(rows.lookup(["b"])) == 0
        rows.add(row("a"))
    assert forget(place, "a")[0] == {"preprocess": 1}
    assert stored(place) == []


# --- kinds of machines ----------------------------------------------------------------------------


def test_rows_of_unlike_machines_are_counted_or_refused(place):
    put(place, "a", where=HERE)
    put(place, "b", "a", where=THERE)
    put(place, "c")  # nobody knows where
    warnings = []
    with opened(place, where=HERE, warn=warnings.append) as rows:
        assert sorted(rows.lookup(list("abc"))["key"].to_pylist()) == list("abc")
    assert rows.elsewhere == 2
    assert f"2 stored rows are not known to be of this kind of machine ({HERE})" in warnings[0]
    with opened(place, where=HERE, strict=True, warn=warnings.append) as rows:
        assert rows.lookup(list("abc"), lambda: table("b"))["key"].to_pylist() == ["a"]
        rows.add(row("b"))
    with opened(place, where=HERE, strict=True, warn=warnings.append) as rows:
        assert sorted(rows.lookup(list("abc"))["key"].to_pylist()) == ["a", "b"]
    assert len(warnings) == 1


def test_rows_of_unlike_machines_are_told_of_once_a_store_and_again_if_they_are_more(place):
    put(place, "a")
    told = []
    for keys in ("a", "a", "ab", "ab"):
        warnings = []
        put(place, *keys[1:], where=THERE)
        with opened(place, where=HERE, warn=warnings.append) as rows:
            rows.lookup(list(keys))
        told.append((rows.elsewhere, len(warnings)))
    assert told == [(1, 1), (1, 0), (2, 1), (2, 0)]
    (note,) = place.parent.glob("*.told")
    for damage in ("[", "[]", json.dumps({HERE: "x"}), "[" * 9000):  # as nobody told
        note.write_text(damage)
        warnings = []
        with opened(place, where=HERE, warn=warnings.append) as rows:
            rows.lookup(["a"])
        assert len(warnings) == 1


def test_merged_rows_keep_where_they_are_from(place, folder, monkeypatch):
    monkeypatch.setattr(merging, "_MANY", 4)
    for number in range(4):
        put(place, f"here {number}", where=HERE)
        put(place, f"there {number}", where=THERE)
    with opened(place, where=HERE) as rows:
        rows.lookup(["here 0"])
    manifests = [read_manifest(folder, name) for name in list_segments(folder)]
    assert sorted((facts.where, len(facts.keys)) for facts in manifests) == [(THERE, 4), (HERE, 4)]


def test_the_kind_of_this_machine_is_the_same_twice():
    assert kind_of_machine() == kind_of_machine()
    assert kind_of_machine().split()[:2] == ["cpu", os.uname().machine]
    assert kind_of_machine("cuda H100").startswith("cuda H100 ")


# --- removal while others write -------------------------------------------------------------------


def test_a_merge_does_not_bring_back_what_is_removed_meanwhile(place, folder):
    """It had read the row before."""
    put(place, "a")
    put(place, "b")

    def change(rows):
        assert forget(place, "a")[0] == {"preprocess": 1}
        return rows

    with pytest.raises(FaultError, match="others remove rows meanwhile"):
        rewrite(folder, list_segments(folder), change, tries=1)
    assert stored(place) == ["b"]
    assert len(list(place.glob("*.json"))) == 1


def test_a_merge_that_ends_while_rows_are_removed_is_looked_through(place, folder, monkeypatch):
    """Its segment is named after the removal has listed the others."""
    put(place, "a")
    put(place, "b")
    read = rewriting.read_any_segment
    merged = []

    def read_late(folder, name):
        if not merged:
            merged.append(1)
            rewrite(folder, list_segments(folder), unique_rows)
        return read(folder, name)

    monkeypatch.setattr("facestats.rows.removal.read_any_segment", read_late)
    assert forget(place, "a")[0] == {"preprocess": 1}
    assert stored(place) == ["b"]


def test_a_merge_that_brings_a_segment_back_by_its_name_is_looked_through(
    place, folder, monkeypatch
):
    """It had read the segments of a merge that was killed before it removed them."""
    write_segments(folder, table("a", "b"))
    back = []

    def rewrite_too_early(folder, names, change):
        written = rewrite(folder, names, change)
        if not back:
            back.append(write_segments(folder, table("a", "b")))
        return written

    monkeypatch.setattr("facestats.rows.removal.rewrite", rewrite_too_early)
    assert forget(place, "a")[0] == {"preprocess": 1}
    assert stored(place) == ["b"]


def test_a_rewrite_begins_anew_where_another_was_faster(place, folder):
    put(place, "a")
    forgotten = []

    def change(rows):
        if not forgotten:
            forgotten.append(1)
            put(place, "b")
            forget(place, "b")
        return rows

    assert list(rewrite(folder, list_segments(folder), change).values()) == [1]
    assert stored(place) == ["a"]


def test_a_writer_whose_draft_is_removed_writes_again(place, folder, monkeypatch):
    removed = []
    rename = type(folder).rename

    def remove_first(self, name, new):
        if not removed:
            removed.append(name)
            self.remove_temporary(everyones=True)
        rename(self, name, new)

    monkeypatch.setattr(type(folder), "rename", remove_first)
    put(place, "a")
    assert (stored(place), len(removed)) == (["a"], 1)


def test_a_writer_whose_folder_is_pruned_makes_it_again(place, tmp_path):
    (tmp_path / "dvc.lock").write_text("stages: {preprocess: {outs: [{path: x, md5: abcdef}]}}")
    with opened(place) as rows:
        shutil.rmtree(place)  # as another machine, which knows of no lock here
        rows.add(row("a"))
    assert stored(place) == ["a"]
    assert prune(place.parent.parent, DvcCache(tmp_path, tmp_path / "cache")) == {}


def test_a_reader_finds_rows_that_are_merged_under_its_eyes(place, folder, monkeypatch):
    for number in range(5):
        put(place, str(number))
    read, merged = store.read_segment, []

    def read_late(folder, name, schema):
        if not merged:
            merged.append(1)
            rewrite(folder, list_segments(folder), unique_rows)
        return read(folder, name, schema)

    monkeypatch.setattr(store, "read_segment", read_late)
    with opened(place) as rows:
        assert sorted(rows.lookup(list("01234"))["key"].to_pylist()) == list("01234")


def test_small_segments_become_full_ones(place, folder, monkeypatch):
    monkeypatch.setattr(merging, "FULL", 10)
    monkeypatch.setattr("facestats.rows.segments.FULL", 10)
    for number in range(20):
        put(place, f"{number} a", f"{number} b", f"{number} c")
    with opened(place) as rows:
        rows.lookup(["0 a"])
    sizes = sorted(len(read_manifest(folder, name).keys) for name in list_segments(folder))
    assert sizes == [10] * 6
    assert len(stored(place)) == 60
    assert len(list(place.glob("*.json"))) == 6


@pytest.mark.long
def test_writers_that_are_killed_at_any_moment_leave_only_rows(place, monkeypatch, seed):
    """Beside them others merge, remove and read; what a reader takes for a row is one."""
    monkeypatch.setattr(store, "_SAVE_EVERY", 0)
    monkeypatch.setattr(merging, "_MANY", 3)
    moments = random.Random(seed)

    def write(number):
        with opened(place, together=number > 0) as rows:
            rows.lookup([f"{number} 0"])
            for count in range(10_000):
                rows.add(row(f"{number} {count}"))
                if count % 50 == 0:
                    forget(place, f"{number} {count - 1}")

    for _ in range(2 if SEED not in os.environ else 8):
        writers = [start_fork(lambda number=number: write(number)) for number in range(3)]
        for writer in writers:
            time.sleep(moments.uniform(0.05, 0.25))
            stored(place)
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
    keys = set(stored(place))
    assert keys
    assert run_in_fork(lambda: put(place, "last")) == 0
    with opened(place) as rows:
        found = rows.lookup(keys | {"last"})
        assert set(found["key"].to_pylist()) == keys | {"last"}
    assert not [path.name for path in place.iterdir() if path.name.startswith(".")]
    names = {path.name for path in place.glob("*.parquet")}
    forget(place, "none")
    assert {path.name for path in place.glob("*.json")} == set(map(manifest_name, names))


# --- shards ---------------------------------------------------------------------------------------


def test_each_key_is_of_one_shard():
    keys = [bytes(np.random.default_rng(seed).bytes(32)).hex() for seed in range(400)]
    for count in (1, 3, 4):
        parts = [[key for key in keys if Shard(i, count).has(key)] for i in range(count)]
        assert sorted(key for part in parts for key in part) == sorted(keys)
        assert min(map(len, parts)) > 0.7 * len(keys) / count
    assert parse_shard("3/4") == Shard(3, 4)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("4/4", "'4/4' is no shard: those of 4 go from 0/4 to 3/4"),
        ("-1/4", "the first of four is 0/4, the last 3/4"),
        ("0/0", "the first of four is 0/4, the last 3/4"),
        ("one", "the first of four is 0/4, the last 3/4"),
        ("1/4\n", "the first of four is 0/4, the last 3/4"),
        ("٣/٤", "the first of four is 0/4, the last 3/4"),
    ],
)
def test_what_is_no_shard_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_shard(text)


def test_a_manifest_that_is_taken_for_a_killed_writers_is_written_again(folder, monkeypatch):
    write = folder.write

    def write_late(name, data, lasting=False):
        if name.endswith(".parquet"):
            remove_lone_manifests(folder)
        return write(name, data, lasting)

    monkeypatch.setattr(folder, "write", write_late)
    [name] = write_segments(folder, table("a"), HERE)
    assert read_manifest(folder, name).where == HERE


def test_faces_of_a_killed_fill_are_removed_by_the_next(tmp_path):
    gone = start_fork(lambda: 0)
    os.waitpid(gone, 0)
    names = [f"facestats-fill-{host_hash()}.{pid}.x" for pid in (gone, os.getppid())]
    for name in [*names, "facestats-fill-ab.1.x"]:
        (tmp_path / name).mkdir()
    with rows_fill._scratch(tmp_path) as folder:
        assert folder.parent == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {names[1], "facestats-fill-ab.1.x"}


def test_a_user_who_has_no_folder_is_named(monkeypatch):
    monkeypatch.setenv("FACESTATS_ROWS", "~nosuchuser/rows")
    with pytest.raises(InputError, match="no such user"):
        find_store(None)


@pytest.mark.parametrize(
    "place",
    [
        "gs://bucket/rows",
        "s3://",
        "s3://b",
        "s3://bucket//rows",
        "s3://bucket/../rows",
        "s3://bucket/a\nb",
    ],
)
def test_what_is_no_place_for_rows_is_refused(monkeypatch, place):
    monkeypatch.setenv("FACESTATS_ROWS", place)
    with pytest.raises(InputError, match=r"FACESTATS_ROWS: .* or a bucket as s3://bucket/prefix"):
        find_store(None)


def test_a_bucket_needs_a_package(monkeypatch):
    monkeypatch.setenv("FACESTATS_ROWS", "s3://bucket/rows")
    monkeypatch.setattr("facestats.rows.place.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs the package s3fs: `pip install 'facestats\[rem"):
        find_store(None)


def test_the_same_rows_give_the_same_segment(place, folder):
    assert write_segments(folder, table("a"), HERE) == write_segments(folder, table("a"), THERE)
    assert len(list_segments(folder)) == 1


def test_one_of_many_writers_reads_each_manifest_once(place, monkeypatch):
    keys = [f"{number:x}".ljust(64, "f") for number in range(4)]
    read = []
    monkeypatch.setattr(
        store, "read_manifest", lambda *one: read.append(one[1]) or read_manifest(*one)
    )
    put(place, *keys[:2])
    with opened(place, together=True) as rows:
        assert not len(rows.lookup(keys[2:]))
        assert len(read) == 1
        put(place, keys[2])  # by another one, meanwhile
        assert rows.lookup(keys[2:])["key"].to_pylist() == [keys[2]]
        assert sorted(rows.lookup(keys[1:])["key"].to_pylist()) == keys[1:3]
        assert not len(rows.lookup(["none", keys[3]]))
    assert len(set(read)) == 2
    assert len(read) <= 2 + 1 + 2  # those that hold wanted rows again, the others never
