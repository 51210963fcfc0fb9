"""Single judgements that the page Rate has written: the file of `data.manual_ratings`.

Each line is one judgement: rater, image, trait, rating, its place in the rater's order, seconds,
and 1 where the rater judged the face a second time. Which of them count, and for what, is the rule
of `main_trait`.
"""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.files import csv_text, with_apostrophe
from facestats.errors import InputError, LabelError
from facestats.labels.cells import MAX_RATING, Mistakes, numbers, one_form, without_empty
from facestats.labels.chosen_raters import Chosen, chosen_lines
from facestats.labels.columns import RATINGS, describe_columns, find_columns, plain
from facestats.labels.csv_text import without_records
from facestats.labels.files import read_sheet
from facestats.labels.manual import read_own, replace_file
from facestats.labels.name_index import NameIndex
from facestats.labels.ratings import Ratings
from facestats.labels.traits import MAIN, read_trait, trait_column

HEADER = ("rater", "image", "trait", "rating", "order", "seconds", "repeat")
# What the page writes, what pandas and R make of it, and a spreadsheet by its language.
AGAIN = "1 1.0 1,0 true yes repeat wahr ja vrai oui verdadero sí vero sì waar prawda tak".split()
FIRST = "0 0.0 0,0 false no falsch nein faux non falso onwaar nee fałsz nie".split()
KEY = ["filename", "rater", "trait"]


@dataclass
class RatedByHand:
    """The judgements of the file.

    Attributes
    ----------
    judgements : DataFrame or None
        As in `Ratings`, by line; None without any.
    repeats : int
        Second judgements, which were left out.
    retest : dict
        `n` pairs of a first and a second judgement, their correlation `r` (null if one of the two
        is constant), mean absolute `difference`; empty without pairs.
    guessed, notes : list of str
        Warnings and notes on how the file was read.
    path : Path, optional
    """

    judgements: pd.DataFrame | None = None
    repeats: int = 0
    retest: dict[str, Any] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    path: Path | None = None

    @property
    def agreement(self) -> dict[str, Any]:
        """What `metrics/labels.json` says of it, below `rating`."""
        return {"retest": self.retest} if self.retest else {}


def raters_by_hand(path: Path | None) -> set[str]:
    """Who rated on the page; nobody where the file is missing."""
    sheet = None if path is None else read_sheet(path)
    if sheet is None:
        return set()
    columns = [name for name in sheet.table if plain(name) == HEADER[0]]
    return {one_form(cell) for name in columns for cell in sheet.table[name]}


def read_rated_by_hand(
    path: Path | None,
    names: NameIndex,
    mistakes: Mistakes,
    main: str,
    raters: Chosen | None = None,
) -> RatedByHand:
    """Read and check the judgements that the page has written.

    Parameters
    ----------
    path : Path or None
        The file; may be missing.
    names : NameIndex
        Finds the faces; faces that are gone are left out.
    mistakes : Mistakes
        Gets the cells that can't be used.
    main : str
        The trait of a file without that column; '' if it has no name.
    raters : mapping or list of str, optional
        Which raters count; see `chosen_raters.chosen_lines`. A file without these columns counts
        nobody.

    Raises
    ------
    LabelError
        The file can't be read, or lacks a column.
    """
    sheet = None if path is None else read_sheet(path)
    if path is None or sheet is None:
        return RatedByHand()
    if sheet.table.empty:
        return RatedByHand(guessed=sheet.notes)
    raw = sheet.table
    others = f"{path.name} does not count: labels.raters chooses others"
    if isinstance(raters, Mapping) and not set(raters) <= set(raw.columns):
        return RatedByHand(notes=[others])
    headers = find_columns(raw.columns, RATINGS, path)
    lacking = [name for name in HEADER[:2] + HEADER[3:4] if name not in headers]
    if lacking:
        raise LabelError(f"{path}, line 1: no column {lacking[0]}; expected {','.join(HEADER)}")
    if raters:
        raw = chosen_lines(raw, headers["rater"], raters, path, may_be_nobody=True)
        if raw.empty:
            return RatedByHand(notes=[others])
    notes = describe_columns(headers, path)
    if len(raw) < len(sheet.table):
        notes.append(f"{path.name}: labels.raters takes {len(raw)} of {len(sheet.table)} lines")
    raw = raw[(without_empty(raw[headers["image"]]) != "")]
    text = {name: without_empty(raw[headers[name]]) for name in ("image", "rater", "rating")}
    trait = trait_column(raw.columns)
    traits = pd.Series(main, raw.index, dtype="str")
    if trait is not None:
        given = without_empty(raw[trait])
        traits = read_trait(given.mask(given == "", MAIN), path)
        traits = traits if main else traits.replace(MAIN, "")
    frame = pd.DataFrame(
        {
            "filename": names.resolve(text["image"], path, mistakes, must_match=False),
            "image": text["image"],
            "rater": text["rater"].map(one_form),
            "trait": traits,
            "column": headers["rating"],
            "text": text["rating"],
            "rating": numbers(text["rating"], path, mistakes, -MAX_RATING, MAX_RATING),
        }
    )
    again = _are_repeats(raw, path, mistakes)
    known = frame["filename"].notna() & frame["rating"].notna()
    frame, again = frame[known], again[known]
    own = frame[~again]
    first = own[~own.duplicated(KEY) | (own["rater"] == "")]
    return RatedByHand(
        first if len(first) else None,
        len(frame) - len(first),
        _retest(first, frame[again]),
        sheet.notes,
        notes,
        path,
    )


