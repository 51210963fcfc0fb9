"""Files of ratings in the forms of people and survey tools."""

from functools import partial

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import join_labels
from label_files import IMAGES, join_files


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


RATINGS = [
    ("00.jpg", "a", 3.0),
    ("00.jpg", "b", 4.0),
    ("01.jpg", "a", 5.0),
    ("01.jpg", "b", 2.0),
    ("02.jpg", "b", 1.0),
]


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        "image,rater,rating\n00.jpg,a,3\n00.jpg,b,4\n01.jpg,a,5\n01.jpg,b,2\n02.jpg,b,1\n",
        (
            'participant,stimulus,response,rt\na,<p>Welcome</p>,null,5\na,questions,"{Q0: '
            'yes}",5\na,00.jpg,3,900\nb,00.jpg,4,800\na,01.jpg,5,9\nb,01.jpg,2,9\n'
            "b,02.jpg,1,9\n"
        ),
        (
            "Participant Private ID;Spreadsheet: Image;Response\na;00;3\nb;00;4,0\na;01;5\n"
            "b;01;2\nb;02;1\n"
        ),
        (
            "subject_id,stim_file,slider.response\na,img/00.jpg,3\nb,img/00.jpg,4\n"
            "a,img/01.jpg,5\nb,img/01.jpg,2\nb,img/02.jpg,1\n"
        ),
        (
            "Participant Public ID,ResponseId,pid,Item,Score\nBLIND,a,7,00.jpg,3\n"
            "BLIND,b,8,00.jpg,4\nBLIND,a,7,01.jpg,5\nBLIND,b,8,01.jpg,2\nBLIND,b,8,02.jpg,1\n"
        ),
        "ResponseId,Item,Score\na,00.jpg,3\nb,00.jpg,4\na,01.jpg,5\nb,01.jpg,2\nb,02.jpg,1\n",
        (
            "stimulus,task,response,subject\n+,fixation,,a\n00.jpg,fixation, ,a\n"
            "00.jpg,rate,3,a\n01.jpg,rate,5,a\n00.jpg,rate,4,b\n01.jpg,rate,2,b\n"
            "02.jpg,rate,1,b\n"
        ),
        "rt,stimulus,response,trial_type,subject\n,,33,survey-text,a\n9,<img "
        'src=\'i/00.jpg\'>,3,image,a\n9,"[""i/01.jpg""]",5,image,a\n9,<p>Hi</p>, ,x,a\n'
        "9,i/00.jpg,4,image,b\n9,i/01.jpg,2,image,b\n9,i/02.jpg,1,image,b\n"
        '9,,"{""Q0"":""3""}",survey-text,b\n',
        (
            "image,trials.thisN,rating_slider.response,rating_slider.rt,participant\n,,,,a\n"
            "00.jpg,0,3,1.2,a\n01.jpg,1,5,1,a\n00.jpg,0,4,1,b\n01.jpg,1,2,1,b\n02.jpg,2,1,1,b\n"
        ),
        "Event Index,Participant Private ID,Zone Type,Response,Spreadsheet: Image\n1,a,,,\n"
        "2,a,fixation,,00.jpg\n3,a,slider,3,00.jpg\n4,a,continue_button,Next,00.jpg\n"
        "3,a,slider,5,01.jpg\n3,b,slider,4,00.jpg\n3,b,slider,2,01.jpg\n"
        "4,b,continue_button,Next,01.jpg\n3,b,slider,1,02.jpg\nEND OF FILE,,,,\n",
        "HITId,WorkerId,Input.image_url,Answer.rating\n1,a,https://x.org/i/00.jpg,3\n"
        "1,b,https://x.org/i/00.jpg,4\n2,a,https://x.org/i/01.jpg,5\n"
        "2,b,https://x.org/i/01.jpg,2\n3,b,https://x.org/i/02.jpg,1\n",
        "Vp;Bildname;Attraktivität\na;00;3,0\nb;00;4\na;01;5\nb;01;2\nb;02;1\n".encode("cp1252"),
        "image,a,b\n00.jpg,3,4\n01.jpg,5,2\n02.jpg,,1\n",
        (
            "Image,a,b,mean,gender\n00.jpg,3,4,3.5,female\n01.jpg,5,2,3.5,male\n"
            "02.jpg,NA,1,1,male\n,,,,\n"
        ),
        "rater,00.jpg,01.jpg,02.jpg\na,3,5,\nb,4,2,1\n",
        (
            "Timestamp,Your age,How attractive is this person? [00.jpg],How attractive is this "
            "person? [01.jpg],How attractive is this person? [02.jpg]\na,33,3,5,\nb,33,4,2,1\n"
        ),
        "StartDate,Status,ResponseId,Q1,Q2_1,Q2_2\nStart Date,Response Type,Response "
        'ID,Rate - 00.jpg,Rate 01.jpg,"How attractive? [02]"\n'
        '"{""ImportId"":""startDate""}","{""ImportId"":""status""}",x,x,x,x\n2024,IP '
        "Address,a,3,5,\n2024,IP Address,b,4,2,1\n",
        (
            "Respondent ID,Collector ID,How attractive is this face?,,,Age?\n"
            ",,00.jpg,01.jpg,02.jpg,Open-Ended Response\na,9,3,5,,33\nb,9,4,2,1,33\n"
        ),
        "rater,00.jpg,01.jpg,02.jpg,Mean\na,3,5,,4\nb,4,2,1,2.3\nMean,3.5,3.5,1,3.2\n",
        "image,rater,rating\n00,a,3\n00,b,4\n00,Mean,3.5\n01,a,5\n01,b,2\n02,b,1\n,,3\nMean,,3\n",
        [["stimulus", "a", "b"], [0, 3, 4], [1, 5, 2], [2, None, 1]],
    ],
    ids=[
        "long",
        "jspsych",
        "gorilla",
        "psychopy",
        "several ids",
        "qualtrics",
        "jspsych tasks",
        "jspsych with html",
        "psychopy log",
        "gorilla log",
        "mturk",
        "german",
        "a column a rater",
        "with means",
        "a column a photo",
        "google forms",
        "qualtrics questions",
        "surveymonkey",
        "mean row",
        "mean lines",
        "workbook",
    ],
)
def test_ratings_come_in_many_forms(join, content):
    joined = join(**{"ratings__xlsx" if isinstance(content, list) else "Ratings__CSV": content})
    assert (
        sorted(
            joined.judgements[["filename", "rater", "rating"]].itertuples(index=False, name=None)
        )
        == RATINGS
    )


