"""Taking the lines about photos out of label files."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.core.files import write_bytes
from facestats.errors import InputError, LabelError
from facestats.labels.cells import MAX_AGE, Mistakes, numbers, without_empty
from facestats.labels.columns import IMAGE, LABELS, find_columns, key_column, names_photo
from facestats.labels.csv_text import WORKBOOKS, without_columns, without_records
from facestats.labels.excel import without_rows
from facestats.labels.files import STEMS, find_label_file, read_sheet
from facestats.labels.manual import alone, replace_file
from facestats.labels.wide_ratings import photo_parts
from facestats.machine.output import one_line

# Parts of a workbook that openpyxl loses, by what a user sees of them.
_LOST = {
    "charts": "xl/charts/",
    "pictures": "xl/media/",
    "pivot tables": "xl/pivotTables/",
    "queries": "xl/queryTables/",
    "form controls": "xl/ctrlProps/",
    "slicers": "xl/slicers/",
    "answers to comments": "xl/threadedComments/",
}
# The parts that it keeps, or that hold nothing of the user's.
_KEPT = re.compile(
    r"(/|^)_rels/|^(\[Content_Types\]\.xml$|docProps/|docMetadata/|customXml/)"
    r"|^xl/(workbook\.xml|sharedStrings\.xml|styles\.xml|calcChain\.xml|theme/|worksheets/|comments"
    r"|drawings/(vml|comments)Drawing|tables/|externalLinks/|printerSettings/|persons/|vbaProject"
    r"|slicerCaches/|metadata)",
    re.IGNORECASE,
)
_DRAWING = re.compile(r"xl/drawings/drawing[^/]*$", re.IGNORECASE)
_ANCHORED = b"Anchor>"  # each thing in a drawing is
_LONGEST_DRAWING = 1 << 24  # bytes
_TRIES = 5  # to write a file that others write
SHOWN = 20  # mistakes named one by one


@dataclass(frozen=True)
class LabelFile:
    """The names of photos and persons in a label file.

    Attributes
    ----------
    path : Path
        The file.
    table : DataFrame of str
        One column with names of photos (or two: the photo's path and the face's name) and `person`;
        empty cells are ''. The index is the line on which a record ends, the row of a workbook, or,
        if the file has a column a photo, the column's number from 0.
    by_hand : bool
        Whether it is the file of labels by hand, which merges may write at the same time.
    by_column : bool
        Whether it has a column a photo.
    ages : Series of float or None
        The ages that it gives, by the index of `table`, NaN where unknown; None without a column.
    """

    path: Path
    table: pd.DataFrame
    by_hand: bool
    by_column: bool = False
    ages: pd.Series | None = None

    @property
    def names(self) -> pd.DataFrame:
        """The columns that name a photo."""
        return self.table.drop(columns="person")

    def lines(self, names: Collection[str]) -> list[int]:
        """Last lines of the records with these names, as the file writes them; or the columns."""
        return self.table.index[self.names.isin(set(names)).any(axis=1)].unique().tolist()

    def remove(self, names: Collection[str], cache: Path | None = None) -> int:
        """Write the file as it is now without the records with these names.

        Other lines keep their bytes, other rows their cells and formats.

        Parameters
        ----------
        names : collection of str
            Names as the file writes them.
        cache : Path, optional
            DVC's cache. A link into it is replaced by a file; other links stay.

        Returns
        -------
        int
            How many records, or columns, went.

        Raises
        ------
        InputError
            Somebody writes the file again and again.
        """
        path = self.path.resolve()
        with alone(path.parent):
            for _ in range(_TRIES):
                if not path.exists():
                    return 0
                before = path.read_bytes()
                now = read_label_file(self.path, self.by_hand)
                lines = now.lines(names) if now else []
                data = now.without(names) if now and lines else before
                if path.read_bytes() != before:  # a spreadsheet keeps no lock
                    continue
                if data != before and self.by_hand:
                    replace_file(path, data)
                elif data != before:
                    in_cache = cache and path.is_relative_to(cache.resolve())
                    write_bytes(self.path if in_cache else path, data)
                return len(lines)
        raise InputError(f"{path} is written by somebody; give the same command again after that")

    def without(self, names: Collection[str]) -> bytes:
        """The file's bytes without the records with these names.

        Raises
        ------
        LabelError
            The file can't be read.
        """
        path = self.path.resolve()
        if path.suffix.lower() in WORKBOOKS:
            return (
                without_rows(path, columns=[i + 1 for i in self.lines(names)])
                if self.by_column
                else without_rows(path, self.lines(names))
            )
        if self.by_column:
            return without_columns(path.read_bytes(), self.lines(names), path)
        return without_records(path.read_bytes(), self.lines(names), path)

    def obstacle(self, names: Collection[str]) -> str | None:
        """Why the file could not be written without these names."""
        path = self.path.resolve()
        if not os.access(path.parent, os.W_OK):
            return f"{path.parent} can't be written to, so no line of {self.path.name} was removed"
        lost = lost_parts(path) if path.suffix.lower() in WORKBOOKS else []
        if lost:
            kind, places = (
                ("columns", [i + 1 for i in self.lines(names)])
                if self.by_column
                else ("rows", self.lines(names))
            )
            return (
                f"{self.path} is a workbook with {' and '.join(lost)}, which would be lost if "
                f"{kind} were removed here; remove the {kind} "
                f"{', '.join(map(str, places[:SHOWN]))} in a spreadsheet, or save it as CSV, then "
                "give the same command with --allow-missing"
            )
        try:
            self.without(names)
        except LabelError as error:
            return str(error)
        return None


def lost_parts(path: Path) -> list[str]:
    """What a workbook holds that openpyxl would lose."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        lost = [word for word, start in _LOST.items() if any(n.startswith(start) for n in names)]
        drawings = [name for name in names if _DRAWING.match(name)]
        drawn = any(_ANCHORED in archive.open(name).read(_LONGEST_DRAWING) for name in drawings)
    if lost or drawn:
        return lost or ["shapes or text boxes"]
    others = [name for name in names if not _KEPT.search(name) and name not in drawings]
    return [f"a part {one_line(name)}" for name in others[:1]]


