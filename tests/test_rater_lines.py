"""Single judgements that may be counts, means or of other things; a line each, or a rater."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import join_labels
from label_files import IMAGES, join_files

RATERS = [f"p{i}" for i in range(1, 7)]


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


@pytest.fixture(scope="module")
def judged():
    """Twelve photos by six raters, one line a judgement."""
    rng = np.random.default_rng(0)
    rows = [(image, rater, int(rng.integers(1, 8))) for image in IMAGES[:12] for rater in RATERS]
    return pd.DataFrame(rows, columns=["image", "rater", "rating"])


@pytest.mark.parametrize(
    "header", ["n", "Freq", "Anzahl", "0", "N_BREAK", "COUNTA of rating", "num_votes", "share"]
)
def test_how_many_raters_gave_each_answer_is_asked_about(join, judged, header):
    """Each answer counted once."""
    counted = judged.groupby(["image", "rating"]).size().reset_index(name=header)
    with pytest.raises(LabelError, match=f"'{header}' may tell how many raters a line is of; writ"):
        join(ratings__csv=counted.to_csv(index=False))


def test_each_answer_to_each_photo_once_is_asked_about(join, judged):
    """As R writes a table of both, with zeros."""
    table = pd.crosstab(judged["image"], judged["rating"]).stack().reset_index(name="x")
    with pytest.raises(LabelError, match=r"no image has a rating twice|may tell how many raters"):
        join(ratings__csv=table.to_csv(index=False))


def test_a_few_ratings_of_nobody_that_differ_are_read(join):
    lines = [f"{image},{i % 5 + 1}\n{image},{i % 5 + 2}" for i, image in enumerate(IMAGES[:12])]
    assert len(join(ratings__csv="\n".join(["image,rating", *lines])).judgements) == 24
    lines = [
        f"{image},{(i * 37 + k * 31) % 101}" for i, image in enumerate(IMAGES) for k in range(3)
    ]
    assert len(join(ratings__csv="\n".join(["image,rating", *lines])).judgements) == 180


def test_means_of_groups_of_raters_are_asked_about(join, judged):
    is_woman = judged["rater"].isin(RATERS[:2])
    means = judged.assign(sex=is_woman.map({True: "f", False: "m"}))
    means = means.groupby(["image", "sex"])["rating"].mean().round(2).reset_index()
    with pytest.raises(LabelError, match="may be means of groups of raters, by the column 'sex'"):
        join(ratings__csv=means.to_csv(index=False))


@pytest.mark.parametrize(
    ("header", "own", "other"),
    [
        ("Task Name", "Attractiveness Rating Task", "Trustworthiness Rating Task"),
        ("prompt", "How attractive is this face?", "How kind is this face?"),
        ("Experiment", "Attractiveness (Exp 1)", "Leader (Exp 2)"),
        ("anchors", "very unattractive - very attractive", "cold - warm"),
        ("condition", "atractivo", "confiable"),
        ("prompt", "Would you date this person?", "How trustworthy is this face?"),
        ("part", "att", "dom"),
        ("Anweisung", "Wie attraktiv?", "Wie alt?"),
    ],
)
def test_a_column_of_phrases_that_tells_what_was_judged_is_asked_about(
    join, judged, header, own, other
):
    by_own = judged["rater"].isin(RATERS[:3])
    table = judged.assign(**{header: by_own.map({True: own, False: other})})
    with pytest.raises(LabelError, match=f"the column '{header}' has .* so several things were"):
        join(ratings__csv=table.to_csv(index=False))
    alone = table.assign(**{header: own})
    assert len(join(ratings__csv=alone.to_csv(index=False)).judgements) == 72


@pytest.mark.parametrize(
    ("header", "kinds", "is_told"),
    [
        ("device", ("Smartphone", "Desktop"), True),
        ("condition", ("physical", "social"), True),
        ("Q", ("1", "2"), True),
        ("rater_country", ("de", "at"), False),
        ("sex", ("f", "m"), False),
        ("block", ("1", "1"), False),
    ],
)
def test_other_kinds_of_lines_are_read_and_told(join, judged, header, kinds, is_told):
    """They may be of two traits, under words that nothing knows."""
    by_own = judged["rater"].isin(RATERS[:3])
    table = judged.assign(**{header: by_own.map({True: kinds[0], False: kinds[1]})})
    joined = join(ratings__csv=table.to_csv(index=False))
    assert len(joined.judgements) == 72
    expected = f"ratings.csv: the column '{header}' ({kinds[0]}, {kinds[1]}) is not read; if it"
    assert any(text.startswith(expected) for text in joined.warnings) == is_told


def test_qualities_of_photos_are_no_traits(join, judged):
    is_first = judged["image"].isin(IMAGES[:6])
    table = judged.assign(group=is_first.map({True: "attractive", False: "average"}))
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72


def test_words_for_the_rating_beside_it_are_no_traits(join, judged):
    words = judged["rating"].map(lambda rating: "attractive" if rating > 4 else "plain")
    table = judged.assign(answer_label=words)
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72


def test_raters_who_say_yes_or_no_are_read(join):
    lines = [
        "rater,00.jpg,01.jpg,02.jpg,03.jpg,04.jpg",
        "a,1,0,0,1,0",
        "b,0,0,1,1,0",
        "c,1,0,1,1,0",
    ]
    assert len(join(ratings__csv="\n".join(lines)).judgements) == 15


def test_tasks_without_a_rating_tell_nothing(join, judged):
    """Gorilla names the consent and the questionnaire, too."""
    table = judged.assign(**{"Task Name": "Attractiveness Rating"})
    more = pd.DataFrame({"rater": RATERS * 2, "Task Name": ["Consent"] * 6 + ["Age"] * 6})
    text = pd.concat([table, more]).to_csv(index=False)
    assert len(join(ratings__csv=text).judgements) == 72


@pytest.mark.parametrize("form", ["lines", "photos"])
def test_raters_on_different_scales_are_asked_about(join, judged, form):
    """1 to 7 counted as 0 to 100."""
    wide = judged["rater"].isin(RATERS[3:])
    table = judged.assign(rating=judged["rating"].where(~wide, (judged["rating"] - 1) * 16))
    pivot = table.pivot(index="rater", columns="image", values="rating")
    text = table.to_csv(index=False) if form == "lines" else pivot.to_csv()
    with pytest.raises(LabelError, match="'p1' and 'p4' are on different scales; bring them to"):
        join(ratings__csv=text)


@pytest.mark.parametrize("wide", [["p1"], ["p1", "p2", "p3"]])
@pytest.mark.parametrize("photos", [3, 8])
def test_nor_are_few_ratings_each_or_few_raters(join, judged, wide, photos):
    table = judged[judged["image"].isin(IMAGES[:photos])]
    above = (table["rating"] - 1) * 16
    table = table.assign(rating=above.where(table["rater"].isin(wide), table["rating"]))
    with pytest.raises(LabelError, match="are on different scales; bring them to"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize("form", ["lines", "columns", "photos", "nobody"])
def test_photos_on_different_scales_are_asked_about(join, judged, form):
    """One dataset was brought to the level of the other."""
    wide = judged["image"].isin(IMAGES[:6])
    table = judged.assign(rating=judged["rating"].where(~wide, 30 + 8 * judged["rating"]))
    pivot = table.pivot(index="image", columns="rater", values="rating")
    texts = {
        "columns": pivot.to_csv(),
        "photos": pivot.T.to_csv(),
        "lines": table.to_csv(index=False),
    }
    text = texts.get(form, table.drop(columns="rater").to_csv(index=False))
    with pytest.raises(LabelError, match=r"the images .* are on different scales"):
        join(ratings__csv=text)


def test_photos_at_the_middle_of_a_scale_around_zero_are_on_it(join, judged):
    table = judged.assign(rating=(judged["rating"] - 4).where(judged["image"] > "03.jpg", 0))
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72


def test_a_rater_who_uses_little_of_the_scale_is_read(join, judged):
    rare = judged["rater"] == "p6"
    table = judged.assign(rating=((judged["rating"] - 1) * 16).where(~rare, judged["rating"]))
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72


@pytest.mark.parametrize("header", ["Email Address", "Your name", "Student ID", "Vp-Code"])
def test_a_form_that_somebody_sent_twice_is_asked_about(join, header):
    lines = [f"10:0{i},{'u' if i == 5 else i}@x,{i + 1},{7 - i}" for i in (0, 1, 2, 3, 4, 5)]
    text = "\n".join([f"Timestamp,{header},00.jpg,01.jpg", *lines])
    assert len(join(ratings__csv=text).judgements) == 12
    with pytest.raises(LabelError, match=f"the column '{header}' has 'u@x' twice; if it names"):
        join(ratings__csv=text.replace("4@x", "u@x"))


def numbered_photos(tmp_path, text):
    """Labels of photos that are called by numbers."""
    photos = [f"{i}.jpg" for i in range(1, 9)]
    (tmp_path / "ratings.csv").write_text(text)
    faces = pd.DataFrame({"image": photos, "filename": photos})
    return join_labels(faces, tmp_path, tmp_path / "none", "auto")


@pytest.mark.parametrize("other", ["stimulus", "target", "name of file"])
def test_numbers_of_trials_are_no_photos(tmp_path, other):
    """Each rating was that of another photo."""
    lines = [f"{i},{9 - i}.jpg,{rater},{i % 5 + 1}" for i in range(1, 9) for rater in "ab"]
    with pytest.raises(LabelError, match=r"name different photos|could both be"):
        numbered_photos(tmp_path, "\n".join([f"image,{other},rater,rating", *lines]))
    lines = [f"{i},{i}.jpg,{rater},{i % 5 + 1}" for i in range(1, 9) for rater in "ab"]
    text = "\n".join(["image,name of file,rater,rating", *lines])
    assert len(numbered_photos(tmp_path, text).judgements) == 16


def test_trials_of_several_types_without_a_rater_are_asked_about(join):
    """A click on "I know her" was a rating."""
    lines = [
        f"{name},{kind},{answer}"
        for name in IMAGES[:6]
        for kind, answer in (("image-slider-response", 5), ("image-button-response", 0))
    ]
    text = "\n".join(["stimulus,trial_type,response", *lines])
    with pytest.raises(LabelError, match="so several things may have been asked"):
        join(ratings__csv=text)
    assert (
        len(join(ratings__csv="\n".join([text[: text.index("\n")], *lines[::2]])).judgements) == 6
    )


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("header", ["Initials", "id", "Email", "Player", "Who"])
def test_raters_under_a_header_that_is_not_known_are_asked_about(join, judged, header, again):
    """A second judgement was another rater's, and who answered at random was not named."""
    lines = pd.concat([judged, judged[:1].assign(rating=4)]) if again else judged
    text = lines.rename(columns={"rater": header}).to_csv(index=False)
    with pytest.raises(LabelError, match=f"the column '{header}' may be that of the raters; call"):
        join(ratings__csv=text)


