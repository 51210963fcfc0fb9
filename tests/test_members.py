"""Members' folders, and what a composite's JSON says of its members."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from drawn_shapes import SIZE, noise, shape, smooth, write_faces
from facestats.composites.averaging import Average, average_faces
from facestats.composites.folder import composite_facts
from facestats.composites.members import Members
from facestats.core import tables
from facestats.core.figures.sheets import contact_sheet, fitting_jpeg
from facestats.core.stats.means import mean_interval
from facestats.errors import InputError
from facestats.groups.filters import Selection
from facestats.groups.members import link, mean_scores, scores_text, write_members
from facestats.groups.tables import MEMBER_LANDMARKS
from programs import run_program, stage_command
from resources import ROOT, text

RATINGS = [2.0, 4.5, 4.0, None]


@pytest.fixture
def folder(tmp_path):
    """Face crops, their landmarks (one face has none) and a way to write the members' folder."""
    preproc = tmp_path / "preproc"
    names = ["NA.jpg", "a/ü 1.jpg", 'b,"c".jpg', "d.jpg"]
    for i, name in enumerate(names):
        (preproc / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(smooth(i, 32)).save(preproc / name, quality=95)
    landmarks = pd.DataFrame(
        {
            "filename": names,
            "landmarks": [shape(seed=i).ravel() for i in range(4)],
            "yaw": np.float32([0, 5, -10, 0]),
        }
    )
    landmarks.at[3, "landmarks"] = None

    def write(rows=names, minimum=1):
        table = pd.DataFrame(
            {
                "image": text(rows),
                "filename": text(rows),
                "rating": RATINGS[: len(rows)],
                "person_group": [7, 3, 7, 9][: len(rows)],
                "attractiveness_score": [10.0, 20.0, 60.0, None][: len(rows)],
                "geometric_score": np.nan,
                "combined_score": np.nan,
            }
        )
        chosen = Selection(table, {"all": 4, "cluster": len(rows)}, minimum)
        write_members(chosen, "group", {"cluster": 1}, landmarks, preproc, tmp_path / "out")
        return tmp_path / "out"

    write.preproc, write.names = preproc, names
    return write


def read(out):
    return Members(out / "members.csv", out / "faces")


def test_members_come_back_as_they_were_written(folder):
    out = folder()
    members = list(read(out))
    assert [m.filename for m in members] == folder.names
    for i in range(3):
        assert members[i].landmarks.tobytes() == shape(seed=i).tobytes()
    assert [m.yaw for m in members] == [0, 5, -10, 0]
    assert [
        rating if rating == rating else None for rating in read(out).ratings[folder.names]
    ] == RATINGS
    assert read(out).persons[folder.names].tolist() == [0, 1, 0, 2]
    assert members[3].landmarks is None
    assert [m.path.read_bytes() for m in members] == [
        (folder.preproc / n).read_bytes() for n in folder.names
    ]
    selection = json.loads((out / "selection.json").read_text())
    assert selection.pop("rating")["value"] == pytest.approx(3.5)
    assert selection == {
        "name": "group",
        "filter": {"cluster": 1},
        "built": True,
        "n": 4,
        "found": 4,
        "min_results": 1,
        "matched": {"all": 4, "cluster": 4},
        "flagged": {},
        "copies_left_out": 0,
        "relaxed": [],
    }
    average = average_faces(members)
    assert (average.used, average.left_out) == (
        folder.names[:3],
        {"no_landmarks": folder.names[3:]},
    )


def test_too_few_members_are_none(folder):
    out = folder(folder.names[:2], minimum=3)
    assert (out / "members.csv").read_text() == "image,filename,rating,person\n"
    assert len(read(out)) == 0
    assert [p.name for p in (out / "faces").iterdir()] == ["landmarks.parquet"]
    selection = json.loads((out / "selection.json").read_text())
    assert [selection[k] for k in ("built", "n", "found", "min_results")] == [False, 0, 2, 3]
    assert average_faces(read(out)).image is None


def test_the_folder_does_not_depend_on_faces_outside_it(folder):
    out = folder(folder.names[:2])
    assert (
        tables.read(out / "faces/landmarks.parquet", MEMBER_LANDMARKS)["filename"].tolist()
        == folder.names[:2]
    )
    assert not (out / "faces" / "d.jpg").exists()


def test_members_of_an_earlier_run_are_gone(folder):
    out = folder()
    folder(folder.names[:1])
    assert sorted(p.name for p in (out / "faces").rglob("*.*")) == ["NA.jpg", "landmarks.parquet"]


def test_a_link_is_never_written_through(folder, tmp_path, monkeypatch):
    face = folder.preproc / "d.jpg"
    cached = tmp_path / "cached"
    os.link(face, cached)  # DVC's cache and the face share their bytes
    before = cached.read_bytes()
    out = folder()
    assert (out / "faces" / "d.jpg").samefile(cached)
    face.unlink()
    face.write_bytes(b"another face")
    for fails in (False, True):
        if fails:  # a file system without hard links
            monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
        folder()
        assert (out / "faces" / "d.jpg").read_bytes() == b"another face"
        link(face, out / "faces" / "d.jpg")
        assert cached.read_bytes() == before


def test_a_face_that_is_itself_a_link_is_followed(folder, tmp_path):
    face = folder.preproc / "d.jpg"
    cached = face.rename(tmp_path / "cached")
    face.symlink_to(cached)
    out = folder()
    assert not (out / "faces" / "d.jpg").is_symlink()
    assert (out / "faces" / "d.jpg").read_bytes() == cached.read_bytes()


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "name,rating\nd.jpg,1\n",
        "filename\nd.jpg\n",
        "filename,rating\nd.jpg,1\n",
        "filename,rating,person\nstranger.jpg,,0\n",
        "filename,rating,person\nd.jpg,good,0\n",
    ],
)
def test_a_folder_that_select_did_not_write_is_named(folder, content):
    out = folder()
    if content is None:
        (out / "members.csv").unlink()
    else:
        (out / "members.csv").write_text(content)
    with pytest.raises(InputError, match=r"members\.csv"):
        read(out)


