"""What a workbook of labels holds beside cells: `forget` keeps it, or names it before all else."""

import io
import zipfile

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from facestats.labels.removal import read_label_file

ROWS = [["image", "gender"], ["a.jpg", "female"], ["b.jpg", "male"], ["c.jpg", "female"]]
DRAWING = (
    '<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing">{}'
    "</xdr:wsDr>"
)
BOX = "<xdr:twoCellAnchor><xdr:sp>consent of 17</xdr:sp></xdr:twoCellAnchor>"
EXTENSION = '<extLst><ext uri="{}"/></extLst></worksheet>'


def write(path, parts=(), replaced=("", "")):
    """A workbook with further parts, and a text of its sheet replaced."""
    book, plain = openpyxl.Workbook(), io.BytesIO()
    for row in ROWS:
        book.active.append(row)
    book.active["B4"] = CellRichText("fe", TextBlock(InlineFont(b=True), "male"))
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            new.writestr(name, text.replace(*replaced) if "sheet1" in name else text)
        for name, text in dict(parts).items():
            new.writestr(name, text)
    return read_label_file(path)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("xl/drawings/drawing1.xml", DRAWING.format(BOX), "shapes or text boxes"),
        ("xl/threadedComments/threadedComment1.xml", "<a/>", "answers to comments"),
        ("xl/slicers/slicer1.xml", "<a/>", "slicers"),
        ("xl/webextensions/taskpanes.xml", "<a/>", "a part xl/webextensions/taskpanes.xml"),
    ],
)
def test_parts_that_would_be_lost_are_named(tmp_path, name, text, what):
    file = write(tmp_path / "labels.xlsx", {name: text})
    assert f"is a workbook with {what}, which would be lost if rows" in file.obstacle(["b.jpg"])


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}", "lists of what cells may hold"),
        ("{78C0D931-6437-407d-A8EE-F0AAD7539E65}", "formats that depend on values"),
        ("{05C60535-1F16-4fd2-B633-F4F36F0B64E0}", "sparklines"),
    ],
)
def test_extensions_that_would_be_lost_are_named(tmp_path, uri, what):
    file = write(tmp_path / "labels.xlsx", (), ("</worksheet>", EXTENSION.format(uri)))
    assert f"is a workbook with {what}, which would be lost if rows" in file.obstacle(["b.jpg"])


def test_what_every_program_writes_is_no_obstacle(tmp_path):
    """An empty drawing, as Google Sheets writes it; settings of printers; properties."""
    parts = {
        "xl/drawings/drawing1.xml": DRAWING.format(""),
        "xl/drawings/_rels/drawing1.xml.rels": "<a/>",
        "xl/printerSettings/printerSettings1.bin": "x",
        "docProps/thumbnail.wmf": "x",
        "customXml/item1.xml": "<a/>",
        "docMetadata/LabelInfo.xml": "<a/>",
        "xl/calcChain.xml": "<a/>",
        "xl/metadata.xml": "<a/>",
        "xl/externalLinks/_rels/externalLink1.xml.rels": "<a/>",
    }
    assert write(tmp_path / "labels.xlsx", parts).obstacle(["b.jpg"]) is None


def test_formats_within_a_cell_are_kept(tmp_path):
    path = tmp_path / "labels.xlsx"
    assert write(path).remove(["b.jpg"]) == 1
    sheet = openpyxl.load_workbook(path, rich_text=True).active
    assert [row[0] for row in sheet.values] == ["image", "a.jpg", "c.jpg"]
    assert sheet["B3"].value == CellRichText("fe", TextBlock(InlineFont(b=True), "male"))


def test_numbers_that_a_date_can_not_show_are_an_obstacle(tmp_path):
    """They became a text."""
    book = openpyxl.Workbook()
    for row in (["image", "taken"], ["a.jpg", 20240102], ["b.jpg", 20240103]):
        book.active.append(row)
    book.active["B2"].number_format = "yyyy-mm-dd"
    book.save(tmp_path / "labels.xlsx")
    obstacle = read_label_file(tmp_path / "labels.xlsx").obstacle(["b.jpg"])
    assert "numbers that their format, of a date, can't show, which would be lost" in obstacle