def test_what_is_wrong_in_a_column_a_rater_is_named_by_that_column(join):
    with pytest.raises(LabelError) as error:
        join(
            ratings__csv="image,ann,bob,cem\n00.jpg,3,x,4\n01.jpg,5,2,3\n02.jpg,4,4,three\n"
            "01.jpg,4,2,3\n"
        )
    for expected in (
        "ratings.csv: 3 mistakes",
        "line 2, column bob: found 'x'",
        "line 4, column cem: found 'three'",
        "line 5, column ann: found '4', expected one judgement of 01.jpg by ann",
    ):
        assert expected in str(error.value)
    with pytest.raises(
        LabelError, match="there is no column `rating`; the header line has image, ratng"
    ):
        join(ratings__csv="image,ratng\n00.jpg,3\n01.jpg,5\n")


def test_a_photo_called_like_a_column_is_no_column_of_ratings(tmp_path):
    faces = pd.DataFrame(
        {
            "image": ["image.jpg", "rating.jpg", "x.jpg"],
            "filename": ["image.jpg", "rating.jpg", "x.jpg"],
        }
    )
    (tmp_path / "ratings.csv").write_text("image,rater,rating\nimage,a,3\nx,a,4\n")
    joined = join_labels(faces, tmp_path, tmp_path / "none", "auto")
    assert joined.judgements[["filename", "rating"]].values.tolist() == [
        ["image.jpg", 3],
        ["x.jpg", 4],
    ]
    (tmp_path / "ratings.csv").write_text("rater,x.jpg\na,3\nb,4\n")
    assert join_labels(faces, tmp_path, tmp_path / "none", "auto").judgements["rater"].tolist() == [
        "a",
        "b",
    ]


