"""Every dataset that can be imported, read out of a small one of its layout."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

import datasets
from datasets import MAKERS
from facestats.importers.registry import DATASETS, KNOWN, overview
from facestats.importers.run import import_dataset

# By dataset: photos, some labels, and what is left out by a part of the reason.
EXPECTED = {
    "omi": (2, {"1.jpg": {"gender": "female", "ethnicity": "white", "rating": "41"}}, {}),
    "fairface": (
        5,
        {
            "train/1.jpg": {"gender": "male", "ethnicity": "East Asian", "age": "54.5"},
            "train/2.jpg": {"age_class": "3-9", "age": "6.0", "split_official": "train"},
            "train/3.jpg": {"age": "75.0"},
            "val/2.jpg": {"age": "", "gender": "male", "split_official": "val"},
        },
        {"no such photo": ["train/4.jpg"], "age has an unknown code": ["val/2.jpg: many"]},
    ),
    "utkface": (
        8,
        {
            "1_0_0_20161219140530307.jpg.chip.jpg": {
                "age": "1", "gender": "male", "ethnicity": "white"
            },
            "61_1_20170109142408075.jpg.chip.jpg": {
                "age": "61", "gender": "female", "ethnicity": ""
            },
            "39_1_20170116174525125.jpg.chip.jpg": {"age": "39", "gender": "", "ethnicity": ""},
            "24_0_1_20170116220224657 .jpg.chip.jpg": {"age": "24", "ethnicity": "black"},
            "55_0_0_20170116232725357jpg.chip.jpg": {"age": "55", "gender": "male"},
        },
        {
            "the race": [
                "39_1_20170116174525125.jpg.chip.jpg",
                "61_1_20170109142408075.jpg.chip.jpg",
                "61_3_20170109150557335.jpg.chip.jpg",
            ],
            "a photo whose name": ["top/UTKFace/notes.jpg"],
            "a copy": ["top/crop_part1/1_0_0_20161219140530307.jpg.chip.jpg"],
        },
    ),
    "agedb": (
        3,
        {
            "0_MariaCallas_35_f.jpg": {"person": "MariaCallas", "age": "35", "gender": "female"},
            "2_Léa Seydoux2_30_f.jpg": {"person": "Léa Seydoux2"},
        },
        {"a photo whose name": ["top/AgeDB/3_JohnDoe_m.jpg"]},
    ),
    "afad": (
        3,
        {
            "15/111/638660-0.jpg": {"gender": "male", "age": "15", "person": "638660"},
            "40/112/7-2.jpg": {"gender": "female", "age": "40", "person": "7"},
        },
        {"a photo that is not at": ["top/AFAD-Full/15/111/odd.jpg"], "hidden": None},
    ),
    "lagenda": (
        2,
        {"a1.jpg": {"age": "60.0", "gender": "male"}, "b2.jpg": {"age": "", "gender": ""}},
        {"a further face": ["a1.jpg"], "no such photo": ["c3.jpg"]},
    ),
    "adience": (
        3,
        {
            "30601258@N03/coarse_tilt_aligned_face.1.o1.jpg": {
                "age": "28.5", "age_class": "(25, 32)", "person": "30601258@N03", "fold": "0"
            },
            "30601258@N03/coarse_tilt_aligned_face.2.o2.jpg": {"age": "", "gender": ""},
            "x@N1/coarse_tilt_aligned_face.3.o3.jpg": {"age": "35.0", "gender": "male"},
        },
        {"no such photo": ["x@N1/coarse_tilt_aligned_face.4.gone.jpg"]},
    ),
    "scut": (
        4,
        {
            "AF1.jpg": {
                "gender": "female", "ethnicity": "asian", "rating": "3.5", "split_official": "train"
            },
            "AM2.jpg": {"gender": "male", "split_official": "test"},
            "CM152.jpg": {"ethnicity": "caucasian", "rating": ""},
        },
        {
            "landmarks without": ["top/SCUT-FBP5500_v2/facial landmark/CM152.pts"],
            "Rating is no number": ["CM152.jpg: six"],
        },
    ),
    "mebeauty": (
        4,
        {
            "female/black/11.jpg": {"gender": "female", "ethnicity": "black", "split_official": ""},
            "male/black/11.jpg": {"split_official": "test"},
            "male/mideastern/a unsplash (1).png": {
                "ethnicity": "middle-eastern", "split_official": "train"
            },
        },
        {
            "without a path": ["nowhere"],
            "no such photo": ["/home/ubuntu/ME-beautydatabase/images/male/black/gone.jpg"],
            "rating is no number": ["male/black/11.jpg by A1B2: 40"],
        },
    ),
    "10kus": (
        3,
        {
            "Ann_Lee_5_oval.jpg": {
                "gender": "female", "ethnicity": "middle-eastern", "age_class": "30-45",
                "rating": "3.5", "trait_trustworthy": "6.5",
            },
            "Google_1_Bo_2_oval.jpg": {"gender": "male", "ethnicity": "", "age_class": "below 20"},
        },
        {"a copy": None, "Race has an unknown code": ["Google_1_Bo_2_oval.jpg: 9"]},
    ),
    "cfd": (
        4,
        {
            "CFD-AF-200-228-N.jpg": {
                "person": "AF-200", "gender": "female", "age": "32.5", "rating": "4.1",
                "rating_trustworthy": "3.5", "attractive_absolute": "",
            },
            "CFD-AF-200-229-HC.jpg": {"age": "32.5", "rating": "", "expression": "happy_closed"},
            "CFD-MM-300-001-N.jpg": {"ethnicity": "multiracial", "rating": "5.5"},
            "CFD-IF-601-519-N.jpg": {"rating": "", "attractive_absolute": "2.5", "age": "23.0"},
        },
        {"a norming row without": ["WM-999"], "a photo whose name": None},
    ),
    "london": (
        3,
        {
            "001_03.jpg": {"person": "001", "gender": "female", "age": "24.0"},
            "001_08.jpg": {"person": "001", "view": "smiling_front"},
            "002_03.jpg": {"age": "", "ethnicity": "east_asian/white"},
        },
        {
            "no such photo": ["003"],
            "rating is no number": ["002_03.jpg by r0002: x"],
            "ratings of a face": ["X003"],
            "hidden": None,
        },
    ),
    "3dsk": (
        2,
        {"female/agata.jpg": {"gender": "female", "age": "29", "person": "agata"}},
        {
            "does not name": ["male/nobody.jpg"],
            "no such photo": ["gone"],
            "rating is no number": ["agata by R4: 9"],
        },
    ),
    "celeba": (
        3,
        {
            "000001.jpg": {
                "gender": "male", "person": "2880", "split_official": "train", "young": "yes",
                "attractive": "no",
            },
            "000003.jpg": {"split_official": "test", "person": "2937", "bald": "no"},
        },
        {"no such photo": ["000004.jpg"]},
    ),
    "lfw": (
        3,
        {
            "Aaron_Eckhart/Aaron_Eckhart_0001.jpg": {
                "person": "Aaron_Eckhart", "gender": "male", "split_official": "test"
            },
            "Zach_P/Zach_P_0001.jpg": {"gender": "female", "smiling": "yes"},
            "Zach_P/Zach_P_0002.jpg": {"gender": "", "person": "Zach_P"},
        },
        {"a photo that is not": None},
    ),
    "imdbwiki": (
        3,
        {
            "wiki_crop/17/0_1981-05-05_2009.jpg": {
                "age": "28", "gender": "male", "person": "imdb:6488"  # by the name
            },
            "wiki_crop/17/1_1981-05-05_2009.jpg": {"gender": "female", "person": "wiki:Q R"},
            "imdb_crop/01/nm0_rm1_1981-5-13_2009.jpg": {"gender": "female", "person": "imdb:6488"},
        },
        {
            "a second face": ["imdb_crop/01/nm2_rm1_1981-5-13_2009.jpg"],
            "not from 0 to 100": ["wiki_crop/17/3_1981-05-05_2009.jpg"],
            "unknown gender": ["wiki_crop/17/2_1981-05-05_2009.jpg"],
            "no such photo": ["imdb_crop/01/nm1_rm1_1981-5-13_2009.jpg"],
        },
    ),
    "ffhq": (
        4,
        {
            "00000.png": {"model_gender": "female", "split_official": "train"},
            "00001.png": {"model_gender": "", "split_official": "test"},
            "00002.png": {"model_age": "8.0"},
        },
        {
            "a further file": None,
            "features without a face": None,
            "a further face": None,
            "can't be read": None,
            "no such photo": None,
        },
    ),
}  # fmt: skip


def bring(tmp_path, name, make=None, **choices):
    """A dataset made, with what systems leave behind, two folders deep; and its import."""
    source, into = tmp_path / "source", tmp_path / "data"
    top = source / "top"
    top.mkdir(parents=True)
    (make or MAKERS[name])(top)
    for junk in ("._1.jpg", ".DS_Store", "__MACOSX/1.jpg"):
        (source / junk).parent.mkdir(exist_ok=True)
        (source / junk).write_bytes(b"junk")
    return import_dataset(DATASETS[name], KNOWN, source, into, **choices), into


def table(into, name="labels"):
    path = into / f"labels/{name}.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False).set_index("image")


def state(folder: Path) -> dict:
    return {
        path: (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            hashlib.md5(path.read_bytes()).digest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.long
@pytest.mark.parametrize("name", MAKERS)
def test_a_dataset_comes_in_as_its_layout_says(tmp_path, name):
    n, expected, left_out = EXPECTED[name]
    done, into = bring(tmp_path, name)
    assert done.images == n == sum(path.is_file() for path in (into / "raw").rglob("*"))
    labels = table(into)
    for image, values in expected.items():
        assert labels.loc[image, [*values]].to_dict() == values
    for image in labels.index:  # the photo that the labels are about
        assert (into / "raw" / image).read_bytes().decode().endswith(Path(image).name)
    reasons = {
        reason: [*names] for reason, names in done.left_out.items() if "hidden" not in reason
    }
    wanted = {part: names for part, names in left_out.items() if part != "hidden"}
    assert len(reasons) >= len(wanted)
    for part, names in wanted.items():
        (found,) = [reason for reason in reasons if part in reason]
        assert names is None or reasons[found] == names
    report = done.report(into / "raw", into / "labels")
    assert DATASETS[name].licence in report
    assert all(f"{len(names)} × {reason}" in report for reason, names in reasons.items())
    facts = json.loads((into / "labels/dataset.json").read_text())
    assert facts["name"] == name
    assert facts["files"] == n
    assert {one["reason"]: one["n"] for one in facts["left_out"]} == {
        reason: len(names) for reason, names in reasons.items()
    }
    if name == "ffhq":  # one digest for its many files of one face each
        assert len(facts["label_files"].pop("json/*.json")) == 64
    for path, digest in facts["label_files"].items():
        (file,) = [p for p in (tmp_path / "source").rglob("*") if p.as_posix().endswith("/" + path)]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("make", ["scut_v1", "london_older", "celeba_kaggle"])
def test_older_and_other_copies_of_a_dataset_are_read(tmp_path, make):
    done, into = bring(tmp_path, make.split("_")[0], getattr(datasets, make))
    labels = table(into)
    if make == "scut_v1":
        assert labels.loc["fty1.jpg", ["gender", "ethnicity", "rating"]].tolist() == [
            "female", "asian", "4.316667"
        ]  # fmt: skip
        assert labels["split_official"].tolist() == ["train", "test"]
        assert done.dataset["version"] == "v1"
    elif make == "london_older":
        assert labels.loc["002_03.jpg", ["gender", "ethnicity", "person"]].tolist() == [
            "male", "", "002"
        ]  # fmt: skip
        assert len(table(into, "ratings")) == 3
    else:
        assert labels.loc["000001.jpg", ["gender", "split_official"]].tolist() == ["female", "test"]
        assert any("identity_CelebA.txt is not there" in note for note in done.notes)


@pytest.mark.long
def test_single_judgements_keep_their_raters(tmp_path):
    for name, expected in {
        "scut": {("AF1.jpg", "1", "3.0"), ("AF1.jpg", "2", "4.0"), ("AM2.jpg", "1", "2.0")},
        "mebeauty": {("male/black/11.jpg", "malecm39", "2.0")},
        "london": {("001_03.jpg", "r0001", "3.0"), ("002_03.jpg", "r0001", "7.0")},
        "3dsk": {("male/alex.jpg", "R2", "7.0"), ("male/alex.jpg", "R1", "1.0")},
    }.items():
        _, into = bring(tmp_path / name, name)
        ratings = table(into, "ratings").reset_index()
        assert expected <= {
            *ratings[["image", "rater", "rating"]].itertuples(index=False, name=None)
        }
        assert json.loads((into / "labels/dataset.json").read_text())["rating_scale"]
    assert ratings["trait"].tolist() == ["attractive", "attractive", "dominant"]
    assert ratings["rater_gender"].tolist() == ["female", "female", "male"]


def test_every_dataset_is_listed_with_its_licence_and_no_two_look_alike(tmp_path):
    lines = overview().splitlines()[1:]
    assert [line.split()[0] for line in lines] == [*DATASETS]
    assert {*DATASETS} == {*MAKERS, "folder", "csv"}
    for name, dataset in DATASETS.items():
        assert any(dataset.licence in line for line in lines if line.startswith(name))
