"""`import --append` beside files of the user's own: none is lost, and no scales are mixed."""

import hashlib
import json
import os
from functools import partial

import openpyxl
import pytest

from datasets import MAKERS, put, write
from facestats.__main__ import main
from facestats.cli import importing
from facestats.errors import InputError, LabelError
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from facestats.labels.dataset import FACTS
from facestats.rows.dvc_cache import DvcCache
from resources import write_params
from test_import_datasets import state, table


def added(tmp_path, name="csv", source="two", **choices):
    return import_dataset(
        DATASETS[name], KNOWN, tmp_path / source, tmp_path / "data", Choices(**choices), append=True
    )


@pytest.fixture
def into(tmp_path):
    """An import of a folder of people; a table with classes and one with ratings lie beside it."""
    put(tmp_path / "one", "anna/a.jpg", "bob/b.jpg")
    put(tmp_path / "two", "c.jpg")
    put(tmp_path / "rated", "d.jpg")
    write(tmp_path, "two/t.csv", "image,gender\nc.jpg,female\n")
    write(tmp_path, "rated/t.csv", "image,rating\nd.jpg,4\n")
    choices = Choices(subfolders="person")
    import_dataset(DATASETS["folder"], KNOWN, tmp_path / "one", tmp_path / "data", choices)
    return tmp_path / "data"


def sheet(path, *rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def unchanged(into, call, error, match):
    before = {path: values[2] for path, values in state(into).items()}
    with pytest.raises(error, match=match):
        call()
    assert {path: values[2] for path, values in state(into).items()} == before


def test_files_that_no_import_wrote_stay(tmp_path, into):
    labels = into / "labels"
    sheet(labels / "ratings.xlsx", ["image", "rater", "rating"], ["anna/a.jpg", "me", 7])
    ratings = (labels / "ratings.xlsx").read_bytes()
    write(labels, "notes.txt", "how we asked")
    write(labels, ".hidden", "x")
    write(labels, "more/deep/1.txt", "y")
    os.symlink("../one", labels / "a folder elsewhere")
    write(into, "raw/.keep", "z")
    os.symlink(tmp_path / "rated", into / "raw/linked")
    added(tmp_path)
    assert (labels / "ratings.xlsx").read_bytes() == ratings
    assert (labels / "notes.txt").read_text() == "how we asked"
    assert (labels / ".hidden").read_text() == "x"
    assert (labels / "more/deep/1.txt").read_text() == "y"
    assert os.readlink(labels / "a folder elsewhere") == "../one"
    assert (into / "raw/.keep").read_text() == "z"
    assert os.readlink(into / "raw/linked") == str(tmp_path / "rated")
    assert table(into)["gender"].to_dict() == {
        "anna/a.jpg": "", "bob/b.jpg": "", "csv/c.jpg": "female"
    }  # fmt: skip


def test_a_rating_with_a_minus_as_texts_have_it_is_a_number(tmp_path, into):
    facts = into / "labels/dataset.json"
    facts.write_text(facts.read_text().replace('"rating_scale": null', '"rating_scale": [-3, 3]'))
    (into / "labels/labels.csv").write_text("image,rating\nanna/a.jpg,\u22121.5\n")
    added(tmp_path, source="rated", scale=(1.0, 7.0))
    assert table(into)["rating"].to_dict() == {"anna/a.jpg": "25.0", "csv/d.jpg": "50.0"}


def test_labels_are_read_as_the_pipeline_reads_them(tmp_path, into):
    text = "Bild;person;age;Wo\nanna/a.jpg;anna;30,5;Ort, Land\n"
    (into / "labels/labels.csv").write_text(text)
    done = added(tmp_path)
    labels = table(into)
    assert labels.loc["anna/a.jpg"].to_dict() == {
        "person": "anna", "age": "30.5", "Wo": "Ort, Land", "dataset": "folder", "gender": ""
    }  # fmt: skip
    assert "labels.csv: read 'Bild' as image" in done.notes


def test_words_for_nothing_are_empty_cells_in_both_datasets(tmp_path, into):
    (into / "labels/labels.csv").write_text("image,age,glasses\nanna/a.jpg,NA,none\n")
    text = "image,person,age\nc.jpg,unknown,n/a\ne.jpg,Eve,30\n"
    (tmp_path / "two/t.csv").write_text(text)
    put(tmp_path / "two", "e.jpg")
    added(tmp_path)
    labels = table(into)
    assert labels.loc["anna/a.jpg", ["age", "glasses"]].tolist() == ["", "none"]
    assert labels["person"].to_dict() == {
        "anna/a.jpg": "", "csv/c.jpg": "unknown", "csv/e.jpg": "csv:Eve"
    }  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("labels.xlsx", None, r"labels\.xlsx stands in its place; save it as labels\.csv"),
        ("Labels.csv", b"image,person\nanna/a.jpg,anna\n", "stands in its place"),
        ("labels.csv", b"People\n\nimage,person\nanna/a.jpg,anna\n", "would lose a part of it"),
        ("labels.csv", "image,person\nanna/a.jpg,Zoé\n".encode("cp1252"), "Windows-1252"),
        ("labels.csv", b",image\n204,anna/a.jpg\n199,b.jpg\n", "column 1 without a name, 204, 1"),
        ("labels.csv", b",image\n204,anna/a.jpg\n205,b.jpg\n", "column 1 without a name, 204, 2"),
        ("labels.csv", b"who,what\n1,2\n", "has no column `image`"),
        ("labels.csv", b"", "is empty"),
        ("labels.csv", b"image,image\na,b\n", "stands twice"),
        ("labels.csv", b"image,rating\nanna/a.jpg,abc\n", "'abc'"),
    ],
)
def test_labels_that_would_be_lost_are_named(tmp_path, into, name, data, match):
    (into / "labels/labels.csv").unlink()
    if data is None:
        sheet(into / "labels" / name, ["image", "person"], ["anna/a.jpg", "anna"])
    else:
        (into / "labels" / name).write_bytes(data)
    unchanged(into, lambda: added(tmp_path), LabelError, match)


