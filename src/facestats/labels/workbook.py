"""The sheets of an Excel workbook as text, read within the process that `labels.excel` limits."""

from __future__ import annotations

import io
import math
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

from facestats.errors import LabelError, number_of
from facestats.machine.faults import fault, is_fault, is_passing

# What openpyxl says of what it does not keep, and what a user calls it.
EXTENSIONS = {
    "Conditional Formatting extension": "formats that depend on values",
    "Data Validation extension": "lists of what cells may hold",
    "Sparkline Group extension": "sparklines",
    "Slicer List extension": "slicers",
    "is marked as a date": "numbers that their format, of a date, can't show",
}
MOST_BYTES = 500_000_000  # of a workbook unpacked; memory holds it many times over
FREE_BYTES, MOST_PACKED = 10_000_000, 100  # above so many bytes, how often a file may unpack
MOST_LETTERS = 100_000_000  # of all cells together, which may share a text
FREE_LETTERS, LETTERS_PER_BYTE = 20_000_000, 20  # of a smaller file
MOST_CELLS = 10_000_000  # of all sheets from the first to the last; memory holds empty ones, too
# With merged cells or formulas, above so many, and so many times those that the file names.
FREE_CELLS, SPARSE = 1_000_000, 4
AREAS, PLACES = 3, 20  # merged areas, and rows or columns, in a message
MOST_MERGED = 200_000  # cells in merged areas, and areas
LAST_ROW, LAST_COLUMN = 1_048_576, 16_384  # of a sheet


@dataclass
class Cells:
    """The cells of a sheet as text.

    Attributes
    ----------
    title : str
    visible : bool
    rows : list of list of str
        Merged cells that are part of a table have the value that they show.
    merged : list of str
        Such areas, by name.
    """

    title: str
    visible: bool
    rows: list[list[str]]
    merged: list[str] = field(default_factory=list)


class Workbook:
    """A workbook's sheets as text.

    Only one with merged cells is held in memory as a whole.

    Parameters
    ----------
    data : bytes
    path : Path
        Its name, for messages.

    Attributes
    ----------
    sheets : list of Cells

    Raises
    ------
    LabelError
        It can't be opened, or takes much time or memory.
    """

    def __init__(self, data: bytes, path: Path):
        self._data, self._path = data, path
        self._special = survey(data, path)
        book = _open(data, path, read_only=not self._special.merged, data_only=True)
        self.sheets = []
        percent = any(map(_is_percent, _formats(book)))
        letters, most = 0, min(MOST_LETTERS, FREE_LETTERS + LETTERS_PER_BYTE * len(data))
        for sheet in book.worksheets:
            rows: list[list[str]] = []
            for row in self._rows(sheet, values_only=not percent):
                cells = [shown_text(cell) if percent else cell_text(cell) for cell in row]
                letters += sum(map(len, cells))
                if letters > most:  # thousands of cells may share one stored text
                    raise _too_large(path, letters, f": more than {most} letters")
                # Rows without a value take no memory where no formula or merged cell needs them.
                rows.append(cells if self._special.any or any(cells) else [])
            visible = sheet.sheet_state == "visible"
            self.sheets.append(Cells(sheet.title, visible, rows, self._fill(sheet, rows)))

    def _rows(self, sheet: Any, values_only: bool) -> Iterator[Any]:
        if hasattr(sheet, "reset_dimensions"):
            sheet.reset_dimensions()  # some programs write wrong ones
        rows = sheet.iter_rows(values_only=values_only)
        while True:
            try:
                row = next(rows, None)
            except Exception as error:  # read-only sheets are parsed here
                if is_passing(error):
                    raise fault(self._path, error) from None
                raise _damaged(self._path, error) from None
            if row is None:
                return
            yield row

    def _fill(self, sheet: Any, rows: list[list[str]]) -> list[str]:
        """Fill the merged cells of a table; the areas."""
        if not self._special.merged:
            return []
        merged = [area for area in sheet.merged_cells.ranges if _spreads(area, rows)]
        for area in merged:
            value = rows[area.min_row - 1][area.min_col - 1]
            for row in rows[area.min_row - 1 : area.max_row]:
                row[area.min_col - 1 : area.max_col] = [value] * (area.max_col - area.min_col + 1)
        return sorted(area.coord for area in merged)

    def notes(self, sheets: Iterable[Cells]) -> list[str]:
        """Say which merged cells of some of its sheets were filled."""
        places = [place for sheet in sheets for place in sheet.merged]
        return (
            [
                f"{self._path.name}: the value of merged cells counts for each cell that they "
                f"cover: {', '.join(places[:AREAS])}{', …' if len(places) > AREAS else ''}"
            ]
            if places
            else []
        )

    def refuse_empty_formulas(self, sheets: Iterable[Cells]) -> None:
        """Raise a `LabelError` if a formula of some of its sheets has no stored value."""
        if not self._special.formulas:
            return
        read_only = not self._special.merged
        book = _open(self._data, self._path, read_only=read_only, data_only=False)
        for sheet in sheets:
            empty = [
                cell
                for row in self._rows(book[sheet.title], values_only=False)
                for cell in row
                if cell.data_type == "f" and sheet.rows[cell.row - 1][cell.column - 1] == ""
            ]
            if empty:
                have = "has" if len(empty) == 1 else "have"
                raise LabelError(
                    f"{self._path}, row {empty[0].row}: {number_of(len(empty), 'formula')} {have} "
                    f"no stored value, the first in cell {empty[0].coordinate}; open the file in a "
                    "spreadsheet, save it, and run again"
                )


