"""Which ratings are of the scored trait, and which of a face's count: the rule of `main_trait`."""

import json

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.dataset import OF_RUN
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
        # … and of attractiveness beside judgements of others alone
        (
            ("attractive",),
            [
                "image,rating\na.jpg,3\n",
                f"{TRAITS}a.jpg,cem,calm,5\n",
                "",
                "rater,image,trait,rating\nann,b.jpg,attractive,6\n",
            ],
            [3, 6],
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
        # headers in any letters
        (
            ("calm",),
            ["image,rating,Rating Calm\na.jpg,5,2\n", "", "image,RatingCalm\nb.jpg,7\n"],
            [2, 7],
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
        lost = "2 ratings of the column rating do not count"
        assert any(
            note.startswith(f"{lost}: without a trait, they are of attr") for note in done.notes
        )


def test_means_that_stand_twice_are_not_told_of(tmp_path):
    """As `import omi --trait calm` writes them."""
    done = joined(tmp_path, ("calm",), f"{BOTH}a.jpg,3,3\nb.jpg,2,2\n")
    assert ratings(done)[:2] == [3, 2]
    assert done.notes == []


def test_a_chosen_trait_that_nobody_rated_is_named(tmp_path):
    """Others' ratings without a trait do not stand for it."""
    judged = f"{TRAITS}a.jpg,cem,calm,5\n"
    with pytest.raises(LabelError, match=r"'kind', which nobody rated.* are calm.*rating_kind"):
        joined(tmp_path, ("kind",), "image,rating\na.jpg,3\n", judged)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("rating_trustworthy", "names 'trust', which nobody rated.*Did you mean trustworthy"),
        ("rating_trusty", "names 'trust', which nobody rated.*Did you mean trusty"),
    ],
)
def test_a_chosen_trait_of_another_spelling_is_named(tmp_path, header, message):
    with pytest.raises(LabelError, match=message):
        joined(tmp_path, ("trust",), f"image,rating,{header}\na.jpg,3,2\n")


@pytest.mark.parametrize("kind", ["labels", "ratings"])
def test_ratings_of_an_imported_dataset_are_of_its_trait_alone(tmp_path, kind):
    """`import` has asked for attractiveness: nobody rated how calm these faces are."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"rating_trait": "attractive"}))
    texts = [f"{RATINGS}a.jpg,cem,3\n"] if kind == "ratings" else ["image,rating\na.jpg,3\n"]
    texts = ["", *texts] if kind == "ratings" else texts
    assert ratings(joined(tmp_path, (), *texts))[0] == 3
    assert ratings(joined(tmp_path, ("attractive",), *texts))[0] == 3
    with pytest.raises(LabelError, match=r"'calm', which nobody rated.*they are of attractive"):
        joined(tmp_path, ("calm",), *texts)
    by_hand = "rater,image,trait,rating\nann,b.jpg,calm,6\n"
    done = joined(tmp_path, ("calm", "attractive"), *(*texts, "", "", "")[:3], by_hand)
    assert ratings(done)[:2] == [None, 6]
    assert done.table["rating_attractive"].tolist()[0] == 3


@pytest.mark.parametrize("first", ["z.jpg,ann,attractive,5,", "a.jpg,ann,attractive,5,repeat"])
def test_the_first_trait_is_that_of_the_file_whether_its_line_counts_or_not(tmp_path, first):
    judged = "a.jpg,ben,calm,2,\na.jpg,ben,attractive,6,\n"
    header = "image,rater,trait,rating,rating_type\n"
    done = joined(tmp_path, (), "", f"{header}{first}\n{judged}")
    assert ratings(done)[0] == 6
    assert "score.traits is empty: `rating` is of attractive" in done.notes


def test_a_dataset_of_which_no_chosen_rater_judged_a_face_has_no_means(tmp_path):
    (tmp_path / "labels.csv").write_text("image,dataset,rating\na.jpg,one,3\nb.jpg,two,4\n")
    (tmp_path / "ratings.csv").write_text(
        "image,rater,rating,rater_gender\na.jpg,ann,5,female\nb.jpg,ben,6,male\n"
    )
    done = join_labels(
        FACES, tmp_path, tmp_path / "no.csv", [1, 7], raters={"rater_gender": "female"}
    )
    assert ratings(done)[:2] == [5, None]


def test_means_of_raters_who_are_not_chosen_do_not_count_where_none_is(tmp_path):
    (tmp_path / "labels.csv").write_text("image,rating_calm\na.jpg,3\nb.jpg,4\n")
    lines = "a.jpg,ben,calm,6,male\nb.jpg,ann,happy,5,female\n"
    (tmp_path / "ratings.csv").write_text(f"image,rater,trait,rating,rater_gender\n{lines}")
    options = {"raters": {"rater_gender": "female"}, "chosen": ("calm",)}
    done = join_labels(FACES, tmp_path, tmp_path / "no.csv", [1, 7], **options)
    assert ratings(done)[:2] == [None, None]


def test_the_main_trait_stands_twice_with_one_value(tmp_path):
    labels = "image,dataset,rating\na.jpg,one,\nb.jpg,two,4\nc.jpg,two,6\n"
    (tmp_path / "labels.csv").write_text(labels)
    (tmp_path / "ratings.csv").write_text(f"{TRAITS}a.jpg,ann,attractive,2\n")
    done = join_labels(FACES, tmp_path, tmp_path / "no.csv", [1, 7], chosen=("attractive",))
    assert done.table["rating"].tolist()[:3] == [5, 4, 6]  # levelled
    assert done.table["rating_attractive"].equals(done.table["rating"])
    assert done.traits["attractive"]["rating"].tolist() == done.judgements["rating"].tolist()


@pytest.mark.parametrize("chosen", [(), ("attractive",)])
def test_means_by_name_and_without_one_are_of_one_trait(tmp_path, chosen):
    """As `import scut`, and a table with a column rating_attractive by `import csv --append`."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    facts |= {"rating_trait": "attractive"}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"appended": [facts]}))
    labels = "image,dataset,rating,rating_attractive\na.jpg,one,3,\nb.jpg,two,,4\n"
    assert ratings(joined(tmp_path, chosen, labels))[:2] == [3, 4]
    (tmp_path / "ratings.csv").write_text(f"{RATINGS}a.jpg,ann,5\n")
    assert ratings(joined(tmp_path, chosen, labels))[:2] == [5, 4]


