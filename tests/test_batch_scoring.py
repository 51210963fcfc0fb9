"""Many photos at once get the answers that each gets alone."""

import errno
import os
import re
import shutil
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import facestats
from facestats.__main__ import main
from facestats.age.check import AgeCheck
from facestats.errors import FaceStatsError, InputError, WithheldError
from facestats.serving import answers, batch, loading
from facestats.serving.batch import BATCH, encoding, score_many
from facestats.serving.loading import load_for
from facestats.serving.models import Models
from facestats.serving.types import TraitScore

SAME = 0.01  # points of 100, as design and docs/library.md promise
PHOTOS = ("face_0001.jpg", "bad/text.jpg", "bad/no_face.jpg", "face_0003.jpg", "album.jpg/one.jpg")
BAD = 2  # of these


@pytest.fixture
def models(built, monkeypatch):
    monkeypatch.chdir(built.folder)
    return load_for(None, encoding(BATCH))


def listed(built):
    return [built.folder / "data/raw" / name for name in PHOTOS]


def same(row, score):
    for name in batch.NUMBERS:
        value = getattr(row, name)
        if score[name] is None:
            assert pd.isna(value)
        else:
            assert value == pytest.approx(score[name], abs=SAME)
    assert (None if pd.isna(row.withheld) else row.withheld) == score.withheld
    assert (None if pd.isna(row.age_checked) else row.age_checked) == score.age_checked
    assert row.warnings == "; ".join(score.warnings)


def test_each_row_is_what_score_image_says(built, models):
    table = facestats.score_images(listed(built))
    assert table["image"].tolist() == [str(path) for path in listed(built)]
    bad = table["error"].notna()
    assert bad.sum() == BAD
    for row in table[~bad].itertuples():
        same(row, facestats.score_image(row.image))
    for row in table[bad].itertuples():
        with pytest.raises(FaceStatsError) as error:
            facestats.score_image(row.image)
        assert row.error == str(error.value)
        assert pd.isna(row.raw)
    assert str(table["decile"].dtype) == "Int64"


def test_workers_give_the_same_as_this_process(built, models):
    photos = listed(built)
    here, there = score_many(models, photos), score_many(models, photos, workers=2)
    pd.testing.assert_frame_equal(here, there, atol=SAME)


def test_attributes_are_those_of_infer_attributes(built, models):
    table = facestats.score_images(listed(built)[:1], attributes=True)
    answer = facestats.infer_attributes(listed(built)[0])
    row = table.iloc[0]
    assert row["gender"] == answer["gender"]
    assert row["age"] == pytest.approx(answer["age"], abs=SAME)
    for name, share in answer["gender_probabilities"].items():
        assert row[f"gender_prob_{name}"] == pytest.approx(share, abs=1e-4)
    assert "ethnicity" not in table
    assert "ethnicity" in facestats.score_images(listed(built)[:1], ethnicity=True)


def test_a_folder_a_frame_and_names_of_the_pipeline(built, models, tmp_path):
    folder = tmp_path / "photos"
    for number, path in enumerate(listed(built)[::4]):
        target = folder / f"sub{number}" / path.name
        target.parent.mkdir(parents=True)
        shutil.copyfile(path, target)
    table = facestats.score_images(folder)
    assert table["image"].tolist() == ["sub0/face_0001.jpg", "sub1/one.jpg"]
    frame = pd.DataFrame({"image": ["face_0001.jpg", "nobody.jpg"]}, index=["a", "b"])
    by_frame = facestats.score_images(frame)
    assert by_frame.index.tolist() == ["a", "b"]
    assert by_frame.loc["a", "raw"] == pytest.approx(table["raw"][0], abs=SAME)
    assert "nobody.jpg: no such file" in by_frame.loc["b", "error"]


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ("nowhere", {}, "nowhere is no folder"),
        (pd.DataFrame({"photo": ["a"]}), {}, "no column image; it has photo"),
        (3, {}, "expected a folder, paths or a frame, not int"),
        ([b"x"], {}, "expected paths, found bytes"),
        (["a.jpg"], {"batch": 0}, "batch = 0 is not possible"),
        (["a.jpg"], {"batch": 5000}, "1 to 1024"),
    ],
)
def test_misuse_is_named(images, options, message, models):
    with pytest.raises(InputError, match=message):
        facestats.score_images(images, **options)


def test_no_photo_gives_an_empty_table(models):
    table = facestats.score_images([])
    assert len(table) == 0
    assert list(table)[:2] == ["image", "raw"]


