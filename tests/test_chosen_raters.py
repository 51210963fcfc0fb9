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


def test_a_pattern_chooses_no_known_column(join):
    table = pd.DataFrame({"image": IMAGES[:3], "R1": [1, 2, 3], "R2": [3, 3, 5], "RT": [5, 6, 7]})
    text = table.assign(Race=[1, 2, 1]).to_csv(index=False)
    assert {*join(text.replace("RT", "ST"), ["R*"]).judgements["rater"]} == {"R1", "R2"}
    assert {*join(text, ["R*", "RT"]).judgements["rater"]} == {"R1", "R2", "RT"}
    with pytest.raises(LabelError, match="chooses 'RT', too, which is called like a statistic; n"):
        join(text, ["R*"])  # who may be one


def test_names_need_a_column_of_raters(join):
    with pytest.raises(LabelError, match="names raters, and there is no column `rater`"):
        join("code,00.jpg,01.jpg\nx,3,2\ny,3,1\n", ["x"])


@pytest.mark.parametrize("form", [LONG, WIDE.to_csv(index=False)])
def test_means_of_raters_who_do_not_count_are_no_ratings(tmp_path, join, form):
    (tmp_path / "labels.csv").write_text("image,dataset,rating\n00,a,6\n01,b,6\n02,b,6\n09,c,7\n")
    form = form.replace(",3,5,1\n", ",3,,\n").replace(",2,4,7\n", ",,4,7\n")
    form = form.replace(",1,4,2\n", ",,4,2\n").replace("01,anna,2\n", "")
    joined = join(form, ["anna"])
    assert joined.table["rating_n"].iloc[[0, 1, 2, 9]].tolist() == [1, 0, 0, 1]


def test_means_of_a_further_trait_of_who_does_not_count_are_none_either(tmp_path, join):
    (tmp_path / "labels.csv").write_text("image,rating_calm\n00,6\n01,5\n02,4\n")
    lines = ["image,rater,trait,rating", "00,anna,att,3", "00,anna,calm,2", "01,ben,calm,7"]
    table = join("\n".join(lines), ["anna"]).table.set_index("filename")
    assert table.loc[IMAGES[:3], "rating_calm"].fillna(-1).tolist() == [2, -1, 4]


@pytest.mark.parametrize("raters", [None, ["ann", "ben"]])
def test_a_table_with_a_column_a_rater_may_name_its_trait(join, raters):
    joined = join("image,trait,ann,ben\n00,Trust,3,5\n01,Trust,1,2\n", raters)
    assert joined.trait == "trustworthy"
    with pytest.raises(LabelError, match="'trait' has 'trust', 'att', so several things"):
        join("image,trait,ann,ben\n00,trust,3,5\n00,att,1,2\n", raters)


@pytest.mark.parametrize("name", ["rating", "score", "Attractiveness"])
@pytest.mark.parametrize("how", ["mean", "sum", "rounded"])
def test_columns_of_raters_beside_their_mean_are_asked_about(join, name, how):
    """The mean was read as that of one rater without a name."""
    raters = pd.DataFrame({"anna": [1, 4, 3, 7, 2], "ben": [2, 5, 3, 6, 1], "cem": [2, 4, 4, 7, 3]})
    means = raters.mean(axis=1).round() if how == "rounded" else raters.agg(how, axis=1).round(2)
    text = raters.assign(image=IMAGES[:5], **{name: means}).to_csv(index=False)
    with pytest.raises(LabelError, match=f"column '{name}' is the .* name them in labels.raters"):
        join(text, None)
    joined = join(text, ["anna", "ben", "cem"])
    assert rating_of(joined) == pytest.approx(5 / 3)
    assert joined.table["rating_n"].iloc[0] == 3


@pytest.mark.parametrize("ends", [("", "2", "3"), ("", ".1", ".2"), (" 1", " 2", " 3")])
@pytest.mark.parametrize("word", ["Rating", "score", "Attractiveness"])
def test_numbered_columns_of_ratings_are_not_one_rater(join, word, ends):
    """Spreadsheets number headers that come again; the first was read alone."""
    table = pd.DataFrame({"image": IMAGES[:2]} | {word + end: [len(end), 5] for end in ends})
    names = [word + end for end in ends]
    if ends[0]:
        assert {*join(table.to_csv(index=False), None).judgements["rater"]} == {*names}
        return
    with pytest.raises(LabelError, match="may be of two raters; write one line a judgement, or n"):
        join(table.to_csv(index=False), None)
    for chosen in (names, ["*"], [word + "*"]):
        assert {*join(table.to_csv(index=False), chosen).judgements["rater"]} == {*names}


