"""Tables in parts: a folder at the path of the file, which every reader takes like the file."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dvc_data.hashfile.build import build
from dvc_objects.fs import LocalFileSystem

from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.tables import FILENAME, INTEGER, TEXT, Column, Schema, blocks, parquet, parts
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.parquet import opened
from facestats.core.tables.parts import listed_files, sha256_table, table_of
from facestats.errors import TableError
from facestats.rows.dvc_cache import DvcCache, md5_of_table
from facestats.rows.usage import current_tables
from resources import names

N, D = 230, 8
SCHEMA = Schema(
    "things.parquet",
    "Things.",
    stage="none",
    fields={"filename": FILENAME, "n": Column(INTEGER, "how many"), "kind": Column(TEXT, "what")},
)
OPEN = Schema("open.parquet", "Open.", "none", SCHEMA.fields, further={"<more>": "more"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of 100 rows, in row groups of 30, made ready 70 at a time."""
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 30)
    monkeypatch.setattr(blocks, "BLOCK", 70)


def rows(n: int = N) -> pd.DataFrame:
    kinds = pd.Series(np.arange(n) % 3).map({0: "cat", 1: "dog"})
    return pd.DataFrame({"filename": names(n), "n": np.arange(n, dtype=np.int32), "kind": kinds})


def written(folder, frame=None, schema=SCHEMA, **given):
    frame = rows() if frame is None else frame
    tables.write(frame, folder / "t.parquet", schema, {"of": "run 1"}, **given)
    return folder / "t.parquet"


def vectors(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, D)).astype(np.float32)


def embeddings(folder, n: int = N):
    frame = pd.DataFrame({"filename": names(n), "key": "k"})
    return written(folder, frame, embeddings_schema(D), vectors={"embedding": vectors(n)})


def in_turn(path, frames):
    with tables.writing(path, SCHEMA, {"of": "run 1"}) as writer:
        for frame in frames:
            writer.write(frame)


# Writing


