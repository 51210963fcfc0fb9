"""Ratings by hand count beside those of ratings.csv: by the rule of `labels.rated_by_hand`."""

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import JoinedLabels, join_labels

HEADER = "rater,image,trait,rating,order,seconds,repeat\n"
FACES = pd.DataFrame({"image": [f"{name}.jpg" for name in "abcd"]})
FACES["filename"] = FACES["image"]


@pytest.fixture
def joined(tmp_path):
    def join(by_hand: str, scale=(1, 7), **options) -> JoinedLabels:
        path = tmp_path / "manual_ratings.csv"
        path.write_text(HEADER + by_hand)
        manual, chosen = tmp_path / "manual_labels.csv", options.pop("chosen", ())
        return join_labels(
            FACES, tmp_path, manual, [*scale], manual_ratings=path, chosen=chosen, **options
        )

    def means(*arguments, **options) -> list[float | None]:
        rating = join(*arguments, **options).table["rating"]
        return [None if pd.isna(value) else float(value) for value in rating]

    join.means = means
    join.folder = tmp_path
    return join


def write(folder, name: str, text: str) -> None:
    (folder / name).write_text(text)


def test_ratings_by_hand_alone_are_the_faces_ratings(joined):
    by_hand = "ann,a.jpg,,3,1,2.5,\nben,a.jpg,,4,1,2.5,\nann,b.jpg,,6,2,1.5,\n"
    assert joined.means(by_hand) == [3.5, 6, None, None]


def test_a_mean_is_over_the_raters_of_both_files(joined):
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,cem,1\nb.jpg,cem,2\n")
    assert joined.means("ann,a.jpg,,3,1,2,\nann,c.jpg,,5,2,2,\n") == [2, 2, 5, None]


def test_a_sheet_that_is_still_empty_stands_beside_ratings_of_two_datasets(joined):
    lines = "".join(
        f"{name}.jpg,{name > 'b'},{rating}\n" for name, rating in zip("abcd", "2345", strict=True)
    )
    write(joined.folder, "labels.csv", f"image,dataset,rating\n{lines}")
    write(joined.folder, "ratings.csv", "image,rater,rating\n")
    assert joined("").table["rating"].notna().all()


def test_one_judgement_by_hand_does_not_take_the_means_of_its_dataset(joined):
    lines = "".join(f"{name}.jpg,{name > 'b'},\n" for name in "cd")
    write(joined.folder, "labels.csv", f"image,dataset,rating\na.jpg,no,5\nb.jpg,no,\n{lines}")
    write(joined.folder, "ratings.csv", "image,rater,rating\nc.jpg,cem,2\nd.jpg,cem,4\n")
    assert joined.means("ann,b.jpg,,7,1,2,\n", level=False) == [5, 7, 2, 4]
    assert joined.means("ann,d.jpg,,6,1,2,\n", level=False) == [5, None, 2, 5]
    both = joined("ann,a.jpg,,7,1,2,\n", level=False)
    assert both.table["rating"].tolist()[0] == 5
    assert [*both.judgements["filename"]] == ["c.jpg", "d.jpg"]
    assert "1 rating by hand of faces whose mean the label file gives do not count" in both.notes


def test_who_rated_a_face_in_both_files_counts_once(joined):
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,ann,1\n")
    assert joined.means("ann,a.jpg,,7,1,2,\nben,a.jpg,,3,1,2,\n") == [2, None, None, None]


def test_a_second_judgement_tells_the_raters_reliability_and_moves_no_mean(joined):
    by_hand = "".join(
        f"ann,{name}.jpg,,{first},1,2,\nann,{name}.jpg,,{second},5,2,1\n"
        for name, first, second in (("a", 1, 2), ("b", 4, 4), ("c", 6, 7))
    )
    done = joined(by_hand)
    assert done.table["rating"].dropna().tolist() == [1, 4, 6]
    retest = done.summary["rating"]["retest"]
    assert retest["n"] == 3
    assert retest["difference"] == pytest.approx(2 / 3)
    assert retest["r"] == pytest.approx(37 / 38)  # of (1, 4, 6) with (2, 4, 7)
    assert done.summary["rating"]["repeats_left_out"] == 3


def test_means_of_the_label_file_stay(joined):
    write(joined.folder, "labels.csv", "image,rating\na.jpg,2\n")
    done = joined("ann,a.jpg,,7,1,2,\nann,b.jpg,,5,2,2,\n")
    assert done.table["rating"].tolist()[:2] == [2, 5]
    assert "1 rating by hand of faces whose mean the label file gives do not count" in done.notes


