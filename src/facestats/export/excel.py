"""A workbook without a formula: one sheet of the table, one of the codebook."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from facestats.core.files import with_apostrophe, write_bytes
from facestats.errors import InputError

MOST_ROWS = 1_048_575  # below the header line
MOST_COLUMNS = 16_384
LONGEST = 32_767  # characters of a cell


def check_fits(rows: int, columns: int) -> None:
    """Check that a table fits on a sheet.

    Raises
    ------
    InputError
        It has more rows or columns than Excel allows.
    """
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        raise InputError(
            f"the table has {rows:,} rows and {columns:,} columns, an Excel sheet at most "
            f"{MOST_ROWS:,} and {MOST_COLUMNS:,}; export CSV: --formats csv"
        )


def write_workbook(path: Path, sheets: dict[str, pd.DataFrame]) -> None:
    """Write tables as sheets, header lines fixed, row by row; texts are never formulas.

    Parameters
    ----------
    path : Path
    sheets : dict of str to DataFrame
        By name of the sheet.
    """
    workbook = Workbook(write_only=True)
    for name, table in sheets.items():
        sheet = workbook.create_sheet(name)
        sheet.freeze_panes = "B2"
        header = [_text(sheet, str(column)) for column in table]
        for cell in header:
            cell.font = Font(bold=True)
        sheet.append(header)
        for row in table.itertuples(index=False, name=None):
            sheet.append([_cell(sheet, value) for value in row])
    # Where the disk is full, `save` leaves its file to Python, which closes it with a traceback.
    content = io.BytesIO()
    workbook.save(content)
    write_bytes(path, content.getvalue())


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, str):
        return _text(sheet, value)
    if pd.isna(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _text(sheet: Any, text: str) -> Any:
    """A cell of text: as in CSV files, and of a type that no spreadsheet takes for a formula."""
    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", str(with_apostrophe(text)))
    cell = WriteOnlyCell(sheet, text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
    cell.data_type = "s"
    return cell
