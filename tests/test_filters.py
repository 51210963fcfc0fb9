"""Filters: each condition keeps what it says, is counted, and is widened only where that was asked
for.
"""

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.age.check import COPY, LABEL, AgeCheck
from facestats.cli.doctor_filters import unknown_columns
from facestats.core.layout import METADATA
from facestats.core.stats.identity import BY_MODEL
from facestats.errors import InputError, ParamsError
from facestats.groups.filters import select_faces
from facestats.params.project import check_params
from facestats.serving.composites import filter_images
from resources import ROOT, names

# Filters


@pytest.fixture
def people():
    """120 faces: two genders and some unknown, ages 0 to 119, deciles and clusters in turn, some
    null.
    """
    i = np.arange(120)
    return pd.DataFrame(
        {
            "filename": [f"{k:03}.jpg" for k in i],
            "gender_final": np.array(["female", "male", "unknown"])[i % 3],
            "ethnicity_final": np.array(["a", "b", "c", "unknown"])[i % 4],
            "age_final": np.where(i % 10 == 9, np.nan, i),
            "glasses_final": np.array(["with", "without"])[i % 2],
            "height_final": i + 100.0,
            "cluster": i % 5,
            "attractiveness": pd.array(np.where(i % 7 == 6, None, i % 10 + 1), dtype="Int32"),
        }
    )


@pytest.mark.parametrize(
    ("conditions", "keep"),
    [
        ({"gender": "female"}, lambda t: t["gender_final"] == "female"),
        ({"gender": ["female", "male"]}, lambda t: t["gender_final"] != "unknown"),
        ({"ethnicity": ["a", "c"]}, lambda t: t["ethnicity_final"].isin(["a", "c"])),
        ({"age_range": [20, 30]}, lambda t: (t["age_final"] >= 20) & (t["age_final"] <= 30)),
        ({"attractiveness": [9, 10]}, lambda t: t["attractiveness"].fillna(0) >= 9),
        ({"cluster": 0}, lambda t: t["cluster"] == 0),
        ({"cluster": [1, 4]}, lambda t: t["cluster"].isin([1, 4])),
        ({"attributes": {"glasses": "with"}}, lambda t: t["glasses_final"] == "with"),
        (
            {"attributes": {"glasses": ["with", "without"], "gender": "male"}},
            lambda t: t["gender_final"] == "male",
        ),
        ({"gender": None, "cluster": 2}, lambda t: t["cluster"] == 2),
        ({"gender": "nobody"}, lambda t: t["cluster"] < 0),
        ({}, lambda t: t["cluster"] >= 0),
    ],
)
def test_each_condition_keeps_what_it_says(people, conditions, keep):
    selection = select_faces(people, conditions)
    assert list(selection.rows["filename"]) == list(people["filename"][keep(people)])
    assert selection.matched["all"] == 120


def test_faces_of_unknown_gender_or_age_are_in_only_when_asked_for(people):
    for conditions in ({"gender": ["female", "male"]}, {"gender": "male"}):
        assert "unknown" not in set(select_faces(people, conditions).rows["gender_final"])
    assert len(select_faces(people, {"gender": "unknown"}).rows) == 40
    assert select_faces(people, {"age_range": [0, 130]}).rows["age_final"].notna().all()
    assert select_faces(people, {"attractiveness": [1, 10]}).rows["attractiveness"].notna().all()


def test_the_faces_left_are_counted_after_each_condition_in_order(people):
    selection = select_faces(
        people,
        {
            "attractiveness": [1, 5],
            "attributes": {"glasses": "with"},
            "age_range": [10, 99],
            "gender": "female",
        },
        min_results=50,
    )
    left = people[people["gender_final"] == "female"]
    expected = {"all": 120, "gender": len(left)}
    left = left[left["age_final"].between(10, 99)]
    expected["age_range"] = len(left)
    left = left[left["glasses_final"] == "with"]
    expected["attributes.glasses"] = len(left)
    left = left[left["attractiveness"].between(1, 5).fillna(False)]
    expected["attractiveness"] = len(left)
    assert list(selection.matched.items()) == list(expected.items())
    assert (
        40
        == expected["gender"]
        > expected["age_range"]
        > expected["attributes.glasses"]
        > expected["attractiveness"]
        > 0
    )
    assert not selection.enough
    assert (
        f"{len(left)} faces of at least 50 (left after each condition: all: 120, gender: 40"
        in str(selection)
    )


