"""Excel workbooks of labels: their sheets, merged cells, formulas and damages."""

import io
import time
import tracemalloc
import zipfile
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from facestats.errors import LabelError
from facestats.labels import csv_text, workbook
from facestats.labels.joining import join_labels
from label_files import FACES, PLAIN, THREE, join_files, labels
from label_files import workbook as make_workbook


@pytest.fixture
def join(tmp_path):
    return partial(join_files, tmp_path)


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


@pytest.mark.long
def test_the_sheet_that_is_meant_is_read(tmp_path):
    rows = [["image", "gender"], ["00", "female"]]

    def read(sheets, state="visible"):
        book = make_workbook(sheets)
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
    book = make_workbook(
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
        match="row 4: 1 formula has no stored value, the first in cell C4; open the file in a "
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
    assert (
        "labels.xlsx: the value of merged cells counts for each cell that they cover: B2:B3"
        in joined.warnings
    )


def test_a_merged_title_above_one_column_a_rater_is_no_header(tmp_path):
    book = make_workbook(
        {
            "ratings": [
                ["Attractiveness (1 = not at all, 7 = very)"],
                [],
                ["Photo", "VP1", "VP2"],
                ["00", 3, None],
                ["01", 4, 7],
                ["02", 1, 2],
            ]
        }
    )
    book.active.merge_cells("A1:C1")
    book.active.merge_cells("B4:C4")
    book.save(tmp_path / "ratings.xlsx")
    joined = join_labels(FACES, tmp_path, tmp_path / "none", "auto")
    assert labels(joined, "rating", "rating_n") == [[3, 2], [5.5, 2], [1.5, 2]]
    assert joined.warnings == [
        "ratings.xlsx: the value of merged cells counts for each cell that they cover: B4:C4",
        "ratings.xlsx: the lines above Photo, VP1, VP2, … are taken for a title",
        "ratings.xlsx: each of the columns VP1, VP2 was taken for one rater's ratings; if that is "
        'so, write `raters: ["VP1", "VP2"]` below `labels:` in params.yaml, and else the raters '
        "alone",
    ]


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
    make_workbook({"a": [["image"]]}).save(buffer)
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
        FAR.format(1_048_576, "NZZ"),
        FAR.format(1_048_576, "XFD") + MERGED.format("A2:A3").removeprefix("</sheetData>"),
        MERGED.format("A1:XFD1048576"),
    ],
    ids=["cell", "the last cell", "merged"],
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
    make_workbook({"labels": [["image", "age"], ["00.jpg", 30]]}).save(plain)
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN + "," * 2_000_001, "line 5: longer than 2000000 characters"),
        (PLAIN + "," * 5000 + "x", "has 5001 columns; at most 5000 are read"),
    ],
    ids=["long", "wide"],
)
def test_a_line_of_nothing_but_commas_is_named(join, text, expected):
    with pytest.raises(LabelError, match=expected):
        join(labels__csv=text)


@pytest.mark.long
def test_a_file_of_many_blank_lines_takes_little(join, monkeypatch):
    blank = "\n" * 100_000
    tracemalloc.start()
    joined = join(labels__csv=PLAIN + blank + "\n")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert labels(joined, "gender")[:1] == [["female"]]
    monkeypatch.setattr(csv_text, "MOST_LINES", 100_000)
    with pytest.raises(LabelError, match="has more than 100000 lines; divide it"):
        join(labels__csv=PLAIN + blank)
    monkeypatch.setattr(csv_text, "MOST_BYTES", 50_000)
    with pytest.raises(LabelError, match="is larger than 0 MB; divide it"):
        join(labels__csv=PLAIN + blank)


@pytest.mark.long
def test_a_file_of_many_short_lines_takes_little_and_is_refused_beyond_a_sheet(
    tmp_path, monkeypatch
):
    """20 MB took 5 GB."""
    file = tmp_path / "labels.csv"
    file.write_text("image,age\n" + "a\n" * 50_000)
    tracemalloc.start()
    assert len(csv_text.read_csv(file).table) == 50_000
    assert tracemalloc.get_traced_memory()[1] < 50_000 * 300
    tracemalloc.stop()
    monkeypatch.setattr(csv_text, "FEW_LINES", 40_000)
    with pytest.raises(LabelError, match=r"has 50001 lines of 2\.0 characters on average"):
        csv_text.read_csv(file)
    file.write_text("image,age\n" + "face_0001.jpg,31\n" * 50_000)
    assert len(csv_text.read_csv(file).table) == 50_000


def with_part(name, part):
    """A workbook with one label and another part."""
    data = io.BytesIO(changed_sheet(lambda sheet: sheet))
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, part)
    return data.getvalue()


