"""Tables of ratings that may be of something else, and how one says that they are raters'."""

import unicodedata
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml

from facestats.errors import LabelError
from facestats.labels.joining import join_labels
from label_files import FACES, IMAGES, join_files


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


def table_of(headers, n=12, low=1, high=7, seed=0):
    """Ratings by one column each."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(low, high, n)
    columns = {}
    for header in headers:
        noisy = quality + rng.normal(0, (high - low) / 6, n)
        columns[header] = np.clip(noisy.round(), low, high).astype(int)
    return pd.DataFrame({"image": IMAGES[:n], **columns})


def test_columns_that_were_taken_for_raters_are_named_in_a_warning(join):
    text = table_of(["Anna", "Ben", "Condition"]).to_csv(index=False)
    warnings = join(ratings__csv=text).warnings
    assert warnings == [
        "ratings.csv: each of the columns Anna, Ben, Condition was taken for one rater's ratings; "
        'if that is so, write `raters: ["Anna", "Ben", "Condition"]` below `labels:` in '
        "params.yaml, and else the raters alone"
    ]


@pytest.mark.parametrize("by_hand", ["", "zoe"])
@pytest.mark.parametrize("others", [[], ["Mean"], ["Mean", "comment"]])
@pytest.mark.parametrize(
    "headers",
    [["Anna", 'Ben "B"'], ["anna", "Ünal"], ["R1", "R2", "R10"], [f"R{i}" for i in range(9)]],
)
def test_the_line_of_a_warning_ends_it(tmp_path, headers, others, by_hand):
    """It left out who rated by hand."""
    table = table_of(headers)
    table = table.assign(Mean=table[headers].mean(axis=1), comment="fine")
    (tmp_path / "ratings.csv").write_text(table[["image", *headers, *others]].to_csv(index=False))
    (tmp_path / "hand.csv").write_text(
        f"rater,image,rating\n{by_hand},{IMAGES[20]},3\n" * bool(by_hand)
    )

    def join(raters=None):
        hand = tmp_path / "hand.csv" if by_hand else None
        return join_labels(
            FACES, tmp_path, tmp_path / "none", "auto", None, raters, manual_ratings=hand
        )

    first = join()
    line = first.warnings[0].partition("`raters: ")[2].partition("` below")[0]
    then = join(yaml.safe_load(line))
    assert then.warnings == []
    assert then.judgements.equals(first.judgements)
    assert len(first.judgements) == 12 * len(headers) + bool(by_hand)


def test_statistics_beside_many_raters_fit_no_line_of_a_warning(join):
    headers = [f"{chr(65 + i % 26)}{chr(65 + i // 2)}" for i in range(50)]
    table = table_of(headers)
    text = table.assign(Mean=table[headers].mean(axis=1)).to_csv(index=False)
    expected = "ratings, and Mean for nobody's; if that is so, name the raters in labels.raters of"
    assert expected in join(ratings__csv=text).warnings[0]


def test_who_rated_by_hand_and_is_not_named_is_told(tmp_path):
    (tmp_path / "ratings.csv").write_text(table_of(["Anna", "Ben"]).to_csv(index=False))
    (tmp_path / "hand.csv").write_text("rater,image,rating\nzoe,00,3\nAnna,20,4\n")
    joined = join_labels(
        *(FACES, tmp_path, tmp_path / "none", "auto", None, ["Anna", "Ben"]),
        manual_ratings=tmp_path / "hand.csv",
    )
    assert "hand.csv: labels.raters takes 1 of 2 lines" in joined.notes


@pytest.mark.parametrize(
    "headers",
    [
        ["R1a", "R2a", "R3a", "R4a", "R1b"],
        ["R1", "R2", "R01"],
        ["anna", "ben", "annab", "benb"],
        ["anna", "ben", "anna*"],
        ["AK", "JB", "AKRT"],
        ["S1Q1", "S2Q1", "S3Q1", "S1Q2"],
        ["R1.1", "R2.1", "R1.2"],
        ["Block1R1", "Block1R2", "Block2R1"],
        ["anna", "ben", "banna", "bben"],
        ["K7F2", "M3X9", "K7F22", "M3X92"],
        ["K7", "B2", "K7F22"],
        ["P1_attr", "P2_attr", "P3_symm", "P4_symm"],
        ["P1_attr", "P2_symm"],
        ["1attr", "2attr", "3symm"],
        ["Anna (attr)", "Ben (attr)", "Cem (symm)"],
        ["Anna [attr]", "Ben [symm]"],
        ["Anna attr", "Ben symm"],
        ["Anna attr", "Ben attr", "Cem symm", "Dora symm"],
        ["symm Anna", "symm Ben", "attr Cem"],
        ["Rater 1 (attractive)", "Rater 2 (symmetry)"],
        ["JK92", "AB71", "T1", "H1"],
        ["9a", "9b"],
    ],
)
def test_columns_of_one_rater_or_of_several_questions_are_asked_about(join, headers):
    text = table_of(headers).to_csv(index=False)
    with pytest.raises(LabelError, match=r"may be of one rater|different things|is called unlike"):
        join(ratings__csv=text)


@pytest.mark.parametrize(
    "headers",
    [
        [f"r{i}" for i in range(1, 25)],
        ["Ann", "Anna", "Zoe"],
        ["ann", "anna", "zoe", "leo", "leonie"],
        ["Ann Lee", "Bob Lee", "Cem Can", "Dora Day", "Bob Ray"],
        ["A. Silva", "A. Koch", "B. Ott", "S. Lee", "S. Ray"],
        ["Anna M.", "Ben N.", "Cem S."],
        ["R_1a2b3c", "R_abcdef", "R_99xk1z", "R_k2k2k2"],
        ["x7Ka2b", "Qwerty", "a1b2c3", "zz91ab"],
        ["Mu\u0308ller", "Schu\u0308tz", "Koch"],
        ["P1_attr", "P2_attr", "P11_attr"],
        ["Anna attr", "Ben attr"],
        ["attr_1", "attr_2"],
        ["a", "b"],
        ["Rater 1 (attr)", "Rater 2 (attr)"],
    ],
)
def test_plain_columns_of_raters_are_read(join, headers):
    judged = join(ratings__csv=table_of(headers).to_csv(index=False)).judgements
    assert {*judged["rater"]} == {unicodedata.normalize("NFC", header) for header in headers}


def tallies(k, raters, n=12, seed=0):
    """How many of the raters gave each of k answers, by photo."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(k), n)
    return np.array([rng.multinomial(number, own) for number, own in zip(raters, shares, strict=1)])