def test_a_draw_of_n_moves_few_members_when_faces_are_added(people):
    drawn = set(select_faces(people, {}, n=30, seed=1).rows["filename"])
    assert len(drawn) == 30
    assert (
        set(select_faces(people[::-1].reset_index(drop=True), {}, n=30, seed=1).rows["filename"])
        == drawn
    )
    more = pd.concat([people, people.head(1).assign(filename="new.jpg")], ignore_index=True)
    assert len(drawn - set(select_faces(more, {}, n=30, seed=1).rows["filename"])) <= 1
    fewer = people[people["filename"] != min(drawn)]
    assert drawn - set(select_faces(fewer, {}, n=30, seed=1).rows["filename"]) == {min(drawn)}
    assert set(select_faces(people, {}, n=30, seed=2).rows["filename"]) != drawn
    # a draw, not the first by name, and a smaller draw is part of a larger one
    assert drawn != set(people["filename"][:30])
    assert set(select_faces(people, {}, n=20, seed=1).rows["filename"]) < drawn


def test_members_come_sorted_by_name(people):
    rows = select_faces(people.sample(frac=1, random_state=0), {"cluster": 1}, n=9).rows
    assert list(rows["filename"]) == sorted(rows["filename"])


def test_nothing_is_widened_unless_asked(people):
    selection = select_faces(people, {"age_range": [50, 52]}, min_results=10)
    assert (len(selection.rows), selection.relaxed, selection.enough) == (3, [], False)


def test_ranges_are_widened_step_by_step_until_enough_and_recorded(people):
    selection = select_faces(
        people, {"age_range": [50, 52], "cluster": 0}, min_results=4, relax=["age_range", "cluster"]
    )
    assert selection.relaxed == [{"condition": "age_range", "from": [50, 52], "to": [40, 62]}]
    assert (len(selection.rows), selection.enough) == (5, True)
    assert selection.matched == {"all": 120, "age_range": 21, "cluster": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        {"age_range": 30},
        {"age_range": [40, 20]},
        {"age_range": ("20", "30")},
        {"age_range": (20, None)},
        {"attractiveness": 11},
        {"attractiveness": (0, 20)},
        {"age_range": {20, 60}},
        {"age_range": iter((20, 60))},
        {"age_range": (20, float("nan"))},
    ],
)
def test_an_impossible_range_is_an_error(people, wrong):
    with pytest.raises(InputError, match=rf"{next(iter(wrong))} = .* expected \[low, high\]"):
        select_faces(people, wrong)


def test_a_class_that_no_face_has_is_named_with_those_there_are(people):
    assert "no face has gender Female; there are female, male" in str(
        select_faces(people, {"gender": "Female"})
    )
    assert select_faces(people, {"gender": "female"}).hints == []
    assert "no face has attributes.glasses round; there are with, without" in str(
        select_faces(people, {"attributes": {"glasses": ["round", "with"]}})
    )


def test_of_many_classes_some_are_named(people):
    people["name"] = [f"face {i:03}" for i in range(120)]
    [hint] = select_faces(people, {"columns": {"name": "nobody"}}).hints
    assert hint.startswith("no face has columns.name nobody; there are face 000, face 001, ")
    assert hint.endswith(", face 019 and 100 more")


def test_what_has_no_steps_is_dropped_and_the_rest_in_turn(people):
    selection = select_faces(
        people,
        {"gender": "nobody", "attractiveness": [2, 9]},
        min_results=110,
        relax=["gender", "attractiveness"],
    )
    assert selection.relaxed == [
        {"condition": "gender", "from": "nobody", "to": None},
        {"condition": "attractiveness", "from": [2, 9], "to": None},
    ]
    assert selection.matched == {"all": 120}
    dropped = select_faces(
        people, {"attributes": {"glasses": "round"}}, min_results=110, relax=["attributes"]
    )
    assert dropped.relaxed == [
        {"condition": "attributes", "from": {"glasses": "round"}, "to": None}
    ]
    assert (
        select_faces(people, {"cluster": 9}, min_results=200, relax=["gender", "cluster"]).enough
        is False
    )


def test_doubtful_pictures_are_left_out_before_the_draw_and_counted(people):
    people["doubts"] = np.where(people.index % 4 == 0, "extreme_pose, blurred", None)
    selection = select_faces(people, {"gender": "female"}, n=30)
    assert len(selection.rows) == 30
    assert selection.rows["doubts"].isna().all()
    assert (selection.matched, selection.flagged) == (
        {"all": 120, "gender": 40, "flags": 30},
        {"blurred": 10, "extreme_pose": 10},
    )
    kept = select_faces(people, {"gender": "female"}, flags="keep")
    assert (len(kept.rows), kept.matched, kept.flagged) == (40, {"all": 120, "gender": 40}, {})
    with pytest.raises(InputError, match="the column doubts must hold texts"):
        select_faces(people.assign(doubts=1), {})