def _spreads(area: Any, rows: list[list[str]]) -> bool:
    """Whether merged cells are part of a table, not a title alone in its row."""
    row = rows[area.min_row - 1]
    beside = row[: area.min_col - 1] + row[area.max_col :]
    return area.max_row > area.min_row or any(beside)


def without(
    data: bytes, path: Path, rows: Collection[int] = (), columns: Collection[int] = ()
) -> bytes:
    """The workbook without these rows and columns of a sheet; see `excel.without_rows`."""
    title = choose(Workbook(data, path).sheets, path).title
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        book = _open(data, path, read_only=False, data_only=False, rich_text=True)
    sheet, special = book[title], survey(data, path)
    kind, places = ("rows", sorted(rows)) if rows else ("columns", sorted(columns))
    shown = ", ".join(map(str, places[:PLACES])) + ", …" * (len(places) > PLACES)
    instead = (
        f"if {kind} were removed here; remove the {kind} {shown} in a spreadsheet, or save it as "
        "CSV, then give the same command with --allow-missing"
    )
    messages = {str(warning.message) for warning in warned}
    if lost := [what for sign, what in EXTENSIONS.items() if any(sign in m for m in messages)]:
        raise LabelError(
            f"{path} is a workbook with {' and '.join(lost)}, which would be lost {instead}"
        )
    # openpyxl moves cells, and leaves what names them by their place.
    left = ["merged cells"] * bool(sheet.merged_cells.ranges) + ["formulas"] * special.formulas
    left += ["Excel tables"] * _moves_a_table(sheet, rows, columns)
    if left:
        raise LabelError(
            f"{path} is a workbook with {' and '.join(left)}, which would belong to other cells "
            f"{instead}"
        )
    for row in sorted(rows, reverse=True):
        sheet.delete_rows(row)
        _move_up(sheet, row)
    for column in sorted(columns, reverse=True):
        sheet.delete_cols(column)
    for cell in (cell for row in sheet.iter_rows() for cell in row if cell.hyperlink):
        cell.hyperlink.ref = cell.coordinate
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _moves_a_table(sheet: Any, rows: Collection[int], columns: Collection[int]) -> bool:
    """Whether the headers or totals of an Excel table would no longer stand where it says."""
    from openpyxl.utils import range_boundaries

    for table in sheet.tables.values():
        _, top, right, bottom = (end or 0 for end in range_boundaries(table.ref))
        end = bottom if table.totalsRowCount else top
        if any(row <= end for row in rows) or any(column <= right for column in columns):
            return True
    return False