def test_what_the_page_asked_is_not_put_into_another_imported_trait(tmp_path):
    """As `import cfd --trait calm`, and the page Rate, which asked how attractive each face is."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"rating_trait": "calm"}))
    by_hand = "rater,image,trait,rating\nann,b.jpg,,7\nann,c.jpg,calm,6\n"
    done = joined(tmp_path, (), "image,rating\na.jpg,3\n", "", "", by_hand)
    assert ratings(done)[:3] == [3, None, 6]
    assert done.metadata()["trait"] == "calm"  # which the page asks for from then on


@pytest.mark.parametrize("by_hand", ["", "rater,image,trait,rating\nann,d.jpg,,6\n"])
def test_own_judgements_of_another_trait_change_nothing_of_the_imported_one(tmp_path, by_hand):
    """One rating by the page made the happy ones those of attractiveness."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"rating_trait": "attractive"}))
    judged = f"{TRAITS}a.jpg,ann,happy,2\n"
    for columns, cells in (("rating", "6"), ("rating,rating_attractive,rating_happy", "6,6,1")):
        done = joined(tmp_path, (), f"image,{columns}\na.jpg,{cells}\n", judged, "", by_hand)
        assert ratings(done) == [6, None, None, 6 if by_hand else None]
        assert done.table["rating_happy"].tolist()[0] == 2
        assert done.metadata()["trait"] == "attractive"


def test_a_correction_of_one_face_takes_no_mean_of_others_away(tmp_path):
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"rating_trait": "attractive"}))
    labels = "image,rating\na.jpg,6\nb.jpg,7\n"
    judged = f"{TRAITS}a.jpg,ann,happy,2\n"
    by_hand = "image,rating_attractive\na.jpg,5\n"
    done = joined(tmp_path, ("happy", "attractive"), labels, judged, by_hand)
    assert done.table["rating_attractive"].tolist()[:2] == [5, 7]
    assert done.table["rating_attractive_source"].tolist()[:2] == ["manual", "label"]


