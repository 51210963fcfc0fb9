"""What holds for every import: nothing half done, nothing guessed, the dataset untouched."""

import ast
import errno
import hashlib
import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pandas as pd
import pytest

from datasets import MAKERS, put, write
from facestats.cli import importing
from facestats.errors import InputError
from facestats.importers import placing, run
from facestats.importers.content import Choices
from facestats.importers.registry import DATASETS, KNOWN
from facestats.importers.run import import_dataset
from resources import ROOT
from test_import_datasets import bring, state, table


def again(name, source, into, **choices):
    return import_dataset(DATASETS[name], KNOWN, source, into, **choices)


@pytest.mark.parametrize("link", [False, True])
def test_the_dataset_is_left_as_it_was(tmp_path, link):
    source = tmp_path / "source"
    MAKERS["utkface"](source)
    before = state(source)
    again("utkface", source, tmp_path / "data", link=link)
    assert state(source) == before
    name = "1_0_0_20161219140530307.jpg.chip.jpg"
    photo, copy = source / "UTKFace" / name, tmp_path / "data/raw" / name
    assert photo.samefile(copy) == link
    assert copy.read_bytes() == photo.read_bytes()


def test_a_sample_is_the_same_every_time_and_grows_by_more(tmp_path):
    drawn = []
    for n, name in ((3, "a"), (3, "b"), (5, "c")):
        done, into = bring(tmp_path / name, "utkface", limit=n)
        drawn.append({*table(into).index})
        assert done.images == len(drawn[-1]) == len(list((into / "raw").iterdir())) == n
    assert drawn[0] == drawn[1] < drawn[2]
    done, into = bring(tmp_path / "d", "3dsk", limit=1)
    assert {*table(into, "ratings").index} == {*table(into).index}


@pytest.mark.parametrize("name", MAKERS)
def test_another_dataset_is_named(tmp_path, name):
    MAKERS[name](tmp_path / "source")
    other = "afad" if name != "afad" else "scut"
    with pytest.raises(InputError, match=f"is not {DATASETS[other].title}; it looks like") as error:
        again(other, tmp_path / "source", tmp_path / "data")
    assert f"it looks like {DATASETS[name].title}" in str(error.value)
    assert not (tmp_path / "data").exists()


def test_an_archive_is_to_be_unpacked(tmp_path):
    archive = tmp_path / "UTKFace.tar.gz"
    archive.write_bytes(b"\x1f\x8b")
    for source in (archive, tmp_path):
        with pytest.raises(InputError, match="unpack it"):
            again("utkface", source, tmp_path / "data")
    with pytest.raises(InputError, match="does not exist"):
        again("utkface", tmp_path / "nowhere", tmp_path / "data")


def test_half_a_dataset_is_an_error_that_says_what_is_missing(tmp_path):
    MAKERS["fairface"](tmp_path / "source")
    shutil.rmtree(tmp_path / "source/train")
    with pytest.raises(InputError, match=r"4 photos of 6 are missing, such as train/1\.jpg"):
        again("fairface", tmp_path / "source", tmp_path / "data")
    assert again("fairface", tmp_path / "source", tmp_path / "data", partial=True).images == 2
    shutil.rmtree(tmp_path / "source/val")
    with pytest.raises(InputError, match="holds no photo of FairFace"):
        again("fairface", tmp_path / "source", tmp_path / "other", partial=True)
    MAKERS["3dsk"](tmp_path / "sk")
    (tmp_path / "sk/raw_3dsk_info.csv").unlink()
    with pytest.raises(InputError, match=r"raw_3dsk_info\.csv is missing; get the whole dataset"):
        again("3dsk", tmp_path / "sk", tmp_path / "other")


def test_moved_and_missing_columns(tmp_path):
    write(
        tmp_path, "s/fairface_label_train.csv", "race;file;gender;age\nWhite;train/1.jpg;Male;3-9\n"
    )
    put(tmp_path / "s", "train/1.jpg")
    again("fairface", tmp_path / "s", tmp_path / "data")
    assert table(tmp_path / "data").loc["train/1.jpg", ["gender", "age"]].tolist() == [
        "male",
        "6.0",
    ]
    write(tmp_path, "s/fairface_label_train.csv", "file,sex,age,race\ntrain/1.jpg,Male,3-9,White\n")
    with pytest.raises(InputError, match="has no column 'gender'; its header line has file, sex"):
        again("fairface", tmp_path / "s", tmp_path / "other")


