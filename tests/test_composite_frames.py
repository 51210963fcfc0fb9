"""Filters and composites from Python: pandas and polars frames, and the very picture that the stage
draws.
"""

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

import facestats
from facestats.core.files import write_image
from facestats.errors import InputError
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.groups.conditions import COLUMNS
from facestats.serving import composites as api_composites
from resources import jpeg

KINDS = ["pandas", "polars"]


def frame(kind, table):
    return table if kind == "pandas" else pytest.importorskip("polars").from_pandas(table)


@pytest.fixture(params=KINDS)
def people(request):
    """24 faces in a frame of either kind: two genders, ages, deciles, glasses.

    The last ages are null.
    """
    i = np.arange(24)
    return frame(
        request.param,
        pd.DataFrame(
            {
                "filename": [f"{k:02}.jpg" for k in i[::-1]],
                "gender_final": np.array(["female", "male"])[i % 2],
                "ethnicity_final": "a",
                "age_final": np.where(i < 20, i + 20.0, np.nan),
                "glasses_final": np.array(["with", "without", None])[i % 3],
                "attractiveness": i % 10 + 1,
                "rating": i / 2,
                "cluster": i % 4,
                "note": [[k] for k in i],
            }
        ),
    )


@pytest.mark.long
def test_a_filter_returns_a_frame_of_the_same_kind_with_the_matching_rows(people):
    women = facestats.filter_images(
        people,
        gender="female",
        age_range=(20, 35),
        attributes={"glasses": ["with", "without"]},
        attractiveness=(1, 9),
    )
    assert type(women) is type(people)
    assert list(women.columns) == list(people.columns)
    assert list(women["filename"]) == ["11.jpg", "13.jpg", "17.jpg", "19.jpg", "23.jpg"]
    assert [list(note) for note in women["note"]] == [[k] for k in (12, 10, 6, 4, 0)]


@pytest.mark.parametrize(("cluster", "expected"), [(3, 6), ([0, 3], 12), (np.int64(0), 6)])
def test_clusters_are_asked_for_by_number(people, cluster, expected):
    rows = facestats.filter_images(people, cluster=cluster)
    assert len(rows) == expected
    assert set(rows["cluster"]) == set(np.atleast_1d(cluster))


def test_every_condition_of_a_filter_can_be_asked_for():
    assert set(COLUMNS) <= set(inspect.signature(facestats.filter_images).parameters)


def test_no_match_is_an_empty_frame_and_too_few_are_an_error(people):
    nobody = facestats.filter_images(people, age_range=(90, 99))
    assert (len(nobody), list(nobody.columns)) == (0, list(people.columns))
    with pytest.raises(InputError, match=r"too few: 12 faces of at least 13 .*all: 24, gender: 12"):
        facestats.filter_images(people, gender="male", min_results=13)


def test_a_class_that_no_face_has_is_warned_of(people):
    with pytest.warns(
        UserWarning, match=r"no face has attributes\.glasses wth; there are with, without"
    ):
        assert len(facestats.filter_images(people, attributes={"glasses": "wth"})) == 0
    with pytest.warns(UserWarning, match="no face has gender Female; there are female, male"):
        facestats.filter_images(people, gender=["Female", "male"])


def test_an_attribute_or_column_that_the_frame_has_not_is_named(people):
    with pytest.raises(
        InputError, match="needs the column hat_final; the table has filename, gender_final"
    ):
        facestats.filter_images(people, attributes={"hat": "with"})


