"""Label files: joined once; whatever can't be used is named with file, line, column and value."""

import warnings

import numpy as np
import pandas as pd
import pytest

from facestats.errors import InputError, LabelError
from facestats.labels.joining import join_labels
from label_files import join_files

FACES = pd.DataFrame(
    {
        "image": ["a.png", "b.jpg", "c.jpg", "broken.jpg"],
        "filename": ["a.png.jpg", "b.jpg", "c.jpg", None],
    }
)


@pytest.fixture
def join(tmp_path):
    def run(labels=None, ratings=None, manual=None, scale="auto", drop=None):
        for name, text in (
            ("labels.csv", labels),
            ("ratings.csv", ratings),
            ("manual.csv", manual),
        ):
            if text is not None:
                (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        joined = join_labels(FACES, tmp_path, tmp_path / "manual.csv", scale, drop)
        joined.table = joined.table.set_index("filename")
        return joined

    return run


def test_no_files_at_all_is_legal(join):
    joined = join()
    assert list(joined.table.index) == ["a.png.jpg", "b.jpg", "c.jpg"]
    assert joined.table["rating"].isna().all()
    assert joined.scale is None


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        join_labels(FACES, tmp_path / "nowhere", tmp_path / "manual.csv", "auto")


def test_images_and_face_names_are_both_understood(join):
    assert join("image,gender\na.png,female\n").table.loc["a.png.jpg", "gender"] == "female"
    assert join("filename,gender\na.png.jpg,male\n").table.loc["a.png.jpg", "gender"] == "male"


@pytest.mark.long
def test_manual_labels_win(join):
    joined = join(
        "image,gender,age,rating\nb.jpg,female,30,5\nc.jpg,male,,4\n",
        manual="filename,gender,ethnicity,age,rating,person\nb.jpg,male,,,7,\n",
        ratings="image,rater,rating\nb.jpg,x,1\nc.jpg,x,2\n",
    )
    b = joined.table.loc["b.jpg"]
    assert (b["gender"], b["gender_source"], b["age"], b["age_source"]) == (
        "male",
        "manual",
        30,
        "label",
    )
    assert (b["rating"], b["rating_source"]) == (7, "manual")
    assert joined.table.loc["c.jpg", "rating"] == 2


def test_ratings_are_averaged_without_repeats(join):
    joined = join(
        "image,rating\nb.jpg,99\n",
        ratings="image,rater,rating,rating_type\nb.jpg,,1,normal\nb.jpg,,3,normal\n"
        "b.jpg,,90,repeat\n",
    )
    assert joined.table.loc["b.jpg", ["rating", "rating_n"]].tolist() == [2, 2]
    assert joined.summary["rating"]["repeats_left_out"] == 1
    assert joined.scale == (1, 5)


def test_ratings_without_a_line_are_legal(join):
    joined = join("image,rating\nb.jpg,4\n", ratings="image,rater,rating\n")
    assert joined.table.loc["b.jpg", "rating"] == 4
    assert joined.judgements.empty


def test_own_columns_are_kept(join):
    assert join("image,glasses\nb.jpg,yes\n").table.loc["b.jpg", "glasses"] == "yes"


def test_absent_and_rejected_images_are_a_warning(join):
    joined = join("image,gender\nnope.jpg,male\nbroken.jpg,male\nb.jpg,male\n")
    assert any("names 1 missing image" in w and "nope.jpg" in w for w in joined.warnings)
    assert any("rejected" in w and "broken.jpg" in w for w in joined.warnings)


def test_the_same_image_twice_with_equal_values_is_fine(join):
    joined = join("image,gender,age\nb.jpg,male,\nb.jpg,male,30\n")
    assert joined.table.loc["b.jpg", ["gender", "age"]].tolist() == ["male", 30]


@pytest.mark.long
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"labels": "image,rating\nb.jpg,5\n\nc.jpg,good\n"},
            ["labels.csv, line 4, column rating", "'good'", "a number"],
        ),
        ({"labels": "image,rating\nb.jpg,inf\n"}, ["line 2, column rating", "'inf'"]),
        ({"labels": "image,age\nb.jpg,900\n"}, ["line 2, column age", "'900'", "0 to 130"]),
        (
            {"labels": "image,gender\nb.jpg,male\nb.jpg,female\n"},
            ["line 3, column gender", "'female'", "male", "b.jpg"],
        ),
        ({"labels": "where,gender\nb.jpg,male\n"}, ["no column `image`", "where, gender"]),
        ({"labels": "image,gender\n,male\n"}, ["line 2, column image"]),
        ({"labels": "image,gender\nb.jpg,male,3\n"}, ["line 2", "3 cells", "header has 2"]),
        ({"labels": "image,gender,gender\nb.jpg,a,b\n"}, ["'gender' stands twice"]),
        (
            {"labels": b"image,gender\nb.jpg,m\xe4nnlich\nc.jpg,m\xc3\xa4nnlich\n"},
            ["line 2", "not UTF-8", "0xe4"],
        ),
        ({"labels": ""}, ["labels.csv is empty"]),
        (
            {"labels": "image,gender_source\nb.jpg,web\n"},
            ["labels.csv", "gender_source", "another name"],
        ),
        (
            {"ratings": "image,rater,rating\nb.jpg,x,1\nc.jpg,x,3x\n"},
            ["ratings.csv, line 3, column rating", "'3x'", "a number", "did you mean 3?"],
        ),
        (
            {"ratings": "image,rater,rating\nb.jpg,ann,1\n", "drop": ["anne"]},
            ["drop_raters names 'anne'", "Did you mean ann?"],
        ),
        (
            {"labels": "image,rating\nb.jpg,1\n", "drop": ["ann"]},
            ["drop_raters names 'ann'", "No rater is named"],
        ),
        ({"ratings": "image,rater\nb.jpg,x\n"}, ["ratings.csv", "no column `rating`"]),
        (
            {"ratings": "image,rater,rating\nb.jpg,x,1\nb.jpg,x,2\n"},
            ["line 3, column rating", "'2'", "x"],
        ),
        (
            {"ratings": "image,rating\nb.jpg,9\n", "scale": [1, 5]},
            ["ratings.csv, line 2", "'9'", "1 to 5"],
        ),
        (
            {"labels": "image,rating\nb.jpg,9\n", "scale": [1, 5]},
            ["labels.csv", "b.jpg", "9", "1 to 5"],
        ),
        ({"manual": "image,age\nb.jpg,old\n"}, ["manual.csv, line 2, column age", "'old'"]),
    ],
)
def test_what_cannot_be_used_is_named(join, files, expected):
    with pytest.raises(LabelError) as error:
        join(**files)
    for text in expected:
        assert text in str(error.value)