@pytest.mark.parametrize("header", ["annotator", "Coder", "subject_nr", "Rated by"])
def test_more_words_for_raters_are_known(join, judged, header):
    text = judged.rename(columns={"rater": header}).to_csv(index=False)
    assert {*join(ratings__csv=text).judgements["rater"]} == {*RATERS}


def test_columns_of_photos_and_of_trials_are_no_raters(join, judged):
    trial = judged.groupby("rater").cumcount()
    table = judged.assign(trial=trial, sex=np.arange(72) // 6 % 2, note="").drop(columns="rater")
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72


@pytest.mark.parametrize(("last", "what"), [("", "is the mean"), ("SD", "is called like")])
def test_a_mean_among_very_many_raters_is_asked_about(join, last, what):
    """In memory that grows by photos and raters alone."""
    rng = np.random.default_rng(0)
    raters = [f"w{i}" for i in range(300)]
    table = pd.DataFrame(rng.integers(1, 8, (12, 300)), IMAGES[:12], raters)
    table[last] = (table.std(axis=1) if last else table.mean(axis=1)).round(2)
    long = table.rename_axis("image").reset_index().melt("image", None, "rater", "rating")
    with pytest.raises(LabelError, match=f"the rater '{last}' {what}"):
        join(ratings__csv=long.to_csv(index=False))


def test_kinds_of_ratings_that_an_importer_writes_are_read(join, judged):
    """OMI has some that were filled in, and second ones."""
    table = judged.drop(columns="rater").assign(rating_type=["normal", "fill-in", "repeat"] * 24)
    joined = join(ratings__csv=table.to_csv(index=False))
    assert len(joined.judgements) == 48


@pytest.mark.parametrize("form", ["lines", "photos"])
def test_lines_of_nobody_that_stand_in_a_file_twice_are_asked_about(join, judged, form):
    """A survey was downloaded twice, and one file put below the other."""
    table = judged.drop(columns="rater").assign(rt=[f"{400 + 7 * i}" for i in range(72)])
    if form == "photos":
        pivot = judged.pivot(index="rater", columns="image", values="rating").reset_index(drop=True)
        table = pivot.assign(Timestamp=[f"10:0{i}:11" for i in range(6)])
    assert len(join(ratings__csv=table.to_csv(index=False)).judgements) == 72
    again = pd.concat([table[:3], table]).to_csv(index=False)
    with pytest.raises(LabelError, match=r"line 5: stands in it twice, (rt|Timestamp) included"):
        join(ratings__csv=again)


@pytest.mark.parametrize("raters", [RATERS[:5], ["p*"]])
def test_who_counts_says_not_what_was_rated(join, judged, raters):
    """To leave one rater out let two traits, or two scales, be averaged."""
    is_first = judged["rater"].isin(RATERS[:3])
    traits = judged.assign(part=is_first.map({True: "attractive", False: "kind"}))
    scales = judged.assign(rating=judged["rating"].where(is_first, judged["rating"] * 14))
    for table in (traits, scales):
        text = table.to_csv(index=False)
        with pytest.raises(LabelError, match=r"several things were|on different scales"):
            join(ratings__csv=text, raters=raters)
        assert len(join(ratings__csv=text, raters=RATERS[:3]).judgements) == 36
        assert len(join(ratings__csv=text, raters=["*"]).judgements) == 72