def test_further_traits_have_their_own_means(joined):
    write(joined.folder, "ratings.csv", "image,rater,trait,rating\na.jpg,cem,calm,1\n")
    by_hand = "ann,a.jpg,calm,3,1,2,\nann,b.jpg,happy,5,2,2,\n"
    table = joined(by_hand, chosen=("calm", "happy")).table
    assert table["rating"].tolist()[0] == 2
    assert table["rating_happy"].tolist()[1] == 5


def test_a_trait_that_was_chosen_before_is_not_the_main_one(joined):
    before, after = "ann,a.jpg,trustworthy,3,1,2,\n", "ann,a.jpg,,7,2,2,\nann,b.jpg,,6,3,2,\n"
    done = joined(before + after)
    assert done.table["rating"].tolist()[:2] == [7, 6]
    assert done.table["rating_trustworthy"].tolist()[0] == 3
    write(joined.folder, "labels.csv", "image,rating\nc.jpg,5\n")
    assert joined.means(before) == [None, None, 5, None]
    assert joined.means(before + after, level=False) == [7, 6, 5, None]


def test_what_was_asked_before_traits_were_chosen_is_of_no_other_trait(joined):
    """The page asked how attractive each face is, and calls no trait so that has no name."""
    before, after = "ann,a.jpg,,1,1,2,\nann,b.jpg,,2,2,2,\n", "ann,a.jpg,trustworthy,7,3,2,\n"
    done = joined(before + after, chosen=("trustworthy",))
    assert done.table["rating"].dropna().tolist() == [7]
    assert "score.traits does not name attractive, of which 2 ratings by hand are" in done.notes
    both = joined(before + after, chosen=("attractive", "trustworthy"))
    assert both.table["rating"].dropna().tolist() == [1, 2]
    assert both.table["rating_trustworthy"].dropna().tolist() == [7]
    named = "ben,a.jpg,attractive,3,1,2,\n"  # and no trait any more
    assert joined.means(before + named) == [2, 2, None, None]
    write(joined.folder, "ratings.csv", "image,rater,trait,rating\na.jpg,cem,calm,6\n")
    assert joined.means(before + after) == [6, None, None, None]


@pytest.mark.parametrize("trait", ["trustworthy", "attractive", ""])
def test_the_means_of_the_scored_trait_stay_beside_judgements_of_another(joined, trait):
    """ratings.csv, which names no trait, is not of one whose means stand in labels.csv."""
    write(joined.folder, "labels.csv", "image,rating_trustworthy\na.jpg,2\nb.jpg,3\n")
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,cem,7\nd.jpg,cem,6\n")
    assert joined.means("", chosen=("trustworthy",)) == [2, 3, None, None]
    by_hand = f"ann,a.jpg,{trait},5,1,2,\nann,c.jpg,{trait},5,2,2,\n"
    done = joined(by_hand, chosen=("trustworthy",)).table
    of_c = 5 if trait == "trustworthy" else None
    assert [None if pd.isna(one) else one for one in done["rating"]] == [2, 3, of_c, None]
    assert done["rating"].equals(done["rating_trustworthy"])
    assert "rating_" not in done


def test_the_means_of_the_scored_trait_are_not_those_of_the_first(joined):
    """As `import cfd` writes them, with the first rating by hand."""
    lines = "a.jpg,2,6\nb.jpg,3,5\nc.jpg,4,\n"
    write(joined.folder, "labels.csv", f"image,rating,rating_trustworthy\n{lines}")
    assert joined.means("", chosen=("trustworthy",)) == [6, 5, None, None]
    by_hand = "ann,c.jpg,trustworthy,7,1,2,\nann,a.jpg,trustworthy,7,2,2,\n"
    done = joined(by_hand, chosen=("trustworthy",)).table
    assert done["rating"].dropna().tolist() == [6, 5, 7]
    assert done["rating"].equals(done["rating_trustworthy"])


def test_a_rating_in_the_labels_by_hand_wins_over_the_means_of_the_scored_trait(joined):
    write(joined.folder, "labels.csv", "image,rating_trustworthy\na.jpg,2\nb.jpg,3\n")
    write(joined.folder, "manual_labels.csv", "filename,rating\na.jpg,6\nd.jpg,5\n")
    table = joined("", chosen=("trustworthy",)).table
    assert [None if pd.isna(one) else one for one in table["rating"]] == [6, 3, None, 5]
    assert table["rating_source"].tolist()[:2] == ["manual", "label"]


@pytest.mark.parametrize("by_hand", ["", "ann,c.jpg,attractive,7,1,2,\n"])
def test_a_mean_of_one_face_takes_no_judgements_of_the_others_away(joined, by_hand):
    """ratings.csv, which names no trait, is of attractiveness."""
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,cem,1\nb.jpg,cem,2\n")
    write(joined.folder, "manual_labels.csv", "filename,rating_attractive\na.jpg,6\n")
    assert joined.means(by_hand, chosen=("attractive",))[:2] == [6, 2]
    write(joined.folder, "labels.csv", "image,rating_attractive\nb.jpg,6\n")
    assert joined.means(by_hand, chosen=("attractive",))[:2] == [6, 2]


