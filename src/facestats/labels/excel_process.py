"""The process that reads workbooks for `labels.excel`."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from facestats.errors import FaultError, LabelError
from facestats.labels.workbook import Workbook, choose, without
from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import is_own_limit


def main(seconds: float, memory: float) -> None:
    """Read workbooks until there are no more."""

    def answer(head: dict[str, Any], data: bytearray) -> Message:
        try:
            return _answer(head, bytes(data))
        except LabelError as error:
            return {"error": str(error)}, b""
        except FaultError as error:
            if error.errno == errno.ENOMEM and is_own_limit(int(memory)):
                return {"over": "memory"}, b""
            return {"fault": str(error), "errno": error.errno}, b""
        except MemoryError:
            if not is_own_limit(int(memory)):
                raise
            return {"over": "memory"}, b""
        except RecursionError:
            return {"over": "depth"}, b""

    answer_calls(answer, seconds, memory)


def _answer(head: dict[str, Any], data: bytes) -> Message:
    path = Path(head["path"])
    if head["task"] == "without":
        return {}, without(data, path, head["rows"], head["columns"])
    book = Workbook(data, path)
    del data
    if head["task"] == "labels":
        chosen = choose(book.sheets, path)
        book.refuse_empty_formulas([chosen])
        return {"rows": chosen.rows, "notes": book.notes([chosen])}, b""
    book.refuse_empty_formulas(book.sheets)
    sheets = {sheet.title: sheet.rows for sheet in book.sheets}
    return {"sheets": sheets, "notes": book.notes(book.sheets)}, b""