def test_empty_columns_without_a_name_are_left_out(tmp_path):
    MAKERS["adience"](tmp_path / "s")
    fold = next((tmp_path / "s").rglob("fold_0_data.txt"))
    fold.write_text("".join(line + "\t\t\n" for line in fold.read_text().splitlines()))
    again("adience", tmp_path / "s", tmp_path / "data")
    assert len(table(tmp_path / "data"))


def test_two_files_of_one_name_that_differ_are_an_error(tmp_path):
    MAKERS["utkface"](tmp_path / "s")
    twin = tmp_path / "s/crop_part1/1_0_0_20161219140530307.jpg.chip.jpg"
    twin.write_bytes(b"another picture")
    with pytest.raises(InputError, match=r"two files of one name that differ, .*crop_part1"):
        again("utkface", tmp_path / "s", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_damaged_workbook_is_named(tmp_path):
    MAKERS["scut"](tmp_path / "s")
    (tmp_path / "s/SCUT-FBP5500_v2/All_Ratings.xlsx").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match=r"All_Ratings\.xlsx is damaged"):
        again("scut", tmp_path / "s", tmp_path / "data")


def test_a_link_among_the_photos_is_refused_and_nothing_is_left(tmp_path):
    MAKERS["agedb"](tmp_path / "s")
    (tmp_path / "id_rsa").write_bytes(b"secret")
    (tmp_path / "s/AgeDB/9_Jo_30_f.jpg").symlink_to(tmp_path / "id_rsa")
    for link in (False, True):
        with pytest.raises(InputError, match=r"9_Jo_30_f\.jpg is not a regular file"):
            again("agedb", tmp_path / "s", tmp_path / "data", link=link)
    assert [*(tmp_path / "data").iterdir()] == []


def test_photos_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(run.shutil, "disk_usage", lambda path: usage(9, 9, 40))
    with pytest.raises(OSError, match="need more than the 0 MiB that are free") as error:
        bring(tmp_path, "utkface")
    assert error.value.errno == errno.ENOSPC
    assert not (tmp_path / "data").exists()


