"""Label files as people keep them: spelt in their own way, saved by their own programs, understood
where one reading is possible.
"""

import io
import time
import zipfile
from contextlib import suppress
from datetime import datetime

import openpyxl
import pandas as pd
import pytest

from facestats.errors import LabelError
from facestats.labels.joining import join_labels

IMAGES = [f"{i:02d}.jpg" for i in range(60)]
FACES = pd.DataFrame({"image": IMAGES, "filename": IMAGES})


@pytest.fixture
def join(tmp_path):
    """Write files by name, text as bytes or rows of a workbook, and join them."""

    def run(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            if isinstance(content, list):
                workbook({"Sheet1": content}).save(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return join_labels(FACES, tmp_path, tmp_path / "manual.csv", "auto")

    return run


def workbook(sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return book


def labels(joined, *columns):
    """What is known of the first three faces."""
    return (
        joined.table.set_index("filename")
        .loc[IMAGES[:3], list(columns)]
        .astype(object)
        .values.tolist()
    )


THREE = [["female", 30.0], ["male", 34.5], ["female", 28.0]]
PLAIN = "image,gender,age\n00.jpg,female,30\n01.jpg,male,34.5\n02.jpg,female,28\n"


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


def test_codes_written_in_two_ways_are_asked_about(join):
    with pytest.raises(
        LabelError,
        match=r"line 14, column gender: found '1.0', expected one spelling for one class \(did "
        "you mean '1'",
    ):
        join(
            labels__csv="image,gender\n"
            + "".join(f"{i:02d}.jpg,{'1.0' if i == 12 else i % 2 + 1}\n" for i in range(13))
        )


@pytest.mark.parametrize(
    ("age", "hint"),
    [
        ("1990", "(a year or date of birth?"),
        ("12.03.1990", "(a year or date of birth?"),
        ("1990-03-12", "(a year"),
        ("28 years", "(did you mean 28?)"),
        ("18 months", "unknown"),
        ("6m", "unknown"),
        ("-99", "unknown"),
    ],
)
def test_an_age_in_other_words_is_a_mistake_with_the_likely_reading(join, age, hint):
    with pytest.raises(LabelError) as error:
        join(labels__csv=f"image,age\n00.jpg,{age}\n")
    assert f"found '{age}'" in str(error.value)
    assert hint in str(error.value)
    assert ("did you mean" in str(error.value)) == ("did you mean" in hint)


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


@pytest.mark.parametrize(
    "word",
    [
        "NA",
        "N/A",
        "n/a",
        "-",
        "#N/A",
        "nan",
        "NaN",
        "null",
        "NULL",
        "None",
        "?",
        "  ",
        "unknown",
        "–",
        "Missing",
        "k.A.",
        "Prefer not to say",
        "#REF!",
        "#DIV/0!",
    ],
)
def test_words_for_nothing_are_empty_cells(join, word):
    joined = join(
        labels__csv=f"image,gender,age,person,glasses\n00.jpg,{word},{word},{word},no\n"
        "01.jpg,male,3,p,no\n",
        ratings__csv=f"image,rater,rating\n00.jpg,a,{word}\n01.jpg,{word},3\n02.jpg,b,4\n",
    )
    assert (
        labels(joined, "gender", "person")[0] == [None, None]
        or pd.isna(labels(joined, "gender", "person")[0]).all()
    )
    assert joined.summary["labelled"] == {
        "gender": 1,
        "ethnicity": 0,
        "age": 1,
        "rating": 2,
        "person": 1,
        "glasses": 2,
    }
    assert joined.summary["raters"]["n"] == 1
    assert joined.judgements["rater"].tolist() == ["", "b"]


def test_none_is_a_class_in_a_column_of_ones_own(join):
    joined = join(
        labels__csv="image,Glasses\n00.jpg,none\n01.jpg,round\n02.jpg,NA\n",
        manual__csv="filename,glasses\n01.jpg,none\n",
    )
    assert joined.summary["labelled"]["Glasses"] == 2
    assert labels(joined, "Glasses", "Glasses_source")[:2] == [
        ["none", "label"],
        ["none", "manual"],
    ]
    assert "glasses" not in joined.table


def test_all_mistakes_are_named_at_once_with_the_nearest_value(join):
    lines = [
        "image,gender,age",
        *(f"{i:02d}.jpg,female,30" for i in range(28)),
        "28.jpg,Female,34y",
        "29.jpg, FEMALE,131",
        ",female,3",
        "29.jpg,female,29",
        "30.jpg,male,thirty",
    ]
    with pytest.raises(LabelError) as error:
        join(labels__csv="\n".join(lines), manual__csv="image,age\n01.jpg,old\n")
    for expected in (
        "labels.csv: 7 mistakes, so the file is not used",
        "labels.csv, line 30, column gender: found 'Female', expected one spelling for one "
        "class (did you mean 'female', as in 29 cells?)",
        "labels.csv, line 30, column age: found '34y', expected a number from 0 to 130, or "
        "nothing if unknown (did you mean 34?)",
        "labels.csv, line 31, column gender: found 'FEMALE'",
        "labels.csv, line 31, column age: found '131'",
        "labels.csv, line 32, column image: found ''",
        "labels.csv, line 33, column gender: found 'female', expected FEMALE as on an "
        "earlier line about 29.jpg",
        "labels.csv, line 34, column age: found 'thirty'",
        "manual.csv, line 2, column age: found 'old'",
    ):
        assert expected in str(error.value)


def test_twenty_mistakes_and_a_count_are_enough(join):
    with pytest.raises(LabelError) as error:
        join(labels__csv="\n".join(["image,age", *(f"{i:02d}.jpg,x" for i in range(50))]))
    shown = str(error.value).splitlines()
    assert (shown[0].split("/")[-1], len(shown), shown[-1]) == (
        "labels.csv: 50 mistakes, so the file is not used",
        22,
        "and 30 more",
    )
    assert "line 21," in shown[-2]


def test_a_class_with_one_member_is_asked_about(join):
    lines = [
        "image,gender,hat,notes",
        *(f"{i:02d}.jpg,female,yes,note {i}" for i in range(28)),
        "28.jpg,femal,Yes,x",
    ]
    joined = join(labels__csv="\n".join(lines))
    assert (
        "gender has a class with one member, perhaps a typing error: 'femal' in labels.csv, line "
        "30 (did you mean 'female'?)" in joined.warnings
    )
    assert any("hat has the classes 'Yes' and 'yes'" in warning for warning in joined.warnings)
    assert not any("note" in warning for warning in joined.warnings)


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


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ("34,5 30,25", [34.5, 30.25]),
        ("34,5 1,234", [34.5, 1.234]),
        ("0,125 3", [0.125, 3]),
        ("34,5 30.5", [34.5, 30.5]),
        ("+3,5 −0", [3.5, 0]),
    ],
)
def test_decimal_commas_are_understood_where_they_can_be_nothing_else(join, ages, expected):
    first, second = ages.split()
    assert [
        age for (age,) in labels(join(labels__csv=f"image;age\n0;{first}\n1;{second}\n"), "age")[:2]
    ] == expected


@pytest.mark.parametrize(
    ("ages", "wrong"),
    [
        ("1,234 5", "1,234"),
        ("34,5 1.234,5", "1.234,5"),
        ("1,234 3.5", "1,234"),
        ("1,2,3 4", "1,2,3"),
    ],
)
def test_commas_that_may_stand_between_thousands_are_mistakes(join, ages, wrong):
    first, second = ages.split()
    with pytest.raises(
        LabelError, match=f"column age: found '{wrong}', expected a number from 0 to 130"
    ):
        join(labels__csv=f"image;age\n0;{first}\n1;{second}\n")


def test_a_decimal_comma_without_quotes_is_found_although_a_cell_at_the_end_is_empty(join):
    with pytest.raises(
        LabelError,
        match=r"line 3: 5 cells, but the header has 4; put a value with a comma into quotes",
    ):
        join(labels__csv="image,age,gender,person\n00.jpg,30,female,a\n01.jpg,34,5,male,\n")


# Excel


def test_a_workbook_says_the_same(join):
    rows = [
        [],
        ["Image", " GENDER", "Age", None],
        [0, "female", 30],
        [],
        ["01", "male", "34,5"],
        ["02.jpg", "female", 28.0],
        [None, " ", None],
    ]
    joined = join(
        Labels__xlsx=rows,
        ratings__xlsx=[["image", "rater", "rating"], ["00", 7, 3.3000000000000003], ["01", 7, "4"]],
    )
    assert labels(joined, "gender", "age") == THREE
    assert joined.judgements[["rater", "rating"]].values.tolist() == [["7", 3.3], ["7", 4.0]]


def test_a_mistake_in_a_workbook_is_named_by_row(join):
    with pytest.raises(
        LabelError,
        match=r"labels\.xlsx, row 4, column Age: found '2020-01-05', expected a number from 0 to "
        "130",
    ):
        join(labels__xlsx=[["image", "Age"], ["00", 30], [], ["01", datetime(2020, 1, 5)]])


def test_the_sheet_that_is_meant_is_read(tmp_path):
    rows = [["image", "gender"], ["00", "female"]]

    def read(sheets, state="visible"):
        book = workbook(sheets)
        book.worksheets[-1].sheet_state = state
        book.save(tmp_path / "labels.xlsx")
        return join_labels(FACES, tmp_path, tmp_path / "none", "auto").summary["labelled"]["gender"]

    assert read({"notes": [], "Tabelle1": rows}) == 1
    assert read({"notes": [["read me"]], "Labels ": rows}) == 1
    assert read({"a": rows, "b": [["read me"]]}, "hidden") == 1
    with pytest.raises(
        LabelError,
        match=r"labels\.xlsx has several sheets: 'a', 'b'; call the one to read 'labels', or "
        "remove the others",
    ):
        read({"a": rows, "b": [["x"]]})
    with pytest.raises(LabelError, match=r"labels\.xlsx is empty"):
        read({"a": [], "b": []})


def test_merged_cells_count_for_each_row_and_formulas_with_their_value(tmp_path):
    book = workbook(
        {
            "labels": [
                ["image", "person", "age"],
                ["00", "ann", 3],
                ["01", None, 4],
                ["02", "bob", "=C2+1"],
            ]
        }
    )
    book.active.merge_cells("B2:B3")
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(
        LabelError,
        match="row 4: 1 formulas have no stored value, the first in cell C4; open the file in a "
        "spreadsheet, save it",
    ):
        join_labels(FACES, tmp_path, tmp_path / "none", "auto")
    with zipfile.ZipFile(tmp_path / "labels.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = (
        parts["xl/worksheets/sheet1.xml"]
        .replace(b"<f>C2+1</f><v></v>", b"<f>C2+1</f><v>5</v>")
        .replace(b"<f>C2+1</f><v />", b"<f>C2+1</f><v>5</v>")
        .replace(b"<f>C2+1</f><v/>", b"<f>C2+1</f><v>5</v>")
    )
    with zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    joined = join_labels(FACES, tmp_path, tmp_path / "none", "auto")
    assert labels(joined, "person", "age") == [["ann", 3], ["ann", 4], ["bob", 5]]
    assert "labels.xlsx: 1 merged cells count for each row that they cover" in joined.warnings


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"\xd0\xcf\x11\xe0" + bytes(600),
            "has a password, or is an .xls under another name",
        ),
        (b"image,gender\n00.jpg,female\n", "can't be read as an Excel workbook"),
        (b"", "can't be read as an Excel workbook"),
        (b"PK\x03\x04truncated", "can't be read as an Excel workbook"),
    ],
    ids=["password", "csv", "empty", "truncated"],
)
def test_a_workbook_that_is_none_is_named(join, content, expected):
    with pytest.raises(LabelError, match=expected):
        join(labels__xlsx=content)