def read_label_files(folder: Path, *by_hand: Path) -> list[LabelFile]:
    """All label files of the project.

    Raises
    ------
    LabelError
        One of them can't be read as a label file.
    """
    paths = [path for stem in STEMS if folder.is_dir() and (path := find_label_file(folder, stem))]
    return [
        file
        for file in [
            *map(read_label_file, paths),
            *(read_label_file(path, True) for path in by_hand),
        ]
        if file
    ]


def read_label_file(path: Path, by_hand: bool = False) -> LabelFile | None:
    """One label file; None if there is none."""
    sheet = read_sheet(path)
    if sheet is None:
        return None
    raw = sheet.table
    if path.stem.lower() == "ratings" and "image" not in find_columns(
        raw.columns, {"image": IMAGE}, path
    ):
        parts = [
            (sheet.positions[header], part)
            for header, named in photo_parts(raw.columns, sheet.questions).items()
            for part in named
        ]
        table = pd.DataFrame(
            {"image": [part for _, part in parts], "person": ""},
            index=[i for i, _ in parts],
            dtype="str",
        )
        return LabelFile(path, table, by_hand, by_column=True)
    key = key_column(raw, path)
    labels = find_columns(raw.columns, LABELS, path) if path.stem.lower() != "ratings" else {}
    person, age = labels.get("person"), labels.get("age")
    table = raw[[key, *(name for name in raw.columns if name != key and names_photo(name))]].apply(
        without_empty
    )
    return LabelFile(
        path,
        table.assign(person=without_empty(raw[person]) if person else ""),
        by_hand,
        ages=numbers(without_empty(raw[age]), path, Mistakes(), 0, MAX_AGE) if age else None,
    )
