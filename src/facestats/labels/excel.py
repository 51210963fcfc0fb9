"""Excel workbooks that people keep labels in, read as text like CSV files."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.csv_text import as_frame
from facestats.machine.faults import fault, is_passing

SUFFIXES = (".xlsx", ".xlsm")
MOST_BYTES = 500_000_000  # of a workbook unpacked; it is held in memory many times over
MOST_CELLS = (
    10_000_000  # from the first to the last of a sheet, empty ones as well: all of them are held
)


def read_excel(path: Path) -> pd.DataFrame:
    """All cells of a workbook's sheet as text, empty ones as ''; the index is the row's number in
    the sheet.

    The sheet is the only one that holds anything, or the one that is called like the file. Formulas
    count with the value that Excel stored; merged cells with the value that they show; hidden rows
    like others. `attrs["notes"]` is as `read_csv` gives it.

    Raises
    ------
    LabelError
        It can't be opened, it is not clear which sheet is meant, a formula has no stored value, or
        what `as_frame` raises.
    """
    marked = _marks(path)
    book = _open(path, read_only=not marked, data_only=True)
    sheet, rows = _choose(book, path)
    notes = []
    if marked and (merged := sheet.merged_cells.ranges):
        for area in merged:
            value = rows[area.min_row - 1][area.min_col - 1]
            for row in rows[area.min_row - 1 : area.max_row]:
                row[area.min_col - 1 : area.max_col] = [value] * (area.max_col - area.min_col + 1)
        notes.append(f"{path.name}: {len(merged)} merged cells count for each row that they cover")
    if marked:
        formulas = _open(path, read_only=False, data_only=False)[sheet.title]
        lacking = [
            cell
            for row in formulas.iter_rows()
            for cell in row
            if cell.data_type == "f" and rows[cell.row - 1][cell.column - 1] == ""
        ]
        if lacking:
            raise LabelError(
                f"{path}, row {lacking[0].row}: {len(lacking)} formulas have no stored value, the "
                f"first in cell {lacking[0].coordinate}; open the file in a spreadsheet, save it, "
                "and run again"
            )
    frame = as_frame(
        rows,
        list(range(1, len(rows) + 1)),
        path,
        "remove what stands to the right of the header's last column",
    )
    frame.attrs["notes"] = [*notes, *frame.attrs["notes"]]
    return frame


def without_rows(path: Path, rows: Collection[int] = (), columns: Collection[int] = ()) -> bytes:
    """The workbook without these rows and columns (from 1) of the sheet that `read_excel` reads;
    what openpyxl can't keep, such as charts, goes.
    """
    book = _open(path, read_only=False, data_only=False)
    sheet, _ = _choose(_open(path, read_only=False, data_only=True), path)
    for row in sorted(rows, reverse=True):
        book[sheet.title].delete_rows(row)
    for column in sorted(columns, reverse=True):
        book[sheet.title].delete_cols(column)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _marks(path: Path) -> bool:
    """Whether the workbook has merged cells or formulas, which need more than reading from top to
    bottom.

    Raises
    ------
    LabelError
        It is no workbook, or a monstrous one.
    """
    data = path.read_bytes()
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise LabelError(
            f"{path} is protected by a password, or an .xls under another name; save it without a "
            "password as .xlsx or `CSV UTF-8`"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > MOST_BYTES:
                raise _too_large(path)
            marked = [
                _survey(parts.read(name), path) for name in parts.namelist()
            ]  # a sheet may lie anywhere
            return any(marked)
    except LabelError:
        raise
    except Exception as error:  # zlib, bz2 and lzma have errors of their own
        raise _damaged(path, error) from None


def _survey(part: bytes, path: Path) -> bool:
    """Whether a part of a workbook has merged cells or formulas.

    Raises
    ------
    LabelError
        It names cells so far off that those in between would fill the memory.
    """
    marked, row, column, bottom, right = False, 0, 0, 0, 0

    def look(name: str, values: dict[str, str]) -> None:
        nonlocal marked, row, column, bottom, right
        kind = name.rpartition(" ")[2]
        if kind == "row":
            row, column = _number(values.get("r", ""), row + 1), 0
        elif kind == "c":
            letters, digits = _place(values.get("r", ""))
            row, column = digits or row, letters or column + 1
        elif kind == "mergeCell":
            ends = [_place(end) for end in values.get("ref", "").split(":")]
            bottom, right = (
                max(bottom, *(end[1] for end in ends)),
                max(right, *(end[0] for end in ends)),
            )
        marked = marked or kind in ("f", "mergeCell")
        bottom, right = max(bottom, row), max(right, column)
        if bottom * max(right, 1) > MOST_CELLS:
            raise LabelError(
                f"{path} has a sheet that reaches down to row {bottom} and right to column "
                f"{right}; remove the rows and columns behind the last label, or save it as `CSV "
                "UTF-8`"
            )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = look
    with suppress(expat.ExpatError):  # no XML, or damaged: what reads the sheets says so
        parser.Parse(part, True)
    return marked


def _place(reference: str) -> tuple[int, int]:
    """Column and row of a reference such as `$AB12`, from 1; 0 where it names none."""
    match = re.fullmatch(r"\$?([A-Za-z]{0,7})\$?(\d*)", reference)
    column = 0
    for letter in match[1].upper() if match else "":
        column = 26 * column + ord(letter) - ord("A") + 1
    return column, _number(match[2], 0) if match else 0


def _number(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"\d{1,18}", text) else otherwise


def _open(path: Path, read_only: bool, data_only: bool) -> Any:
    import openpyxl

    try:
        return openpyxl.load_workbook(
            io.BytesIO(path.read_bytes()),
            read_only=read_only,
            data_only=data_only,
            keep_vba=not read_only and path.suffix.lower() == ".xlsm",
        )
    except Exception as error:  # whatever the parser meets in a damaged part
        if is_passing(error):
            raise fault(path, error) from None
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> LabelError:
    return LabelError(
        f"{path} can't be read as an Excel workbook ({type(error).__name__}: {error}); open it in "
        "a spreadsheet and save it again, as .xlsx or `CSV UTF-8`"
    )


def _too_large(path: Path) -> LabelError:
    return LabelError(
        f"{path} is larger than {MOST_BYTES // 1_000_000} MB unpacked; save its sheet as `CSV "
        "UTF-8`"
    )


def _choose(book: Any, path: Path) -> tuple[Any, list[list[str]]]:
    """The sheet with the labels, and its cells."""
    filled, letters = {}, 0
    for sheet in book.worksheets:
        if hasattr(sheet, "reset_dimensions"):
            sheet.reset_dimensions()  # some programs write wrong ones
        try:
            rows = []
            for row in sheet.iter_rows(values_only=True):
                rows.append([_text(value) for value in row])
                letters += sum(map(len, rows[-1]))
                if letters > MOST_BYTES:  # thousands of cells may show one stored text
                    raise _too_large(path)
        except LabelError:
            raise
        except Exception as error:  # read-only sheets are parsed here
            if is_passing(error):
                raise fault(path, error) from None
            raise _damaged(path, error) from None
        if any(map(any, rows)):
            filled[sheet.title] = (sheet, rows)
    named = [title for title in filled if title.strip().casefold() == path.stem.strip().casefold()]
    visible = [title for title in filled if filled[title][0].sheet_state == "visible"]
    for choice in (named, list(filled), visible):
        if len(choice) == 1:
            return filled[choice[0]]
    if not filled:
        raise LabelError(f"{path} is empty; its first row must name the columns")
    raise LabelError(
        f"{path} has several sheets: {', '.join(map(repr, filled))}; call the one to read "
        f"{path.stem!r}, or remove the others"
    )


def _text(value: Any) -> str:
    """A cell as it would stand in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value).strip()
