"""Label files as people and their programs write them: separators, headers, names of photos."""

import time
from contextlib import suppress
from functools import partial

import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import join_labels
from facestats.labels.manual import merge_labels
from facestats.labels.removal import read_label_file
from label_files import PLAIN, THREE, join_files, labels


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("image,gender,age", "Image Name, GENDER ,AGE (years)"),
        PLAIN.replace("image,gender,age", '"File Name","Sex","Age "'),
        PLAIN.replace(".jpg", ""),
        PLAIN.replace(".jpg", ".JPG").replace("image", "photo"),
        PLAIN.replace("00", "C:\\data\\00").replace("01.", "C:\\data\\01."),
        PLAIN.replace("\n", ",,\n") + ",,,,\n,,,,\n",
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("image", "ID;image")
        .replace(",", ";")
        .replace("00.", "1;00.")
        .replace("01.", "2;01.")
        .replace("02.", "3;02.")
        .replace("ID;", ";"),
        "\n\n" + PLAIN.replace("\n", "\r\n\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace("34.5", "34,5"),
        "sep=;\n" + PLAIN.replace(",", ";").replace("34.5", "34,5"),
        PLAIN.replace("34.5", '"34,5"'),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", " , "),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        ",image,gender,age\n0,00.jpg,female,30\n1,01.jpg,male,34.5\n2,02.jpg,female,28\n",
        (
            "Unnamed: 0.1,Unnamed: 0,image,gender,age\n0,7,00.jpg,female,30\n"
            "1,9,01.jpg,male,34.5\n2,3,02.jpg,female,28\n"
        ),
        (
            '"","image","gender","age"\n"4","00.jpg","female",30\n"17","01.jpg","male",34.5\n'
            '"5","02.jpg","female",28\n'
        ),
        (
            "\u200bimage,gender\u200b,age\n\u200e00.jpg,female\u200b,30\n"
            "01.jpg,male,34.5\u200e\n02.jpg,female,28\ufeff\n"
        ),
        PLAIN.replace("00", "\"<img src='img/00")
        .replace(".jpg,", ".jpg?w=3'>\",", 1)
        .replace("?w=3", "")
        .replace("01.", "https://x.org/p/01.")
        .replace("g,male", "g?raw=1,male"),
        PLAIN.replace(",", ";").replace("\n", ",,\n"),
        PLAIN.replace(",", "','")
        .replace("\n", "'\n'")
        .removesuffix("'")
        .replace("image", "'image"),
        PLAIN.replace("image,gender,age", "Bild;Geschlecht;Alter")
        .replace(",", ";")
        .encode("utf-16"),
        (
            "image,filename,gender,age\n00.jpg,,female,30\n,01.jpg,male,34.5\n"
            "02.jpg,02.jpg,female,28\n"
        ),
    ],
    ids=lambda content: repr(content)[:40],
)
def test_every_spelling_of_a_file_says_the_same(join, content):
    joined = join(labels__csv=content)
    assert labels(joined, "gender", "age") == THREE
    assert joined.warnings == []


@pytest.mark.long
@pytest.mark.parametrize("name", ["Labels__csv", "LABELS__CSV", "labels__tsv", "labels__TXT"])
def test_the_file_may_be_called_in_any_case(join, name):
    assert labels(join(**{name: PLAIN}), "gender", "age") == THREE


@pytest.mark.parametrize(
    "content",
    [
        "# study 3, wave 2, Anna\n" + PLAIN.replace(",", ";"),
        PLAIN.replace(
            "\n",
            "\nWhich photo?,Which gender?,How old?\n"
            '"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}","{""ImportId"":""QID3_TEXT""}"\n',
            1,
        ),
    ],
    ids=["title", "qualtrics"],
)
def test_lines_around_the_header_that_are_no_labels_are_said(join, content):
    joined = join(labels__csv=content)
    assert labels(joined, "gender", "age") == THREE
    assert len(joined.warnings) == 1


def test_two_files_of_one_kind_are_an_error(join):
    with pytest.raises(
        LabelError, match=r"holds Labels\.csv and labels\.xlsx, of which only one can be meant"
    ):
        join(Labels__csv=PLAIN, labels__xlsx=[["image"], ["00.jpg"]])


