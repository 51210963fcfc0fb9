"""CSV files that people write: read as text, so that an error can name file, line, column and value."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.errors import LabelError


def read_csv(path: Path) -> pd.DataFrame | None:
    """All cells as stripped text, empty ones as ''; the index is each record's line in the file.

    Short records are filled up with empty cells. Cells are separated by commas; by semicolons, as spreadsheets write
    them in some countries, where the header line has those and no comma. None where there is no file.

    Raises
    ------
    LabelError
        Not UTF-8, no header line, a column named twice, or lines with more cells than the header has.
    """
    if not path.exists():
        if path.is_symlink():
            raise LabelError(f"{path} is a link to nothing; mend the link or remove it")
        return None
    if path.is_dir():
        raise LabelError(f"{path} is a folder, expected a CSV file")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabelError(f"{path}, line {line}: not UTF-8 (byte {data[error.start]:#04x}); "
                         "save the file as UTF-8, in a spreadsheet as `CSV UTF-8`") from None
    rows = list(io.StringIO(text, newline=""))
    header = next((row for row in rows if row.strip()), "")
    separator = ";" if ";" in header and "," not in header else ","
    reader = csv.reader(rows, delimiter=separator, strict=True)
    records, lines = [], []
    try:
        for record in reader:
            if record:
                records.append([cell.strip() for cell in record])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: {error}") from None
    if not records:
        raise LabelError(f"{path} is empty; its first line must name the columns")
    header = records.pop(0)
    lines.pop(0)
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise LabelError(f"{path}: the column {min(repeated)!r} stands twice in the header line")
    too_long = [f"{path}, line {line}: {len(record)} cells, but the header has {len(header)}; "
                f"put a value with a {'comma' if separator == ',' else 'semicolon'} into quotes"
                for record, line in zip(records, lines, strict=True) if len(record) > len(header)]
    if too_long:
        raise LabelError("\n".join(too_long))
    records = [record + [""] * (len(header) - len(record)) for record in records]
    return pd.DataFrame(records, columns=header, index=lines, dtype="str")


def cell_error(path: Path, line: int, column: str, value: str, expected: str) -> LabelError:
    """The error for one cell."""
    return LabelError(f"{path}, line {line}, column {column}: found {value!r}, expected {expected}")


def numbers(text: pd.Series, path: Path, low: float = -np.inf, high: float = np.inf) -> pd.Series:
    """Cells as float64, empty ones as NaN.

    Raises
    ------
    LabelError
        The first cell that is no finite number in [low, high].
    """
    values = pd.to_numeric(text.mask(text == ""), errors="coerce").astype("float64")
    wrong = ((text != "") & ~np.isfinite(values)) | (values < low) | (values > high)
    if wrong.any():
        line = wrong.idxmax()
        span = "a number" if np.isinf(low) else f"a number from {low:g} to {high:g}"
        raise cell_error(path, line, text.name, text[line], f"{span}, or nothing where it is unknown")
    return values


def refuse_contradictions(frame: pd.DataFrame, key: str, shown: pd.Series, path: Path) -> None:
    """Refuse a key that stands in several records with different values; empty cells contradict nothing.

    Raises
    ------
    LabelError
        Names the first record that contradicts an earlier one.
    """
    twice = frame[frame.duplicated(key, keep=False)]
    for column in twice.columns.drop(key):
        given = twice.dropna(subset=column)
        first = given.groupby(key)[column].transform("first")
        conflict = given.index[given[column] != first]
        if len(conflict):
            line = conflict[0]
            raise cell_error(path, line, column, str(given.loc[line, column]),
                             f"{first[line]!s} as on an earlier line for {shown[line]}, or one of the two lines removed")