@pytest.mark.parametrize(
    "text",
    [
        "image,rating,Ben,Cem\n00,3,4,5\n01,1,7,2\n",
        "image,rating_anna,rating_ben,rating\n00,3,4,5\n01,1,7,2\n",
        "image,rater,rating,rater2,rating2\n00,a,3,b,4\n01,a,5,b,2\n",
        "image,Response,Response 2\n00,3,4\n01,1,7\n",
    ],
)
def test_ratings_of_further_raters_in_a_line_are_asked_about(join, text):
    """The others were left out."""
    with pytest.raises(LabelError, match="may be of two raters; write one line a judgement, or n"):
        join(text, None)


def test_questions_about_other_things_are_asked_about(join):
    text = "who,How attractive? [00.jpg],How attractive? [01.jpg],How old? [02.jpg]\nx,3,4,5\n"
    with pytest.raises(LabelError, match=r"'How old\? .02.jpg.' is not about attractiveness"):
        join(text, None)


@pytest.mark.parametrize(
    "headers",
    [
        ("Attractiveness_M", "Attractiveness_SD"),
        ("AttrM", "AttrSD"),
        ("M1", "SD1"),
        ("Rating M", "Rating SD"),
        ("M_female", "M_male"),
    ],
)
def test_means_and_spreads_of_norms_are_no_raters(join, headers):
    with pytest.raises(LabelError, match=f"column '{headers[0]}' may be a statistic; if it is no"):
        join(f"image,{','.join(headers)}\n00,3.2,1.1\n01,4.1,0.9\n", None)


@pytest.mark.parametrize(
    ("attractive", "other"),
    [("attractiveness", "trust"), ("Attr", "dominant"), ("attraktiv", "vertrauenswürdig")],
)
def test_a_column_that_tells_what_each_rater_judged_is_asked_about(join, attractive, other):
    """Where each judges one trait, two were averaged."""
    lines = f"00,a,{attractive},3\n01,a,{attractive},4\n00,b,{other},6\n01,b,{other},1\n"
    with pytest.raises(LabelError, match=f"'condition' has '{attractive}' and '{other}', so sev"):
        join(f"image,rater,condition,rating\n{lines}", None)
    assert rating_of(join(f"image,rater,condition,rating\n{lines}", ["*"])) == 4.5
    table = f"participant,condition,00.jpg,01.jpg\na,{attractive},3,4\nb,{other},6,1\n"
    with pytest.raises(LabelError, match="'condition' has "):
        join(table, None)


def test_a_column_that_is_no_raters_takes_no_means_of_another_dataset(tmp_path, join):
    (tmp_path / "labels.csv").write_text("image,dataset,rating\n00,a,6\n05,b,4\n06,b,5\n")
    text = "image,R1,R2,smile\n00,3,5,2\n05,,,1\n06,,,2\n"
    assert join(text, ["R1", "R2"]).table["rating_n"].iloc[[0, 5, 6]].tolist() == [2, 1, 1]


@pytest.mark.parametrize("further", [("P1_rt", "P2_rt"), ("P1 conf", "P2 conf"), ("width",)])
@pytest.mark.parametrize("is_long", [False, True])
def test_lines_of_other_things_than_ratings_are_asked_about(join, further, is_long):
    """Times were ratings where they were lines, as they are none where they are columns."""
    times = [[700 + 31 * i * n for i in range(1, 9)] for n in range(len(further))]
    values = ONLY.set_axis(["P1", "P2", "P3", "P4", "P5", "P6"])
    other = pd.DataFrame(times, [*further], columns=IMAGES[:8])
    table = pd.concat([values[:3], other, values[3:]]).rename_axis("rater")
    if is_long:
        table = table.reset_index().melt("rater", var_name="image", value_name="rating")
    with pytest.raises(LabelError, match=f"{further[0]}.* labels.raters"):
        join(table.to_csv(index=not is_long), None)
    joined = join(table.to_csv(index=not is_long), ["P?".replace("?", n) for n in "123456"])
    assert {*joined.judgements["rater"]} == {*values.index}