@pytest.mark.parametrize("suffix", ["xls", "ods", "numbers"])
def test_a_file_that_is_not_read_is_named_with_the_way_out(join, suffix):
    with pytest.raises(
        LabelError,
        match=rf"labels\.{suffix} can't be read; save it as labels\.xlsx or, in UTF-8, as "
        r"labels\.csv",
    ):
        join(**{f"labels__{suffix}": "x"})


@pytest.mark.long
def test_files_that_nothing_reads_are_a_warning(join):
    joined = join(
        **{
            "labels (1)__csv": PLAIN,
            "~$labels__xlsx": b"lock",
            "._labels__csv": b"fork",
            "ratings__csv": "image,rating\n00.jpg,3\n",
        }
    )
    assert [w.split("/")[-1] for w in joined.warnings] == [
        "labels (1).csv is not read: a label file is called labels.csv or labels.xlsx"
    ]
    assert join(labels__csv=PLAIN).warnings == []


def test_one_line_says_how_names_and_headers_were_read(join):
    joined = join(labels__csv="Photo ID,sex\n0,female\n01,male\n02.JPG,female\n")
    assert joined.notes == [
        "labels.csv: read 'Photo ID' as image, 'sex' as gender",
        (
            "labels.csv: 1 name matched in other case, 1 without extension, 1 without "
            "extension and with other leading zeros"
        ),
    ]


def test_a_title_above_the_header_is_said(join):
    joined = join(labels__csv="Study 3\n\n" + PLAIN)
    assert labels(joined, "gender", "age") == THREE
    assert joined.warnings == [
        "labels.csv: the lines above image, gender, age, … are taken for a title"
    ]


def test_a_column_of_names_that_was_sorted_alone_is_an_error(join):
    with pytest.raises(
        LabelError,
        match=r"line 3, column filename: found '02\.jpg', expected the same photo as in the "
        "other column",
    ):
        join(
            labels__csv="image,filename,gender\n00.jpg,00.jpg,male\n01.jpg,02.jpg,male\n"
            "02.jpg,nowhere.jpg,male\n"
        )


def test_headers_that_could_be_one_column_are_an_error(join):
    with pytest.raises(LabelError, match="the columns 'photo' and 'file' could both be `image`"):
        join(labels__csv="photo,file,gender\n00.jpg,a,female\n")
    with pytest.raises(
        LabelError, match="the columns 'Gender' and 'GENDER' could both be `gender`"
    ):
        join(labels__csv="image,Gender,GENDER\n00.jpg,a,b\n")
    with pytest.raises(
        LabelError, match="line 2: column 2 holds 'female', but has no name in the header line"
    ):
        join(labels__csv="image,,age\n00.jpg,female,3\n")


@pytest.mark.long
def test_labels_that_match_no_photo_are_an_error_with_the_likely_reading(join):
    text = "\n".join(["image,gender", *(f"old/{i:02d}.jpg,female" for i in range(60))])
    assert join(labels__csv=text).notes == ["labels.csv: 60 names matched with a folder too much"]
    with pytest.raises(
        LabelError,
        match=r"none of its 60 names is a photo, for example 'old/00_x\.jpg'; did you mean "
        r"00\.jpg",
    ):
        join(labels__csv=text.replace(".jpg", "_x.jpg"))
    with pytest.raises(LabelError, match="none of its 3 names is a photo"):
        join(labels__csv=PLAIN, ratings__csv="image,rating\nann,1\nbob,2\ncem,3\n")
    joined = join(
        labels__csv=PLAIN,
        ratings__csv="image,rating\n01.jpg,3\n",
        manual__csv="image,gender\nsample.jpg,male\n",
    )
    assert any("manual.csv names 1 missing image, of 1" in warning for warning in joined.warnings)