def test_ratings_of_images_that_are_not_there_do_not_stretch_the_scale(join):
    assert join(ratings="image,rating\nb.jpg,3\nnowhere.jpg,90\n").scale == (1, 5)


def test_a_rating_by_hand_beyond_every_scale_is_an_error(join):
    with pytest.raises(LabelError, match=r"b\.jpg has the rating 500 .* from 0 to 100"):
        join(ratings="image,rating\nb.jpg,3\nc.jpg,90\n", manual="image,rating\nb.jpg,500\n")


@pytest.mark.long
@pytest.mark.parametrize(
    ("slip", "others"), [(101, "0 to 100"), (-5, "0 to 100"), (1000, "0 to 100")]
)
def test_a_slip_among_many_ratings_is_an_error_and_stretches_no_scale(join, slip, others):
    lines = [f"{image},rater_{i},{i}" for image in ("a.png", "b.jpg") for i in range(0, 101)]
    with pytest.raises(
        LabelError,
        match=f"ratings.csv, line 204, column rating: found '{slip}', expected a rating from "
        f"{others}",
    ):
        join(ratings="\n".join(["image,rater,rating", *lines, f"c.jpg,slip,{slip}"]))


@pytest.mark.long
def test_a_slip_that_another_usual_scale_would_hold_is_one_too_but_rare_praise_is_not(join):
    lines = ["image,rater,rating", *(f"b.jpg,rater_{i},{1 + i % 9}" for i in range(150))]
    with pytest.raises(LabelError, match="found '55', expected a rating from 1 to 9"):
        join(ratings="\n".join([*lines, "c.jpg,slip,55"]))
    assert join(ratings="\n".join([*lines, "c.jpg,fan,10"])).scale == (1, 10)