def test_of_copies_the_best_that_matches_counts_unless_all_are_kept():
    polars = pytest.importorskip("polars")
    table = pd.DataFrame(
        {
            "filename": list("abcd"),
            "gender_final": ["male", "female", "female", "female"],
            "copy_group": list("aaad"),
            "copy_rank": [1, 3, 2, 1],
        },
        index=[7, 7, 7, 7],
    )
    women = facestats.filter_images(table, gender="female")
    assert women["filename"].tolist() == ["c", "d"]
    assert women.attrs["facestats"]["copies_left_out"] == 1
    assert facestats.filter_images(table)["filename"].tolist() == ["a", "d"]
    assert facestats.filter_images(table, gender="female", copies="keep")["filename"].tolist() == [
        "b",
        "c",
        "d",
    ]
    assert facestats.filter_images(polars.from_pandas(table), gender="female")[
        "filename"
    ].to_list() == ["c", "d"]
    with pytest.raises(
        InputError, match=r"2 faces of at least 3 .*gender: 3, 1 face left out as a copy\)"
    ):
        facestats.filter_images(table, gender="female", min_results=3)
    table["copy_group"] = "a"
    with pytest.raises(InputError, match=r"1 face of .*gender: 3, 2 faces left out as copies\)"):
        facestats.filter_images(table, gender="female", min_results=3)
    with pytest.raises(InputError, match="copies = 'all' is not possible: one of best, keep"):
        facestats.filter_images(table, copies="all")


