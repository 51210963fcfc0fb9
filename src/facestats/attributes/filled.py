"""A template of proposals that somebody has filled in: checked whole, every mistake named with line and column."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.attributes.proposals import COLUMNS
from facestats.attributes.resolution import STANDARD
from facestats.data.csv_text import cell_error, read_csv
from facestats.data.labels import MAX_AGE
from facestats.errors import InputError, LabelError, number_of
from facestats.tables import UNKNOWN

PROPOSED = {target: f"proposed_{target}" for target in STANDARD}
SHOWN_CLASSES = 20  # of those that are known, in a message


@dataclass
class FilledTemplate:
    """What a person said.

    Attributes
    ----------
    said : by face, by attribute, as text; only what was filled in.
    silent : rows in which nothing was filled in.
    ignored : columns that no template has.
    """

    said: dict[str, dict[str, str]]
    silent: int
    ignored: list[str]


def read_filled(path: Path, faces: Collection[str], classes: Mapping[str, list[str]]) -> FilledTemplate:
    """Read and check a filled template.

    An empty cell says nothing, nor does the word `unknown`. The columns `id`, `current_*` and `notes` are for people.

    Parameters
    ----------
    faces : names of the faces that there are.
    classes : known classes of `gender` and `ethnicity`.

    Raises
    ------
    InputError
        There is no such file.
    LabelError
        The file is no template, or has cells that can't be used; names all of them.
    """
    raw = read_csv(path)
    if raw is None:
        raise InputError(f"{path}: no such file; `python -m facestats labels template -o {path}` makes one to fill in")
    _check_header(raw, path)
    cells = raw[list(PROPOSED.values())]
    cells = cells.mask(cells.apply(lambda column: column.str.lower()) == UNKNOWN, "")
    rows = raw.index[(raw["filename"] != "") | (cells != "").any(axis=1)]  # spreadsheets leave rows of empty cells
    mistakes, first_line, said = [], {}, {}
    for line in rows:
        name, filled = raw.loc[line, "filename"], {t: cells.loc[line, c] for t, c in PROPOSED.items() if cells.loc[line, c]}
        mistakes += _wrong_name(path, line, name, first_line, faces)
        mistakes += [error for t, value in filled.items() if (error := _wrong_value(path, line, t, value, classes))]
        if filled:
            said[name] = filled
    if mistakes:
        raise LabelError("\n".join([f"{path}: {number_of(len(mistakes), 'mistake')}, so nothing of it is used", *map(str, mistakes)]))
    return FilledTemplate(said, len(rows) - len(said), [c for c in raw.columns if c not in COLUMNS])


def _check_header(raw: pd.DataFrame, path: Path) -> None:
    wanted = ["filename", *PROPOSED.values()]
    lacking = [c for c in wanted if c not in raw.columns]
    strange = [c for c in raw.columns if c.startswith("proposed_") and c not in wanted]
    if lacking or strange:
        problems = [f"there is no column {c!r}" for c in lacking] + [f"no template has a column {c!r}" for c in strange]
        raise LabelError(f"{path}, line 1: {'; '.join(problems)}; found {', '.join(map(repr, raw.columns))}, expected the "
                         f"header line of labels_template.csv: {','.join(COLUMNS)}")


def _wrong_name(path: Path, line: int, name: str, first_line: dict[str, int], faces: Collection[str]) -> list[LabelError]:
    """What is wrong with a row's name, none or one error; notes the line where it was first seen."""
    if not name:
        return [cell_error(path, line, "filename", name, "the face that the row is about")]
    if name in first_line:
        return [cell_error(path, line, "filename", name, f"each face once, but it stands on line {first_line[name]} "
                           "already; remove one of the two rows")]
    first_line[name] = line
    if name in faces:
        return []
    return [cell_error(path, line, "filename", name, "a face of the last run, as its template names it" + _nearest(name, faces))]


def _wrong_value(path: Path, line: int, target: str, value: str, classes: Mapping[str, list[str]]) -> LabelError | None:
    column = PROPOSED[target]
    if STANDARD[target] == "regression":
        number = pd.to_numeric(value, errors="coerce")
        if np.isfinite(number) and 0 <= number <= MAX_AGE:
            return None
        return cell_error(path, line, column, value, f"a number from 0 to {MAX_AGE} with a decimal point, or nothing "
                          "where it is unknown")
    known = classes[target]
    if value in known:
        return None
    shown = ", ".join(known[:SHOWN_CLASSES]) + (", …" if len(known) > SHOWN_CLASSES else "")
    return cell_error(path, line, column, value, f"a class that is known ({shown or 'none yet'}){_nearest(value, known)}, or "
                      f"nothing; where it is meant to be a new class, add --new-class '{target}={value}'")


def _nearest(value: str, known: Collection[str]) -> str:
    """The known word that was probably meant, as part of a message."""
    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(value.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""