# Means and facts


def test_scores_stand_in_a_file_of_their_own(folder):
    out = folder()
    scores = json.loads((out / "scores.json").read_text())
    assert (scores["name"], scores["n"], scores["holistic"]["value"], scores["holistic"]["n"]) == (
        "group",
        4,
        30,
        3,
    )
    assert 10 <= scores["holistic"]["low"] < 30 < scores["holistic"]["high"] <= 60
    assert scores["geometric"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "why": "no member has a geometric score",
    }
    assert "30" not in (out / "selection.json").read_text() + (out / "members.csv").read_text()
    # Two of the three are one person's: a mean is of that person, of the other, or of both.
    assert (scores["holistic"]["low"], scores["holistic"]["high"]) == (20, 35)


def test_the_numbers_of_persons_do_not_depend_on_faces_outside_the_folder(folder):
    written = folder().joinpath("members.csv").read_text()
    assert [line.rpartition(",")[2] for line in written.splitlines()] == [
        "person",
        "0",
        "1",
        "0",
        "2",
    ]


def test_an_interval_narrows_with_the_number_of_faces():
    values = np.random.default_rng(0).normal(50, 10, 400)
    few, many = (mean_interval(pd.Series(values[:n]), "score") for n in (25, 400))
    assert many["value"] == pytest.approx(values.mean())
    assert many["high"] - many["low"] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert few["high"] - few["low"] > 2 * (many["high"] - many["low"])
    assert mean_interval(pd.Series(values[:25]), "score") == few  # the same resamples every time


def test_one_value_has_no_interval_and_says_so():
    assert mean_interval(pd.Series([None, 3.0]), "human rating") == {
        "value": 3.0,
        "low": None,
        "high": None,
        "n": 1,
        "why": "one member has a human rating: an interval needs two persons",
    }
    two = mean_interval(pd.Series([1.0, None, 3.0]), "human rating", pd.Series([4, 5, 4]))
    assert two == {
        "value": 2.0,
        "low": None,
        "high": None,
        "n": 2,
        "why": "2 members of one person have a human rating: an interval needs two persons",
    }


def test_an_interval_draws_persons_not_faces():
    values = np.random.default_rng(0).normal(50, 10, 50)
    twice = pd.Series(np.repeat(values, 4))
    persons = pd.Series(np.repeat(np.arange(50), 4))
    faces, people = (mean_interval(twice, "score", whose) for whose in (None, persons))
    once = mean_interval(pd.Series(values), "score")
    assert (people["n"], people["value"]) == (200, pytest.approx(once["value"]))
    width = people["high"] - people["low"]
    assert width == pytest.approx(once["high"] - once["low"], rel=0.05)
    assert width > 1.8 * (faces["high"] - faces["low"])
    unknown = pd.Series(np.full(200, np.nan))
    assert mean_interval(twice, "score", unknown) == faces  # each face is a person of its own


def test_mean_scores_are_said_in_a_line():
    table = pd.DataFrame(
        {
            "attractiveness_score": [10.0, 30.0],
            "geometric_score": [5.0, None],
            "combined_score": np.nan,
        }
    )
    assert scores_text(mean_scores(table)) == "holistic 20.0 (10.0 to 30.0), geometric 5.0"
    assert scores_text(mean_scores(table.head(0))) == "none"