@pytest.mark.long
def test_of_copied_photos_the_best_one_is_averaged_unless_all_are_kept(
    photos, landmarker, tmp_path, monkeypatch
):
    """One person is there first as a thumbnail, another in grey and mirrored.

    Names and order say nothing of what is better.
    """
    options = PreprocessConfig(on_no_face="reject")
    models = SimpleNamespace(
        root=tmp_path,
        photo=lambda photo: photo,
        crop=lambda photo: crop_face(photo, options, landmarker),
        doubts=lambda crop: [],
        jpeg=lambda crop: jpeg(Image.fromarray(crop.rgb)),
    )
    monkeypatch.setattr(api_composites, "load", lambda: models)
    pictures = {
        "a.jpg": photos[0].resize((90, 90)),
        "b.png": photos[0],
        "c.jpg": ImageOps.mirror(photos[1].convert("L").resize((200, 200))),
        "d.png": photos[1],
        "e.png": photos[2],
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
    paths = [tmp_path / name for name in pictures]
    facts = facestats.make_composite(paths, align="none").info["facestats"]
    assert (facts["n"], facts["members"], facts["copies_left_out"]) == (
        3,
        [str(tmp_path / name) for name in ("b.png", "d.png", "e.png")],
        2,
    )
    drawn = facestats.make_composite(paths, n=2, align="none").info["facestats"]
    assert set(drawn["members"]) < set(facts["members"])  # drawn among people, not among files
    kept = facestats.make_composite(paths, align="none", copies="keep").info["facestats"]
    assert (kept["n"], kept["copies_left_out"]) == (5, 0)


def test_a_pandas_frame_carries_filter_and_counts():
    table = pd.DataFrame(
        {"filename": ["a", "b", "c"], "gender_final": ["female", "male", "female"]}
    )
    women = facestats.filter_images(table, gender="female", min_results=1)
    assert women.attrs["facestats"] == {
        "filter": {"gender": "female", "min_results": 1},
        "matched": {"all": 3, "gender": 2},
        "flagged": {},
        "copies_left_out": 0,
    }
    assert table.attrs == {}


def test_doubtful_pictures_are_left_out_unless_they_are_asked_for():
    table = pd.DataFrame(
        {
            "filename": ["a", "b", "c"],
            "gender_final": "female",
            "doubts": [None, "blurred, dark", "dark"],
        },
        index=[5, 5, 7],
    )
    women = facestats.filter_images(table, gender="female")
    assert women["filename"].tolist() == ["a"]
    assert women.attrs["facestats"]["flagged"] == {"blurred": 1, "dark": 2}
    assert women.attrs["facestats"]["matched"] == {"all": 3, "gender": 3, "flags": 1}
    kept = facestats.filter_images(table, gender="female", flags="keep")
    assert (len(kept), kept.attrs["facestats"]["filter"]["flags"]) == (3, "keep")
    with pytest.raises(InputError, match="flags = 'drop'; there are leave_out and keep"):
        facestats.filter_images(table, flags="drop")
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(table.reset_index(drop=True))
    assert [
        len(facestats.filter_images(frame, flags=flags)) for flags in ("leave_out", "keep")
    ] == [1, 3]


@pytest.mark.parametrize("number", ["3", None, 2.5, -1, True])
def test_min_results_that_is_no_number_is_named(people, number):
    with pytest.raises(
        InputError, match=rf"min_results = {number!r} is not possible: a whole number from 0 on"
    ):
        facestats.filter_images(people, gender="female", min_results=number)


def test_min_results_may_be_a_number_of_numpy(people):
    assert len(facestats.filter_images(people, gender="female", min_results=np.int64(2))) == 12


def test_what_is_no_frame_is_said_to_be_none():
    with pytest.raises(InputError, match="expected a pandas or polars frame, found list"):
        facestats.filter_images([1, 2], gender="female")
    polars = pytest.importorskip("polars")
    with pytest.raises(InputError, match="collect"):
        facestats.filter_images(polars.LazyFrame({"filename": ["a"]}))
    with pytest.raises(InputError, match="found Series"):
        facestats.filter_images(polars.Series(["a"]))
    assert (
        len(
            facestats.filter_images(
                pd.DataFrame({"filename": ["a"], "gender_final": ["x"]}),
                gender=polars.Series(["x"]),
            )
        )
        == 1
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"n": 0}, "n = 0 is not possible: a whole number from 1 on"),
        ({"n": -1}, "n = -1"),
        ({"n": 2.5}, "n = 2.5"),
        ({"n": "5"}, "n = '5'"),
        ({"n": True}, "n = True"),
        ({"seed": -1}, "seed = -1 is not possible: a whole number from 0 on"),
        ({"align": "wrap"}, "align = 'wrap' is not possible: .*'warp'"),
        ({"space": "srgb"}, "space = 'srgb'"),
        ({"symmetric": "no"}, "symmetric = 'no'"),
        ({"max_yaw": float("nan")}, "max_yaw = nan"),
        ({"max_yaw": 0}, "max_yaw = 0"),
    ],
)
def test_an_option_that_there_is_not_is_named(options, expected):
    with pytest.raises(InputError, match=expected):
        facestats.make_composite(pd.DataFrame({"filename": ["a.jpg"]}), **options)


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        ("a.jpg", "put a single one into a list"),
        (Image.new("RGB", (9, 9)), "put a single one into a list"),
        (np.zeros((9, 9, 3), np.uint8), "put a single one into a list"),
        (bytearray(b"a"), "put a single one into a list"),
        (None, "found NoneType"),
        ({"filename": ["a.jpg"]}, "found dict"),
    ],
)
def test_what_is_neither_frame_nor_list_is_said_to_be_none(photos, expected):
    with pytest.raises(InputError, match=f"a table or a list of photos; {expected}"):
        facestats.make_composite(photos)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_face_that_stands_twice_is_named(built, kind, monkeypatch):
    monkeypatch.chdir(built.folder)
    with pytest.raises(InputError, match=r"face_0003\.jpg stands twice in the table .*\(1 rows"):
        facestats.make_composite(
            frame(
                kind,
                pd.DataFrame({"filename": ["face_0003.jpg", "face_0001.jpg", "face_0003.jpg"]}),
            )
        )


@pytest.mark.slow
def test_photos_without_a_face_are_left_out_and_named(built, monkeypatch):
    monkeypatch.chdir(built.folder)
    blank, face = Image.new("RGB", (300, 300)), "data/raw/face_0001.jpg"
    facts = facestats.make_composite([blank, face, "data/raw/bad/no_face.jpg"]).info["facestats"]
    assert (facts["members"], facts["left_out"]) == (
        [face],
        {"no_face": ["image 0", "data/raw/bad/no_face.jpg"]},
    )
    with pytest.raises(InputError, match="no member can be used: 1 without a face"):
        facestats.make_composite([blank])


