"""Tables: a wrong column is named where it comes up, and the same rows give the same bytes."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import FAIRFACE, FLAGS
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.core.tables import FILENAME, FLOAT, INTEGER, NUMBER, Column, Schema
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import TableError
from facestats.labels.tables import LABELS, SPLITS

THINGS = Schema(
    "things.parquet",
    "Things.",
    stage="none",
    fields={
        "filename": FILENAME,
        "n": Column(INTEGER, "how many"),
        "share": Column(NUMBER, "of all"),
        "point": Column(pa.list_(FLOAT, 2), "where"),
    },
)
OPEN = Schema("open.parquet", "Open.", "none", THINGS.fields, further={"<more>": "more"})


def rows(n=3):
    return pd.DataFrame(
        {
            "filename": [f"{i:02}.jpg" for i in range(n)],
            "n": np.arange(n),
            "share": np.linspace(0, 1, n),
            "point": [np.full(2, i, np.float32) for i in range(n)],
        }
    )


def test_what_is_written_is_read_sorted_by_key(tmp_path):
    mixed = rows(9).sample(frac=1, random_state=0)
    tables.write(mixed, tmp_path / "deep" / "t.parquet", THINGS, {"b": "2", "a": "ü"})
    read = tables.read(tmp_path / "deep" / "t.parquet", THINGS)
    assert read["filename"].tolist() == rows(9)["filename"].tolist()
    assert read["n"].tolist() == list(range(9))
    assert np.stack(read["point"]).tolist() == [[i, i] for i in range(9)]
    assert tables.file_metadata(tmp_path / "deep" / "t.parquet") == {"a": "ü", "b": "2"}
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["t.parquet"]


def test_the_order_of_rows_columns_and_metadata_changes_no_byte(tmp_path):
    frame = rows(50)
    tables.write(frame, tmp_path / "a.parquet", THINGS, {"x": "1", "y": "2"})
    shuffled = frame.sample(frac=1, random_state=1)[["point", "share", "n", "filename"]]
    shuffled = shuffled.astype({"filename": object, "n": "Int64"})
    tables.write(shuffled, tmp_path / "b.parquet", THINGS, {"y": "2", "x": "1"})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_names_are_sorted_by_code_point_not_by_language(tmp_path):
    order = ["A.jpg", "Z.jpg", "a b.jpg", "a.jpg", "a/b.jpg", "ä.jpg", "😀.jpg"]
    frame = pd.DataFrame({"filename": order[::-1], "split": "train"})
    tables.write(frame, tmp_path / "s.parquet", SPLITS)
    assert (
        tables.read(tmp_path / "s.parquet", SPLITS)["filename"].tolist() == sorted(order) == order
    )


def test_nulls_of_every_type_survive(tmp_path):
    frame = rows(3).astype({"n": "Int32"})
    frame.loc[1, ["n", "share", "point"]] = [None, np.nan, None]
    tables.write(frame, tmp_path / "t.parquet", THINGS)
    table = pq.read_table(tmp_path / "t.parquet")
    assert [table.column(c).null_count for c in ("n", "share", "point")] == [1, 1, 1]
    assert tables.read(tmp_path / "t.parquet", THINGS)["point"].notna().tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda f: f.drop(columns="share"), ["missing columns ['share']"]),
        (lambda f: f.assign(extra=1), ["unexpected columns ['extra']"]),
        (lambda f: f.assign(n="many"), ["column n", "many"]),
        (lambda f: f.assign(n=1.5), ["column n", "1.5"]),
        (lambda f: f.assign(n=2**40), ["column n"]),
        (lambda f: f.assign(share="half"), ["column share", "half"]),
        (lambda f: f.assign(point=[np.zeros(3)] * len(f)), ["column point"]),
        (lambda f: f.assign(point="here"), ["column point"]),
        (lambda f: f.assign(filename=range(len(f))), ["column filename"]),
        (lambda f: f.assign(filename=["a.jpg", None, "b.jpg"]), ["a row has no filename"]),
        (
            lambda f: f.assign(filename=["a.jpg", "b.jpg", "a.jpg"]),
            ["1 rows repeat a filename", "'a.jpg'"],
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_nothing_is_written(tmp_path, change, expected):
    with pytest.raises(TableError) as error:
        tables.write(change(rows()), tmp_path / "t.parquet", THINGS)
    for text in ["t.parquet", *expected]:
        assert text in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_refused_table_leaves_the_old_one(tmp_path):
    tables.write(rows(), tmp_path / "t.parquet", THINGS)
    before = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(TableError):
        tables.write(rows().assign(n="x"), tmp_path / "t.parquet", THINGS)
    assert (tmp_path / "t.parquet").read_bytes() == before


def test_writing_does_not_go_through_a_link(tmp_path):
    # DVC may have made an out a link into its cache
    cached = tmp_path / "cached"
    cached.write_bytes(b"precious")
    (tmp_path / "hard.parquet").hardlink_to(cached)
    (tmp_path / "soft.parquet").symlink_to(cached)
    for name in ("hard.parquet", "soft.parquet"):
        tables.write(rows(), tmp_path / name, THINGS)
        assert len(tables.read(tmp_path / name, THINGS)) == 3
    assert cached.read_bytes() == b"precious"


def test_a_key_may_be_several_columns(tmp_path):
    labels = pd.DataFrame(
        {"attribute": ["b", "a", "a"], "index": [0, 1, 0], "label": ["x", "y", "z"]}
    )
    tables.write(labels, tmp_path / "l.parquet", FAIRFACE)
    assert tables.read(tmp_path / "l.parquet", FAIRFACE)["label"].tolist() == ["z", "y", "x"]


def test_the_order_of_flags_is_kept_and_none_stands_twice(tmp_path):
    flags = pd.DataFrame(
        {
            "filename": ["b", "a", "a"],
            "image": ["b", "a", "a"],
            "reason": ["dark", "dark", "blurred"],
            "value": [1.0, 2.0, np.nan],
        }
    )
    tables.write(flags, tmp_path / "f.parquet", FLAGS)
    assert tables.read(tmp_path / "f.parquet", FLAGS)["filename"].tolist() == ["b", "a", "a"]
    with pytest.raises(TableError, match="repeat a filename / reason"):
        tables.write(flags.assign(reason="dark"), tmp_path / "f.parquet", FLAGS)


def test_own_columns_follow_where_they_are_allowed(tmp_path):
    frame = rows().assign(
        pet=["cat", None, "dog"], height=[1.5, np.nan, 2.0], glasses=[True, False, True]
    )
    tables.write(frame, tmp_path / "t.parquet", OPEN)
    assert list(tables.read_all(tmp_path / "t.parquet", OPEN).columns) == [
        *THINGS.columns,
        "pet",
        "height",
        "glasses",
    ]
    assert list(tables.read(tmp_path / "t.parquet", OPEN).columns) == list(THINGS.columns)
    assert (
        tables.read_optional_column(tmp_path / "t.parquet", OPEN, "pet").to_dict()["00.jpg"]
        == "cat"
    )


def test_a_column_that_nobody_gave_reads_as_null(tmp_path):
    tables.write(rows(), tmp_path / "t.parquet", OPEN)
    column = tables.read_optional_column(tmp_path / "t.parquet", OPEN, "pet")
    assert list(column.index) == ["00.jpg", "01.jpg", "02.jpg"]
    assert column.isna().all()


def test_an_all_null_text_column_is_still_text(tmp_path):
    frame = pd.DataFrame({"filename": ["a"], "split": [None]})
    tables.write(frame, tmp_path / "s.parquet", SPLITS)
    assert pq.read_schema(tmp_path / "s.parquet").field("split").type == pa.string()


@pytest.mark.long
@pytest.mark.parametrize(
    "read",
    [
        lambda path: tables.read(path, THINGS),
        lambda path: tables.read_all(path, OPEN),
        tables.read_embeddings,
        lambda path: tables.read_optional_column(path, OPEN, "pet"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut short", "bytes flipped"])
def test_a_missing_or_damaged_file_is_named(tmp_path, read, damage):
    path = tmp_path / "things.parquet"
    tables.write(rows(500), path, THINGS)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    content = {
        "empty": b"",
        "text": b"filename,n\n",
        "cut short": whole[:-100],
        "bytes flipped": whole[:-footer] + b"\xff" * 40 + whole[-footer + 40 :],
    }
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[damage])
    with pytest.raises(TableError, match=r"things\.parquet") as error:
        read(path)
    assert "dvc repro" in str(error.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.drop_columns("share"), "column share is missing; it has filename, n, point"),
        (
            lambda t: t.set_column(1, "n", t["n"].cast(pa.int64())),
            "column n is int64, expected int32",
        ),
        (
            lambda t: t.set_column(3, "point", t["point"].cast(pa.list_(pa.float32()))),
            "column point is list",
        ),
    ],
)
def test_a_file_with_another_schema_is_named_by_column(tmp_path, change, expected):
    tables.write(rows(), tmp_path / "t.parquet", THINGS)
    pq.write_table(change(pq.read_table(tmp_path / "t.parquet")), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=expected):
        tables.read(tmp_path / "t.parquet", THINGS)


# Embeddings


@pytest.mark.parametrize("n", [0, 1, 5])
def test_embeddings_are_read_as_a_matrix_with_their_facts(tmp_path, n):
    matrix = np.random.default_rng(0).normal(size=(n, 7)).astype(np.float32)
    frame = pd.DataFrame(
        {"filename": [f"{i}.jpg" for i in range(n)], "embedding": list(matrix), "key": ["k"] * n},
        columns=["filename", "embedding", "key"],
    )
    tables.write(
        frame.iloc[::-1], tmp_path / "e.parquet", embeddings_schema(7), {"variant": "tiny"}
    )
    filenames, read, facts = tables.read_embeddings(tmp_path / "e.parquet")
    assert (read.dtype, read.shape, facts) == (np.float32, (n, 7), {"variant": "tiny"})
    assert read.tobytes() == matrix.tobytes()
    assert list(filenames) == [f"{i}.jpg" for i in range(n)]


def test_embeddings_of_another_width_are_refused(tmp_path):
    frame = pd.DataFrame({"filename": ["a"], "embedding": [np.zeros(6)], "key": ["k"]})
    with pytest.raises(TableError, match="column embedding"):
        tables.write(frame, tmp_path / "e.parquet", embeddings_schema(7))


def test_a_table_whose_embeddings_are_no_vectors_is_named(tmp_path):
    pq.write_table(pa.table({"filename": ["a"], "embedding": [[1.0, 2.0]]}), tmp_path / "e.parquet")
    with pytest.raises(TableError, match="column embedding is list"):
        tables.read_embeddings(tmp_path / "e.parquet")


def test_a_column_in_other_case_is_found_where_it_is_the_only_one(tmp_path):
    labels = pd.DataFrame({"filename": ["a"], "Eye color": ["blue"]}).reindex(
        columns=[*LABELS.columns, "Eye color"]
    )
    tables.write(labels.assign(rating_n=0), tmp_path / "l.parquet", LABELS)
    assert tables.read_optional_column(tmp_path / "l.parquet", LABELS, "eye_color").tolist() == [
        "blue"
    ]
    assert tables.called_as(labels, ["eye_color", "hat"])["eye_color"].tolist() == ["blue"]
    twice = labels.assign(**{"eye_color": "brown", "EYE-COLOR": "green"})
    assert tables.called_as(twice, ["eye_color"])["eye_color"].tolist() == ["brown"]
    assert "eyecolor" not in tables.called_as(twice, ["eyecolor"])


@pytest.mark.parametrize("spoilt", ["name of a column", "metadata"])
def test_text_that_is_no_utf8_is_a_damaged_table(tmp_path, spoilt):
    path = tmp_path / "age_check.parquet"
    table = pa.table({name: pa.array(["a.jpg"]) for name in AGE_CHECK.columns})
    pq.write_table(
        table.replace_schema_metadata({b"\xff": b"x"}) if spoilt == "metadata" else table,
        path,
        store_schema=spoilt == "metadata",
    )
    if spoilt != "metadata":
        path.write_bytes(path.read_bytes().replace(b"age_checked", b"age_\x8fhecked"))
    with pytest.raises(TableError, match=r"age_check\.parquet: not a readable parquet file"):
        tables.file_metadata(path) if spoilt == "metadata" else tables.read(path, AGE_CHECK)


def test_text_that_is_no_utf8_is_named(tmp_path):
    """In a name of a face, in a column's name, and in the file's own metadata."""
    path = tmp_path / "things.parquet"
    tables.write(rows(), path, THINGS)
    good = pq.read_table(path)
    text = pa.array([b"\xff\xfe.jpg", b"b.jpg", b"c.jpg"], pa.binary()).view(pa.string())
    pq.write_table(good.set_column(0, "filename", text), path)
    for read in (tables.read, tables.read_all):
        with pytest.raises(TableError, match=r"things\.parquet: not a readable parquet file"):
            read(path, THINGS)
    pq.write_table(good.replace_schema_metadata({b"\xff": b"\xfe"}), path)
    with pytest.raises(TableError, match=r"things\.parquet: not a readable parquet file"):
        tables.file_metadata(path)
    pq.write_table(good.rename_columns(["filename", "n", "share", "pxint"]), path)
    path.write_bytes(path.read_bytes().replace(b"pxint", b"p\xffint"))
    for read in (tables.read, tables.read_all):
        with pytest.raises(TableError, match=r"things\.parquet"):
            read(path, OPEN)


@pytest.mark.parametrize("vector", [None, [0.0, None]])
def test_a_face_without_an_embedding_is_named(tmp_path, vector):
    path = tmp_path / "embeddings.parquet"
    vectors = pa.array([[1.0, 0.0], vector], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"filename": ["a.jpg", "b.jpg"], "embedding": vectors}), path)
    with pytest.raises(TableError, match=r"a row has no embedding, or not all of its numbers"):
        tables.read_embeddings(path)
    text = pa.array([b"\xff.jpg", b"b.jpg"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"filename": text, "embedding": vectors}), path)
    with pytest.raises(TableError, match=r"embeddings\.parquet: not a readable parquet file"):
        EmbeddingTable(path)


@pytest.mark.parametrize("names", [["a.jpg", "a.jpg", "b.jpg"], ["a.jpg", None, "b.jpg"]])
def test_a_damaged_key_is_named_where_the_table_is_read(tmp_path, names):
    path = tmp_path / "things.parquet"
    tables.write(rows(), path, THINGS)
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, table.schema.field(0), pa.array(names)), path)
    with pytest.raises(TableError, match=r"filename (has two rows|is empty)"):
        tables.read(path, THINGS)
    assert tables.read(path, THINGS, ["n"])["n"].tolist() == [0, 1, 2]