def test_a_zip_without_sheets_and_a_workbook_called_csv_are_named(join):
    buffer = io.BytesIO()
    workbook({"a": [["image"]]}).save(buffer)
    with pytest.raises(
        LabelError, match=r"labels\.csv is not text but an Excel file or another zip archive"
    ):
        join(labels__csv=buffer.getvalue())
    archive = io.BytesIO()
    zipfile.ZipFile(archive, "w").close()
    with pytest.raises(LabelError, match=r"ratings\.xlsx can't be read as an Excel workbook"):
        join(ratings__xlsx=archive.getvalue(), labels__csv=PLAIN)


FAR = '<row r="{0}"><c r="{1}{0}"><v>1</v></c></row></sheetData>'
MERGED = '</sheetData><mergeCells count="1"><mergeCell ref="{}"/></mergeCells>'


@pytest.mark.parametrize(
    "end",
    [
        FAR.format(999_999_999, "A"),
        FAR.format(1_048_576, "XFD") + MERGED.format("A2:A3").removeprefix("</sheetData>"),
        MERGED.format("A1:XFD1048576"),
    ],
    ids=["row", "cell", "merged"],
)
def test_a_small_workbook_with_cells_far_off_takes_no_memory(join, end):
    with pytest.raises(LabelError, match=r"has a sheet of \d+ rows"):
        join(labels__xlsx=changed_sheet(lambda sheet: sheet.replace(b"</sheetData>", end.encode())))