@pytest.mark.slow
def test_a_drawn_photo_keeps_its_number(built, monkeypatch):
    monkeypatch.chdir(built.folder)
    photos = [Image.open(f"data/raw/face_{i:04}.jpg") for i in (1, 3, 4)]
    names = {
        facestats.make_composite(photos, n=1, seed=seed, align="none").info["facestats"]["members"][
            0
        ]
        for seed in range(6)
    }
    assert {"image 1", "image 2"} & names


@pytest.mark.long
def test_faces_of_one_person_and_copies_share_a_number(built):
    tables = [
        pd.read_parquet(built.folder / f"data/processed/metadata/{name}.parquet")
        for name in ("attributes_final", "labels")
    ]
    final, labels = (table.set_index("filename") for table in tables)
    person = labels["person"].dropna()
    assert person.duplicated().any()
    assert (final.loc[person.index, "person_group"].groupby(person).nunique() == 1).all()
    assert (final.groupby("copy_group")["person_group"].nunique() == 1).all()
    alone = final.index.difference(person.index)
    alone = alone[~final.loc[alone, "copy_group"].duplicated(keep=False)]
    assert final.loc[alone, "person_group"].is_unique


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_composite_from_python_is_that_of_the_stage(built, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(built.folder)
    folder = built.folder / "data/processed/composites/women"
    stored = json.loads((folder / "composite.json").read_text())
    table = pd.read_parquet(built.folder / "data/processed/metadata/attributes_final.parquet")
    members = table[table["filename"].isin(sum(stored["left_out"].values(), stored["members"]))]
    image = facestats.make_composite(frame(kind, members), **stored["render"])
    write_image(tmp_path / "mine.jpg", image)
    assert (tmp_path / "mine.jpg").read_bytes() == (folder / "composite.jpg").read_bytes()
    facts = json.loads(json.dumps(image.info["facestats"].to_dict()))
    same = ("built", "why", "n", "members", "rating", "render", "left_out", "sharpness")
    assert {key: facts[key] for key in same} == {key: stored[key] for key in same}
    assert stored["n"] >= 4
    inside = table.set_index("filename").loc[stored["members"]]
    for name, column in (
        ("holistic", "attractiveness_score"),
        ("geometric", "geometric_score"),
        ("combined", "combined_score"),
    ):
        assert facts["scores"][name]["n"] == inside[column].notna().sum()
        assert facts["scores"][name]["value"] == pytest.approx(inside[column].mean())
    assert (image.size, np.load(folder / "shape.npy").shape) == (
        Image.open(folder / "composite.jpg").size,
        (468, 2),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_filtered_frame_is_averaged_with_the_options_asked_for(built, kind, monkeypatch):
    monkeypatch.chdir(built.folder)
    table = frame(
        kind, pd.read_parquet(built.folder / "data/processed/metadata/attributes_final.parquet")
    )
    women = facestats.filter_images(table, gender="female", min_results=5)
    image = facestats.make_composite(women, n=5, seed=3, space="gamma", symmetric=True)
    facts = image.info["facestats"]
    assert np.array_equal(image, np.asarray(image)[:, ::-1])
    assert facts["render"] == {
        "align": "warp",
        "space": "gamma",
        "symmetric": True,
        "max_yaw": 25.0,
    }
    assert facts["n"] + sum(map(len, facts["left_out"].values())) == 5
    assert facts["filter"] == (
        {"gender": "female", "min_results": 5} if kind == "pandas" else {}
    ) | {"n": 5, "seed": 3}
    assert facts["matched"] == (
        {"all": len(table), "gender": len(women), "flags": len(women)} if kind == "pandas" else None
    )
    with pytest.raises(InputError, match="needs the column filename"):
        facestats.make_composite(table[["cluster"]])
    first = table["filename"].to_list()[0]
    alone = facestats.make_composite(
        frame(kind, pd.DataFrame({"filename": [first]})), align="none"
    ).info["facestats"]
    assert (alone["members"], alone["sharpness"]["ratio"]) == ([first], 1)