def test_more_rows_than_a_part_has_become_a_folder_that_pandas_reads(tmp_path):
    path = written(tmp_path)
    assert [one.name for one in sorted(path.iterdir())] == [parts.part_name(i) for i in range(3)]
    assert [pq.read_metadata(one).num_rows for one in sorted(path.iterdir())] == [100, 100, 30]
    pd.testing.assert_frame_equal(pd.read_parquet(path), rows(), check_dtype=False)
    assert [one.name for one in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize("n", [0, 1, 30, 99, 100])
def test_up_to_a_part_the_file_is_what_pyarrow_writes_at_once(tmp_path, n):
    path = written(tmp_path, rows(n))
    table = pq.read_table(path)
    pq.write_table(table, tmp_path / "plain", compression="zstd", row_group_size=30)
    assert path.read_bytes() == (tmp_path / "plain").read_bytes()


def test_the_order_of_rows_changes_no_byte_of_a_part(tmp_path):
    one, other = tmp_path / "a", tmp_path / "b"
    x, order = vectors(), np.random.default_rng(1).permutation(N)
    frame, schema = pd.DataFrame({"filename": names(N), "key": "k"}), embeddings_schema(D)
    written(one, frame, schema, vectors={"embedding": x})
    written(other, frame.iloc[order], schema, vectors={"embedding": x[order]})
    for file in listed_files(one / "t.parquet"):
        assert file.read_bytes() == (other / "t.parquet" / file.name).read_bytes()


def test_blocks_give_the_bytes_of_the_whole(tmp_path):
    whole = written(tmp_path / "whole")
    for size in (7, 100, 229):
        path = tmp_path / str(size) / "t.parquet"
        in_turn(path, (rows()[start : start + size] for start in range(0, N, size)))
        assert sha256_table(path) == sha256_table(whole)


def test_blocks_that_are_not_in_order_are_refused(tmp_path):
    for second in (rows()[9:12], rows()[:3]):
        with pytest.raises(TableError, match=r"t\.parquet.*out of order"):
            in_turn(tmp_path / "t.parquet", [rows()[:10], second])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="n"), r"missing columns \['n'\]"),
        (lambda f: f.assign(n=f["n"].where(f["n"] < 200, 2.0**40)), "column n"),
        (lambda f: f.assign(filename=f["filename"].mask(f["n"] == 150)), "a row has no filename"),
        (
            lambda f: f.assign(filename=f["filename"].replace("f150.jpg", "f200.jpg")),
            "1 rows repeat a filename",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_the_old_parts_stay(tmp_path, change, said):
    path = written(tmp_path)
    before = sha256_table(path)
    with pytest.raises(TableError, match=said):
        written(tmp_path, change(rows()))
    assert sha256_table(path) == before
    assert [one.name for one in tmp_path.iterdir()] == ["t.parquet"]


def test_a_folder_takes_the_place_of_a_file_and_the_other_way_round(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for n in (50, 230, 120, 50):
        assert len(tables.read(written(tmp_path / "x", rows(n)), SCHEMA)) == n
    (tmp_path / "x" / "t.parquet").unlink()
    (tmp_path / "x" / "t.parquet").symlink_to(outside)
    written(tmp_path / "x")
    assert (tmp_path / "x" / "t.parquet").is_dir()
    assert not list(outside.iterdir())


# Reading


def test_parts_are_read_as_the_file_is(tmp_path, monkeypatch):
    frame = rows().assign(more=names(N), flag=np.arange(N) % 2 == 0)
    path = written(tmp_path / "parts", frame, OPEN)
    monkeypatch.setattr(parts, "PART_ROWS", 1000)
    file = written(tmp_path / "file", frame, OPEN)
    assert path.is_dir() > file.is_dir()
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    some = ["f007.jpg", "f150.jpg", "f229.jpg", "stranger"]
    for read in (
        lambda path: tables.read_all(path, OPEN),
        lambda path: tables.read(path, OPEN, ["kind", "filename"]),
        lambda path: tables.read(path, OPEN, only=some),
        lambda path: tables.read_for(pd.Index(some), path, OPEN),
        lambda path: tables.read_optional_column(path, OPEN, "More").to_frame(),
    ):
        pd.testing.assert_frame_equal(read(path), read(file))
    assert tables.file_metadata(path) == tables.file_metadata(file) == {"of": "run 1"}


def test_embeddings_in_parts_are_those_of_the_file(tmp_path, monkeypatch):
    x, table = vectors(), EmbeddingTable(embeddings(tmp_path))
    assert (list(table.names), table.dimension) == (list(names(N)), D)
    assert np.concatenate(list(table.batches())).tobytes() == x.tobytes()
    chosen = np.arange(N) % 7 == 3
    assert table.take(chosen).tobytes() == x[chosen].tobytes()
    assert tables.read_embeddings(table.path)[1].tobytes() == x.tobytes()


def test_row_groups_without_wanted_rows_are_not_decoded(tmp_path, monkeypatch):
    path, decoded = embeddings(tmp_path), []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, group, columns: (
            decoded.append(group) if "embedding" in columns else None,
            plain(self, group, columns=columns),
        )[1],
    )
    read = tables.read(path, embeddings_schema(D), only=["f035.jpg", "f210.jpg"])
    assert np.stack(read["embedding"]).tobytes() == vectors()[[35, 210]].tobytes()
    assert decoded == [1, 0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: (path / parts.part_name(1)).unlink(), "part-00001.parquet is missing"),
        (lambda path: (path / parts.part_name(2)).unlink(), "part-00002.parquet is missing"),
        (lambda path: (path / "notes.txt").write_text("x"), "a folder with notes.txt in it"),
        (lambda path: [one.unlink() for one in path.iterdir()], "a folder with nothing in it"),
        (lambda path: (path / parts.part_name(1)).write_bytes(b"PAR1"), "part-00001.parquet: not"),
        (lambda path: (path / parts.part_name(2)).write_bytes(b""), "part-00002.parquet: not"),
        (
            lambda path: shutil.copy(
                written(path.parent / "n", rows(9)[["filename"]].assign(key="k"), KEYS),
                path / parts.part_name(1),
            ),
            "part-00001.parquet: not of one run",
        ),
        (
            lambda path: shutil.copy(path / parts.part_name(0), path / parts.part_name(1)),
            "two rows of one key",
        ),
    ],
)
def test_a_folder_that_is_not_the_table_is_named(tmp_path, damage, said):
    path = written(tmp_path)
    damage(path)
    with pytest.raises(TableError, match=rf"t\.parquet.*{said}.*dvc repro"):
        tables.read(path, SCHEMA)


