"""`labels.raters`: who counts, and which columns of a table of ratings are raters'."""

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import join_labels
from label_files import FACES, IMAGES

LONG = "image,rater,rating\n00,anna,3\n00,ben,5\n00,r1,1\n01,anna,2\n01,r2,4\n"
RATED_BY = {"anna": [3, 2, 1], "ben": [5, 4, 4], "r1": [1, 7, 2]}
WIDE = pd.DataFrame({"image": IMAGES[:3], **RATED_BY})


@pytest.fixture
def join(tmp_path):
    def join(ratings, raters, by_hand=""):
        (tmp_path / "ratings.csv").write_text(ratings)
        (tmp_path / "hand.csv").write_text(by_hand)
        hand = tmp_path / "hand.csv" if by_hand else None
        return join_labels(
            FACES, tmp_path, tmp_path / "none", "auto", None, raters, manual_ratings=hand
        )

    return join


def rating_of(joined, name="00.jpg"):
    return joined.table.set_index("filename").loc[name, "rating"]


@pytest.mark.parametrize(
    ("raters", "mean"), [(["anna"], 3), (["ben", "anna"], 4), (["r*"], 1), (["*n*", "r1"], 3)]
)
@pytest.mark.parametrize(
    "form",
    [
        LONG,
        WIDE.to_csv(index=False),
        WIDE.set_index("image").T.rename_axis("rater").to_csv(),
    ],
    ids=["long", "a column a rater", "a column a photo"],
)
def test_raters_who_are_named_count(join, form, raters, mean):
    joined = join(form, raters)
    assert rating_of(joined) == pytest.approx(mean)


def test_raters_by_numbers_are_named_as_they_are_written(join):
    joined = join("image,rater,rating\n00,1.0,3\n00,2,5\n", ["1"])
    assert rating_of(joined) == 3


@pytest.mark.parametrize("form", [LONG, WIDE.to_csv(index=False)])
def test_a_name_that_is_no_raters_is_an_error(join, form):
    with pytest.raises(
        LabelError, match=r"names 'ana', and the file has no such rater\. Did you mean anna"
    ):
        join(form, ["ana", "ben"])


def test_names_need_a_column_of_raters(join):
    with pytest.raises(LabelError, match="names raters, and there is no column `rater`"):
        join("image,rating\n00,3\n", ["anna"])


def test_ratings_by_hand_count_by_name_too(join):
    by_hand = "rater,image,rating\nr2,00,2\nzoe,00,7\n"
    assert rating_of(join(LONG, ["r*"], by_hand)) == 1.5
    joined = join(LONG, ["anna"], by_hand)
    assert rating_of(joined) == 3
    assert "hand.csv does not count: labels.raters chooses others" in joined.notes


TABLES = {
    "numbers of lines": {"x": [3, 1, 2, 5, 4, 12, 7, 8, 9, 20, 10, 6]},
    "two of a rater": {"anna_rt": [1, 2, 3] * 4},
    "a grid": {"f 1": [1, 2, 3] * 4, "f 2": [2, 2, 3] * 4, "m 1": [2] * 12, "m 2": [1, 5] * 6},
    "unlike": {"smile 2": [1, 2, 3] * 4},
    "decimals": {"cem": [1.5, 2.5, 3.5] * 4, "dora": [2.5, 2.5, 3.5] * 4},
    "a statistic": {"cem": [2, 4, 3, 7, 2, 6, 5, 5, 2, 3, 7, 2]},
}


@pytest.mark.parametrize("more", TABLES.values(), ids=TABLES)
def test_naming_the_raters_ends_every_doubt(join, more):
    anna, ben = [1, 4, 3, 7, 2, 6, 4, 5, 1, 3, 6, 2], [2, 4, 3, 7, 1, 6, 5, 5, 2, 3, 7, 1]
    table = pd.DataFrame({"image": IMAGES[:12], "anna": anna, "ben": ben, **more})
    text = table.to_csv(index=False)
    with pytest.raises(LabelError, match=r"name all raters in labels\.raters"):
        join(text, None)
    assert {*join(text, ["anna", "ben"]).judgements["rater"]} == {"anna", "ben"}
    assert {*join(text, ["anna", "ben", *more]).judgements["rater"]} == {"anna", "ben", *more}


def test_the_last_line_is_a_rater_who_is_named(join):
    text = "rater,00.jpg,01.jpg\nm,3,5\nn,4,2\n"
    with pytest.raises(LabelError, match="line 2, column rater: found 'm', expected a rater; if"):
        join(text, None)
    assert len(join(text, ["m", "n"]).judgements) == 4


@pytest.mark.parametrize(
    "headers",
    [
        ["r1", "r2", "smile"],
        ["rater 1", "rater 2", "rater 3", "warm"],
        ["R1", "R2", "C1", "C2"],
        ["R01", "R02", "Q01", "Q03"],
        ["anna", "ben", "cem", "smile intensity"],
    ],
)
def test_columns_with_other_headers_than_most_are_asked_about(join, headers):
    """On the same scale, they were raters."""
    columns = {header: [(i * n) % 7 + 1 for i in range(12)] for n, header in enumerate(headers, 2)}
    with pytest.raises(LabelError, match=r"(is called unlike|may be of one rater).*labels\.raters"):
        join(pd.DataFrame({"image": IMAGES[:12], **columns}).to_csv(index=False), None)


@pytest.mark.parametrize(
    "headers",
    [
        ["r1", "r2", "r10"],
        ["Rater 01", "rater 2"],
        ["anna", "Eva-Lena", "O'Hara", "Zoë"],
        ["Ann Lee", "Bob Ray", "Cem Can"],
        ["P_4", "P_7", "P_9"],
        ["5f3a2b9c", "60ab12ee", "5d1"],
    ],
)
def test_raters_with_like_headers_are_read(join, headers):
    columns = {header: [(i * n) % 7 + 1 for i in range(12)] for n, header in enumerate(headers, 2)}
    joined = join(pd.DataFrame({"image": IMAGES[:12], **columns}).to_csv(index=False), None)
    assert {*joined.judgements["rater"]} == {*headers}