def test_a_pipe_in_place_of_the_labels_is_named(tmp_path, into):
    (into / "labels/labels.csv").unlink()
    os.mkfifo(into / "labels/labels.csv")
    with pytest.raises(LabelError, match="is no regular file"):
        added(tmp_path)


def test_without_earlier_labels_the_earlier_dataset_stays_named(tmp_path, into):
    (into / "labels/labels.csv").unlink()
    added(tmp_path)
    facts = json.loads((into / "labels/dataset.json").read_text())
    assert [facts["name"], facts["appended"][0]["name"]] == ["folder", "csv"]
    assert [*table(into).index] == ["csv/c.jpg"]


def test_ratings_in_another_form_are_merged_or_named(tmp_path, into):
    facts = into / "labels/dataset.json"
    facts.write_text(facts.read_text().replace('"rating_scale": null', '"rating_scale": [1, 7]'))
    MAKERS["3dsk"](tmp_path / "sk")
    sheet(into / "labels/ratings.xlsx", ["image", "rater", "rating"], ["anna/a.jpg", "me", 7])
    both = r"ratings\.xlsx stands in its place; save it as ratings\.csv"
    unchanged(into, lambda: added(tmp_path, "3dsk", "sk"), LabelError, both)
    (into / "labels/ratings.xlsx").unlink()
    wide = into / "labels/ratings.csv"
    wide.write_text("image;r1;r2\nanna/a.jpg;6;7\n")
    unchanged(into, lambda: added(tmp_path, "3dsk", "sk"), LabelError, "has no column `rating`")
    added(tmp_path)  # which has no ratings: nothing to merge
    assert wide.read_text() == "image;r1;r2\nanna/a.jpg;6;7\n"
    wide.write_text("stimulus;participant;rating;Trait\nanna/a.jpg;me;6,5;att\n")
    added(tmp_path, "3dsk", "sk")
    ratings = table(into, "ratings")
    assert ratings.loc["anna/a.jpg", ["rater", "rating", "trait"]].tolist() == ["me", "6.5", "att"]
    assert len(ratings) == 4


def test_ratings_of_an_unknown_scale_are_not_mixed_with_others(tmp_path, into):
    added(tmp_path, source="rated")  # the only ratings: nothing to mix
    MAKERS["3dsk"](tmp_path / "sk")
    way_out = r'there is not known; give its ends, as in "rating_scale": \[1, 7\], in .*dataset'
    unchanged(into, lambda: added(tmp_path, "3dsk", "sk"), InputError, way_out)


