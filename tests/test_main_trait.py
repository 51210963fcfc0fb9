"""Which ratings are of the scored trait, and which of a face's count: the rule of `main_trait`."""

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import JoinedLabels, join_labels

FACES = pd.DataFrame({"image": [f"{name}.jpg" for name in "abcd"]})
FACES["filename"] = FACES["image"]
RATINGS, TRAITS = "image,rater,rating\n", "image,rater,trait,rating\n"
BOTH = "image,rating,rating_calm\n"
FILES = ("labels.csv", "ratings.csv", "manual_labels.csv", "manual_ratings.csv")


def joined(folder, chosen: tuple[str, ...], *texts: str) -> JoinedLabels:
    """The join of label files by their text, in the order of `FILES`; empty ones are not there."""
    for name, text in zip(FILES, texts, strict=False):
        if text:
            (folder / name).write_text(text)
    paths = folder / FILES[2], [1, 7]
    return join_labels(
        FACES, folder, *paths, level=False, chosen=chosen, manual_ratings=folder / FILES[3]
    )


def ratings(done: JoinedLabels) -> list[float | None]:
    return [None if pd.isna(rating) else rating for rating in done.table["rating"]]


@pytest.mark.parametrize(
    ("chosen", "texts", "expected"),
    [
        # ratings.csv without traits is of the main one
        ((), ["", f"{RATINGS}a.jpg,cem,3\n"], [3, None]),
        (("calm",), ["", f"{RATINGS}a.jpg,cem,3\n"], [3, None]),
        # … not beside means of another than attractiveness
        (("calm",), [f"{BOTH}a.jpg,,2\n", f"{RATINGS}a.jpg,cem,3\nb.jpg,cem,4\n"], [2, None]),
        (
            ("attractive",),
            ["image,rating_attractive\na.jpg,2\n", f"{RATINGS}a.jpg,cem,3\nb.jpg,cem,4\n"],
            [3, 4],
        ),
        # `rating` of labels.csv is of the main one
        (("calm",), ["image,rating\na.jpg,3\n"], [3, None]),
        ((), [f"{BOTH}a.jpg,3,2\n"], [3, None]),
        # … not beside means of that
        (("calm",), [f"{BOTH}a.jpg,3,2\nb.jpg,4,\n"], [2, None]),
        # … nor beside judgements of others alone
        (
            ("attractive",),
            [
                "image,rating\na.jpg,3\n",
                f"{TRAITS}a.jpg,cem,calm,5\n",
                "",
                "rater,image,trait,rating\nann,b.jpg,attractive,6\n",
            ],
            [None, 6],
        ),
        # `rating` by hand corrects that of labels.csv
        (("calm",), [f"{BOTH}a.jpg,3,2\n", "", "image,rating\na.jpg,7\n"], [2, None]),
        ((), [f"{BOTH}a.jpg,3,2\n", "", "image,rating\na.jpg,7\n"], [7, None]),
        # … or is of the main one
        (("calm",), ["image,rating_calm\na.jpg,2\n", "", "image,rating\na.jpg,7\n"], [7, None]),
        (("calm",), ["", f"{TRAITS}a.jpg,cem,calm,5\n", "image,rating\na.jpg,7\n"], [7, None]),
        # one value by hand takes no other rating away
        (
            ("calm",),
            ["image,rating\na.jpg,3\nb.jpg,4\n", "", "image,rating_calm\na.jpg,7\n"],
            [7, 4],
        ),
        (
            ("calm",),
            ["", f"{RATINGS}a.jpg,cem,3\nb.jpg,cem,4\n", "image,rating_calm\na.jpg,7\n"],
            [7, 4],
        ),
        # judgements of ratings.csv count before means of labels.csv, these before those by hand
        (
            ("calm",),
            ["image,rating_calm\na.jpg,2\nb.jpg,3\n", f"{TRAITS}a.jpg,cem,calm,5\n"],
            [5, None],
        ),
        (
            ("calm",),
            [
                "image,rating_calm\na.jpg,2\n",
                "",
                "",
                "rater,image,trait,rating\nann,a.jpg,calm,6\n",
            ],
            [2, None],
        ),
        # a sheet without a line takes nothing away
        ((), ["image,rating\na.jpg,3\n", RATINGS], [3, None]),
    ],
)
def test_the_ratings_that_count(tmp_path, chosen, texts, expected):
    assert ratings(joined(tmp_path, chosen, *texts))[:2] == expected


@pytest.mark.parametrize("trait", ["calm", "happy"])
def test_a_dataset_without_judgements_keeps_the_means_of_the_same_trait(tmp_path, trait):
    """Its `rating` is of another trait, as `import cfd` writes it."""
    labels = f"image,dataset,rating,rating_{trait}\na.jpg,one,,\nb.jpg,two,7,2\nc.jpg,two,7,\n"
    of_both = "".join(f"a.jpg,cem,{name},5\n" for name in ("calm", "happy"))
    by_hand = f"rater,image,trait,rating\nann,b.jpg,{trait},6\nann,d.jpg,{trait},6\n"
    done = joined(tmp_path, ("calm", "happy"), labels, TRAITS + of_both, "", by_hand)
    column = "rating" if trait == "calm" else "rating_happy"
    assert done.table[column].tolist()[:2] == [5, 2]
    assert "1 rating by hand of faces whose mean the label file gives do not count" in done.notes
    if trait == "calm":
        assert ratings(done) == [5, 2, None, 6]
        lost = "2 ratings of the column rating of label files do not count"
        assert f"{lost}: rating_calm has those of calm" in done.notes


def test_means_that_stand_twice_are_not_told_of(tmp_path):
    """As `import omi --trait calm` writes them."""
    done = joined(tmp_path, ("calm",), f"{BOTH}a.jpg,3,3\nb.jpg,2,2\n")
    assert ratings(done)[:2] == [3, 2]
    assert done.notes == []


def test_a_chosen_trait_that_nobody_rated_is_named(tmp_path):
    with pytest.raises(LabelError, match=r"names 'attractive', which nobody rated.* are calm"):
        joined(tmp_path, ("attractive",), "image,rating\na.jpg,3\n", f"{TRAITS}a.jpg,cem,calm,5\n")