@pytest.mark.parametrize("name", ["variable", "key", "name"])
def test_a_table_made_long_names_its_raters(join, name):
    lines = f"image,{name},value\n00,anna,3\n00,Mean,3.5\n00,age,33\n01,anna,2\n"
    with pytest.raises(LabelError, match=f"'{name}' may be that of the raters; call it rater"):
        join(lines, None)


def test_a_table_of_pairs_is_asked_about(join):
    with pytest.raises(LabelError, match="its lines and its columns are of photos, but each judg"):
        join("winner,00.jpg,01.jpg,02.jpg\n00.jpg,,3,2\n01.jpg,1,,5\n02.jpg,4,2,\n", None)
    with pytest.raises(LabelError, match="'image' and 'image2' name different photos"):
        join("image,image2,rater,rating\n00.jpg,01.jpg,a,3\n01.jpg,02.jpg,a,4\n", None)


@pytest.mark.parametrize("names", ["P1 P2 P3 P4 P5 P6", "Ann Ben Cem Dot Eva Fay"])
@pytest.mark.parametrize("foot", [["female", "male", "total"], ["Women", "Men", "All"]])
def test_means_of_groups_below_are_asked_about(join, names, foot):
    raters = ONLY.set_axis(names.split())
    means = [raters.iloc[:3].mean(), raters.iloc[3:].mean(), raters.mean()]
    table = pd.concat([raters, pd.DataFrame(means, index=foot).round(2)]).rename_axis("Vp")
    with pytest.raises(LabelError, match=f"found '{foot[0]}', expected a rater"):
        join(table.to_csv(), None)


ANNA, BEN = [5, 4, 3, 7, 2, 6, 4, 5], [4, 4, 1, 7, 3, 2, 6, 5]
DIFFERENCE = [one - other for one, other in zip(ANNA, BEN, strict=True)]


def test_a_difference_takes_no_rater_away(join):
    """A rater was the sum of the other and of the difference, and left out."""
    table = pd.DataFrame({"image": IMAGES[:8], "Anna": ANNA, "Ben": BEN})
    joined = join(table.assign(Difference=DIFFERENCE).to_csv(index=False), None)
    assert {*joined.judgements["rater"]} == {"Anna", "Ben"}
    with pytest.raises(LabelError, match="'Anna' is the sum of the others in each line"):
        join(table.assign(Change=DIFFERENCE).to_csv(index=False), None)


@pytest.mark.parametrize(
    "names",
    [
        ("SE", "AB", "KL"),
        ("N. Fischer", "S. Weber", "A. Ott"),
        ("Otto Rank", "Anna Lee", "Bob Ray"),
    ],
)
@pytest.mark.parametrize("most", [7, 5])
def test_a_rater_who_is_called_like_a_statistic_is_asked_about(join, names, most):
    """Such a rater was left out."""
    others = [[min(number, most) for number in own] for own in (BEN, ANNA[::-1])]
    columns = dict(zip(names, ([6, *ANNA[1:]], *others), strict=True))
    with pytest.raises(LabelError, match=f"'{names[0]}' is called like a statistic, and may be a"):
        join(pd.DataFrame({"image": IMAGES[:8], **columns}).to_csv(index=False), None)


@pytest.mark.parametrize("word", ["x", "not seen", "4 - mittel"])
def test_a_rater_whose_cells_are_mostly_words_is_not_left_out(join, word):
    table = pd.DataFrame({"image": IMAGES[:8], "Anna": ANNA, "Ben": BEN, "Cem": [3] + [word] * 7})
    with pytest.raises(LabelError, match="'Cem' has numbers among other cells"):
        join(table.to_csv(index=False), None)
    with pytest.raises(LabelError, match=f"line 3, column Cem: found '{word}'"):
        join(table.to_csv(index=False), ["Anna", "Ben", "Cem"])
    comments = table.rename(columns={"Cem": "comment"}).to_csv(index=False)
    assert {*join(comments, None).judgements["rater"]} == {"Anna", "Ben"}


def test_quartiles_beside_numbered_raters_are_no_raters(join):
    table = pd.DataFrame({"1": ANNA, "2": BEN, "3": ANNA[::-1], "4": BEN[::-1], "5": ANNA})
    table = table.join(table.T.describe().T).assign(image=IMAGES[:8])
    joined = join(table.to_csv(index=False), None)
    assert {*joined.judgements["rater"]} == {*"12345"}