def test_raters_without_a_name_of_their_own_are_told_apart_by_line(join):
    joined = join(ratings__csv="Age,00.jpg,01.jpg\n33,3,5\n33,3,2\n")
    assert sorted(zip(joined.judgements["rater"], joined.judgements["rating"], strict=True)) == [
        ("line 2", 3),
        ("line 2", 5),
        ("line 3", 2),
        ("line 3", 3),
    ]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "rater,attractive [00.jpg],smart [00.jpg],attractive [01.jpg]",
            "the columns 'attractive [00.jpg]' and 'smart [00.jpg]' are about one photo, 00.jpg",
        ),
        ("rater,00.jpg or 01.jpg?,01.jpg or 02.jpg?,x", "there is no column `image`"),
        ("rater,ID,age,gender", "did you mean 'ID'? Call it image"),
    ],
)
def test_columns_that_are_no_ratings_of_one_photo_are_an_error(join, header, expected):
    with pytest.raises(LabelError) as error:
        join(ratings__csv=f"{header}\na,x1,2,3\n")
    assert expected in str(error.value)


def test_an_answer_without_an_image_and_one_in_words_are_left_out_and_said(join):
    joined = join(ratings__csv="image,rater,rating\n00,a,3\n00,a,Next\n,a,4\n,,\n")
    assert joined.judgements["rating"].tolist() == [3]
    assert joined.warnings[:2] == [
        "ratings.csv: left out 1 line with an answer and no image, the first is line 4",
        (
            "ratings.csv: left out 1 answer in words beside a rating of the same image by the "
            "same rater, the first is 'Next' in line 3"
        ),
    ]
    with pytest.raises(LabelError, match="line 2, column rating: found 'Next'"):
        join(ratings__csv="image,rater,rating\n00,a,Next\n01,a,3\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "stimulus,question,response\n00,attractive,3\n00,trustworthy,3\n",
            "the column 'question' has 'attractive', 'trustworthy', so several things were rated",
        ),
        (
            "image,a_attr,a_trust,b_attr,b_trust\n00,3,5,1,2\n01,4,1,2,2\n",
            "the column 'a_trust' is no rater's and not about attractiveness",
        ),
        (
            "image,mean_rating,n\n00,3.2,20\n01,4.1,20\n",
            "'mean_rating', belong in labels.csv, in a column `rating`",
        ),
        (
            "00.jpg,a,3\n01.jpg,a,4\n",
            "there is no column `image` (path below the image folder); the header line has "
            "00.jpg, a, 3",
        ),
    ],
)
def test_ratings_of_several_things_and_means_are_an_error(join, text, expected):
    with pytest.raises(LabelError) as error:
        join(ratings__csv=text)
    assert expected in str(error.value)


def test_two_columns_of_different_numbers_are_an_error(join):
    with pytest.raises(
        LabelError,
        match=r"ratings.csv, column xx: 30 to 51, where the other columns have 1 to 5; if it is "
        "no rater's, remove it",
    ):
        join(ratings__csv="image,xx,r1\n00,30,1\n01,44,5\n02,51,3\n03,33,2\n")


WIDE = [(3, 4), (1, 2), (7, 5), (2, 2), (6, 7)]


@pytest.mark.long
@pytest.mark.parametrize(
    "more",
    [
        {"Nr": [1, 2, 3, 4, 5], "MW": [3.5, 1.5, 6, 2, 6.5]},
        {"id": [7, 3, 9, 11, 4]},
        {"xy": [101, 102, 103, 104, 105]},
        {"xy": ["3,5", "1,5", 6, 2, "6,5"]},
        {"Max": [4, 2, 7, 2, 7], "Min": [3, 1, 5, 2, 6], "Summe": [7, 3, 12, 4, 13]},
        {"Std. Dev.": [0.7, 0.7, 1.4, 0, 0.7], "N ratings": [2] * 5, "Rank": [2, 4, 1, 3, 1]},
        {"age of rater": [5, 7, 5, 7, 3], "face sex": [1, 2, 2, 1, 1]},
    ],
)
def test_columns_of_counts_and_means_are_no_raters(join, more):
    table = pd.DataFrame(
        {"image": IMAGES[:5], "Max": [3, 1, 7, 2, 6], "rater 2": [4, 2, 5, 2, 7]}
        if "Max" not in more
        else {"image": IMAGES[:5], "a": [3, 1, 7, 2, 6], "b": [4, 2, 5, 2, 7]}
    ).assign(**more)
    joined = join(ratings__csv=table.to_csv(index=False, sep=";"))
    assert joined.judgements.groupby("filename")["rating"].apply(sorted).tolist() == [
        sorted(pair) for pair in WIDE
    ]
    assert joined.notes[0].endswith(f", without {', '.join(more)}")


