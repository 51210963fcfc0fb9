"""Cells of label files: empty ones, numbers, classes, and mistakes."""

from functools import partial

import pandas as pd
import pytest

from facestats.errors import LabelError
from label_files import join_files, labels


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


def test_codes_written_in_two_ways_are_asked_about(join):
    with pytest.raises(
        LabelError,
        match=r"line 14, column gender: found '1.0', expected one spelling for one class \(did "
        "you mean '1'",
    ):
        join(
            labels__csv="image,gender\n"
            + "".join(f"{i:02d}.jpg,{'1.0' if i == 12 else i % 2 + 1}\n" for i in range(13))
        )


@pytest.mark.long
@pytest.mark.parametrize(
    ("age", "hint"),
    [
        ("1990", "(a year or date of birth?"),
        ("12.03.1990", "(a year or date of birth?"),
        ("1990-03-12", "(a year"),
        ("28 years", "(did you mean 28?)"),
        ("18 months", "unknown"),
        ("6m", "unknown"),
        ("-99", "unknown"),
    ],
)
def test_an_age_in_other_words_is_a_mistake_with_the_likely_reading(join, age, hint):
    with pytest.raises(LabelError) as error:
        join(labels__csv=f"image,age\n00.jpg,{age}\n")
    assert f"found '{age}'" in str(error.value)
    assert hint in str(error.value)
    assert ("did you mean" in str(error.value)) == ("did you mean" in hint)


@pytest.mark.long
@pytest.mark.first_cases(6)
@pytest.mark.parametrize(
    "word",
    [
        "NA",
        "N/A",
        "n/a",
        "-",
        "#N/A",
        "nan",
        "NaN",
        "null",
        "NULL",
        "None",
        "?",
        "  ",
        "unknown",
        "–",
        "Missing",
        "k.A.",
        "Prefer not to say",
        "#REF!",
        "#DIV/0!",
    ],
)
def test_words_for_nothing_are_empty_cells(join, word):
    joined = join(
        labels__csv=f"image,gender,age,person,glasses\n00.jpg,{word},{word},{word},no\n"
        "01.jpg,male,3,p,no\n",
        ratings__csv=f"image,rater,rating\n00.jpg,a,{word}\n01.jpg,{word},3\n02.jpg,b,4\n",
    )
    assert (
        labels(joined, "gender", "person")[0] == [None, None]
        or pd.isna(labels(joined, "gender", "person")[0]).all()
    )
    assert joined.summary["labelled"] == {
        "gender": 1,
        "ethnicity": 0,
        "age": 1,
        "rating": 2,
        "person": 1,
        "glasses": 2,
    }
    assert joined.summary["raters"]["n"] == 1
    assert joined.judgements["rater"].tolist() == ["", "b"]


def test_a_long_cell_is_cut_off_in_the_message(join):
    with pytest.raises(LabelError, match=r"line 2, column rating: found 'aaa") as raised:
        join(ratings__csv=f"image,rater,rating\n00.jpg,r,{'a' * 70_000}\n")
    assert len(str(raised.value)) < 1000


def test_none_is_a_class_in_a_column_of_ones_own(join):
    joined = join(
        labels__csv="image,Glasses\n00.jpg,none\n01.jpg,round\n02.jpg,NA\n",
        manual__csv="filename,glasses\n01.jpg,none\n",
    )
    assert joined.summary["labelled"]["Glasses"] == 2
    assert labels(joined, "Glasses", "Glasses_source")[:2] == [
        ["none", "label"],
        ["none", "manual"],
    ]
    assert "glasses" not in joined.table


def test_words_for_nothing_are_no_group_of_raters(join):
    lines = [f"{i:02d}.jpg,{rater},3\n" for i in (0, 1) for rater in "abcd"]
    of_rater = {"a": "female", "b": "male", "c": "NA", "d": "Missing"}
    lines = [line.replace("\n", f",{of_rater[line.split(',')[1]]}\n") for line in lines]
    joined = join(ratings__csv="image,rater,rating,rater_gender\n" + "".join(lines))
    assert {*joined.groups["rater_gender"].dropna()} == {"female", "male"}