def test_enough_faces_are_left_as_they_are(people):
    assert (
        select_faces(people, {"age_range": [50, 52]}, min_results=3, relax=["age_range"]).relaxed
        == []
    )


def test_widening_goes_before_the_draw_and_never_past_n(people):
    selection = select_faces(
        people, {"age_range": [50, 52]}, n=5, min_results=5, relax=["age_range"]
    )
    assert (len(selection.rows), len(selection.relaxed)) == (5, 1)


@pytest.mark.parametrize(
    ("conditions", "relax", "expected"),
    [
        ({"hair": "red"}, None, "unknown condition 'hair'; there are gender"),
        ({}, ["hair"], "unknown condition 'hair'"),
        (
            {"attributes": {"hat": "red"}},
            None,
            r"attributes\.hat needs the column hat_final; the table has filename",
        ),
        (
            {"attributes": {"height": "150"}},
            None,
            r"attributes\.height asks for a class, but height_final holds numbers",
        ),
        ({"attributes": "with"}, None, "attributes = 'with'; expected a class by attribute"),
        (
            {"attributes": {1: "with", "glasses": "with"}},
            None,
            "attributes = {1: 'with', 'glasses': 'with'}; expected a class by attribute",
        ),
        ({"cluster": 1}, None, "cluster needs the column cluster; the table has filename"),
    ],
)
def test_a_condition_that_cannot_be_applied_is_named(people, conditions, relax, expected):
    with pytest.raises(InputError, match=expected):
        select_faces(people.drop(columns="cluster"), conditions, relax=relax)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"gender": 1}, "gender = 1; expected a class, or a list of them"),
        ({"ethnicity": ["a", None]}, r"ethnicity = \['a', None\]; expected a class"),
        ({"attributes": {"glasses": None}}, r"attributes\.glasses = None; expected a class"),
        ({"cluster": "two"}, "cluster = 'two'; expected a cluster's number, or a list of them"),
    ],
)
def test_what_is_no_class_is_named(people, conditions, expected):
    with pytest.raises(InputError, match=expected):
        select_faces(people, conditions)


def test_a_table_that_cannot_be_asked_is_named(people):
    with pytest.raises(
        InputError, match="age_range needs numbers, but age_final holds something else"
    ):
        select_faces(people.assign(age_final="20"), {"age_range": [10, 30]})
    with pytest.raises(InputError, match="needs the column filename; it has gender_final, 7"):
        select_faces(
            people[["gender_final"]].assign(**{"7": 0}).rename(columns={"7": 7}),
            {"gender": "female"},
        )
    with pytest.raises(
        InputError, match=r"it has gender_final, .*; \.reset_index\(\) makes one of the index"
    ):
        select_faces(people.set_index("filename"), {"gender": "female"})
    with pytest.raises(InputError, match="the column gender_final stands twice in the table"):
        select_faces(pd.concat([people, people[["gender_final"]]], axis=1), {"gender": "female"})
    for wrong in (None, 7):
        with pytest.raises(
            InputError, match=f"filename must hold a text in every row; found {wrong or 'nan|None'}"
        ):
            select_faces(
                people.astype({"filename": object}).assign(
                    filename=["a", wrong, *people["filename"][2:]]
                ),
                {},
            )
    with pytest.raises(
        InputError,
        match="gender asks for a class, but gender_final holds something else than texts",
    ):
        select_faces(people.assign(gender_final=[["a"]] * len(people)), {"gender": "female"})
    assert len(select_faces(people.assign(age_final=None), {"age_range": [10, 30]}).rows) == 0


@pytest.mark.parametrize("several", [tuple, set, np.array, pd.Series])
def test_a_list_of_classes_may_be_of_any_kind(people, several):
    assert len(select_faces(people, {"gender": several(["female", "male"])}).rows) == 80


def test_a_table_that_names_photos_alone_is_filtered():
    rows = filter_images(
        pd.DataFrame(
            {"image": ["b.png", "a.jpg", "c.jpg"], "gender_final": ["male", "male", "female"]}
        ),
        gender="male",
    )
    assert rows[["image", "filename"]].values.tolist() == [
        ["a.jpg", "a.jpg"],
        ["b.png", "b.png.jpg"],
    ]
    with pytest.raises(
        InputError, match=r"the column filename must hold a text in every row; found .*1"
    ):
        filter_images(pd.DataFrame({"image": [1]}))


# Scores of traits, ratings, further columns