STATISTICS = {"Range": [1, 2, 1, 1, 2], "Mode": [2, 4, 3, 7, 2], "Spread": [1, 2, 1, 1, 2]}


@pytest.mark.parametrize("name", STATISTICS)
def test_more_statistics_are_no_raters(join, name):
    table = pd.DataFrame({"image": IMAGES[:5], "Anna": [1, 4, 3, 7, 2], "Ben": [2, 5, 3, 6, 1]})
    joined = join(table.assign(**{name: STATISTICS[name]}).to_csv(index=False), None)
    assert {*joined.judgements["rater"]} == {"Anna", "Ben"}


@pytest.mark.parametrize("name", ["SD", "Max", "Std. Dev.", "Median rating"])
def test_a_statistic_among_the_raters_of_a_long_table_is_asked_about(join, name):
    how = {"SD": "std", "Max": "max", "Std. Dev.": "std", "Median rating": "median"}[name]
    raters = {"Anna": [1, 4, 3, 7, 2], "Ben": [2, 5, 3, 6, 1], "Cem": [5, 5, 4, 2, 7]}
    table = pd.DataFrame(raters, IMAGES[:5]).rename_axis("image")
    other = table.assign(**{name: [4, 1, 2, 2, 5]}).reset_index()
    long = other.melt("image", var_name="rater", value_name="rating").to_csv(index=False)
    if name == "Max":  # who may be a person
        assert name in {*join(long, None).judgements["rater"]}
    else:
        with pytest.raises(LabelError, match=f"'{name}' is called like a statistic; if it is no"):
            join(long, None)
    assert name in {*join(long, ["*"]).judgements["rater"]}
    table[name] = table.agg(how, axis=1).round(2)
    long = table.reset_index().melt("image", var_name="rater", value_name="rating")
    with pytest.raises(LabelError, match=f"the rater '{name}' is the {how} of the others; if"):
        join(long.to_csv(index=False), None)


@pytest.mark.parametrize("how", ["mean", "sum"])
def test_lines_without_a_rater_that_are_means_are_asked_about(join, how):
    """Subtotals below each photo were further judgements."""
    table = pd.DataFrame({"Ann": ANNA, "Ben": BEN}, IMAGES[:8]).rename_axis("image")
    table[""] = table.agg(how, axis=1)
    long = table.reset_index().melt("image", var_name="rater", value_name="rating")
    with pytest.raises(LabelError, match=f"the rater '' is the {how} of the others; if"):
        join(long.to_csv(index=False), None)


def test_a_photo_that_nobody_rated_makes_no_rater_of_a_statistic(join):
    table = pd.DataFrame(
        {"image": IMAGES[:6], "Anna": [1, 4, None, 7, 2, 5], "Ben": [2, 5, None, 6, 1, None]}
    )
    both = table[["Anna", "Ben"]]
    table = table.assign(Min=both.min(axis=1), Max=both.max(axis=1), Mitte=both.median(axis=1))
    assert {*join(table.to_csv(index=False), None).judgements["rater"]} == {"Anna", "Ben"}


def test_an_extreme_that_is_none_of_all_others_is_asked_about(join):
    table = pd.DataFrame({"image": IMAGES[:5], "Anna": [1, 4, 3, 7, 2], "Ben": [2, 5, 3, 6, 1]})
    more = {"Max": [2, 5, 3, 7, 2], "Smile": [3, 6, 1, 2, 2]}
    with pytest.raises(LabelError, match="'Max' is called like a statistic of the others"):
        join(table.assign(**more).to_csv(index=False), None)