@pytest.mark.long
@pytest.mark.parametrize("value", ["1e308", "-1e308", "1e400", "inf", "2000000"])
@pytest.mark.parametrize("kind", ["labels", "ratings"])
def test_a_rating_beyond_any_scale_makes_none(join, kind, value):
    """One of 1e308 was the scale's end, and all others 0."""
    text = "image,rating\n" + "b.jpg,3\n" * (kind == "ratings") + f"c.jpg,{value}\n"
    with pytest.raises(
        LabelError, match=rf"found '{value}', expected a number from -1e\+06 to 1e\+06"
    ):
        join(**{kind: text})


def test_one_rating_alone_makes_no_scale_that_is_not_usual(join):
    lines = ["image,rater,rating", *(f"b.jpg,r{i},{1 + i % 5}" for i in range(12))]
    with pytest.raises(LabelError, match=r"line 14, .*found '500', expected a rating from 1 to 5"):
        join(ratings="\n".join([*lines, "c.jpg,x,500"]))
    assert join(ratings="\n".join([*lines, "c.jpg,x,60"])).scale == (0, 100)


@pytest.mark.long
def test_a_rater_who_is_left_out_by_name_stretches_no_scale(join):
    text = "image,rater,rating\nb.jpg,x,3\nc.jpg,x,4\nb.jpg,y,90\n"
    assert (
        join(ratings=text, drop=["y"]).scale
        == join(ratings=text, drop=["y"], scale=[1, 5]).scale
        == (1, 5)
    )


@pytest.mark.long
def test_the_order_of_lines_changes_no_bit(join):
    rng = np.random.default_rng(0)
    lines = [
        f"{image},rater_{i},{rating:.3f}"
        for image in ("a.png", "b.jpg", "c.jpg")
        for i, rating in enumerate(rng.uniform(1, 7, 30))
    ]
    first = join(ratings="\n".join(["image,rater,rating", *lines]), drop="auto")
    for _ in range(5):
        again = join(
            ratings="\n".join(["image,rater,rating", *rng.permutation(lines)]), drop="auto"
        )
        pd.testing.assert_frame_equal(again.table, first.table, check_exact=True)
        assert again.summary == first.summary


def test_the_word_unknown_is_no_class_however_it_is_written(join):
    joined = join("image,gender\na.png,Unknown\nb.jpg,unknown\nc.jpg,male\n")
    assert joined.summary["classes"]["gender"] == {"male": 1}
    assert joined.summary["labelled"]["gender"] == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("values", "scale"),
    [("0.2,0.9", (0, 1)), ("1,7", (1, 7)), ("0,55", (0, 100)), ("-3,200", (-3, 200))],
)
def test_auto_takes_the_narrowest_usual_scale(join, values, scale):
    low, high = values.split(",")
    assert join(f"image,rating\nb.jpg,{low}\nc.jpg,{high}\n").scale == scale


def test_dropped_raters_leave_means_and_numbers(join):
    ratings = "image,rater,rating\nb.jpg,ann,1\nb.jpg,bob,3\nb.jpg,cem,5\nc.jpg,bob,2\n"
    joined = join(ratings=ratings, drop=["bob"])
    assert joined.table.loc["b.jpg", ["rating", "rating_n"]].tolist() == [3, 2]
    assert joined.table["rating"].isna()["c.jpg"]
    assert joined.summary["raters"]["dropped"] == {"bob": "named in labels.drop_raters"}
    assert joined.summary["raters"]["n"] == 3
    assert set(joined.judgements["rater"]) == {"ann", "cem"}