def _retest(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    pairs = first.merge(second.drop_duplicates(KEY), on=KEY)
    if pairs.empty:
        return {}
    a, b = pairs["rating_x"].to_numpy(), pairs["rating_y"].to_numpy()
    varies = len(pairs) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
    return {
        "n": len(pairs),
        "r": float(np.corrcoef(a, b)[0, 1]) if varies else None,
        "difference": float(np.abs(a - b).mean()),
    }


def all_judgements(file: Ratings, hand: RatedByHand) -> pd.DataFrame | None:
    """Those of both files one below the other; None without any."""
    parts = [part.judgements for part in (file, hand) if part.judgements is not None]
    return pd.concat(parts) if parts else None


def _are_repeats(raw: pd.DataFrame, path: Path, mistakes: Mistakes) -> pd.Series:
    """Which lines are a rater's second judgement of a face."""
    if "repeat" not in raw:
        return pd.Series(False, raw.index)
    cells = without_empty(raw["repeat"])
    words = cells.str.strip().str.lower()
    strange = cells[~words.isin([*AGAIN, *FIRST, ""])]
    if len(strange):
        mistakes.add(path, "repeat", strange, "1 (the rater's second judgement of a face) or 0")
    return words.isin(AGAIN)


def check_scale(hand: RatedByHand, scale: tuple[float, float] | None, mistakes: Mistakes) -> None:
    """Add judgements by hand outside the raters' scale to `mistakes`."""
    if hand.judgements is None or hand.path is None or scale is None:
        return
    low, high = scale
    outside = hand.judgements[~hand.judgements["rating"].between(low, high)]
    if len(outside):
        expected = f"a rating from {low:g} to {high:g}, the raters' scale"
        mistakes.add(hand.path, "rating", outside["text"], expected)


def rows_by_hand(path: Path, header: Sequence[str] = HEADER) -> list[dict[str, str]]:
    """The file's lines as text, with all columns of `header`; none where it is missing.

    Raises
    ------
    LabelError
        It can't be read, lacks a column, or has lines or an encoding that `add_line` would lose.
    """
    sheet = read_own(path)
    if sheet is None:
        return []
    if lacking := [name for name in header if name not in sheet.table.columns]:
        raise LabelError(f"{path}, line 1: no column {lacking[0]}; expected {','.join(header)}")
    return sheet.table.to_dict("records")


def take_line(path: Path, row: Mapping[str, str]) -> None:
    """Take the last line that is `row` out of the file; other lines keep their bytes.

    The caller keeps others away, as for `add_line`.

    Raises
    ------
    InputError
        There is no such line, or the file can't be written.
    LabelError
        As of `rows_by_hand`.
    """
    path = path.resolve()
    sheet = read_own(path)
    lines = []
    if sheet is not None:
        same = sheet.table[[*row]].eq(pd.Series(row)).all(axis=1)
        lines = sheet.table.index[same].tolist()
    if not lines:
        raise InputError("this judgement is gone from the file")
    try:
        replace_file(path, without_records(path.read_bytes(), lines[-1:], path))
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); it is as it was"
        ) from None


def add_line(path: Path, header: Sequence[str], row: Mapping[str, str]) -> None:
    """Add a line to a CSV file, which is whole and on the disk when this returns.

    The caller keeps others away (`manual.alone`), and has read the file. Cells are no formula to a
    spreadsheet. A file that a spreadsheet has saved in another form becomes UTF-8 with commas, like
    one of labels by hand, and keeps a mark of UTF-8.

    Raises
    ------
    InputError
        The file can't be written.
    LabelError
        Lines of it or its encoding would be lost.
    """
    path = path.resolve()
    try:
        before = path.read_bytes() if path.is_file() else b""
        columns, table = [*header], None
        if not _is_plain(before, columns):  # else it needs no parsing: 10 ms a thousand lines
            table = _table_of(path, before)
            if table is None:
                before = (",".join(header) + "\n").encode()
            else:
                columns = [*map(str, table.columns)]
        if table is not None and not _is_plain(before, columns):
            rows = [*table.to_dict("records"), {name: row.get(name, "") for name in columns}]
            mark = BOM_UTF8 if before.startswith(BOM_UTF8) else b""
            data = mark + csv_text(pd.DataFrame(rows, columns=columns, dtype="str")).encode()
        else:
            text = io.StringIO()
            cells = [with_apostrophe(row.get(name, "")) for name in columns]
            csv.writer(text).writerow(cells)  # with "\n" as the end, "\r" in a cell would be bare
            ended = b"" if before.endswith(b"\n") else b"\n"
            data = before + ended + text.getvalue().removesuffix("\r\n").encode() + b"\n"
        replace_file(path, data)
    except OSError as error:
        raise InputError(
            f"{path} could not be written ({error.strerror}); it is as it was"
        ) from None


def _table_of(path: Path, data: bytes) -> pd.DataFrame | None:
    """The table of a file that holds `data`; None where it is empty."""
    sheet = read_own(path) if data.strip() else None
    return None if sheet is None else sheet.table


def _is_plain(data: bytes, columns: Sequence[str]) -> bool:
    """Whether a file is UTF-8 with commas, these columns in its first line."""
    try:
        first = data.removeprefix(BOM_UTF8).decode("utf-8").partition("\n")[0]
    except UnicodeDecodeError:
        return False
    return first.removesuffix("\r") == ",".join(columns)
