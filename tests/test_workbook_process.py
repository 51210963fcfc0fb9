"""Workbooks of strangers that take their reader gigabytes or minutes: a process of its own ends."""

import io
import zipfile
from pathlib import Path

import pytest

from facestats.errors import LabelError
from facestats.labels import excel
from facestats.machine.child import Children
from facestats.machine.limits import Limits
from label_files import workbook

LIMITS = Limits(2, 1 << 28)


@pytest.fixture(scope="module")
def small_limits():
    children = Children("facestats.labels.excel_process", LIMITS, "a workbook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(excel, "LIMITS", LIMITS)
        patch.setattr(excel, "_children", children)
        yield
    children.close()


def bomb(part: str, changes: dict[bytes, bytes]) -> bytes:
    """A workbook with merged cells, which is read as a whole; with a part's texts replaced."""
    plain, changed = io.BytesIO(), io.BytesIO()
    book = workbook({"labels": [["image", "age"], ["00.jpg", 30], ["01.jpg", None]]})
    book.active.merge_cells("B2:B3")
    book.save(plain)
    with (
        zipfile.ZipFile(plain) as parts,
        zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in parts.namelist():
            text = parts.read(name)
            for old, new in changes.items() if name == part else ():
                assert old in text
                text = text.replace(old, new)
            archive.writestr(name, text)
    return changed.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
LINK = b'<hyperlinks><hyperlink ref="A1:XFD1048576" location="A1"/></hyperlinks>'
FORMAT = b'<numFmts count="1"><numFmt numFmtId="200" formatCode="%b"/></numFmts>' % (b"[" * 400_000)
FORMULA = b'<row r="4"><c r="C4"><f t="shared" si="0" ref="C4:C3000">%b1</f><v>1</v></c></row>' % (
    b"A1+" * 5000
)
SAME = b'<row r="%d"><c r="C%d"><f t="shared" si="0"/><v>1</v></c></row>'
END = b"</sheetData>"
BOMBS = {
    "a link over all cells": lambda: bomb(SHEET, {b"</mergeCells>": b"</mergeCells>" + LINK}),
    "a number's format": lambda: bomb(
        "xl/styles.xml", {b'<numFmts count="0" />': FORMAT, b'numFmtId="0"': b'numFmtId="200"'}
    ),
    "a long formula that cells share": lambda: bomb(
        SHEET, {END: FORMULA + b"".join(SAME % (row, row) for row in range(5, 3000)) + END}
    ),
}


@pytest.mark.long
@pytest.mark.first_cases(1)
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_a_workbook_that_takes_too_much_is_named(tmp_path, small_limits, data):
    path = tmp_path / "labels.xlsx"
    path.write_bytes(data())
    assert path.stat().st_size < 100_000
    with pytest.raises(LabelError, match=r"labels\.xlsx takes more than 2 s .*save its sheet as"):
        excel.read_excel(path)


@pytest.mark.long
def test_the_process_goes_on_with_the_next_workbook(tmp_path, small_limits):
    path = tmp_path / "labels.xlsx"
    workbook({"labels": [["image", "age"], ["00.jpg", 30]]}).save(path)
    assert excel.read_excel(path).table["age"].tolist() == ["30"]
    assert excel.read_sheets(path.read_bytes(), Path("x")).sheets == {
        "labels": [["image", "age"], ["00.jpg", "30"]]
    }


def test_no_process_is_started_for_a_csv_file(tmp_path, monkeypatch):
    from facestats.labels.files import read_sheet

    monkeypatch.setattr(excel, "_children", None)
    path = tmp_path / "labels.csv"
    path.write_text("image,age\n00.jpg,30\n")
    sheet = read_sheet(path)
    assert sheet is not None
    assert sheet.table["age"].tolist() == ["30"]
