"""Excel workbooks that people keep labels in, read as text like CSV files.

A workbook of 20 kB can take its reader gigabytes, or hours. So it is read in a process that ends at
the limits of time and memory.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from facestats.errors import FaultError, LabelError
from facestats.labels.csv_text import as_sheet
from facestats.labels.sheet import Sheet
from facestats.machine.child import Children
from facestats.machine.limits import CrashError, Limits, OverLimitError

LIMITS = Limits(120, 2 << 30)  # of one workbook; half a million cells took 14 s and 0.1 GB
_children = Children("facestats.labels.excel_process", LIMITS, "a workbook")


def read_excel(path: Path) -> Sheet:
    """Read the sheet with the labels as text.

    It is the only sheet that holds anything, or the one that is called like the file. Formulas
    count with the value that Excel stored, merged cells with the value that they show, hidden rows
    like others.

    Raises
    ------
    LabelError
        The workbook can't be opened, takes more than `LIMITS`, it is not clear which sheet is
        meant, a formula has no stored value, or what `as_sheet` raises.
    """
    answer, _ = _ask(path, path.read_bytes(), {"task": "labels"})
    rows = answer["rows"]
    sheet = as_sheet(
        rows,
        list(range(1, len(rows) + 1)),
        path,
        "remove what stands to the right of the header's last column",
    )
    sheet.notes[:0] = answer["notes"]
    return sheet


class Book(NamedTuple):
    """A workbook's sheets.

    Attributes
    ----------
    sheets : dict of str to list of list of str
        Rows of each sheet, by its title.
    notes : list of str
        Which merged cells were filled.
    """

    sheets: dict[str, list[list[str]]]
    notes: list[str]


def read_sheets(data: bytes, path: Path) -> Book:
    """Read all sheets as text; `path` is the workbook's name in messages.

    Raises
    ------
    LabelError
        It can't be opened, takes more than `LIMITS`, or a formula has no stored value.
    """
    answer, _ = _ask(path, data, {"task": "sheets"})
    return Book(answer["sheets"], answer["notes"])


def without_rows(path: Path, rows: Collection[int] = (), columns: Collection[int] = ()) -> bytes:
    """The workbook without these rows and columns (from 1) of the sheet that `read_excel` reads.

    What openpyxl can't keep, such as charts, is lost.
    """
    task = {"task": "without", "rows": list(rows), "columns": list(columns)}
    return bytes(_ask(path, path.read_bytes(), task)[1])


def _ask(path: Path, data: bytes, task: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The answer to a task, and its bytes."""
    try:
        answer, body = _children.call({"path": str(path), **task}, data)
    except (OverLimitError, CrashError) as error:
        raise _over(path, str(error)) from None
    if "over" in answer:
        raise _over(path, answer["over"])
    if "fault" in answer:
        stopping = FaultError(answer["fault"])
        stopping.errno = answer["errno"]
        raise stopping
    if "error" in answer:
        raise LabelError(answer["error"])
    return answer, body


def _over(path: Path, reason: str) -> LabelError:
    return LabelError(
        f"{path} takes more than {LIMITS.seconds} s of a processor or {LIMITS.memory >> 30} GB of "
        f"memory, or ends what reads it ({reason}); save its sheet as `CSV UTF-8`"
    )