def test_the_facts_are_those_of_the_faces_in_the_picture(tmp_path):
    faces = write_faces(
        tmp_path,
        (smooth(0), shape()),
        (smooth(1), None),
        (smooth(2), shape(), 50.0),
        (smooth(3), shape(seed=1)),
    )
    average = average_faces(faces)
    ratings = pd.Series([1.0, 9.0, 9.0, 2.0], index=faces["filename"])
    facts = composite_facts(
        average,
        {"align": "warp"},
        {"filter": {"gender": "female"}, "matched": {"all": 9, "gender": 4}},
        ratings,
        pd.Series([0, 0, 0, 0], index=faces["filename"]),
    )
    assert (facts["built"], facts["why"], facts["n"], facts["members"]) == (
        True,
        None,
        2,
        ["000.jpg", "003.jpg"],
    )
    assert facts["left_out"] == {"no_landmarks": ["001.jpg"], "max_yaw": ["002.jpg"]}
    assert (facts["rating"]["value"], facts["rating"]["n"]) == (1.5, 2)
    assert facts["rating"]["why"].startswith("2 members of one person have")
    assert (facts["filter"], facts["matched"], facts["render"]) == (
        {"gender": "female"},
        {"all": 9, "gender": 4},
        {"align": "warp"},
    )
    assert facts["sharpness"] == average.sharpness
    assert (
        facts["note"] == "an average of fewer than 10 faces shows these people rather than a group"
    )


@pytest.mark.parametrize(
    ("left_out", "selection", "expected"),
    [
        (
            {"no_landmarks": ["a", "b"], "max_yaw": ["c"]},
            {"found": 3, "min_results": 1},
            "2 without landmarks, which align needs, 1 turned",
        ),
        ({}, {"found": 3, "min_results": 10}, "too few faces match the filter: 3 of at least 10"),
        ({}, {}, "there are no members"),
    ],
)
def test_why_there_is_no_picture(left_out, selection, expected):
    facts = composite_facts(Average(left_out=left_out), {}, selection, pd.Series(dtype=float))
    assert (facts["built"], facts["n"], facts["rating"]["value"], facts["sharpness"]) == (
        False,
        0,
        None,
        None,
    )
    assert expected in facts["why"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("minimum", "on_few", "code", "built"),
    [(3, "skip", 0, True), (4, "skip", 0, False), (4, "error", 1, None)],
)
def test_members_that_are_left_out_do_not_count_as_enough(
    folder, tmp_path, minimum, on_few, code, built
):
    out = folder(minimum=minimum)  # four members, one of them without landmarks
    selection = json.loads((out / "selection.json").read_text())
    (out / "selection.json").write_text(json.dumps(selection | {"filter": {"on_few": on_few}}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {
        "composites": {"out": {"filter": {}, "render": {}}},
        "continua": {},
        "differences": {},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    done = run_program(
        stage_command(
            "composite", name="out", members=out.parent, landmarker="none", composites="drawn"
        ),
        tmp_path,
    )
    assert done.returncode == code, done.stderr
    why = "3 of at least 4 members can be used: 1 without landmarks"
    if built is None:
        assert done.stderr.startswith(f"error: composites.out: {why}")
        return
    facts = json.loads((tmp_path / "drawn/out/composite.json").read_text())
    assert (facts["built"], facts["n"], len(facts["members"])) == (
        (True, 3, 3) if built else (False, 0, 0)
    )
    assert facts["left_out"] == {"no_landmarks": ["d.jpg"]}
    assert (tmp_path / "drawn/out/composite.jpg").exists() == built
    assert built or (why in facts["why"] and why in done.stderr)


# Contact sheets


def test_a_contact_sheet_shows_each_face_in_its_place(tmp_path):
    faces = write_faces(
        tmp_path, *((np.full((SIZE, SIZE, 3), 20 * i, np.uint8), None) for i in range(7))
    )
    sheet = np.asarray(contact_sheet(list(faces["path"]), columns=3, side=10))
    assert sheet.shape == (30, 30, 3)
    assert [sheet[5 + 10 * (i // 3), 5 + 10 * (i % 3), 0] for i in range(7)] == [
        20 * i for i in range(7)
    ]
    assert (sheet[20:, 10:] == 255).all()
    assert contact_sheet(list(faces["path"]), columns=3, side=10, most=3).size == (30, 10)


def test_a_sheet_fits_into_its_bytes_whatever_it_shows():
    wild = Image.fromarray(noise(0, 400))
    assert 20_000 < len(fitting_jpeg(wild, 40_000)) <= 40_000
    assert len(fitting_jpeg(Image.new("RGB", (960, 960), "white"))) < 20_000
