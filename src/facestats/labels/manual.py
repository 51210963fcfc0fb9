"""The file of labels by hand: merged into in one step, so that it is never half written and no
merge is lost.
"""

from __future__ import annotations

import fcntl
import os
import time
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.core.files import csv_text
from facestats.core.tables import UNKNOWN
from facestats.errors import InputError
from facestats.labels.cells import EMPTY, NONE
from facestats.labels.columns import LABELS, find_columns, key_column
from facestats.labels.csv_text import read_csv
from facestats.labels.excel import SUFFIXES
from facestats.labels.joining import COLUMNS
from facestats.labels.names import PhotoNames

HEADER = ["filename", *COLUMNS]
PATIENCE = 60.0  # seconds for which another merge is waited for
_LOOK_EVERY = 0.1  # seconds
NUMBERS = ("age", "rating")  # columns in which 34 and 34.0 say the same


@dataclass(frozen=True)
class Change:
    """One label of one face; `old` is None where the file said nothing, `changed` is False where it
    said the same.
    """

    filename: str
    column: str
    old: str | None
    new: str

    @property
    def changed(self) -> bool:
        return self.old is None or not _same(self.column, self.old, self.new)


def merge_labels(
    path: Path, said: Mapping[str, Mapping[str, str]], images: Mapping[str, str], write: bool = True
) -> list[Change]:
    """Put labels into the file of labels by hand.

    Other rows, other cells and further columns are kept, as UTF-8 with commas, and with its mark
    where the file had it; a file that is not there is made. Where several rows are about one face,
    those that speak of the column are changed. Merges at the same time wait for each other.

    Parameters
    ----------
    path : CSV file with a column `image` or `filename`; a link to one stays a link.
    said : labels as text, by face, by column.
    images : path of the photo by face, of all faces; rows may call them as people do
        (`PhotoNames`).
    write : False: only say what would change.

    Returns
    -------
    One `Change` a label said, in the order of `said`.

    Raises
    ------
    LabelError
        The file can't be read as such.
    InputError
        The file can't be written, or is an Excel workbook.
    """
    if path.suffix.lower() in SUFFIXES:
        raise InputError(
            f"{path} is an Excel workbook, which can be read but not merged into; save it as CSV "
            "and name that in data.manual_labels"
        )
    path = path.resolve()
    if not write:
        return _merge(path, said, images)[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.parent):
            table, changes = _merge(path, said, images)
            if any(change.changed for change in changes):
                marked = path.exists() and path.read_bytes().startswith(BOM_UTF8)
                replace_file(path, (BOM_UTF8 if marked else b"") + csv_text(table).encode())
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); it is as it was"
        ) from None
    return changes


def _merge(
    path: Path, said: Mapping[str, Mapping[str, str]], images: Mapping[str, str]
) -> tuple[pd.DataFrame, list[Change]]:
    """The merged table as text, and what is different in it."""
    table = read_csv(path)
    table = (
        pd.DataFrame(columns=HEADER, dtype="str") if table is None else table.reset_index(drop=True)
    )
    key = key_column(table, path)
    columns = {
        name: header
        for name, header in find_columns(table.columns, LABELS, path).items()
        if name != "image"
    }
    for column in dict.fromkeys(column for labels in said.values() for column in labels):
        if column not in columns:
            table[column], columns[column] = "", column
    cells: list[dict[str, str]] = table.to_dict("records")
    readings = PhotoNames({*images.values(), *(images.get(name, name) for name in said)}).read_all(
        row[key] for row in cells
    )
    rows: dict[str, list[dict[str, str]]] = {}
    for row in cells:
        rows.setdefault(readings[row[key]].image or row[key], []).append(row)
    changes = []
    for name, labels in said.items():
        image = images.get(name, name)
        if image not in rows:
            row = dict.fromkeys(table.columns, "") | {key: image if key == "image" else name}
            rows[image] = [
                row
                | {
                    name_of: value
                    for name_of, value in (("filename", name), ("image", image))
                    if name_of in row
                }
            ]
            cells += rows[image]
        for column, new in labels.items():
            header = columns[column]
            speaking = [
                row
                for row in rows[image]
                if row[header]
                and row[header].lower() != UNKNOWN
                and row[header] not in EMPTY | NONE
            ]
            changes.append(Change(name, column, speaking[0][header] if speaking else None, new))
            if changes[-1].changed:
                for row in speaking or rows[image][:1]:
                    row[header] = new
    return pd.DataFrame(cells, columns=table.columns, dtype="str"), changes


def _same(column: str, old: str, new: str) -> bool:
    return old == new or (
        column in NUMBERS
        and pd.to_numeric(old, errors="coerce") == pd.to_numeric(new, errors="coerce")
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for other merges: a lock on the folder, for the file itself is replaced; the system
    frees it with the process.

    Raises
    ------
    InputError
        Somebody has held it for a minute: no merge takes so long, and who may read the folder can
        hold it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(int(PATIENCE / _LOOK_EVERY) + 1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_LOOK_EVERY)
        else:
            raise InputError(
                f"{folder} has been locked by another process for {PATIENCE:g} s; end it (`fuser "
                f"-v {folder}` names it), then try again"
            )
        yield
        os.fsync(descriptor)  # the rename, too, is on the disk
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write beside the file, bring it to the disk, rename: at any moment the name leads to the old
    or the new whole.
    """
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # be it a link to somewhere else
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