def test_all_mistakes_are_named_at_once_with_the_nearest_value(join):
    lines = [
        "image,gender,age",
        *(f"{i:02d}.jpg,female,30" for i in range(28)),
        "28.jpg,Female,34y",
        "29.jpg, FEMALE,131",
        ",female,3",
        "29.jpg,female,29",
        "30.jpg,male,thirty",
    ]
    with pytest.raises(LabelError) as error:
        join(labels__csv="\n".join(lines), manual__csv="image,age\n01.jpg,old\n")
    for expected in (
        "labels.csv: 7 mistakes, so the file is not used",
        "labels.csv, line 30, column gender: found 'Female', expected one spelling for one "
        "class (did you mean 'female', as in 29 cells?)",
        "labels.csv, line 30, column age: found '34y', expected a number from 0 to 130, or "
        "nothing if unknown (did you mean 34?)",
        "labels.csv, line 31, column gender: found 'FEMALE'",
        "labels.csv, line 31, column age: found '131'",
        "labels.csv, line 32, column image: found ''",
        "labels.csv, line 33, column gender: found 'female', expected FEMALE as on an "
        "earlier line about 29.jpg",
        "labels.csv, line 34, column age: found 'thirty'",
        "manual.csv, line 2, column age: found 'old'",
    ):
        assert expected in str(error.value)


def test_twenty_mistakes_and_a_count_are_enough(join):
    with pytest.raises(LabelError) as error:
        join(labels__csv="\n".join(["image,age", *(f"{i:02d}.jpg,x" for i in range(50))]))
    shown = str(error.value).splitlines()
    assert (shown[0].split("/")[-1], len(shown), shown[-1]) == (
        "labels.csv: 50 mistakes, so the file is not used",
        22,
        "and 30 more",
    )
    assert "line 21," in shown[-2]


def test_a_class_with_one_member_is_asked_about(join):
    lines = [
        "image,gender,hat,notes",
        *(f"{i:02d}.jpg,female,yes,note {i}" for i in range(28)),
        "28.jpg,femal,Yes,x",
    ]
    joined = join(labels__csv="\n".join(lines))
    assert (
        "gender has a class with one member, perhaps a typing error: 'femal' in labels.csv, line "
        "30 (did you mean 'female'?)" in joined.warnings
    )
    assert any("hat has the classes 'Yes' and 'yes'" in warning for warning in joined.warnings)
    assert not any("note" in warning for warning in joined.warnings)


@pytest.mark.long
@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ("34,5 30,25", [34.5, 30.25]),
        ("34,5 1,234", [34.5, 1.234]),
        ("0,125 3", [0.125, 3]),
        ("34,5 30.5", [34.5, 30.5]),
        ("+3,5 −0", [3.5, 0]),
    ],
)
def test_decimal_commas_are_understood_where_they_can_be_nothing_else(join, ages, expected):
    first, second = ages.split()
    assert [
        age for (age,) in labels(join(labels__csv=f"image;age\n0;{first}\n1;{second}\n"), "age")[:2]
    ] == expected


@pytest.mark.long
@pytest.mark.parametrize(
    ("ages", "wrong"),
    [
        ("1,234 5", "1,234"),
        ("34,5 1.234,5", "1.234,5"),
        ("1,234 3.5", "1,234"),
        ("1,2,3 4", "1,2,3"),
    ],
)
def test_commas_that_may_stand_between_thousands_are_mistakes(join, ages, wrong):
    first, second = ages.split()
    with pytest.raises(
        LabelError, match=f"column age: found '{wrong}', expected a number from 0 to 130"
    ):
        join(labels__csv=f"image;age\n0;{first}\n1;{second}\n")


def test_a_decimal_comma_without_quotes_is_found_although_a_cell_at_the_end_is_empty(join):
    with pytest.raises(
        LabelError,
        match=r"line 3: 5 cells, but the header has 4; put a value with a comma into quotes",
    ):
        join(labels__csv="image,age,gender,person\n00.jpg,30,female,a\n01.jpg,34,5,male,\n")


@pytest.mark.long
@pytest.mark.parametrize(
    ("few", "many"),
    [
        ("f", "female"),
        ("woman", "female"),
        ("F", "female"),
        ("w", "weiblich"),
        ("w", "female"),
        ("weiblich", "female"),
    ],
)
def test_a_class_beside_its_short_form_or_synonym_is_asked_about(join, few, many):
    with pytest.raises(
        LabelError,
        match=f"found '{few}', expected one spelling for one class .did you mean '{many}', as in 6 "
        "cells",
    ):
        join(
            labels__csv="image,gender\n"
            + "".join(f"{i:02d},{['male', many, many, few][i % 4]}\n" for i in range(12))
        )