def test_a_header_that_comes_again_takes_no_rater_away(join):
    lines = ["00,3,4,", "01,5,2,", "image,a,b,c", "02,1,1,7"]
    joined = join(ratings__csv="\n".join(["image,a,b,c", *lines]))
    assert joined.judgements["rater"].tolist().count("c") == 1
    assert len(joined.judgements) == 7


@pytest.mark.long
@pytest.mark.parametrize(
    "values",
    [[30, 44, 28, 51, 60], [812, 500, 2210, 944, 1001], [0.8, 1.1, 2.4, 0.9, 1.3]],
    ids=["age", "ms", "seconds"],
)
def test_a_column_of_other_numbers_than_ratings_is_an_error(join, values):
    table = pd.DataFrame(
        {"image": IMAGES[:5], "xy": values, "a": [3, 1, 7, 2, 6], "b": [4, 2, 5, 2, 7]}
    )
    with pytest.raises(
        LabelError,
        match=r"ratings.csv, column xy: .* where the other columns have 1 to 7.*; if it is no "
        "rater's, remove it",
    ):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.long
@pytest.mark.parametrize("code", [-9, -1, 99, 999])
def test_numbers_for_no_answer_are_no_ratings(join, code):
    lines = [
        f"{name},{rater},{code if rater == 'a' and i < 8 else i % 7 + 1}"
        for i, name in enumerate(IMAGES)
        for rater in "abc"
    ]
    with pytest.raises(
        LabelError,
        match=f"ratings.csv: 8 mistakes[^z]*found '{code}', expected a rating from 1 to 7, or "
        "nothing .labels.rating_scale: auto",
    ):
        join(ratings__csv="\n".join(["image,rater,rating", *lines]))


@pytest.mark.parametrize("cell", ["{}", "{}.jpg", "0{}"])
def test_numbers_that_may_be_photos_or_raters_are_asked_about(tmp_path, cell):
    """Raters were taken for photos, and photos for raters."""
    photos = [f"{i}.jpg" for i in range(1, 9)]
    faces = pd.DataFrame({"image": photos, "filename": photos})
    path = tmp_path / "ratings.csv"
    lines = [f"{cell.format(i)},{i % 5 + 1},3,{i % 3 + 1}" for i in range(1, 9)]
    lines += ["Mean,3,3,2", "99,1,1,1"]  # which are of no photo
    for header in ("Nr", "image"):
        path.write_text("\n".join([f"{header},1,2,3", *lines]))
        if header == "Nr":
            with pytest.raises(LabelError, match="the columns 1, 2, 3, … may be photos or raters"):
                join_labels(faces, tmp_path, tmp_path / "none", "auto")
        else:
            joined = join_labels(faces, tmp_path, tmp_path / "none", "auto")
            assert joined.table["rating"].tolist()[:2] == [pytest.approx(7 / 3), 3]
            assert {*joined.judgements["rater"]} == {"1", "2", "3"}


@pytest.mark.parametrize("header", ["Subject", "VP", "Participant ID"])
def test_a_word_for_people_may_be_that_of_the_photos(tmp_path, header):
    photos = [f"{i}.jpg" for i in range(1, 9)]
    faces = pd.DataFrame({"image": photos, "filename": photos})
    lines = "\n".join(f"{i}.jpg,3,{i % 5 + 1}" for i in range(1, 9))
    (tmp_path / "ratings.csv").write_text(f"{header},1,2\n{lines}\n")
    with pytest.raises(LabelError, match="the columns 1, 2, … may be photos or raters"):
        join_labels(faces, tmp_path, tmp_path / "none", "auto")
    (tmp_path / "ratings.csv").write_text(f"{header},1,2\nx,3,4\ny,5,2\n")
    joined = join_labels(faces, tmp_path, tmp_path / "none", "auto")
    assert joined.table["rating"].tolist()[:2] == [4, 3]