@pytest.mark.parametrize("header", ["{}", "star{}", "Rating {}", "p{}", "n_{}", "{} stars"])
@pytest.mark.parametrize("k", [5, 7])
@pytest.mark.parametrize("how", ["counts", "shares", "percent", "rounded"])
def test_counts_and_shares_of_answers_are_no_ratings(join, header, k, how):
    counts = tallies(k, [30] * 12)
    numbers = {
        "counts": counts,
        "shares": counts / 30,
        "percent": (counts / 0.3).round(1),
        "rounded": (counts / 0.3).round(),
    }[how]
    table = pd.DataFrame(numbers, columns=[header.format(i) for i in range(1, k + 1)])
    with pytest.raises(LabelError):
        join(ratings__csv=table.assign(image=IMAGES[:12]).to_csv(index=False))


@pytest.mark.parametrize("header", ["{}", "star{}", "Rating {}", "answer {}"])
def test_counts_of_answers_by_different_numbers_of_raters_are_no_ratings(join, header):
    counts = tallies(5, [*range(20, 32)])
    table = pd.DataFrame(counts, columns=[header.format(i) for i in range(1, 6)])
    with pytest.raises(LabelError, match="may tell how many raters gave an answer"):
        join(ratings__csv=table.assign(image=IMAGES[:12]).to_csv(index=False))
    rated = table_of([header.format(i) for i in range(1, 6)])
    assert join(ratings__csv=rated.to_csv(index=False)).judgements["rater"].nunique() == 5


@pytest.mark.parametrize(
    ("headers", "low", "high", "decimals"),
    [
        (["Männer", "Frauen"], 1, 7, 0),
        (["likes", "dislikes"], 1, 7, 0),
        (["w", "m"], 1, 7, 0),
        (["Hamburg", "Berlin"], 1, 7, 2),
        (["2023", "2024"], 1, 7, 2),
        (["Lab 1", "Lab 2"], 1, 7, 1),
        (["kids", "teens", "adults"], 1, 7, 1),
        (["thumbs", "hearts"], 3, 60, 0),
    ],
)
def test_means_and_counts_of_groups_are_no_ratings(join, headers, low, high, decimals):
    table = table_of(headers, low=low, high=high)
    if decimals:
        table[headers] += np.random.default_rng(1).uniform(-0.4, 0.4, (12, len(headers)))
    with pytest.raises(LabelError, match=r"of a group|as means have|as counts have|thing by two"):
        join(ratings__csv=table.round(decimals).to_csv(index=False))