def test_a_workbook_whose_packing_is_damaged_is_named(join):
    archive = bytearray(changed_sheet(lambda sheet: sheet + b" " * 10_000))
    with zipfile.ZipFile(io.BytesIO(archive)) as parts:
        at = (
            parts.getinfo("xl/worksheets/sheet1.xml").header_offset
            + 30
            + len("xl/worksheets/sheet1.xml")
        )
    archive[at : at + 20] = b"\xff" * 20
    with pytest.raises(LabelError, match="can't be read as an Excel workbook"):
        join(labels__xlsx=bytes(archive))


def changed_sheet(change):
    """A workbook with one label, its sheet's XML changed."""
    plain, buffer = io.BytesIO(), io.BytesIO()
    workbook({"labels": [["image", "age"], ["00.jpg", 30]]}).save(plain)
    with (
        zipfile.ZipFile(plain) as parts,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in parts.namelist():
            archive.writestr(
                name, change(parts.read(name)) if "sheet1" in name else parts.read(name)
            )
    return buffer.getvalue()


@pytest.mark.parametrize(
    "text", ["a" * 200_000, PLAIN + "a" * 200_000 + "\n"], ids=["header", "cell"]
)
def test_a_cell_that_is_endless_is_named(join, text):
    with pytest.raises(LabelError, match=r"labels\.csv, line \d: field larger than field limit"):
        join(labels__csv=text)


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


# Ratings

RATINGS = [
    ("00.jpg", "a", 3.0),
    ("00.jpg", "b", 4.0),
    ("01.jpg", "a", 5.0),
    ("01.jpg", "b", 2.0),
    ("02.jpg", "b", 1.0),
]


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
    ("few", "many"), [("f", "female"), ("woman", "female"), ("F", "female"), ("w", "weiblich")]
)
def test_a_class_beside_its_short_form_or_synonym_is_asked_about(join, few, many):
    with pytest.raises(
        LabelError,
        match=f"found '{few}', expected one spelling for one class .did you mean '{many}', as in 6 "
        "cells",
    ):
        join(
            labels__csv="image,gender\n"
            + "".join(f"{i:02d},{['male', many, many, few][i % 4]}\n" for i in range(12))
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "stimulus,trait,response\n00,attractive,3\n00,trustworthy,3\n",
            "the column 'trait' has 'attractive', 'trustworthy', so several things were rated",
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


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (
            "age",
            [20, 99, 34, 99],
            "labels.csv: the age is 99 in 2 lines, first in line 3; if that is a code for "
            "no answer, leave such cells empty",
        ),
        (
            "age",
            [20, 0, 34, 0],
            "labels.csv: the age is 0 in 2 lines, first in line 3; if that is a code for "
            "no answer, leave such cells empty",
        ),
        (
            "gender",
            [1, 9, 2, 9, 1, 2],
            "gender has the classes '9' and '1'; if the first is a code for no answer, leave "
            "such cells empty",
        ),
        (
            "gender",
            ["f", 0, "m", 0, "f", "m"],
            "gender has the classes '0' and 'f'; if the first is a code for no answer, leave "
            "such cells empty",
        ),
        ("age", [98, 99, 34, 99], None),
        ("age", [20, 99, 34], None),
        ("age", [0, 1, 0, 3], None),
        ("gender", [1, 2, 1, 2], None),
        ("gender", [0, 1, 0, 1], None),
    ],
)
def test_numbers_that_may_mean_no_answer_are_asked_about(join, column, values, expected):
    joined = join(
        labels__csv=f"image,{column}\n"
        + "".join(f"{i:02d},{value}\n" for i, value in enumerate(values))
    )
    assert joined.warnings == ([expected] if expected else [])