@pytest.fixture
def measured(people):
    i = np.arange(120)
    return people.assign(
        rating=np.where(i < 100, i / 10, np.nan),
        trustworthy_decile=i % 10 + 1.0,
        nose_width=i / 120,
        height=[str(k) for k in i],
        dataset=np.array(["omi", "3dsk"])[i % 2],
        nothing=np.nan,
    )


@pytest.mark.parametrize(
    ("conditions", "keep"),
    [
        ({"score": {"trustworthy": [8, 10]}}, lambda t: t["trustworthy_decile"] >= 8),
        ({"score": {"attractiveness": [9, 10]}}, lambda t: t["attractiveness"].fillna(0) >= 9),
        ({"rating": [5, 7]}, lambda t: t["rating"].between(5, 7)),
        ({"rating": ["q0.8", "q1"]}, lambda t: t["rating"] > 7.9),
        ({"columns": {"nose_width": [0.25, 0.5]}}, lambda t: t["nose_width"].between(0.25, 0.5)),
        ({"columns": {"nose_width": ["q0", 0.5]}}, lambda t: t["nose_width"] <= 0.5),
        ({"columns": {"height": ["q0.5", "q1"]}}, lambda t: t["height"].astype(int) > 59),
        ({"columns": {"height": [100, 119]}}, lambda t: t["height"].str.len() == 3),
        ({"columns": {"dataset": "omi"}}, lambda t: t["dataset"] == "omi"),
        ({"columns": {"dataset": ["omi", "3dsk"]}}, lambda t: t["cluster"] >= 0),
        ({"attributes": {"dataset": "3dsk"}}, lambda t: t["dataset"] == "3dsk"),
        ({"columns": {"nothing": [0, 1]}}, lambda t: t["cluster"] < 0),
    ],
)
def test_any_column_may_be_asked(measured, conditions, keep):
    selection = select_faces(measured, conditions)
    assert list(selection.rows["filename"]) == list(measured["filename"][keep(measured)])
    assert list(filter_images(measured, **conditions)["filename"]) == list(
        selection.rows["filename"]
    )
    assert selection.hints == []


def test_turned_heads_may_be_asked_for_where_no_face_has_a_doubt(people):
    people["doubts"] = pd.array(["blurred", *[None] * 119], dtype="str")
    people["yaw"] = np.arange(120.0)
    for low, high, left in ((-5, 5, 5), (5, 30, 26)):
        selection = select_faces(people, {"columns": {"yaw": [low, high]}})
        assert len(selection.rows) == left


def test_quantiles_are_those_of_all_faces_and_said_in_numbers(measured):
    conditions = {"gender": "female", "rating": ["q0.5", "q1"], "columns": {"yaw": [0, "q0.25"]}}
    measured["yaw"] = np.arange(120.0)
    selection = select_faces(measured, conditions)
    assert selection.ranges == {"rating": [4.95, 9.9], "columns.yaw": [0, 29.75]}
    kept = filter_images(measured, **conditions)
    assert kept.attrs["facestats"]["ranges"] == selection.ranges
    assert selection.matched == {"all": 120, "gender": 40, "rating": 17, "columns.yaw": 0}
    assert "ranges" not in filter_images(measured, gender="female").attrs["facestats"]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"columns": {"dataset": [1, 2]}}, "needs numbers, but dataset holds something else.*omi"),
        ({"columns": {"nose_with": [0, 1]}}, "no column nose_with. Did you mean nose_width"),
        ({"columns": {"nothing": ["q0.5", "q1"]}}, "no face has a value in nothing"),
        ({"columns": {"nose_width": ["q0.5", "q1.5"]}}, "q1.5 is no quantile"),
        ({"columns": {"nose_width": [1, 0]}}, "1 is above 0"),
        ({"columns": {"nose_width": "wide"}}, "asks for a class, but nose_width holds numbers"),
        ({"columns": {"nose_width": [1]}}, r"expected a class.* or \[low, high\]"),
        ({"columns": ["nose_width"]}, "expected a range or a class by column"),
        ({"score": {"trustwrthy": [8, 10]}}, "trustwrthy is not scored. Did you mean trustworthy"),
        ({"score": {"trustworthy": [8, 11]}}, "expected .* deciles from 1 to 10"),
        ({"rating": "high"}, "expected .*low, high.*quantile"),
        ({"rating": [float("nan"), 1]}, "nan is no end"),
    ],
)
def test_what_can_not_be_asked_is_an_error(measured, conditions, message):
    with pytest.raises(InputError, match=message):
        select_faces(measured, conditions)


def filters(**where):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["score"]["traits"] = ["attractive", "trustworthy"]
    raw["composites"] = {"some": {"filter": where, "render": {}}}
    return check_params(raw | {"continua": {}, "differences": {}}).composites["some"].filter