def _move_up(sheet: Any, removed: int) -> None:
    """Bring heights of rows, and whether they are hidden, to where the rows are now."""
    kept = {
        row - (row > removed): facts
        for row, facts in sheet.row_dimensions.items()
        if row != removed
    }
    sheet.row_dimensions.clear()
    for row, facts in sorted(kept.items()):
        facts.index = row
        sheet.row_dimensions[row] = facts


class Special(NamedTuple):
    """What a workbook has beside plain cells."""

    merged: bool
    formulas: bool

    @property
    def any(self) -> bool:
        return self.merged or self.formulas


def survey(data: bytes, path: Path) -> Special:
    """Look through a workbook's parts before a slower reader meets them.

    Returns
    -------
    Special

    Raises
    ------
    LabelError
        The file is not a workbook, or one that takes much time or memory.
    """
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise LabelError(
            f"{path} has a password, or is an .xls under another name; save it without a password "
            "as .xlsx or `CSV UTF-8`"
        )
    counts = _Survey(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            size = sum(part.file_size for part in parts.infolist())
            if size > min(MOST_BYTES, FREE_BYTES + MOST_PACKED * len(data)):
                raise _too_large(path, size)
            # A sheet may lie anywhere, and every one has to be checked for its size.
            for name in parts.namelist():
                counts.add(parts.read(name))
    except LabelError:
        raise
    except Exception as error:  # zlib, bz2 and lzma have errors of their own
        if is_fault(error):
            raise fault(path, error) from None
        raise _damaged(path, error) from None
    counts.check_whole()
    return Special(counts.merged > 0, counts.formulas)


class _Survey:
    """Counts what the parts of a workbook hold, before a slower reader meets it."""

    def __init__(self, path: Path):
        self.path, self.formulas = path, False
        self.cells = self.area = self.merged = 0
        self.largest = 0, 0

    def add(self, part: bytes) -> None:
        """Count the elements of a part.

        Raises
        ------
        LabelError
            A reference is none that a spreadsheet writes, cells are so far apart that those between
            them would fill the memory, or merged areas are larger than labels need.
        """
        row = column = bottom = right = cells = 0
        root = ""

        def look(name: str, values: dict[str, str]) -> None:
            nonlocal row, column, bottom, right, cells, root
            kind = name.rpartition(" ")[2]
            root = root or kind
            if root != "worksheet":  # the list of formulas has cells, too
                return
            if kind == "row":
                row, column = self._row(values.get("r"), row + 1), 0
            elif kind == "c":
                column, row = self._place(values["r"]) if "r" in values else (column + 1, row)
                cells += 1
            elif kind == "mergeCell":
                ends = [self._place(end) for end in values.get("ref", "").split(":", 1)]
                bottom = max(bottom, *(end[1] for end in ends))
                right = max(right, *(end[0] for end in ends))
                self.merged += 1 + math.prod(
                    abs(a - b) + 1 for a, b in zip(ends[0], ends[-1], strict=True)
                )
            self.formulas = self.formulas or kind == "f"
            bottom, right = max(bottom, row), max(right, column)
            if self.area + bottom * max(right, 1) > MOST_CELLS:
                raise self._far(bottom, right)
            if self.merged > MOST_MERGED:
                raise LabelError(
                    f"{self.path} has merged areas of more than {MOST_MERGED} cells; unmerge them, "
                    "or save the sheet as `CSV UTF-8`"
                )

        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = look
        with suppress(expat.ExpatError):  # no XML, or damaged: reading the sheets reports it
            parser.Parse(part, True)
        if cells > bottom * max(right, 1):
            raise LabelError(f"{self.path} names a cell twice; save the sheet as `CSV UTF-8`")
        self.cells += cells
        self.area += bottom * max(right, 1)
        self.largest = max(self.largest, (bottom, right), key=math.prod)

    def check_whole(self) -> None:
        """Refuse what is too sparse to be loaded whole: empty cells take as much as others."""
        if (self.merged or self.formulas) and self.area > max(FREE_CELLS, SPARSE * self.cells):
            raise self._far(*self.largest)

    def _place(self, reference: str) -> tuple[int, int]:
        """Column and row of a cell, from 1: openpyxl takes `A1_0` and `a10` for `A10`."""
        match = re.fullmatch(r"([A-Z]{1,3})([1-9][0-9]{0,6})", reference)
        column = 0
        for letter in match[1] if match else "":
            column = 26 * column + ord(letter) - ord("A") + 1
        if match is None or column > LAST_COLUMN:
            raise self._no_reference(reference)
        return column, self._row(match[2], 0)

    def _row(self, text: str | None, otherwise: int) -> int:
        if text is None:
            return otherwise
        if re.fullmatch("[1-9][0-9]{0,6}", text) is None or int(text) > LAST_ROW:
            raise self._no_reference(text)
        return int(text)

    def _no_reference(self, text: str) -> LabelError:
        return LabelError(
            f"{self.path} names a row or cell {text[:20]!a}, which no sheet has; open it in a "
            "spreadsheet and save it again, as .xlsx or `CSV UTF-8`"
        )

    def _far(self, bottom: int, right: int) -> LabelError:
        return LabelError(
            f"{self.path} has a sheet of {bottom} rows and {right} columns; remove the rows and "
            "columns behind the last label, or save it as `CSV UTF-8`"
        )


def _open(
    data: bytes, path: Path, read_only: bool, data_only: bool, rich_text: bool = False
) -> Any:
    import openpyxl

    try:
        return openpyxl.load_workbook(
            io.BytesIO(data),
            read_only=read_only,
            data_only=data_only,
            rich_text=rich_text,
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


def _too_large(path: Path, size: int, why: str = "") -> LabelError:
    return LabelError(
        f"{path} is unusually large unpacked, {size // 1_000_000} MB{why}; save its sheet as "
        "`CSV UTF-8`"
    )


def choose(sheets: Iterable[Cells], path: Path) -> Cells:
    """The sheet with the labels."""
    filled = {sheet.title: sheet for sheet in sheets if any(map(any, sheet.rows))}
    named = [title for title in filled if title.strip().casefold() == path.stem.strip().casefold()]
    visible = [title for title in filled if filled[title].visible]
    for choice in (named, list(filled), visible):
        if len(choice) == 1:
            return filled[choice[0]]
    if not filled:
        raise LabelError(f"{path} is empty; its first row must name the columns")
    raise LabelError(
        f"{path} has several sheets: {', '.join(map(repr, filled))}; call the one to read "
        f"{path.stem!r}, or remove the others"
    )


def _formats(book: Any) -> Iterator[str]:
    """The number formats that the cells of a workbook may have."""
    from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE

    for style in book._cell_styles:
        own = style.numFmtId - BUILTIN_FORMATS_MAX_SIZE
        yield book._number_formats[own] if own >= 0 else BUILTIN_FORMATS.get(style.numFmtId, "")


def _is_percent(number_format: str) -> bool:
    """Whether a number is shown times 100; a sign in quotes or behind a backslash is text."""
    return "%" in re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", number_format)


def shown_text(cell: Any) -> str:
    """A cell as it would stand in a CSV file that a spreadsheet writes: 0.7 as 70%, if shown so."""
    number = isinstance(cell.value, (int, float)) and not isinstance(cell.value, bool)
    if number and _is_percent(cell.number_format):
        return f"{cell_text(float(f'{cell.value * 100:.15g}'))}%"
    return cell_text(cell.value)


def cell_text(value: Any) -> str:
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
