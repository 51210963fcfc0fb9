"""Tables and lists that others may have written lead no stimulus and no trait out of its folder."""

import hashlib
import json
import os
from types import SimpleNamespace

import pytest

from facestats.errors import InputError, TableError
from facestats.labels.traits import read_traits
from facestats.pairs.built import Built
from facestats.serving.batch import _table
from facestats.serving.stimuli import chosen_by_score
from facestats.serving.stimulus_files import ChosenFaces, write_stimuli
from facestats.traits.joining import copy_models


@pytest.mark.parametrize(
    "traits", [["main", "../../other"], ["/tmp"], [["a"]], "main", None, ["a/b"], ["a" * 61]]
)
def test_traits_are_names_and_no_paths(tmp_path, traits):
    (tmp_path / "in_use.json").write_text(json.dumps({"traits": traits}))
    with pytest.raises(TableError, match="names what is no trait"):
        read_traits(tmp_path)
    with pytest.raises(TableError):
        copy_models(tmp_path, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in_use.json"]


@pytest.mark.parametrize("names", [("../a.jpg", "a.jpg"), ("a.jpg", "../a.jpg"), ("/a.jpg", "b")])
def test_names_of_photos_lead_nowhere_else(tmp_path, names):
    with pytest.raises(InputError, match="is no name of a photo"):
        list(ChosenFaces([names]).photos(tmp_path, tmp_path, tmp_path / "out"))


def test_a_photo_behind_a_link_out_of_its_folder_is_not_moved(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.jpg").write_bytes(b"a")
    (tmp_path / "photos/a.jpg").symlink_to(tmp_path / "other/a.jpg")
    chosen = ChosenFaces([("a.jpg", "a.jpg")], {"a.jpg": hashlib.sha256(b"a").hexdigest()})
    places = tmp_path, tmp_path / "photos", tmp_path / "out"
    with pytest.raises(InputError, match=r"photos/a\.jpg is a link to .*outside of the folder"):
        list(chosen.photos(*places))
    assert len(list(chosen.photos(*places, cache=tmp_path / "other"))) == 1


def test_two_photos_are_not_written_to_one_file(tmp_path):
    class Still:
        models = None

        def parameters(self):
            return {}

        def move(self, source):
            raise InputError("no face")

    photos = [
        ("a.webp", b"", tmp_path / "a.webp.png"),
        ("a.webp.png", b"", tmp_path / "a.webp.png"),
    ]
    with pytest.raises(InputError, match=r"a\.webp and a\.webp\.png would both be written to"):
        list(write_stimuli(Still(), photos, tmp_path / "stimuli.csv"))
    assert (tmp_path / "stimuli.csv").read_text().splitlines()[1:] == ["a.webp,no face"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"attractiveness": [8, 10]}, True),
        ({"score": {"trustworthy": [8, 10]}}, True),
        ({"rating": [5, 7]}, True),
        *(({"columns": {f"trustworthy_{part}": [1, 2]}}, True)
          for part in ("raw", "score", "pct", "decile", "geometric", "combined")),
        ({"columns": {"rating_trustworthy": [1, 2]}}, True),
        ({"columns": {"geometry_zscore": [1, 2]}}, True),
        ({"columns": {"yaw": [20, 40]}, "gender": "female"}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_whose_members_were_chosen_by_a_score(wanted, expected):
    assert chosen_by_score(Built("a", None, None, {"filter": wanted})) is expected


def test_a_name_that_is_no_text_is_a_row_like_any_other(tmp_path):
    name = os.fsdecode(b"\xff.jpg")
    frame = _table([{"image": name, "error": f"{name}: damaged"}], None, SimpleNamespace(traits=[]))
    assert frame.loc[0, "image"] == r"\xff.jpg"
    assert frame.loc[0, "error"] == r"\xff.jpg: damaged"
    frame.to_parquet(tmp_path / "scores.parquet")