def test_a_rater_of_images_that_are_not_there_is_none(join):
    joined = join(ratings="image,rater,rating\nb.jpg,ann,1\nnowhere.jpg,bob,3\nbroken.jpg,cem,3\n")
    assert joined.summary["raters"]["n"] == 1
    assert (joined.summary["images_not_there"], joined.summary["images_rejected"]) == (1, 1)
    assert any(
        "ratings.csv names 1 image rejected by preprocess" in w and "broken.jpg" in w
        for w in joined.warnings
    )


def test_ratings_that_are_all_equal_are_taken_as_they_are(join):
    joined = join(
        ratings="image,rater,rating\nb.jpg,ann,3\nc.jpg,ann,3\nb.jpg,bob,3\nc.jpg,bob,3\n",
        drop="auto",
    )
    assert joined.table["rating"].dropna().tolist() == [3, 3]
    assert joined.summary["raters"]["suspicious"] == {}


@pytest.mark.long
@pytest.mark.parametrize("labels", ["gender,Gender", "Gender,gender", "gender,gender (own words)"])
def test_a_correction_of_a_standard_column_stays_there(join, labels):
    joined = join(f"image,{labels}\nb.jpg,female,female\n", manual="image,gender\nb.jpg,male\n")
    b = joined.table.loc["b.jpg"]
    assert (b["gender"], b["gender_source"]) == ("male", "manual")
    further = next(name for name in labels.split(",") if name != "gender")
    assert (b[further], b[f"{further}_source"]) == ("female", "label")


def test_an_age_by_hand_is_not_lost_to_a_column_that_is_called_alike(join):
    joined = join("image,age,age (guessed)\nb.jpg,25,25\n", manual="image,age\nb.jpg,10\n")
    assert joined.table.loc["b.jpg", ["age", "age_source"]].tolist() == [10, "manual"]


@pytest.mark.parametrize(
    ("labels", "manual", "named"),
    [
        ("image,Hat,hat (new)\nb.jpg,a,b", "image,hat\nb.jpg,c", ["'hat'", "'Hat'", "'hat (new)'"]),
        ("image,HAT\nb.jpg,a", "image,hat,Hat\nb.jpg,c,d", ["'hat'", "'Hat'", "'HAT'"]),
    ],
)
def test_a_correction_that_could_be_of_several_columns_is_refused(join, labels, manual, named):
    with pytest.raises(LabelError, match="could be several") as refused:
        join(labels + "\n", manual=manual + "\n")
    assert all(name in str(refused.value) for name in named)


def test_a_correction_with_the_exact_name_of_one_of_several_columns_goes_there(join):
    joined = join("image,Hat,hat\nb.jpg,a,b\n", manual="image,hat\nb.jpg,c\n")
    assert joined.table.loc["b.jpg", ["Hat", "hat"]].tolist() == ["a", "c"]


def test_more_columns_than_anybody_has_are_refused(join):
    header = ",".join(f"c{i}" for i in range(5000))
    with pytest.raises(LabelError, match="has 5001 columns; at most 5000 are read"):
        join(f"image,{header}\n")
    with pytest.raises(LabelError, match="the column 'c' stands twice"):
        join("image,c,b,c\n")


@pytest.mark.long
def test_many_columns_are_put_together_once(join):
    """Column by column, pandas copies what is there already, and warns from the hundredth on."""
    names = [f"c{i}" for i in range(150)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joined = join(f"image,{','.join(names)}\nb.jpg{',x' * 150}\n")
    assert joined.table.loc["b.jpg", names].tolist() == ["x"] * 150


@pytest.mark.parametrize(
    "files",
    [
        {"labels__csv": '"a\nwarning: forged",gender\n00,f\n'},
        {"labels__csv": 'image,gender\n00,"a\nwarning: forged"\n00,m\n'},
        {"labels__csv": 'image,gender\n00,f\n"a\nwarning: forged",m\n'},
        {"ratings__csv": 'image,rater,"a\nwarning: forged"\n00,a,7\n'},
    ],
)
def test_line_ends_in_cells_begin_no_line_of_a_message(tmp_path, files):
    try:
        messages = join_files(tmp_path, **files).warnings
    except LabelError as error:
        messages = [str(error)]
    assert any("a\\nwarning: forged" in text for text in messages)
    assert not any("\nwarning" in text for text in messages)
