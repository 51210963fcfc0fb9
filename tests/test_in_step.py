"""Tables side by side and names of many faces: block by block as at once, by Arrow as by pandas."""

import numpy as np
import pandas as pd
import pytest

from facestats.attributes import proposals
from facestats.attributes.tables import FLAGS
from facestats.core import tables
from facestats.core.stats.identity import (
    groups_of,
    same_faces,
    several_faces,
    shared_faces,
)
from facestats.core.stats.shared import coded, read_shared
from facestats.core.tables import FILENAME, INTEGER, TEXT, Column, Schema, blocks
from facestats.core.tables.known import read_known
from facestats.core.tables.names import in_order, look_up, numbered, positions, repeats
from facestats.core.tables.steps import Source, in_step
from facestats.errors import TableError
from facestats.faces.tables import FACES
from facestats.groups.final import Pictures, read_persons
from facestats.labels.tables import LABELS
from resources import names, text

SCHEMA = Schema(
    "things.parquet",
    "Things.",
    stage="none",
    fields={"filename": FILENAME, "n": Column(INTEGER, "how many"), "kind": Column(TEXT, "what")},
    further={"<more>": "more"},
)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 7)


def table(rows, **more) -> pd.DataFrame:
    frame = pd.DataFrame({"filename": names(100)[rows], "n": rows, "kind": "cat"})
    return frame.astype({"filename": "str", "n": "int32", "kind": "str"}).assign(**more)


def source(folder, frame, name="t", **given) -> Source:
    tables.write(frame, folder / f"{name}.parquet", SCHEMA)
    return Source(folder / f"{name}.parquet", SCHEMA, **given)


def joined(**sources) -> pd.DataFrame:
    """What a left join of the sources gives, block by block."""
    parts = []
    for read in in_step(**sources):
        first, *others = read.values()
        for i, other in enumerate(others):
            first = first.merge(other, on="filename", how="left", suffixes=("", f"_{i}"))
        parts.append(first)
    return pd.concat(parts, ignore_index=True)


@pytest.mark.long
@pytest.mark.parametrize(
    "rows", [range(30), range(0, 30, 3), range(20, 60), [0], [29], [], range(40, 50)]
)
def test_a_join_in_step_is_the_join_of_the_whole(tmp_path, rows):
    leader, other = table([*range(30)]), table([*rows], more=1.5)
    whole = leader.merge(other, on="filename", how="left", suffixes=("", "_0"))
    for given in (source(tmp_path, other), other):
        found = joined(leader=source(tmp_path, leader, "leader"), other=given)
        pd.testing.assert_frame_equal(found, whole, check_dtype=False)


def test_columns_are_chosen_and_the_key_is_always_there(tmp_path):
    first = source(tmp_path, table([*range(9)]), columns=["kind"])
    (one, two) = in_step(first=first)
    assert [list(frames["first"]) for frames in (one, two)] == [["filename", "kind"]] * 2


def test_types_are_those_of_the_whole_table_in_every_block(tmp_path):
    frame = table([*range(20)], ratio=1).astype({"ratio": "Int32"})
    frame.loc[15, ["n", "ratio"]] = None
    frame["sure"] = pd.array([True] * 15 + [None] + [False] * 4, dtype="boolean")
    path = source(tmp_path, frame.astype({"n": "Int32"})).path
    whole = tables.read_all(path, SCHEMA)
    for frames in in_step(first=Source(path, SCHEMA)):
        assert dict(frames["first"].dtypes) == dict(whole.dtypes)


def test_a_table_without_rows_has_its_columns(tmp_path):
    (read,) = in_step(first=source(tmp_path, table([])), other=table([]))
    assert [list(frame) for frame in read.values()] == [["filename", "n", "kind"]] * 2


def test_a_table_that_is_not_sorted_is_refused(tmp_path):
    backwards = table([*range(20)])[::-1].reset_index(drop=True)
    with pytest.raises(TableError, match="not sorted by filename"):
        joined(first=table([*range(20)]), other=backwards)
    between = table([*range(7, 14), *range(7)])
    with pytest.raises(TableError, match="not sorted by filename"):
        joined(first=between)