def test_ratings_by_hand_count_by_name_too(join):
    by_hand = "rater,image,rating\nr2,00,2\nzoe,00,7\n"
    assert rating_of(join(LONG, ["r*"], by_hand)) == 1.5
    joined = join(LONG, ["anna"], by_hand)
    assert rating_of(joined) == 3
    assert "hand.csv does not count: labels.raters chooses others" in joined.notes
    assert rating_of(join(LONG, ["anna", "zoe"], by_hand.replace("7", "5"))) == 4
    with pytest.raises(LabelError, match=r"labels\.raters names nobody of this file"):
        join(LONG, ["zoe"], by_hand)
    with pytest.raises(LabelError, match=r"labels\.raters names 'zo', and the file has no such"):
        join(LONG, ["anna", "zo"], by_hand)


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
    with pytest.raises(LabelError, match=r"name the raters in labels\.raters"):
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
        ["Anna", "Ben", "Cem", "condition"],
        ["AB", "KL", "TM", "block"],
        ["a", "b", "c", "pose"],
        ["5f3a2b9c", "60ab12ee", "5d1c", "condition"],
        ["A1B2C3D", "A77XY12", "condition"],
        ["condition", "JK92", "AB71", "CD11"],
        ["ANHA12", "AN12MU", "block"],
        ["R1", "smile"],
        ["JK92", "AB71", "TR03", "block2"],
        ["5f3a2b9c", "60ab12ee", "5d1c", "set_1", "list_2"],
        ["5f3a2b9c", "60ab12ee", "5d1c", "AU06", "BMI2"],
        ["my_rating", "quality"],
        ["S1Q1", "S1Q2", "S2Q1", "S2Q2"],
        ["R1a", "R1b", "R2a", "R2b"],
        ["Rater1Attr", "Rater1Symm", "Rater2Attr", "Rater2Symm"],
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
        ["Anna", "Eva-Lena", "O'Hara", "Zoë"],
        ["Ann Lee", "Bob Ray", "Cem Can"],
        ["P_4", "P_7", "P_9"],
        ["5f3a2b9c", "60ab12ee", "5d1"],
        ["JK92", "AB71", "CD11"],
        ["AB", "KL", "TM"],
    ],
)
def test_raters_with_like_headers_are_read(join, headers):
    columns = {header: [(i * n) % 7 + 1 for i in range(12)] for n, header in enumerate(headers, 2)}
    joined = join(pd.DataFrame({"image": IMAGES[:12], **columns}).to_csv(index=False), None)
    assert {*joined.judgements["rater"]} == {*headers}


FEET = {
    "Std. Deviation": "std",
    "SD of ratings": "std",
    "Number of ratings": "count",
    "# ratings": "count",
    "Sum of ratings": "sum",
    "Total score": "sum",
    "MW": "mean",
    "Mittel": "mean",
    "Mean rating": "mean",
    "Media": "mean",
    "Modus": "median",
    "": "mean",
    "x": "max",
}


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("name", FEET)
def test_lines_of_statistics_below_columns_of_photos_are_asked_about(join, name, mean):
    """Those of standard deviations changed every mean, and the scale."""
    table = pd.DataFrame(
        [[(i * n) % 7 + 1 for i in range(1, 9)] for n in (2, 3, 4, 5, 6)], columns=IMAGES[:8]
    )
    foot = {"Mean": table.mean()} if mean else {}
    foot[name] = table.agg(FEET[name])
    for participants in (["P1", "P2", "P3", "P4", "P5"], ["Ann", "Ben", "Cem", "Dora", "Eva"]):
        lines = table.set_axis(participants)
        assert len(join(lines.rename_axis("Vp").to_csv(), None).judgements) == 40
        text = pd.concat([lines, pd.DataFrame(foot).T.round(2)]).rename_axis("Vp").to_csv()
        with pytest.raises(LabelError, match="if it is a statistic of the others, remove the line"):
            join(text, None)
    nameless = pd.concat([table, pd.DataFrame(foot).T.round(1)]).to_csv(index=False)
    with pytest.raises(LabelError, match="line 7; if it is a statistic of the others, remove the"):
        join(nameless, None)


ONLY = pd.DataFrame(
    [[(i * n) % 7 + 1 for i in range(1, 9)] for n in (2, 3, 4, 5, 6, 8)], columns=IMAGES[:8]
)


@pytest.mark.parametrize(
    "names", ["P1 P2 P3 P4 P5 P6", "AB CD EF GH KL MN", "Ann Ben Cem Dot Eva Fay"]
)
@pytest.mark.parametrize(
    "more", [["SD"], ["SD", "Skewness"], ["SD", "ICC"], ["Var", "n.s."], ["CI"]]
)
@pytest.mark.parametrize("is_above", [False, True])
def test_lines_of_statistics_are_asked_about_wherever_they_stand(join, names, more, is_above):
    """A word that is unknown below hid those above it."""
    raters = ONLY.set_axis(names.split())
    assert len(join(raters.rename_axis("Vp").to_csv(), None).judgements) == 48
    mean, spread = raters.mean().to_frame("Mean").T, raters.std(ddof=0).to_frame(more[0]).T
    further = pd.DataFrame([[0.5, -1.2] * 4] * len(more[1:]), more[1:], columns=IMAGES[:8])
    lines = [mean, spread, further]
    table = pd.concat([*lines, raters] if is_above else [raters, *lines]).round(2)
    with pytest.raises(LabelError, match="if it is a statistic of the others, remove the line"):
        join(table.rename_axis("Vp").to_csv(), None)
    alone = join(table.rename_axis("Vp").to_csv(), names.split())
    assert {*alone.judgements["rater"]} == {*names.split()}