@pytest.mark.parametrize("form", ["lines", "columns", "photos"])
def test_rounded_means_by_whatever_name_are_asked_about(join, form):
    table = table_of(["Anna", "Ben", "Cem", "Dora", "Eva"], n=20).set_index("image")
    table["Schnitt"] = table.mean(axis=1).round().astype(int)
    long = table.reset_index().melt("image", None, "rater", "rating")
    texts = {
        "lines": long.to_csv(index=False),
        "columns": table.to_csv(),
        "photos": table.T.rename_axis("rater").to_csv(),
    }
    with pytest.raises(LabelError, match=r"'Schnitt' is the mean of|found 'Schnitt', expected a r"):
        join(ratings__csv=texts[form])
    assert {*join(ratings__csv=texts[form], raters=["*"]).judgements["rater"]} == {*table}


def test_raters_who_agree_with_the_only_other_are_read(join):
    lines = [
        f"{name},{rater},{i % 5 + 1}"
        for i, name in enumerate(IMAGES[:40])
        for rater in (f"P{i // 20}", f"P{2 + i // 20}")
    ]
    assert len(join(ratings__csv="\n".join(["image,rater,rating", *lines])).judgements) == 80


def test_a_line_that_tells_what_each_rater_judged_is_asked_about(join):
    table = table_of(["Anna", "Ben", "Cem"])
    told = pd.DataFrame([["trait", "attractive", "attractive", "trustworthy"]], columns=[*table])
    text = pd.concat([told, table]).to_csv(index=False)
    with pytest.raises(LabelError, match="line 2: 'attractive' and 'trustworthy' may tell what"):
        join(ratings__csv=text)


@pytest.mark.parametrize("name", ["⌀", "Schnitt", "平均"])
def test_means_by_whatever_sign_in_a_long_table_are_asked_about(join, name):
    table = table_of(["P1", "P2", "P3"]).set_index("image")
    table[name] = table.mean(axis=1).round(2)
    long = table.reset_index().melt("image", None, "rater", "rating").to_csv(index=False)
    with pytest.raises(LabelError, match=f"'{name}' is the mean of the others"):
        join(ratings__csv=long)


@pytest.mark.parametrize("header", ["image,rating", "Timestamp,00.jpg,01.jpg"])
def test_a_file_that_stands_in_itself_twice_is_asked_about(join, header):
    n = header.count(",")
    lines = [
        ",".join([IMAGES[i] if n == 1 else f"10:0{i}", *[str((i * k) % 5 + 1) for k in range(n)]])
        for i in range(8)
    ]
    assert len(join(ratings__csv="\n".join([header, *lines])).judgements) == 8 * n
    with pytest.raises(LabelError, match="its lines stand in it twice, from line 10 on"):
        join(ratings__csv="\n".join([header, *lines, *lines]))


def test_a_column_of_ratings_without_one_beside_raters_is_asked_about(join):
    table = table_of(["Anna", "Ben"]).assign(rating="")
    with pytest.raises(LabelError, match="the column 'rating' has no rating, and others, such as"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize("header", ["Name", "code", "Initials"])
def test_somebody_who_rated_twice_is_asked_about(join, header):
    text = f"{header},00.jpg,01.jpg\nann,3,5\nben,4,2\nann,5,1\n"
    with pytest.raises(LabelError, match=f"the column '{header}' has 'ann' twice; if it names who"):
        join(ratings__csv=text)
    assert len(join(ratings__csv=text.replace("ann,5", "cem,2")).judgements) == 6


def test_a_line_of_ages_takes_no_means_of_another_dataset(tmp_path):
    ages = "Age,30,44,28\nanna,3,4,\nben,2,5,\n"
    (tmp_path / "ratings.csv").write_text(f"rater,00.jpg,01.jpg,02.jpg\n{ages}")
    labels = "image,dataset,rating\n00.jpg,one,2\n01.jpg,one,3\n02.jpg,other,4\n"
    (tmp_path / "labels.csv").write_text(labels)
    faces = pd.DataFrame({"image": IMAGES[:3], "filename": IMAGES[:3]})
    for raters in (["anna", "ben"], ["anna"]):
        joined = join_labels(faces, tmp_path, tmp_path / "none", "auto", None, raters)
        assert joined.table["rating"].notna().all()