# Names


def test_names_are_found_as_pandas_finds_them():
    rng = np.random.default_rng(0)
    for kind in ("str", "object"):
        here = pd.Series([f"f{i:03}" for i in rng.integers(0, 50, 80)], dtype=kind)
        among = pd.Index([f"f{i:03}" for i in rng.permutation(60)[:30]], dtype=kind)
        assert positions(here, among).tolist() == among.get_indexer(here).tolist()
        assert repeats(here).tolist() == here.duplicated(keep=False).tolist()
        values = pd.Series(rng.normal(size=30), index=among)
        pd.testing.assert_series_equal(look_up(here, values), here.map(values), check_names=False)
        few = here[:7]  # fewer than there are values
        pd.testing.assert_series_equal(look_up(few, values), few.map(values), check_names=False)
        all_of_them = pd.Series(among, dtype=kind)
        pd.testing.assert_series_equal(
            look_up(all_of_them, values), all_of_them.map(values), check_names=False
        )
    assert look_up(here, values[:0]).isna().all()


@pytest.mark.parametrize("together", [1, 3, 1000])
def test_texts_that_repeat_are_found_block_by_block(monkeypatch, together):
    monkeypatch.setattr("facestats.core.tables.names._TOGETHER", together)
    rng = np.random.default_rng(together)
    for n in (0, 1, 2, 30, 31):
        texts = ["".join(rng.choice([*"aé日b"], rng.integers(0, 4))) for _ in range(n)]
        here = pd.Series([text if rng.random() < 0.9 else None for text in texts], dtype="str")
        for some in (here, here.iloc[n // 2 :]):
            assert repeats(some).tolist() == some.duplicated(keep=False).tolist()
            first = dict(zip(some[::-1].fillna("?"), range(len(some))[::-1], strict=True))
            assert numbered(some).tolist() == [first[text] for text in some.fillna("?")]


def test_an_order_has_no_repeats_and_no_gaps():
    for texts, expected in ((["a", "b", "ä"], True), (["a", "a"], False), (["b", "a"], False)):
        assert in_order(pd.Series(texts, dtype="str")) is expected
    assert in_order(pd.Series([], dtype="str"))
    assert not in_order(pd.Series(["a", None], dtype="str"))


def faces(seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Faces with copies, repeated files and persons, in no order."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    leaders = np.where(rng.random(n) < 0.2, rng.integers(0, n, n), np.arange(n))
    frame = pd.DataFrame(
        {
            "filename": names(n),
            "sha256": [f"{i:064}" for i in rng.integers(0, n * int(rng.choice([1, 20])) + 1, n)],
            "copy_group": names(n)[leaders],
            "copy_rank": 1,
        }
    )
    persons = pd.Series([f"p{i}" for i in rng.integers(0, n, n)], index=names(n), dtype="str")
    return frame.sample(frac=1, random_state=seed), persons.where(rng.random(n) < 0.3)


@pytest.mark.long
def test_whoever_shares_a_group_is_told_without_a_name_for_each_face():
    for seed in range(8):
        frame, persons = faces(seed)
        groups = same_faces(frame, persons)
        shared = shared_faces(frame, persons)
        pd.testing.assert_series_equal(shared, several_faces(groups), check_dtype=False)
        some = frame["filename"].iloc[::3]
        assert groups_of(some, frame, persons).to_dict() == groups[some].to_dict()


@pytest.mark.long
def test_what_is_known_of_pictures_is_told_block_by_block(tmp_path):
    for seed in range(8):
        frame, persons = faces(seed)
        rng = np.random.default_rng(seed)
        frame["copy_group"] = frame["filename"].where(
            ~frame["copy_group"].isin(frame["filename"].sample(frac=0.5, random_state=seed)),
            frame["copy_group"],
        )
        n = len(frame)
        frame["image"] = names(n)  # another order than that of the faces
        rejected = pd.DataFrame({"image": ["x.jpg"]})
        photos = pd.concat([frame, rejected]).reindex(columns=[*FACES.columns])
        tables.write(photos, tmp_path / "faces.parquet", FACES)
        flagged = rng.random((n, 2)) < 0.4
        flags = pd.concat(
            [
                pd.DataFrame({"filename": names(n)[some], "reason": reason})
                for reason, some in zip(["blurred", "young"], flagged.T, strict=True)
            ]
        )
        flags = flags.astype("str").reindex(columns=[*FLAGS.columns])
        tables.write(flags, tmp_path / "flags.parquet", FLAGS)
        labels = persons.rename_axis("filename").rename("person").reset_index()
        labels = labels.reindex(columns=[*LABELS.columns])
        tables.write(labels, tmp_path / "labels.parquet", LABELS)
        pictures = Pictures(
            tmp_path / "faces.parquet",
            read_persons(tmp_path / "labels.parquet"),
            tmp_path / "flags.parquet",
        )
        found = pd.concat(pictures.blocks(), ignore_index=True)
        groups = same_faces(frame, persons)
        assert found["filename"].tolist() == groups.index.tolist()
        assert found["person_group"].tolist() == pd.factorize(groups)[0].tolist()
        by_name = frame.set_index("filename").loc[found["filename"]]
        assert found["copy_group"].tolist() == by_name["copy_group"].tolist()
        assert found["doubts"].notna().tolist() == flagged[:, 0].tolist()
        assert pictures.doubtful == flagged[:, 0].sum()


@pytest.mark.long
def test_shared_faces_of_a_table_on_disk_are_those_of_one_in_memory(tmp_path):
    for seed in range(8):
        frame, persons = faces(seed)
        rows = frame.assign(image=frame["filename"], status="ok").reindex(columns=[*FACES.columns])
        refused = pd.Series({"image": "a refused photo", "sha256": rows["sha256"].iloc[0]})
        tables.write(pd.concat([rows, refused.to_frame().T]), tmp_path / FACES.name, FACES)
        expected = shared_faces(frame, persons)
        shared = read_shared(tmp_path / FACES.name, FACES, persons)
        pd.testing.assert_series_equal(shared, expected.dropna())
        groups = coded(expected.index, shared)
        pd.testing.assert_series_equal(groups.astype("str"), expected, check_names=False)


def test_groups_are_the_connected_faces():
    frame = pd.DataFrame(
        {
            "filename": names(6),
            "sha256": ["0" * 64, "1" * 64, "1" * 64, "3" * 64, "4" * 64, "5" * 64],
            "copy_group": ["f000.jpg", "f001.jpg", "f002.jpg", "f003.jpg", "f003.jpg", "f005.jpg"],
            "copy_rank": 1,
        }
    )
    persons = pd.Series(["ann"], index=["f004.jpg"], dtype="str")
    assert same_faces(frame, persons).tolist() == [
        "bytes " + "0" * 64,
        *["bytes " + "1" * 64] * 2,
        *["bytes " + "3" * 64] * 2,
        "bytes " + "5" * 64,
    ]


def test_of_too_many_faces_some_are_weighed_as_labels(monkeypatch):
    monkeypatch.setattr(proposals, "MOST", 100)
    monkeypatch.setattr(proposals, "DRAWN", 40)
    known = np.arange(200) < 50
    weighed = proposals._weighed(known)
    assert (weighed[known].sum(), weighed[~known].sum()) == (20, 20)
    weighed = proposals._weighed(np.arange(200) < 5)
    assert (weighed[:5].sum(), weighed.sum()) == (5, 40)
    assert proposals._weighed(known[:100]).all()


def test_of_all_labels_only_rows_that_say_something_are_read(tmp_path):
    labels = pd.DataFrame({"filename": names(6), "rating": [np.nan, 3, np.nan, np.nan, 2, np.nan]})
    labels["rating_n"] = labels["rating"].notna().astype("int32")
    labels["gender"] = text([None, None, "x", None, None, None])
    tables.write(labels.reindex(columns=[*LABELS.columns]), tmp_path / "labels.parquet", LABELS)
    known = read_known(tmp_path / "labels.parquet", LABELS)
    assert known.index.tolist() == names(6)[[1, 2, 4]].tolist()