@pytest.mark.parametrize("name", ["Age", "Sex", "Gender"])
def test_a_label_of_the_photos_among_the_raters_is_asked_about(join, name):
    ages = pd.DataFrame([[30, 44, 28, 51, 60, 33, 25, 41]], [name], columns=IMAGES[:8])
    table = pd.concat([ages, ONLY.set_axis([1, 2, 3, 4, 5, 6])]).rename_axis("participant")
    with pytest.raises(LabelError, match=f"line 2, column participant: found '{name}'"):
        join(table.to_csv(), None)


def test_raters_who_wrote_their_names_in_their_own_ways_are_read(join):
    names = ["Ann", "ben k", "P12", "JK", "o'hara", "Dr. Lee"]
    joined = join(ONLY.set_axis(names).rename_axis("Name").to_csv(), None)
    assert {*joined.judgements["rater"]} == {*names}


def test_tables_side_by_side_are_asked_about(join):
    """Ratings of the second were given to the photos of the first."""
    right = pd.DataFrame({"image2": IMAGES[7::-1], "Ben": BEN, "filename": IMAGES[:8]})
    table = pd.DataFrame({"image": IMAGES[:8], "Anna": ANNA}).join(right)
    for raters in (None, ["Anna", "Ben"]):
        with pytest.raises(LabelError, match="'image' and 'image2' name different photos; put"):
            join(table.to_csv(index=False), raters)
    table["image2"] = IMAGES[:8]
    assert {*join(table.to_csv(index=False), None).judgements["rater"]} == {"Anna", "Ben"}


@pytest.mark.parametrize("further", ["", "N. Koch"])
def test_a_table_without_a_photo_of_the_folder_is_an_error(join, further):
    columns = {"Ann": ["x", "y"], "S. Ott": [1, 2], "A. Lee": [2, 3], further or "Cem": [3, 4]}
    with pytest.raises(LabelError, match=r"ratings.csv"):
        join(pd.DataFrame({"image": ["u.jpg", "v.jpg"], **columns}).to_csv(index=False), None)


def test_a_mean_of_another_name_in_a_long_table_is_asked_about(join):
    table = pd.DataFrame({"P1": ANNA, "P2": BEN, "P3": ANNA[::-1]}, IMAGES[:8])
    mean = table.mean(axis=1).round(2)
    for last, expected in ((mean, "is the mean of"), (mean + 0.37, "has decimals, and no other")):
        named = table.assign(Schnitt=last).rename_axis("image").reset_index()
        long = named.melt("image", None, "rater", "rating").to_csv(index=False)
        with pytest.raises(LabelError, match=f"'Schnitt' {expected}"):
            join(long, None)


def test_numbers_of_other_questions_are_no_photos(tmp_path):
    photos = [f"{i}.jpg" for i in range(1, 5)]
    faces = pd.DataFrame({"image": photos, "filename": photos})
    for headers in (
        ["F[1]", "F[2]", "BFI[1]", "BFI[2]"],
        ["Foto 1", "Foto 2", "BFI[1]", "BFI[2]"],
        ["Foto 1", "Foto 2", "How do you feel? - 1", "How do you feel? - 2"],
    ):
        text = f"id,{','.join(headers)}\nx,3,4,5,1\ny,1,2,3,1\n"
        (tmp_path / "ratings.csv").write_text(text)
        with pytest.raises(
            LabelError, match=r"may be of photos, or of other questions|about one photo"
        ):
            join_labels(faces, tmp_path, tmp_path / "none", "auto")
    (tmp_path / "ratings.csv").write_text("id,Face [1],Face [2]\nx,3,4\ny,1,2\n")
    joined = join_labels(faces, tmp_path, tmp_path / "none", "auto")
    assert joined.table["rating"].tolist()[:2] == [2, 3]