def test_a_name_that_may_be_two_photos_is_an_error_and_one_that_is_none_a_warning(tmp_path):
    faces = pd.DataFrame(
        {"image": ["a/x.jpg", "b/x.jpg", "c.jpg"], "filename": ["a/x.jpg", "b/x.jpg", "c.jpg"]}
    )
    (tmp_path / "labels.csv").write_text("image,age\nx,3\nc,4\n")
    with pytest.raises(
        LabelError,
        match=r"labels.csv, line 2, column image: found 'x', expected the name of one photo, but "
        "this may be a/x.jpg or b/x.jpg",
    ):
        join_labels(faces, tmp_path, tmp_path / "none", "auto")
    (tmp_path / "labels.csv").write_text("image,age\nd/x.jpg,3\nc,4\n")
    joined = join_labels(faces, tmp_path, tmp_path / "none", "auto")
    assert joined.warnings == [
        (
            "labels.csv names 1 missing image, of 2, for example d/x.jpg (did you mean "
            "a/x.jpg or b/x.jpg?)"
        )
    ]


def test_windows_1252_is_read_with_a_warning(join):
    joined = join(labels__csv="image,gender\n00.jpg,männlich\n".encode("cp1252"))
    assert labels(joined, "gender")[0] == ["männlich"]
    assert [
        "not UTF-8, so it was read as Windows-1252: line 2 has 'männlich'" in warning
        for warning in joined.warnings
    ] == [True]


@pytest.mark.long
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "files",
    [
        {"labels__csv": PLAIN.encode() + b"a" * 100_000 + "ü,,\n".encode("cp1252")},
        {"labels__csv": f"image;age;{',' * 100_000}x\n00.jpg;30;\n"},
        {"ratings__csv": f"image,rater,rating,{'a' * 100_000}\n00.jpg,a,3,\n"},
    ],
    ids=["word", "commas", "header"],
)
def test_long_words_take_no_time(join, files):
    with suppress(LabelError):
        join(**files)


@pytest.mark.long
def test_long_files_take_seconds(tmp_path):
    images = [f"{i:05d}.jpg" for i in range(20_000)]
    faces = pd.DataFrame({"image": images, "filename": images})
    (tmp_path / "labels.csv").write_text(
        "File,Gender,age\n"
        + "".join(f"{name[:5]},female,{i % 90},\n" for i, name in enumerate(images))
    )
    start = time.process_time()
    assert (
        join_labels(faces, tmp_path, tmp_path / "none", "auto").summary["labelled"]["age"] == 20_000
    )
    assert time.process_time() - start < 15  # 1.5 s measured


def test_a_carriage_return_in_a_cell_does_not_cut_its_line(join):
    text = "person,image,gender,glasses\np1,00.jpg,male\r,none\np2,01.jpg,female,sun\n"
    with pytest.raises(LabelError, match=r"labels\.csv, line 2: ends with a carriage"):
        join(labels__csv=text)
    quoted = join(labels__csv=text.replace("male\r", '"male\r"'))
    assert labels(quoted, "gender", "glasses")[:2] == [["male", "none"], ["female", "sun"]]


def test_lines_of_old_macs_may_hold_breaks_in_their_cells(join):
    joined = join(labels__csv=PLAIN.replace("\n", "\r").replace("male,34.5", '"ma\nle",34.5'))
    assert joined.table["gender"].notna().sum() == 3


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ("age,Age", "age stands in 'Age', and elsewhere in 'age'"),
        ("age,age.1", "age stands in 'age.1', and elsewhere in 'age'"),
        ("age,Alter", "age stands in 'Alter', and elsewhere in 'age'"),
        ("gender,Gender", "gender stands in 'Gender', and elsewhere in 'gender'"),
        ("ethnicity,race", None),  # which may be two things
    ],
)
def test_labels_of_two_joined_tables_are_not_lost(join, headers, refused):
    """The second column was left aside, and a child's age with it."""
    word = "30" if "age" in headers else "female"
    text = f"image,{headers}\n00.jpg,{word},\n01.jpg,,{word}\n"
    if refused is None:
        assert labels(join(labels__csv=text), "race")[1] == ["female"]
        return
    with pytest.raises(LabelError, match=f"line 3: {refused}"):
        join(labels__csv=text)
    join(labels__csv=text.replace(f",,{word}", f",{word},{word}"))


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ("Mean rating,Rating (SD)", "Mean rating"),
        ("Score,Rating [RT in ms]", "Score"),
        ("Rating (rank),Attractiveness", "Attractiveness"),
        ("rating,Rating (z)", "rating"),
        ("Mean rating,Rating (standard deviation)", "Mean rating"),
        ("Mean rating,Rating（SD）", "Mean rating"),
        ("Mean rating,Rating (1-7)", None),  # which of both?
        ("Mean rating,Rating ±", None),
        ("Rating,Rating (rater 2)", None),
    ],
)
def test_what_is_in_brackets_is_no_rating(join, headers, read):
    """The standard deviation counted as the rating, before the mean in other words."""
    first = headers.startswith(read or "?")
    cells = ("5", "1") if first else ("1", "5")
    text = f"image,{headers}\n00.jpg,{','.join(cells)}\n"
    if read is None:
        with pytest.raises(LabelError, match="could both be `rating`"):
            join(labels__csv=text)
        return
    assert labels(join(labels__csv=text), "rating")[0] == [5]