def test_who_may_be_a_child_gets_no_score_in_a_batch(built, models, monkeypatch):
    check = AgeCheck(18, False, 0.0, 100)
    ages = iter([np.array([12.0, 40.0, 13.0])])
    monkeypatch.setattr(Models, "age_check", property(lambda self: check))
    monkeypatch.setattr(answers, "_labelled_age", lambda models, crop: None)

    class Model:
        def predict(self, embeddings):
            return next(ages)[: len(embeddings)]

    monkeypatch.setattr(Models, "age_model", property(lambda self: Model()))
    names = ["face_0001.jpg", "face_0003.jpg", "face_0004.jpg"]
    table = score_many(models, [built.folder / "data/raw" / name for name in names])
    withheld = table["withheld"].notna()
    assert not withheld[1]
    assert table.loc[withheld, list(batch.NUMBERS)].isna().all(axis=None)
    assert table.loc[1, "age_checked"] == "model"


def test_an_age_that_can_not_be_checked_is_an_error_of_its_row(built, models, monkeypatch):
    check = AgeCheck(18, True, why="there is no age model")
    monkeypatch.setattr(Models, "age_check", property(lambda self: check))
    monkeypatch.setattr(answers, "_labelled_age", lambda models, crop: None)
    photos = listed(built)[:1]
    table = score_many(models, photos)
    with pytest.raises(WithheldError) as error:
        models.score(photos[0])
    assert table.loc[0, "error"] == str(error.value)
    assert pd.isna(table.loc[0, "score"])


@pytest.mark.first_cases(1)
@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_the_command_writes_a_table(ending, built, models, tmp_path, capsys):
    out = tmp_path / f"scores.{ending}"
    photos = [str(path) for path in listed(built)]
    assert main(["score", *photos, "--output", str(out), "--attributes"]) == 1
    said = capsys.readouterr()
    counts = re.search(r": 5 photos, (\d) scored, (\d) withheld, 2 with an error", said.out)
    assert counts
    assert said.out.startswith(str(out))
    assert "no_face.jpg: no face found" in said.err
    if ending == "xlsx":
        rows = list(openpyxl.load_workbook(out)["scores"].values)
        table = pd.DataFrame(rows[1:], columns=rows[0])
    else:
        table = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert table["image"].tolist() == photos
    assert {"combined", "gender", "error"} <= {*table}
    # how many the age model is sure of differs between processors
    usable = table.loc[table["error"].isna(), "image"]
    alone = [models.score(image).withheld is None for image in usable]
    assert len(alone) == 3
    assert [int(n) for n in counts.groups()] == [sum(alone), 3 - sum(alone)]
    assert table["score"].notna().sum() == sum(alone)
    assert main(["score", photos[0], "--output", str(out)]) == 2
    assert "exists; name another --output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data/raw"], "is a folder: name a table for its scores by --output FILE"),
        (["data/raw", "x.jpg", "--output", "s.csv"], "is a folder: give it alone"),
        (["x.jpg", "--output", "s.txt"], "expected a file .csv, .xlsx, .parquet"),
        (["x.jpg", "--attributes"], "--attributes needs --output"),
    ],
)
def test_wrong_usage_is_named(arguments, message, models, capsys):
    assert main(["score", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder.csv", "folder.csv is a folder"),
        ("file/scores.csv", "file is no folder; name another file"),
        ("file/a/scores.csv", "file is no folder; name another file"),
        ("a" * 300 + ".csv", "name too long"),
        ("shut/new/scores.csv", "scores.csv can't be used: Permission denied"),
    ],
)
def test_an_output_that_can_not_be_written_is_told_before_scoring(
    output, message, monkeypatch, tmp_path, capsys
):
    def too_late(*_):
        raise AssertionError("scored first")

    monkeypatch.setattr(loading, "load_for", too_late)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "shut").mkdir()

    def touch(path, *_, **__):  # tests may run as root, who may write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "touch", touch)
    code = main(["score", "x.jpg", "--overwrite", "--output", str(tmp_path / output)])
    assert code == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"folder.csv", "file", "shut"}


@pytest.mark.parametrize("target", ["score", "error", "withheld", "image", "calm_score"])
def test_an_attribute_does_not_take_the_place_of_a_score(monkeypatch, target):
    score = answers.Score(traits={"calm": TraitScore()})
    own = answers.Attributes({target: answers.Attribute("male", "model", None)}, None, [])
    monkeypatch.setattr(answers, "score_all", lambda faces: [score])
    monkeypatch.setattr(answers, "attributes_all", lambda faces, ethnicity: [own])
    with pytest.raises(InputError, match=f"{target} is a column of the scores; rename the target"):
        batch._answer([{"image": "a.jpg"}], [None], infer=True, ethnicity=False)