@pytest.mark.parametrize("foot", ["SD", "N", "Max", "StAbw", ""])
@pytest.mark.parametrize("header", ["rater", "Code"])
def test_lines_of_statistics_are_no_raters(join, header, foot):
    """Those of means are left out."""
    lines = f"{header},00.jpg,01.jpg\na,3,5\nb,4,2\nc,1,2\n"
    assert len(join(ratings__csv=lines).judgements) == 6
    assert len(join(ratings__csv=lines.replace("b,", "N,")).judgements) == 6
    with pytest.raises(LabelError, match=f"line 5, column {header}: found '{foot}', expected a ra"):
        join(ratings__csv=f"{lines}{foot},1,2\nMean,2,3\n" if foot else f"{lines},1,2\n")


def test_the_last_rater_may_lack_a_rating(join):
    assert len(join(ratings__csv="00.jpg,01.jpg\n3,5\n4,2\n,1\n").judgements) == 5


def test_people_who_rate_each_other_are_asked_about(tmp_path):
    people = [f"{name}.jpg" for name in ("ann", "ben", "cem")]
    faces = pd.DataFrame({"image": people, "filename": people})
    (tmp_path / "ratings.csv").write_text("target,ann,ben,cem\nann,,3,4\nben,5,,2\ncem,1,2,\n")
    with pytest.raises(LabelError, match="the columns ann, ben, cem, … may be photos or raters"):
        join_labels(faces, tmp_path, tmp_path / "none", "auto")


SLIDERS = {
    rater: [(37 * i * step + 11 * i * i) % 101 for i in range(12)]
    for rater, step in (("anna", 2), ("ben", 3), ("cem", 5))
}


@pytest.mark.parametrize("lost", [None, 0, 5, 11])
def test_line_numbers_are_no_ratings_after_a_line_was_removed(join, lost):
    """`forget` of one photo made `#` a rater of all others."""
    table = pd.DataFrame({"#": range(1, 13), "image": IMAGES[:12], **SLIDERS})
    joined = join(ratings__csv=table.drop(index=[lost] if lost else []).to_csv(index=False))
    assert {*joined.judgements["rater"]} == {"anna", "ben", "cem"}
    assert ", without #" in joined.notes[0]


@pytest.mark.parametrize(
    "numbers",
    [
        [1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 15, 16],
        [98, 90, 71, 70, 69, 50, 30, 20, 10, 9, 4, 1],
        [3, 1, 2, 5, 4, 12, 7, 8, 9, 20, 10, 6],
    ],
    ids=["gaps", "falling", "sorted by name"],
)
@pytest.mark.parametrize("header", ["X", "Nummer", "...1"])
def test_what_may_number_lines_is_asked_about(join, header, numbers):
    table = pd.DataFrame({header: numbers, "image": IMAGES[:12], **SLIDERS})
    with pytest.raises(LabelError, match="looks like numbers of lines or pages, not like ra"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize(
    ("numbers", "known"),
    [
        ([*range(1, 13)], True),
        ([*range(1, 6), "", *range(7, 13)], True),
        ([2, 1, *range(3, 13)], False),
        ([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], False),
    ],
)
def test_a_line_of_means_below_hides_no_line_numbers(join, numbers, known):
    table = pd.DataFrame({"image": IMAGES[:12], "x": numbers, **SLIDERS})
    lines = table.to_csv(index=False) + "Mean,,50.5,50.5,50.5\n"
    if known:
        assert {*join(ratings__csv=lines).judgements["rater"]} == {*SLIDERS}
        return
    with pytest.raises(LabelError, match="the column 'x' looks like numbers of lines or pages"):
        join(ratings__csv=lines)


LIKERT = {"anna": [1, 5, 3, 7, 2, 6, 4, 5, 1, 3, 6, 2], "ben": [2, 4, 3, 7, 1, 6, 5, 5, 2, 3, 7, 1]}


@pytest.mark.parametrize("second", ["{}_rt", "{} (ms)", "{}Latency", "know_{}", "{}.x", "a_{}"])
def test_two_columns_of_a_rater_are_asked_about(join, second):
    """Times of answers were ratings."""
    times = {second.format(rater): [(i * 7) % 5 + 1 for i in range(12)] for rater in LIKERT}
    table = pd.DataFrame({"image": IMAGES[:12], **LIKERT, **times})
    with pytest.raises(LabelError, match="may be of one rater, or of one thing by two"):
        join(ratings__csv=table.to_csv(index=False))


def test_a_table_sorted_by_a_rater_is_read(join):
    table = pd.DataFrame({"image": IMAGES[:12], **LIKERT}).sort_values("anna")
    assert {*join(ratings__csv=table.to_csv(index=False)).judgements["rater"]} == {*LIKERT}


def test_a_grid_of_raters_and_questions_is_asked_about(join):
    raters = [f"{rater}_{end}" for rater in LIKERT for end in "ab"]
    ratings = {name: [(i * n) % 7 + 1 for i in range(12)] for n, name in enumerate(raters, 2)}
    table = pd.DataFrame({"image": IMAGES[:12], **ratings})
    with pytest.raises(LabelError, match="'anna_a' and 'anna_b' may be of one rater, or of one"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([0, 1] * 6, "have no scale in common"),
        ([700, 3100, 950] * 4, "have no scale in common"),
        ([1.5, 2.8, 6.1] * 4, "'cem' has decimals, and 'anna' has none"),
    ],
)
def test_columns_without_a_scale_in_common_are_asked_about(join, other, message):
    own = {"cem": other, "dora": other[::-1]}
    table = pd.DataFrame({"image": IMAGES[:12], **LIKERT, **own})
    with pytest.raises(LabelError, match=f"{message}; if one is no rater's"):
        join(ratings__csv=table.to_csv(index=False))