def test_each_spelling_of_a_class_is_named_once_with_its_cells(join):
    spellings = ["male", "female", "m", "W", "female", "M", "w", "male"]
    with pytest.raises(LabelError) as error:
        join(
            labels__csv="image,gender\n"
            + "".join(f"{i:02d},{spellings[i % 8]}\n" for i in range(24))
        )
    head, *each = str(error.value).splitlines()
    assert head.endswith("labels.csv: 4 mistakes, so the file is not used")
    assert [text.partition("labels.csv, ")[2] for text in each] == [
        f"line {line}, column gender: found '{few}', expected one spelling for one class "
        f"(did you mean '{many}', as in 6 cells?); '{few}' stands in 3 cells"
        for line, few, many in (
            (4, "m", "male"),
            (5, "W", "female"),
            (7, "M", "male"),
            (8, "w", "female"),
        )
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (
            "age",
            [20, 99, 34, 99],
            "labels.csv: the age is 99 in 2 lines, first in line 3; if that is a code for "
            "no answer, leave such cells empty",
        ),
        (
            "age",
            [20, 0, 34, 0],
            "labels.csv: the age is 0 in 2 lines, first in line 3; if that is a code for "
            "no answer, leave such cells empty",
        ),
        (
            "gender",
            [1, 9, 2, 9, 1, 2],
            "gender has the classes '9' and '1'; if the first is a code for no answer, leave "
            "such cells empty",
        ),
        (
            "gender",
            ["f", 0, "m", 0, "f", "m"],
            "gender has the classes '0' and 'f'; if the first is a code for no answer, leave "
            "such cells empty",
        ),
        ("age", [98, 99, 34, 99], None),
        ("age", [20, 99, 34], None),
        ("age", [0, 1, 0, 3], None),
        ("gender", [1, 2, 1, 2], None),
        ("gender", [0, 1, 0, 1], None),
    ],
)
def test_numbers_that_may_mean_no_answer_are_asked_about(join, column, values, expected):
    joined = join(
        labels__csv=f"image,{column}\n"
        + "".join(f"{i:02d},{value}\n" for i, value in enumerate(values))
    )
    assert joined.warnings == ([expected] if expected else [])


def test_words_for_nothing_that_are_names_stay(join):
    assert (
        join(labels__csv="image,person\n00,Nat\n01,Na\n02,Nan\n").summary["labelled"]["person"] == 3
    )


def test_a_person_and_a_rater_have_one_name(join):
    joined = join(
        labels__csv="image,person\n00,Zoë\n01,Zoe\u0308\n02,7\n03,7.0\n04,Anna\n05,anna\n",
        ratings__csv="image,rater,rating\n00,1,3\n01,1.0,3\n02,Bob,3\n02,bob,4\n",
    )
    assert joined.table["person"].dropna().nunique() == 4
    assert joined.summary["raters"]["n"] == 3
    assert [warning for warning in joined.warnings if "differ only in" in warning] == [
        "person has 'Anna' and 'anna', which differ only in case or blanks; are they one?",
        "rater has 'Bob' and 'bob', which differ only in case or blanks; are they one?",
    ]


@pytest.mark.parametrize(
    "header", ["age (months)", "Age [weeks]", "Alter (Monate)", "Age (mo)", "AGE (wk)"]
)
def test_an_age_that_is_not_in_years_is_an_error(join, header):
    with pytest.raises(LabelError, match="is not in years; give age in years"):
        join(labels__csv=f"image,{header}\n00,30\n")


@pytest.mark.long
@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("note", "0" * 130_000 + "x"),
        ("note", "9" * 130_000),
        ("(" * 130_000, ""),
        ("[" * 130_000, ""),
        ("x (" * 40_000 + ")", ""),
    ],
)
def test_a_very_long_cell_takes_no_longer_than_it_is(join, header, cell):
    """Patterns that look on from each character take minutes for these; a whole cell is read."""
    rows = "".join(f"{i:02d}.jpg,{20 + i},\n" for i in range(12))
    unknown = f"{cell}.jpg,30,\n" if cell else ""
    joined = join(labels__csv=f"image,age,{header}\n{rows}{unknown}")
    assert joined.table["age"].notna().sum() == 12