def test_both_scales_must_be_known(tmp_path, into):
    (into / "labels/ratings.csv").write_text("image,rater,rating\nanna/a.jpg,me,60\n")
    asked = "ratings of csv is not known; give its ends, as in --scale 1 7"
    unchanged(into, lambda: added(tmp_path, source="rated"), InputError, asked)
    there = "the scale of the ratings that are there is not known"
    call = lambda: added(tmp_path, source="rated", scale=(1.0, 5.0))  # noqa: E731
    unchanged(into, call, InputError, there)
    facts = into / "labels/dataset.json"
    facts.write_text(facts.read_text().replace('"rating_scale": null', '"rating_scale": [0, 100]'))
    call()
    assert table(into).loc["csv/d.jpg", "rating"] == "75.0"
    assert table(into, "ratings").loc["anna/a.jpg", "rating"] == "60.0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manual_labels.csv", "filename,rating\na.jpg,7\n"),
        ("manual_ratings.csv", "rater,image,trait,rating,order,seconds,repeat\nme,a.jpg,,7,1,1,\n"),
    ],
)
def test_ratings_by_hand_are_not_left_on_another_scale(tmp_path, into, monkeypatch, name, text):
    added(tmp_path, source="rated", scale=(1.0, 7.0))
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path, {"data": {"images": "data/raw", "labels": "data/labels"}})
    MAKERS["omi"](tmp_path / "omi")
    (tmp_path / "data" / name).write_text(text)
    before = {path: values[2] for path, values in state(into).items()}
    assert main(["import", "omi", "omi", "--append"]) == 2
    assert {path: values[2] for path, values in state(into).items()} == before
    add = partial(
        import_dataset,
        *(DATASETS["omi"], KNOWN, tmp_path / "omi", into),
        append=True,
        by_hand=importing._files_by_hand(into / "labels"),
    )
    with pytest.raises(InputError, match=rf"from 1–7 to 0–100.*{name} holds 1 rating by hand"):
        add()
    (tmp_path / "data" / name).write_text(text.replace(",7", ","))
    add()
    assert table(into).loc["csv/d.jpg", "rating"] == "50.0"


def test_the_scale_of_ratings_by_hand_of_a_dataset_without_others_must_be_known(tmp_path, into):
    MAKERS["omi"](tmp_path / "omi")
    hand = tmp_path / "data" / "manual_labels.csv"
    hand.write_text("filename,rating\na.jpg,7\n")
    add = partial(
        import_dataset,
        *(DATASETS["omi"], KNOWN, tmp_path / "omi", into),
        append=True,
        by_hand=[hand],
    )
    with pytest.raises(InputError, match="1 rating by hand, whose scale is not known"):
        add()
    facts = json.loads((into / "labels" / FACTS).read_text())
    (into / "labels" / FACTS).write_text(json.dumps(facts | {"rating_scale": [0, 100]}))
    add()


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        {"name": [1]},
        {"title": 5},
        {"appended": "abc"},
        {"appended": {"a": 1}},
        {"rating_scale": "ab"},
        {"rating_scale": [1, 1]},
        {"rating_scale": ["1", "7"]},
        {"rating_scale": [1, 10**400]},
    ],
)
def test_a_damaged_description_is_named(tmp_path, into, change):
    path = into / "labels/dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    unchanged(into, lambda: added(tmp_path), LabelError, "is not what `facestats import` writes")


@pytest.mark.parametrize("name", [".before-raw", ".importing-labels"])
def test_a_link_in_place_of_a_temporary_folder_is_refused(tmp_path, into, name):
    os.symlink(tmp_path / "one", into / name)
    with pytest.raises(InputError, match="is in the way of an import; move it away"):
        added(tmp_path)
    assert (into / "raw/anna/a.jpg").is_file()
    assert (tmp_path / "one/anna/a.jpg").is_file()


def test_an_import_that_was_stopped_before_dvc_goes_on(tmp_path, into, monkeypatch, capsys):
    """The folders were in place, and the same command said that they hold the dataset already."""
    command = ["import", "csv", f"{tmp_path}/two", "--append", "--into", str(into)]
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importing, "require_sound_cache", lambda root: None)
    cache = DvcCache(tmp_path, tmp_path / "cache")
    monkeypatch.setattr(importing, "find_dvc_cache", lambda: cache)
    monkeypatch.setattr(importing, "_put_under_dvc", lambda *folders: calls.append(folders))

    def put_under_dvc(facts: bytes) -> None:
        md5 = hashlib.md5(facts).hexdigest()
        listing = json.dumps([{"md5": md5, "relpath": FACTS}]).encode()
        folder = hashlib.md5(listing).hexdigest() + ".dir"
        write(tmp_path, f"cache/files/md5/{folder[:2]}/{folder[2:]}", listing.decode())
        write(into, "labels.dvc", f"outs:\n- md5: {folder}\n  path: labels\n  hash: md5\n")

    put_under_dvc((into / "labels" / FACTS).read_bytes())
    assert main(command) == 0
    before = state(into)
    capsys.readouterr()
    assert main(command) == 0
    assert "hold csv of an import that was stopped" in capsys.readouterr().out
    assert len(calls) == 2
    assert state(into) == before
    put_under_dvc((into / "labels" / FACTS).read_bytes())
    write(into, "labels/notes.txt", "of the user's own, later")
    assert main(command) == 2
    assert "holds csv already" in capsys.readouterr().err
    (into / "labels.dvc").write_text("outs:\n- path: labels\n")
    write(tmp_path, "two/t.csv", "image,gender\nc.jpg,male\n")
    assert main(command) == 2  # another table of that name
    assert "holds csv already" in capsys.readouterr().err