def test_words_for_nothing_that_are_names_stay(join):
    assert (
        join(labels__csv="image,person\n00,Nat\n01,Na\n02,Nan\n").summary["labelled"]["person"] == 3
    )


def test_a_person_and_a_rater_have_one_name(join):
    joined = join(
        labels__csv="image,person\n00,Zoë\n01,Zoe\u0308\n02,7\n03,7.0\n04,Anna\n05,anna\n",
        ratings__csv="image,rater,rating\n00,1,3\n01,1.0,3\n02,Bob,3\n02,bob,4\n",
    )
    assert joined.table["person"].dropna().nunique() == 4
    assert joined.summary["raters"]["n"] == 3
    assert [warning for warning in joined.warnings if "differ only in" in warning] == [
        "person has 'Anna' and 'anna', which differ only in case or blanks; are they one?",
        "rater has 'Bob' and 'bob', which differ only in case or blanks; are they one?",
    ]


def test_two_columns_of_different_numbers_are_an_error(join):
    with pytest.raises(
        LabelError,
        match=r"ratings.csv, column xx: 30 to 51, where the other columns have 1 to 5; if it is "
        "no rater's, remove it",
    ):
        join(ratings__csv="image,xx,r1\n00,30,1\n01,44,5\n02,51,3\n03,33,2\n")


@pytest.mark.parametrize("header", ["age (months)", "Age [weeks]", "Alter (Monate)"])
def test_an_age_that_is_not_in_years_is_an_error(join, header):
    with pytest.raises(LabelError, match="is not in years; give age in years"):
        join(labels__csv=f"image,{header}\n00,30\n")


WIDE = [(3, 4), (1, 2), (7, 5), (2, 2), (6, 7)]


@pytest.mark.parametrize(
    "more",
    [
        {"Nr": [1, 2, 3, 4, 5], "MW": [3.5, 1.5, 6, 2, 6.5]},
        {"id": [7, 3, 9, 11, 4]},
        {"xy": [101, 102, 103, 104, 105]},
        {"xy": ["3,5", "1,5", 6, 2, "6,5"]},
        {"Max": [4, 2, 7, 2, 7], "Min": [3, 1, 5, 2, 6], "Summe": [7, 3, 12, 4, 13]},
        {"Std. Dev.": [0.7, 0.7, 1.4, 0, 0.7], "N ratings": [2] * 5, "Rank": [2, 4, 1, 3, 1]},
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