def test_the_age_of_raters_is_not_that_of_the_face(join):
    joined = join(labels__csv="image,Age (raters),Alter\n00.jpg,25,12\n")
    assert labels(joined, "age")[0] == [12]
    assert join(labels__csv="image,Age (raters)\n00.jpg,25\n").table["age"].isna().all()


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("Rating (min 1, max 7)", "rating"),
        ("Rating (range 1-7)", "rating"),
        ("Rating (%)", "rating"),
        ("Mean rating (N=42)", "rating"),
        ("Attractiveness (mean over raters)", "rating"),
        ("Rating (1 = no. 7 = yes)", "rating"),
        ("Rating (women's faces)", "rating"),
        ("Age (years old)", "age"),
        ("Age (at time of photo)", "age"),
        ("Age (subject)", "age"),
        ("Age (number)", "age"),
        ("Age (in years; missing = 99)", "age"),
    ],
)
def test_what_else_is_in_brackets_makes_it_no_other_column(join, header, column):
    assert labels(join(labels__csv=f'image,"{header}"\n00.jpg,5\n'), column)[0] == [5]


@pytest.mark.parametrize("other", ["Age (rater)", "Age?", "Person #", "Rating (N)"])
def test_what_is_another_column_is_not_divided_from_one(join, other):
    text = f"image,Age,Person,Rating,{other}\n00.jpg,30,ann,5,1\n01.jpg,,,,1\n"
    assert labels(join(labels__csv=text), "age")[0] == [30]


def test_a_rating_with_something_in_brackets_is_told(join):
    notes = join(labels__csv="image,Rating (front view)\n00.jpg,5\n").notes
    assert "labels.csv: read 'Rating (front view)' as rating" in notes


@pytest.mark.parametrize("number", ["Image #", "Image [position]", "Image (order)"])
def test_the_number_of_a_photo_in_a_study_is_not_its_name(join, number):
    """It was the name of another photo: all labels went to wrong ones, and `forget` took others."""
    text = f"Photo,{number},age\n01.jpg,0,30\n00.jpg,1,40\n"
    assert labels(join(labels__csv=text), "age")[:2] == [[40], [30]]
    text = f"Photo,{number},rater,rating\n01.jpg,0,ann,3\n00.jpg,1,ann,4\n"
    joined = join(labels__csv="image\n", ratings__csv=text)
    assert labels(joined, "rating")[:2] == [[4], [3]]


def test_forgetting_goes_by_the_names_of_photos_not_by_their_numbers(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("Photo,Image (order),rater,rating\n1.jpg,2,ann,3\n2.jpg,1,ann,4\n")
    file = read_label_file(path)
    assert file is not None
    assert file.lines(["1.jpg", "1"]) == [2]


def test_a_label_by_hand_goes_into_the_column_that_is_read(tmp_path):
    path = tmp_path / "manual_labels.csv"
    path.write_text("filename,Age (rater)\na.jpg,25\n")
    merge_labels(path, {"b.jpg": {"age": "9"}}, {"a.jpg": "a.jpg", "b.jpg": "b.jpg"})
    read = pd.read_csv(path).set_index("filename")
    assert read.loc["b.jpg", "age"] == 9
    assert read.loc["a.jpg", "Age (rater)"] == 25