def before_the_end(more):
    """A workbook whose sheet has more elements behind its cells."""
    return changed_sheet(lambda sheet: sheet.replace(b"</sheetData>", b"</sheetData>" + more))


STRINGS = "xl/sharedStrings.xml"
BOMBS = {
    "overlapping merged areas": (
        lambda: before_the_end(
            b"<mergeCells>" + b'<mergeCell ref="C1:Z300"/>' * 3000 + b"</mergeCells>"
        ),
        "has merged areas of more than 200000 cells",
    ),
    "many merged areas": (
        lambda: before_the_end(
            b"<mergeCells>" + b'<mergeCell ref="C1:C1"/>' * 150_000 + b"</mergeCells>"
        ),
        "has merged areas of more than 200000 cells",
    ),
    "a row that is no number": (
        lambda: before_the_end(b'<sheetData><row r="1e12"><c><v>1</v></c></row></sheetData>'),
        "names a row or cell '1e12', which no sheet has",
    ),
    "a cell whose name Python takes for a number": (
        lambda: before_the_end(
            b'<sheetData><row><c r="XFD1_048_576"><v>1</v></c></row></sheetData>'
        ),
        "names a row or cell 'XFD1_048_576', which no sheet has",
    ),
    "a cell to the right of a sheet": (
        lambda: before_the_end(b'<sheetData><row><c r="XFE9"><v>1</v></c></row></sheetData>'),
        "names a row or cell 'XFE9', which no sheet has",
    ),
    "cells that repeat": (
        lambda: before_the_end(b"<sheetData>" + b'<c r="A1"/>' * 50 + b"</sheetData>"),
        "names a cell twice",
    ),
    "one long text": (
        lambda: with_part(STRINGS + "2", b"<a>" + b"a" * 20_000_000 + b"</a>"),
        "is unusually large unpacked, 20 MB",
    ),
    "a formula far from others": (
        lambda: before_the_end(
            b'<sheetData><row r="2000"><c r="AAA2000"><f>1</f><v>1</v></c></row></sheetData>'
        ),
        "has a sheet of 2000 rows and 703 columns",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(("data", "expected"), BOMBS.values(), ids=BOMBS)
def test_a_small_workbook_that_would_take_minutes_is_refused(join, data, expected):
    started = time.process_time()
    with pytest.raises(LabelError, match=expected):
        join(labels__xlsx=data())
    assert time.process_time() - started < 5


def test_a_text_that_many_cells_share_counts_for_each(join, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_LETTERS", 1000)
    data = io.BytesIO()
    make_workbook({"a": [["image", "note"], *([f"{i}", "a" * 100] for i in range(20))]}).save(data)
    with pytest.raises(LabelError, match="is unusually large unpacked"):
        workbook.Workbook(data.getvalue(), Path("labels.xlsx"))


def test_a_list_of_formulas_of_several_sheets_is_no_sheet(join):
    """Excel's `calcChain.xml` names `B2` once for each sheet."""
    chain = b"<calcChain>" + b'<c r="B2" i="1"/>' * 9 + b"</calcChain>"
    assert labels(join(labels__xlsx=with_part("xl/calcChain.xml", chain)), "age")[0] == [30]


@pytest.mark.parametrize(
    ("number_format", "value", "found"),
    [("0%", 0.7, "70%"), ("0.0 %;[Red]-0.0 %", 0.285, "28.5%"), ("0%", 7, "700%")],
)
def test_a_number_that_is_shown_as_percent_is_none_of_the_scale(
    tmp_path, number_format, value, found
):
    rated_in_percent(tmp_path, number_format, value)
    with pytest.raises(LabelError, match=rf"labels\.xlsx, row 3, column rating: found '{found}'"):
        join_labels(FACES, tmp_path, tmp_path / "none", "auto")


@pytest.mark.parametrize("number_format", ['0" %"', r"0\ \%", "0.00", "General"])
def test_a_sign_that_is_text_does_not_make_percent(tmp_path, number_format):
    rated_in_percent(tmp_path, number_format, 70)
    joined = join_labels(FACES, tmp_path, tmp_path / "none", "auto")
    assert [rating for (rating,) in labels(joined, "rating")] == [50.0, 70.0, 80.0]


def rated_in_percent(folder, number_format, value):
    """Save labels of three faces, whose second rating has a number format."""
    book = make_workbook({"labels": [["image", "rating"], ["00", 50], ["01", value], ["02", 80]]})
    book["labels"]["B3"].number_format = number_format
    book["labels"]["D1"].number_format = "0%"  # empty
    book.save(folder / "labels.xlsx")