def test_ranks_by_all_raters_are_ratings(join):
    ranks = {"anna": range(1, 13), "ben": [*range(7, 13), *range(1, 7)], "cem": range(12, 0, -1)}
    table = pd.DataFrame({"image": IMAGES[:12], **ranks}).iloc[[3, 1, 0, 2, *range(4, 12)]]
    joined = join(ratings__csv=table.to_csv(index=False))
    assert {*joined.judgements["rater"]} == {*ranks}


def test_ranks_that_the_lines_are_sorted_by_are_asked_about(join):
    ranks = {"anna": range(1, 13), "ben": [*range(7, 13), *range(1, 7)], "cem": range(12, 0, -1)}
    table = pd.DataFrame({"image": IMAGES[:12], **ranks})
    with pytest.raises(LabelError, match="the column 'anna' looks like numbers of lines"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize(
    ("anna", "ben", "cem", "what"),
    [
        ([1, 0, 0, 1, 0], [0, 0, 1, 1, 0], [1, 0, 1, 1, 0], "max"),
        ([1, 5, 3, 1, 2], [1, 3, 5, 1, 2], [1, 4, 4, 1, 2], "mean"),
    ],
)
def test_a_rater_who_may_be_a_statistic_of_the_others_is_asked_about(join, anna, ben, cem, what):
    """Such a rater was left out."""
    table = pd.DataFrame({"image": IMAGES[:5], "anna": anna, "ben": ben, "cem": cem})
    with pytest.raises(LabelError, match=f"the column 'cem' is the {what} of the others in each"):
        join(ratings__csv=table.to_csv(index=False))


@pytest.mark.parametrize("header", ["Participant (no.)", "Rater (n)", "Subject [number]"])
def test_raters_by_numbers_are_raters(join, header):
    joined = join(ratings__csv=f"image,{header},rating\n00.jpg,1,3\n00.jpg,2,5\n")
    assert joined.judgements["rater"].tolist() == ["1", "2"]


@pytest.mark.parametrize("number", ["Trait (order)", "Trait #"])
def test_the_number_of_a_trait_in_a_study_is_none(join, number):
    lines = "00.jpg,ann,1,calm,3\n00.jpg,ben,2,calm,5\n"
    joined = join(ratings__csv=f"image,rater,{number},Trait,rating\n{lines}")
    assert [*joined.traits] == ["calm"]
    assert joined.table.set_index("filename").loc["00.jpg", "rating"] == 4