def test_a_mean_of_the_scored_trait_by_hand_wins_over_its_judgements(joined):
    write(
        joined.folder,
        "ratings.csv",
        "image,rater,trait,rating\na.jpg,cem,calm,1\nb.jpg,cem,calm,2\n",
    )
    write(joined.folder, "manual_labels.csv", "filename,rating_calm\na.jpg,6\n")
    table = joined("", chosen=("calm",)).table
    assert table["rating"].dropna().tolist() == [6, 2]
    assert table["rating_source"].tolist()[:2] == ["manual", "label"]


def test_a_correction_of_the_first_rating_is_none_of_the_scored_trait(joined):
    lines = "a.jpg,5,2\nb.jpg,5,3\n"
    write(joined.folder, "labels.csv", f"image,rating,rating_trustworthy\n{lines}")
    write(joined.folder, "manual_labels.csv", "filename,rating\na.jpg,7\nc.jpg,7\n")
    assert joined.means("", chosen=("trustworthy",)) == [2, 3, None, None]
    assert joined.means("") == [7, 5, 7, None]


def test_a_file_without_traits_is_of_the_main_one(tmp_path):
    path = tmp_path / "manual_ratings.csv"
    path.write_text("rater,image,rating\nann,a.jpg,3\n")
    for chosen in ((), ("calm",)):
        done = join_labels(
            FACES, tmp_path, tmp_path / "no.csv", [1, 7], chosen=chosen, manual_ratings=path
        )
        assert done.table["rating"].tolist()[0] == 3


@pytest.mark.long
@pytest.mark.parametrize("rating", ["9", "often", "inf"])
def test_what_is_no_rating_on_the_scale_is_named_with_its_line(joined, rating):
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,cem,1\n")
    with pytest.raises(LabelError, match=r"manual_ratings\.csv, line 3, column rating") as error:
        joined(f"ann,a.jpg,,3,1,2,\nann,b.jpg,,{rating},2,2,\n")
    assert rating in str(error.value)


def test_faces_that_are_gone_are_left_out_and_a_file_without_ratings_says_nothing(joined):
    assert joined.means("ann,gone.jpg,,3,1,2,\nann,a.jpg,,3,1,2,\n") == [3, None, None, None]
    assert joined.means("") == [None] * 4


@pytest.mark.parametrize(
    ("text", "encoding", "warning"),
    [
        ("rater,image,rating\nZoë,a.jpg,3\n", "cp1252", "line 2 has 'Zoë'"),
        ("Study of 2026\nrater,image,rating\nann,a.jpg,3\n", "utf-8", "are taken for a title"),
        ("Étude\nrater,image,rating\n", "cp1252", "not UTF-8, so it was read as Windows-1252"),
    ],
)
def test_how_the_file_was_read_is_a_warning_as_for_other_label_files(
    tmp_path, text, encoding, warning
):
    path = tmp_path / "manual_ratings.csv"
    path.write_bytes(text.encode(encoding))
    done = join_labels(FACES, tmp_path, tmp_path / "no.csv", [1, 7], manual_ratings=path)
    assert any("manual_ratings.csv" in text and warning in text for text in done.warnings)


def test_how_a_header_was_understood_is_told(tmp_path):
    path = tmp_path / "manual_ratings.csv"
    path.write_text("rater,photo,rating\nann,a.jpg,3\n")
    done = join_labels(FACES, tmp_path, tmp_path / "no.csv", [1, 7], manual_ratings=path)
    assert "manual_ratings.csv: read 'photo' as image" in done.notes


@pytest.mark.parametrize("word", ["1", "1.0", "TRUE", "WAHR", "VRAI", " ja "])
def test_a_second_judgement_is_none_of_the_first_in_any_spelling(joined, word):
    """Its line may stand first, as where a sheet was sorted."""
    assert joined.means(f"ann,a.jpg,,7,2,2,{word}\nann,a.jpg,,3,1,2,0.0\n")[0] == 3


def test_an_unknown_word_for_a_repeat_is_named(joined):
    with pytest.raises(LabelError, match=r"manual_ratings\.csv, line 3.*repeat.*'perhaps'"):
        joined("ann,a.jpg,,7,2,2,\nann,a.jpg,,3,1,2,perhaps\n")


def test_raters_of_the_page_who_are_not_chosen_count_nobody(joined):
    write(joined.folder, "ratings.csv", "image,rater,rating\na.jpg,cem,3\n")
    done = joined("ann,a.jpg,,7,1,2,\n", raters={"rater": ["cem"]})
    assert done.table["rating"].tolist()[0] == 3
    assert "manual_ratings.csv does not count: labels.raters chooses others" in done.notes