KEYS = Schema(
    "keys.parquet", "Keys.", "none", {"filename": FILENAME, "key": Column(TEXT, "of the row")}
)


def test_hidden_files_of_file_managers_are_no_parts(tmp_path):
    path = written(tmp_path)
    (path / ".DS_Store").write_bytes(b"\0")
    assert len(tables.read(path, SCHEMA)) == N


# What else looks at the files of tables


def test_dvc_and_we_call_a_table_by_the_same_hash(tmp_path):
    path = written(tmp_path / "parts")
    _, _, built = build(_Nowhere(tmp_path), str(path), LocalFileSystem(), "md5", dry_run=True)
    assert built.hash_info.value == md5_of_table(path)
    file = written(tmp_path / "file", rows(50))
    assert md5_of_table(file) == hashlib.md5(file.read_bytes()).hexdigest()


class _Nowhere:
    """As much of an object database as a dry run of DVC's hashing asks for."""

    def __init__(self, path):
        from dvc_data.hashfile.state import StateNoop

        self.fs, self.path, self.state, self.hash_name = (
            LocalFileSystem(), str(path), StateNoop(), "md5",
        )  # fmt: skip


@pytest.fixture
def cached(tmp_path):
    """A project whose stage `embed` has committed embeddings in parts, none in the workspace."""
    path = embeddings(tmp_path)
    cache = DvcCache(tmp_path, tmp_path / "cache")
    entries = []
    for file in listed_files(path):
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        entries.append({"md5": md5, "relpath": file.name})
        cache.object(md5).parent.mkdir(parents=True, exist_ok=True)
        file.rename(cache.object(md5))
    listing = json.dumps(entries, sort_keys=True).encode()
    name = hashlib.md5(listing).hexdigest() + ".dir"
    cache.object(name).parent.mkdir(parents=True, exist_ok=True)
    cache.object(name).write_bytes(listing)
    path.rmdir()
    (tmp_path / "dvc.lock").write_text(
        json.dumps({"stages": {"embed": {"outs": [{"path": "t.parquet", "md5": name}]}}})
    )
    return cache


def test_rows_of_a_committed_run_in_parts_are_not_computed_again(cached):
    from facestats.clip.embed import committed_rows

    found = committed_rows(cached, cached.root / "t.parquet", D)
    assert found is not None
    assert found.num_rows == N


def test_keys_of_parts_are_in_use_and_a_lost_part_is_told(cached):
    read, lost = current_tables(cached, "embed", ["key"])
    assert (sum(map(len, read)), lost) == (N, [])
    cached.table(cached._hash(cached.root / "t.parquet"))[1].unlink()
    assert current_tables(cached, "embed", ["key"])[1] == [cached.root / "t.parquet"]


def test_a_hash_tells_parts_of_two_runs_apart(tmp_path):
    path = written(tmp_path / "a")
    other = written(tmp_path / "b", rows().assign(n=1))
    assert sha256_table(path) != sha256_table(other)
    assert {table_of(file) for file in listed_files(path)} == {path}
    assert table_of(tmp_path / "t.parquet") == tmp_path / "t.parquet"


def test_a_writer_that_is_stopped_leaves_nothing(tmp_path):
    def frames():
        yield rows()
        assert [len(list(one.iterdir())) for one in tmp_path.iterdir()] == [2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_turn(tmp_path / "t.parquet", frames())
    assert not list(tmp_path.iterdir())


def test_an_open_file_is_read_on_although_another_takes_its_place(tmp_path):
    path = written(tmp_path, rows(90))
    with opened(path) as file:
        written(tmp_path)
        assert file.read(["n"]).num_rows == 90


def test_a_part_is_opened_once_for_the_rows_that_are_asked_for(tmp_path, monkeypatch):
    path = written(tmp_path)
    opens, open_file = [], parts._file
    monkeypatch.setattr(parts, "_file", lambda part: opens.append(part.name) or open_file(part))
    some = [*names(N)[::60]]
    read = tables.read(path, SCHEMA, only=some)
    assert read["filename"].tolist() == some
    once = [f"part-{part:05}.parquet" for part in range(3)]
    assert sorted(opens) == sorted([once[-1], *once, *once])  # for how many parts, what, the rows
