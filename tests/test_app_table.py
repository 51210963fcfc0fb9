"""The faces in memory and the query of an address: filters as in composites, order, pages."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="needs the extra facestats[serve]")

from facestats.app.faces_table import SEARCH, FacesTable
from facestats.app.filter_form import counts_of, fields_of, further_columns
from facestats.app.query import Query, parse_query
from facestats.errors import InputError
from facestats.groups.filters import filter_faces
from facestats.groups.params import Filter

N = 300


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    names = [f"{i % 7}/face {i:03d}.jpg" for i in range(N)]
    groups = [names[i - i % 10] if i % 10 < 2 else names[i] for i in range(N)]
    some = random.random(N)
    frame = pd.DataFrame(
        {
            "filename": names,
            "image": [f"Photo_{i:03d}.PNG" for i in range(N)],
            "gender_final": random.choice(["female", "male", "unknown"], N),
            "ethnicity_final": random.choice(["a", "b"], N),
            "age_final": np.where(some < 0.1, np.nan, random.uniform(18, 80, N)),
            "glasses_final": random.choice(["with", "without"], N),
            "hat": pd.Series(np.where(some < 0.5, None, random.choice(["yes", "no"], N))),
            "cluster": random.integers(0, 4, N).astype("int32"),
            "attractiveness": random.integers(1, 11, N).astype("int32"),
            "trustworthy_decile": random.integers(1, 11, N).astype("float64"),
            "combined_score": np.where(some < 0.05, np.nan, np.round(random.uniform(0, 100, N))),
            "attractiveness_score": random.uniform(0, 100, N),
            "geometric_score": random.uniform(0, 100, N),
            "rating": np.where(some < 0.5, np.nan, random.uniform(1, 7, N)),
            "nose_width": random.uniform(0.5, 1, N),
            "skin_l": random.uniform(0, 100, N),
            "frontal": random.random(N) < 0.8,
            "split": random.choice(["train", "val", "test"], N),
            "doubts": np.where(random.random(N) < 0.1, "blurred, dark", None),
            "copy_group": groups,
            "copy_rank": [i % 10 + 1 if i % 10 < 2 else 1 for i in range(N)],
            "score_withheld": None,
        }
    )
    return frame.sort_values("filename")


@pytest.fixture(scope="module")
def faces(table):
    return FacesTable(table, ethnicity=True)


def query(text: str) -> Query:
    from urllib.parse import parse_qsl

    return parse_query(parse_qsl(text, keep_blank_values=True))


QUERIES = {
    "": {},
    "gender=female": {"gender": "female"},
    "gender=female&gender=male&age_range=30..60": {
        "gender": ["female", "male"],
        "age_range": [30, 60],
    },
    "age_range=50..&attributes.glasses=with": {
        "age_range": [50, 130],
        "attributes": {"glasses": "with"},
    },
    "age_range.from=50&age_range.to=&attributes.glasses=with": {
        "age_range": [50, 130],
        "attributes": {"glasses": "with"},
    },
    "attributes.hat=yes": {"attributes": {"hat": "yes"}},
    "cluster=0&cluster=2&flags=keep": {"cluster": [0, 2], "flags": "keep"},
    "rating=q0.5..q1": {"rating": ["q0.5", "q1"]},
    "columns.nose_width=q0.9..&copies=keep": {
        "columns": {"nose_width": ["q0.9", "q1"]},
        "copies": "keep",
    },
    "columns.nose_width=.6..0.75": {"columns": {"nose_width": [0.6, 0.75]}},
    "columns.split=train&columns.split=val": {"columns": {"split": ["train", "val"]}},
    "score.trustworthy=8..10": {"score": {"trustworthy": [8, 10]}},
    "attractiveness=..3": {"attractiveness": [1, 3]},
    "columns.frontal=1..1": {"columns": {"frontal": [1, 1]}},
    "gender=nobody": {"gender": "nobody"},
    "gender=female&n=20&seed=3": {"gender": "female", "n": 20, "seed": 3},
}


@pytest.mark.long
@pytest.mark.parametrize("text", QUERIES)
def test_a_filter_means_what_it_means_in_composites(faces, table, text):
    expected = filter_faces(table, Filter.model_validate({"min_results": 1, **QUERIES[text]}))
    found = faces.select(query(text))
    assert faces.names(found.rows) == expected.rows["filename"].tolist()
    assert found.matched == expected.matched
    assert (found.flagged, found.copies) == (expected.flagged, expected.copies)
    assert (found.ranges, found.hints) == (expected.ranges, expected.hints)


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_has_one_form_that_can_be_sent(text):
    once = query(text)
    assert query(once.text) == once
    assert query(once.text).text == once.text
    assert query("columns.yaw=0.0000000000001..1").text != query("columns.yaw=0..1").text


def test_names_with_signs_survive_the_address():
    wanted = Query(
        Filter(gender=["a&b=c", "50..60", "é +%2F"], columns={"a b&c": ["x=y;z"]}, min_results=1),
        "-a b&c",
        "<script> & 100 %",
    )
    assert query(wanted.text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gander=female", "no condition 'gander'. Did you mean gender?"),
        ("age_range=young", "age_range = 'young'; expected a range such as 20..30"),
        ("age_range=60..20", "age_range"),
        ("attractiveness=0..11", "attractiveness"),
        ("cluster=one", "expected a whole number"),
        ("flags=perhaps", "flags"),
        ("q=" + "x" * 5000, "too long"),
        ("&".join(["gender=a"] * 300), "too long"),
    ],
)
def test_what_no_filter_can_be_is_refused(text, words):
    with pytest.raises(InputError, match=words.replace("?", r"\?").replace(".", r"\.")):
        query(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("columns.nose_widht=1..2", "Did you mean nose_width"),
        ("columns.nose_width=wide", "holds numbers"),
        ("sort=-combned_score", "Did you mean combined_score"),
        ("columns.rating=a", "holds numbers"),
    ],
)
def test_what_the_table_lacks_is_refused(faces, text, words):
    with pytest.raises(InputError, match=words):
        faces.select(query(text))


@pytest.mark.long
@pytest.mark.parametrize("sort", ["combined_score", "-combined_score", "hat", "-hat", "-filename"])
def test_faces_are_sorted_with_empty_ones_last_and_equal_ones_by_name(faces, table, sort):
    column, down = sort.removeprefix("-"), sort.startswith("-")
    named = table.sort_values("filename")
    expected = named.sort_values(column, ascending=not down, kind="stable", na_position="last")
    shown = faces.select(query(f"flags=keep&copies=keep&sort={sort}"))
    values = faces.frame[column].iloc[shown.rows].tolist()
    wanted = expected[column].tolist()
    assert [None if pd.isna(v) else v for v in values] == [
        None if pd.isna(v) else v for v in wanted
    ]
    names = faces.frame.iloc[shown.rows].reset_index(drop=True)
    for _, group in names.groupby(column):
        assert group["filename"].is_monotonic_increasing


def test_words_look_for_names_of_faces_and_photos(faces):
    found = faces.select(query("q=photo_01 png&flags=keep&copies=keep"))
    images = faces.frame["image"].iloc[found.rows]
    assert sorted(images) == [f"Photo_{i:03d}.PNG" for i in range(10, 20)]
    assert found.matched[SEARCH] == 10
    assert not len(faces.select(query("q=.*")).rows)  # no pattern


def test_without_permission_there_is_neither_ethnicity_nor_skin(table):
    faces = FacesTable(table)
    assert not {"ethnicity_final", "skin_l"} & set(faces.columns)
    assert "ethnicity" not in {made.key for made in fields_of(faces, Query(), [])}
    with pytest.raises(InputError):
        faces.select(query("sort=skin_l"))


def test_the_form_offers_what_the_columns_hold(faces):
    chosen = query("gender=female&gender=nobody&age_range=50..&columns.nose_width=q0.9..")
    fields = {made.key: made for made in fields_of(faces, chosen, ["hat", "no such column"])}
    options = {value: (note, on) for value, _, note, on in fields["gender"].options}
    assert options["female"] == (str((faces.frame["gender_final"] == "female").sum()), True)
    assert options["nobody"] == ("0", True)  # what is asked for stays visible
    assert (fields["age_range"].low, fields["age_range"].high) == ("50", "")
    assert fields["columns.nose_width"].low == "q0.9"
    assert fields["columns.hat"].kind == "classes"
    assert {"score.trustworthy", "attractiveness", "cluster", "attributes.glasses"} <= set(fields)
    further = further_columns(faces, [*fields.values()])
    assert "skin_l" in further
    assert not {"nose_width", "filename", "hat"} & set(further)


def test_counts_tell_each_condition_in_words(faces):
    asked = query("gender=female&age_range=30..60")
    found = faces.select(asked)
    counts = counts_of(asked, found.matched, len(found.rows))
    assert [label for label, _ in counts][:4] == [
        "all faces",
        "gender",
        "30 to 60 years",
        "without doubtful pictures",
    ]
    assert counts[-1][1] == len(found.rows)


@pytest.mark.long
def test_answers_are_kept_and_few(faces):
    first = faces.select(query("gender=male"))
    assert faces.select(query("gender=male")) is first
    for seed in range(100):
        faces.select(query(f"n=10&seed={seed}"))
    assert len(faces._selected) <= 64


def test_places_and_quantiles_are_those_of_the_column(faces):
    values = faces.frame["rating"].dropna()
    assert faces.quantiles("rating", (0.05, 0.5, 1.0)) == pytest.approx(
        np.quantile(values, [0.05, 0.5, 1.0])
    )
    assert faces.place("rating", values.max() + 1) == 1
    assert faces.place("rating", float(values.median())) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("asked", "text", "words"),
    [
        ("age_range=50..130", "age_range=50..", "50 or older"),
        ("age_range.to=20", "age_range=..20", "20 or younger"),
        ("age_range=20..30", "age_range=20..30", "20 to 30 years"),
        ("age_range=0..130", "age_range=..", "of known age"),
    ],
)
def test_an_open_end_stays_open(faces, asked, text, words):
    wanted = query(asked)
    assert wanted.text == text
    found = faces.select(wanted)
    assert words in [label for label, _ in counts_of(wanted, found.matched, len(found.rows))]
    (age,) = [made for made in fields_of(faces, wanted, []) if made.key == "age_range"]
    assert "130" not in (age.low, age.high)