def test_a_filter_of_params_yaml_takes_them_all():
    where = filters(
        score={"trustworthy": [8, 10]},
        rating=["q0.8", "q1"],
        nose_width=[0.2, "q0.9"],
        columns={"dataset": ["omi", "3dsk"], "yaw": [-5, 5]},
    )
    assert where.columns == {
        "nose_width": [0.2, "q0.9"],
        "dataset": ["omi", "3dsk"],
        "yaw": [-5, 5],
    }
    assert where.rating == ["q0.8", "q1"]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"score": {"trustwrthy": [8, 10]}}, "not in score.traits. Did you mean trustworthy"),
        ({"score": {"trustworthy": [10, 8]}}, "10 is above 8"),
        ({"age_rang": [20, 30]}, "unknown key .*age_rang.*Did you mean .*age_range"),
        ({"dataset": "omi"}, "unknown key"),
        ({"nose_width": ["q0.9", "q0.2"]}, "q0.9 is above q0.2"),
        ({"rating": ["q0.9", "q2"]}, "q2 is no quantile"),
        ({"columns": {"size": [0, 1]}}, "run cache overlooks"),
    ],
)
def test_a_filter_that_can_not_be_is_an_error_at_once(where, message):
    with pytest.raises(ParamsError, match=message):
        filters(**where)


def test_doctor_names_columns_that_the_last_table_lacks(tmp_path):
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    where = {"nose_with": [0, 1], "attributes": {"glases": "with", "dataset": "omi"}}
    raw["composites"] = {"some": {"filter": where, "render": {}}}
    params = check_params(raw | {"continua": {}, "differences": {}})
    assert [*unknown_columns(tmp_path, params)] == []
    (tmp_path / METADATA).mkdir(parents=True)
    there = pd.DataFrame({"nose_width": [1.0], "glasses_final": ["with"], "dataset": ["omi"]})
    there.to_parquet(tmp_path / METADATA / "attributes_final.parquet")
    found = [str(finding.message) for finding in unknown_columns(tmp_path, params)]
    assert found == [
        "composites.some.filter.columns.nose_with: the table of the last run has no column "
        "nose_with. Did you mean nose_width?",
        "composites.some.filter.attributes.glases: the table of the last run has no column "
        "glases_final. Did you mean glasses?",
    ]


@pytest.mark.parametrize(
    "conditions",
    [
        {"score": {"calm": [10, 10]}},
        {"score": {"attractiveness": [10, 10]}},
        {"columns": {"attractiveness_score": ["q0.9", "q1"]}},
        {"columns": {"calm_combined": [90, 100], "glasses": "with"}},
        {"columns": {"geometry_zscore": [2, 3]}},
    ],
)
def test_a_dropped_filter_by_any_score_lets_nobody_in_who_has_none(conditions):
    scores = ("attractiveness", "attractiveness_score", "geometry_zscore", "calm_decile")
    table = pd.DataFrame({"filename": names(4), "glasses": "with", "symmetry_score": [1.0] * 4})
    for name in (*scores, "calm_combined"):
        table[name] = [1.0, None, 2.0, None]
    table["score_withheld"] = [None, "labelled as under 18 (score.min_age)", None, None]
    (relax,) = conditions
    chosen = select_faces(table, conditions, min_results=4, relax=[relax])
    assert chosen.relaxed[0]["to"] is None
    assert chosen.rows["filename"].tolist() == [names(4)[0], names(4)[2], names(4)[3]]
    assert chosen.matched == {"all": 4, "score_withheld": 3}
    by_measurement = {"columns": {"symmetry_score": [2, 3]}}
    assert select_faces(table, by_measurement, min_results=4, relax=["columns"]).enough


@pytest.mark.parametrize("asked", [{"age_range": [18, 120]}, {"columns": {"age_final": [18, 120]}}])
def test_a_range_of_adults_has_nobody_whom_a_copys_label_makes_younger(asked):
    check = AgeCheck(18)
    reasons = [None, check.reason(COPY), check.reason(BY_MODEL), check.reason(LABEL)]
    table = pd.DataFrame(
        {"filename": names(4), "age_final": [40.0, 30, 25, 19], "score_withheld": reasons}
    )
    chosen = select_faces(table, asked, min_results=2)
    assert chosen.rows["filename"].tolist() == [names(4)[0], names(4)[2]]
    younger = {"age_range": [12, 120]}
    assert len(select_faces(table, younger).rows) == 4
    table["score_withheld"] = pd.Series([None] * 4, dtype="str")
    assert len(select_faces(table, asked).rows) == 4