def test_an_added_dataset_does_not_change_the_main_trait(tmp_path):
    """As `import csv` with own judgements of trust, and `import london --append`."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    added = facts | {"rating_trait": "attractive"}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"appended": [added]}))
    judged = f"{TRAITS}a.jpg,ann,calm,2\na.jpg,ann,attractive,6\nb.jpg,ann,attractive,5\n"
    done = joined(tmp_path, (), "image,dataset\na.jpg,own\nb.jpg,london\n", judged)
    assert ratings(done)[:2] == [2, None]
    assert done.table["rating_attractive"].tolist()[:2] == [6, 5]
    assert "score.traits is empty: `rating` is of calm" in done.notes


def test_an_imported_trait_beside_judgements_of_others_is_none_of_these(tmp_path):
    """As `import 3dsk` and `import cfd --append`: the second one's means are of attractiveness."""
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": [1, 7]}
    facts |= {"rating_trait": "attractive"}
    (tmp_path / "dataset.json").write_text(json.dumps(facts | {"appended": [facts]}))
    judged = f"{TRAITS}a.jpg,ann,attractive,2\na.jpg,ann,dominant,3\n"
    labels = "image,dataset,rating\na.jpg,one,\nb.jpg,two,4\n"
    for chosen, expected in (
        (("dominant",), [3, None]),
        (("dominant", "attractive"), [3, None]),
        (("attractive",), [2, 4]),
        ((), [2, 4]),
    ):
        done = joined(tmp_path, chosen, labels, judged)
        assert ratings(done)[:2] == expected
        if chosen[1:]:
            assert done.table["rating_attractive"].tolist()[:2] == [2, 4]


def test_a_sheet_without_a_line_changes_no_trait_of_ratings_by_hand(tmp_path):
    by_hand = "rater,image,trait,rating\nann,a.jpg,happy,7\nann,b.jpg,,5\n"
    done = joined(tmp_path, (), "", TRAITS, "", by_hand)
    assert ratings(done)[:2] == [None, 5]


@pytest.mark.parametrize("chosen", [("attractive", "calm"), ("calm", "attractive")])
def test_means_of_all_chosen_traits_are_levelled(tmp_path, chosen):
    lines = ["a.jpg,one,1,2", "b.jpg,one,3,4", "c.jpg,two,6,7"]
    labels = "\n".join(["image,dataset,rating_attractive,rating_calm", *lines])
    (tmp_path / "labels.csv").write_text(labels)
    table = join_labels(FACES, tmp_path, tmp_path / "no.csv", [1, 7], chosen=chosen).table
    assert table["rating_attractive"].tolist()[:3] == [1, 3, 2]
    assert table["rating_calm"].tolist()[:3] == [2, 4, 3]


@pytest.mark.parametrize(
    ("lowest", "width", "refused"),
    [(0, 1, True), (1, 4, False), (1, 8, False), (18, 42, True), (-3, 6, True), (1, 99, True)],
)
def test_traits_on_several_scales_make_no_scale_by_themselves(tmp_path, lowest, width, refused):
    """Ages of up to 60 made 7 of 7 the score 7."""
    lines = [
        f"{face}.jpg,r{i},{trait},{low + i % (most + 1)}"
        for face in "abcd"
        for i in range(60)
        for trait, low, most in (("attractive", 1, 6), ("other", lowest, width))
    ]
    (tmp_path / "ratings.csv").write_text("\n".join([TRAITS.strip(), *lines]))
    join = lambda scale: join_labels(FACES, tmp_path, tmp_path / "no.csv", scale)  # noqa: E731
    if refused:
        with pytest.raises(
            LabelError, match=r"of other are from .*, and of attractive from 1 to 7"
        ):
            join("auto")
    else:
        assert join("auto").scale in [(1, 7), (1, 9)]
    assert join([-3, 100]).scale == (-3, 100)


@pytest.mark.parametrize("chosen", [("attractive", "calm"), ("calm", "attractive")])
def test_means_on_another_scale_than_judgements_are_an_error(tmp_path, chosen):
    names = [f"{i}.jpg" for i in range(12)]
    faces = pd.DataFrame({"image": names, "filename": names})
    place = faces, tmp_path, tmp_path / "no.csv"
    means = [f"{name},{i * 9},{1 + i / 2}" for i, name in enumerate(names)]
    lines = [f"{name},ann,{i * 9}" for i, name in enumerate(names)]
    (tmp_path / "ratings.csv").write_text("\n".join([RATINGS.strip(), *lines]))
    (tmp_path / "labels.csv").write_text("\n".join(["image,x,rating_calm", *means]))
    (tmp_path / "dataset.json").write_text(json.dumps(_facts("attractive")))
    with pytest.raises(LabelError, match="all traits have one scale"):
        join_labels(*place, "auto", chosen=chosen)
    (tmp_path / "ratings.csv").unlink()
    (tmp_path / "labels.csv").write_text("\n".join(["image,rating,rating_calm", *means]))
    with pytest.raises(LabelError, match="all traits have one scale"):
        join_labels(*place, "auto", chosen=chosen)
    with pytest.raises(LabelError, match=r"has the rating 0, .*expected a rating from 1 to 7"):
        join_labels(*place, [1, 7], chosen=("calm", "attractive"))


def _facts(trait):
    facts = dict.fromkeys(OF_RUN, "x") | {"files": 2, "rating_scale": None}
    return facts | {"rating_trait": trait}