class TestAppend:
    @pytest.mark.long
    def test_ratings_of_two_scales_become_shares_of_each(self, tmp_path):
        _, into = bring(tmp_path, "omi")
        MAKERS["3dsk"](tmp_path / "sk")
        again("3dsk", tmp_path / "sk", into, append=True)
        labels, ratings = table(into), table(into, "ratings")
        assert (into / "raw/1.jpg").is_file()
        assert (into / "raw/3dsk/male/alex.jpg").is_file()
        assert labels.loc["1.jpg", ["dataset", "rating"]].tolist() == ["omi", "41.0"]
        assert labels.loc["3dsk/male/alex.jpg", ["dataset", "person"]].tolist() == [
            "3dsk", "3dsk:alex"
        ]  # fmt: skip
        alex = ratings.loc[["3dsk/male/alex.jpg"]]
        assert alex[["rater", "rating", "trait"]].to_numpy().tolist() == [
            ["3dsk:R2", "100.0", "attractive"],
            ["3dsk:R1", "0.0", "dominant"],
        ]
        assert ratings.loc["1.jpg", ["rating", "trait"]].tolist() == ["50.0", "attractive"]
        facts = json.loads((into / "labels/dataset.json").read_text())
        assert facts["stored_scale"] == [0.0, 100.0]
        assert [facts["rating_scale"], facts["appended"][0]["rating_scale"]] == [[0, 100], [1, 7]]
        with pytest.raises(InputError, match="holds 3dsk already"):
            again("3dsk", tmp_path / "sk", into, append=True)

    @pytest.mark.long
    def test_equal_scales_stay_and_classes_take_the_spelling_that_is_there(self, tmp_path):
        _, into = bring(tmp_path, "3dsk")
        MAKERS["london"](tmp_path / "london")
        again("london", tmp_path / "london", into, append=True)
        assert json.loads((into / "labels/dataset.json").read_text())["stored_scale"] == [1.0, 7.0]
        MAKERS["fairface"](tmp_path / "fairface")
        again("fairface", tmp_path / "fairface", into, append=True)
        labels = table(into)
        assert labels.loc["fairface/train/3.jpg", "ethnicity"] == "white"  # of London
        assert labels.loc["fairface/train/1.jpg", "ethnicity"] == "East Asian"

    def test_a_failure_leaves_what_was_there(self, tmp_path, monkeypatch):
        _, into = bring(tmp_path, "omi")
        MAKERS["3dsk"](tmp_path / "sk")
        before = state(into)
        replace = type(into).replace

        def fail(path, target):
            if path.name == ".importing-raw":
                raise OSError(errno.EIO, "disk")
            return replace(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(type(into), "replace", fail)
            with pytest.raises(OSError, match="disk"):
                again("3dsk", tmp_path / "sk", into, append=True)
        assert {path: values[2] for path, values in state(into).items()} == {
            path: values[2] for path, values in before.items()
        }

    @pytest.mark.parametrize("moved", [["labels"], ["labels", "raw"]])
    def test_a_kill_between_the_two_folders_is_mended_by_the_next_import(self, tmp_path, moved):
        _, into = bring(tmp_path, "omi")
        before = {path: values[2] for path, values in state(into).items()}
        for part in moved:  # as `_exchange` does, up to the second folder
            (into / part).rename(into / f".before-{part}")
        (into / "labels").mkdir()
        (into / "labels/labels.csv").write_text("new")
        journal = into / ".importing-labels.json"
        journal.write_text(json.dumps({"labels.csv": hashlib.sha256(b"changed").hexdigest()}))
        with pytest.raises(InputError, match=r"labels was changed since; .*\.before-labels holds"):
            placing.mend(into)
        journal.write_text(json.dumps({"labels.csv": hashlib.sha256(b"new").hexdigest()}))
        placing.mend(into)
        assert {path: values[2] for path, values in state(into).items()} == before
        assert {path.name for path in into.iterdir()} == {"raw", "labels"}

    def test_only_to_what_was_imported(self, tmp_path):
        (tmp_path / "data/raw").mkdir(parents=True)
        MAKERS["3dsk"](tmp_path / "sk")
        with pytest.raises(InputError, match=r"dataset\.json is missing; import without --append"):
            again("3dsk", tmp_path / "sk", tmp_path / "data", append=True)


class TestOwn:
    def test_subfolders_are_classes_or_persons(self, tmp_path):
        put(tmp_path / "s", "ann/1.jpg", "ann/more/2.PNG", "bo/1.jpg", "loose.jpg", "bo/notes.txt")
        done = again(
            "folder", tmp_path / "s", tmp_path / "data", choices=Choices(subfolders="person")
        )
        assert table(tmp_path / "data")["person"].to_dict() == {
            "ann/1.jpg": "ann", "ann/more/2.PNG": "ann", "bo/1.jpg": "bo"
        }  # fmt: skip
        assert done.left_out == {
            "a file that is no photo": ["bo/notes.txt"],
            "a photo outside of any subfolder": ["loose.jpg"],
        }
        for column, part in (
            ("", "needs --as"),
            ("rating", "classes or persons"),
            ("a b", "letters"),
        ):
            with pytest.raises(InputError, match=part):
                again("folder", tmp_path / "s", tmp_path / "o", choices=Choices(subfolders=column))

    def test_a_table_is_read_by_its_mapping(self, tmp_path):
        put(tmp_path / "s", "pics/a.jpg", "pics/b.jpg", "pics/extra.jpg")
        rows = "file;score;sex;years\na.jpg;3,5;0;31\nb;x;7;200\ngone.jpg;1;1;3\n"
        write(tmp_path, "s/table.csv", rows)
        columns = {
            "image": "file",
            "rating": "score",
            "gender": "sex:0=female,1=male",
            "age": "years",
        }
        done = again("csv", tmp_path / "s", tmp_path / "data", choices=Choices(columns=columns))
        labels = table(tmp_path / "data")
        assert labels.loc["pics/a.jpg"].to_dict() == {
            "gender": "female",
            "age": "31.0",
            "rating": "3.5",
        }
        assert labels.loc["pics/b.jpg"].tolist() == ["", "", ""]
        assert done.left_out == {
            "no such photo": ["gone.jpg"],
            "sex has an unknown code": ["pics/b.jpg: 7"],
            "score is no number from -1e+06 to 1e+06": ["pics/b.jpg: x"],
            "years is no number from 0 to 130": ["pics/b.jpg: 200"],
            "a photo that the table does not name": ["pics/extra.jpg"],
        }
        for columns, part in (
            ({"image": "name"}, "has no column 'name'"),
            ({"image": "file", "gender": "sex:0"}, "no list of codes"),
        ):
            with pytest.raises(InputError, match=part):
                again("csv", tmp_path / "s", tmp_path / "o", choices=Choices(columns=columns))
        write(tmp_path, "s/other.csv", rows)
        with pytest.raises(InputError, match=r"holds other\.csv, table\.csv; name one .* --table"):
            again("csv", tmp_path / "s", tmp_path / "o", choices=Choices(columns={"image": "file"}))


def test_traits_of_omi_are_chosen(tmp_path):
    _, into = bring(tmp_path, "omi", choices=Choices(traits=("trustworthy", "attractive")))
    means = table(into).loc["1.jpg", ["rating", "rating_trustworthy", "rating_attractive"]]
    assert means.tolist() == ["60", "60", "41"]
    assert table(into, "ratings")["trait"].tolist() == ["trustworthy", "attractive", "attractive"]
    with pytest.raises(InputError, match="--trait kind: OMI has no such attribute; it has gender"):
        bring(tmp_path / "other", "omi", choices=Choices(traits=("kind",)))


@pytest.mark.long
def test_the_command_takes_the_choices_and_lists_the_datasets(tmp_path, monkeypatch, capsys):
    from facestats.__main__ import main

    monkeypatch.setattr(importing, "_put_under_dvc", lambda raw, labels: None)
    monkeypatch.chdir(tmp_path)
    assert main(["import", "--list"]) == 0
    assert "fairface  97,698" in capsys.readouterr().out
    put(tmp_path / "s", "pics/a.jpg")
    write(tmp_path, "s/table.csv", "file,sex\na.jpg,0\n")
    mapping = ["--image", "file", "--gender", "sex:0=female,1=male", "--link", "--limit", "4"]
    assert main(["import", "csv", "s/table.csv", *mapping]) == 0
    assert table(tmp_path / "data").loc["pics/a.jpg", "gender"] == "female"
    assert os.path.samefile("s/pics/a.jpg", "data/raw/pics/a.jpg")
    for arguments, part in (
        (["import"], "name a dataset and its folder"),
        (["import", "utk", "s"], "'utk' is no dataset"),
        (["import", "utkface", "s", "--trait", "att"], "--trait is for omi, mebeauty, cfd, 3dsk,"),
        (["import", "utkface", "s", "--as", "person"], "--as is for `import folder`"),
        (["import", "utkface", "s", "--scale", "1", "7"], "--scale is for `import csv`"),
        (["import", "csv", "s", "--scale", "7", "1"], "the lower end comes first"),
    ):
        assert main(arguments) == 2
        assert part in capsys.readouterr().err


def test_hard_links_are_refused_where_dvc_would_lock_the_dataset(monkeypatch):
    done = namedtuple("done", "returncode stdout")
    monkeypatch.setattr(importing.subprocess, "run", lambda *a, **k: done(0, "hardlink,symlink\n"))
    with pytest.raises(InputError, match="read-only links into its cache; leave --link out"):
        importing._require_copies()


@pytest.mark.long
@pytest.mark.parametrize("name", ["3dsk", "utkface", "cfd"])
def test_the_croissant_document_is_valid(tmp_path, name):
    croissant = pytest.importorskip("mlcroissant")
    _, into = bring(tmp_path, name)
    document = croissant.Dataset(jsonld=str(into / "labels/dataset.croissant.json"))
    assert not document.metadata.ctx.issues.errors
    record = next(iter(document.records("labels")))
    assert record["labels/image"].decode() == sorted(table(into).index)[0]


def test_the_croissant_document_names_files_columns_and_licence(tmp_path):
    _, into = bring(tmp_path, "omi")
    MAKERS["3dsk"](tmp_path / "sk")
    again("3dsk", tmp_path / "sk", into, append=True)
    document = json.loads((into / "labels/dataset.croissant.json").read_text())
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert document["license"] == [DATASETS[name].licence_link for name in ("omi", "3dsk")]
    for record in document["recordSet"]:
        columns = [field["source"]["extract"]["column"] for field in record["field"]]
        assert columns == [*pd.read_csv(into / f"labels/{record['name']}.csv")]


def test_the_page_quotes_messages_that_exist():
    sources = [*(ROOT / "src/facestats/importers").glob("*.py"), Path(importing.__file__)]
    texts = [
        node.value
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    page = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")
    rows = page.partition("| message |")[2].partition("\n\n")[0]
    messages = re.findall(r"^\| `(.+?)` \|", rows, re.MULTILINE)
    assert len(messages) > 8
    names = "|".join(re.escape(dataset.title) for dataset in KNOWN.values())
    for message in messages:
        for part in re.split(rf"…|\d+|{names}", message):
            part = part.strip(" ;,")
            assert any(part in text for text in [" ".join(texts), *texts]), part
