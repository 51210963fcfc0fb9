"""A labelling template that somebody has filled in: reading it, and naming all mistakes in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from facestats.attributes.proposals import COLUMNS
from facestats.attributes.resolution import STANDARD
from facestats.core.tables import UNKNOWN
from facestats.errors import InputError, LabelError
from facestats.labels.cells import MAX_AGE, Mistakes, nearest, numbers, without_empty
from facestats.labels.columns import plain
from facestats.labels.files import read_sheet
from facestats.labels.names import PhotoNames, describe_liberties, refuse_other_photos, suggestion

PROPOSED = {target: f"proposed_{target}" for target in STANDARD}
KEYS = ("filename", "image")
SHOWN_CLASSES = 20  # of the known classes, in a message


@dataclass
class FilledTemplate:
    """The labels in a filled template.

    Attributes
    ----------
    answers : dict
        By face, by attribute, as text; only what was filled in.
    n_empty : int
        Rows in which nothing was filled in.
    ignored : list of str
        Columns that no template has.
    guessed, notes : list of str
        Remarks on how the file was read.
    """

    answers: dict[str, dict[str, str]]
    n_empty: int
    ignored: list[str]
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_filled(
    path: Path, images: Mapping[str, str], classes: Mapping[str, list[str]]
) -> FilledTemplate:
    """Read and check a filled template, a CSV file or an Excel workbook.

    Empty cells, `unknown`, `NA` and the like are no labels. The columns `id`, `current_*` and
    `notes` are for people; they are not read.

    Parameters
    ----------
    path : Path
        The file.
    images : mapping
        Path of the photo by the name of its face, for all faces.
    classes : mapping
        Known classes of `gender` and `ethnicity`.

    Returns
    -------
    FilledTemplate

    Raises
    ------
    InputError
        There is no such file.
    LabelError
        The file is no template, or has unusable cells; the message names all of them.
    """
    sheet = read_sheet(path)
    if sheet is None:
        raise InputError(
            f"{path}: no such file; `python -m facestats labels template -o {path}` makes one to "
            "fill in"
        )
    raw = sheet.table
    headers = _headers(raw, path)
    keys = [headers[key] for key in KEYS if key in headers]
    cells = pd.DataFrame(
        {target: without_empty(raw[headers[column]]) for target, column in PROPOSED.items()}
    )
    cells = cells.mask(cells.apply(lambda column: column.str.lower()) == UNKNOWN, "")
    names = raw[keys[0]] if len(keys) == 1 else raw[keys[0]].where(raw[keys[0]] != "", raw[keys[1]])
    has_content = (names != "") | (cells != "").any(axis=1)  # spreadsheets leave empty rows
    names, cells, mistakes = names[has_content].rename(keys[0]), cells[has_content], Mistakes()
    faces, note = _faces(names, images, path, mistakes)
    if len(keys) == 2:
        refuse_other_photos(names, raw[keys[1]], PhotoNames(images.values()), path, mistakes)
    for target, text in cells.items():
        _check_classes(text.rename(headers[PROPOSED[target]]), str(target), classes, path, mistakes)
    ages = numbers(cells["age"].rename(headers[PROPOSED["age"]]), path, mistakes, 0, MAX_AGE)
    cells["age"] = cells["age"].mask(
        cells["age"].str.contains(",", regex=False), ages.map("{:.15g}".format)
    )
    mistakes.raise_any()
    answers = {
        faces[line]: filled
        for line, row in cells.iterrows()
        if (filled := {str(t): value for t, value in row.items() if value})
    }
    ignored = [c for c in raw.columns if plain(c) not in map(plain, COLUMNS)]
    return FilledTemplate(
        answers,
        len(cells) - len(answers),
        ignored,
        sheet.notes,
        [f"{path.name}: {note}"] if note else [],
    )


def _headers(raw: pd.DataFrame, path: Path) -> dict[str, str]:
    """Headers of the file by the template's columns."""
    headers = {
        column: header
        for header in raw.columns
        for column in COLUMNS
        if plain(header) == plain(column)
    }
    lacking = [] if any(key in headers for key in KEYS) else [KEYS[0]]
    lacking += [c for c in PROPOSED.values() if c not in headers]
    strange = [
        c for c in raw.columns if plain(c).startswith("proposed") and c not in headers.values()
    ]
    if lacking or strange:
        problems = [f"there is no column {c!r}" for c in lacking] + [
            f"no template has a column {c!r}" for c in strange
        ]
        raise LabelError(
            f"{path}, line 1: {'; '.join(problems)}; found {', '.join(map(repr, raw.columns))}, "
            f"expected the header line of labels_template.csv: {','.join(COLUMNS)}"
        )
    return headers


def _faces(
    names: pd.Series, images: Mapping[str, str], path: Path, mistakes: Mistakes
) -> tuple[dict[int, str], str]:
    """Find the face of each row by line, and say how names were matched; adds to `mistakes`."""
    column, by_image = str(names.name), {image: face for face, image in images.items()}
    photos = PhotoNames(by_image)
    readings = photos.read_all(names[names != ""], named=photos.known)
    faces = {
        line: by_image[image]
        for line, name in names.items()
        if name and (image := readings[name].image)
    }
    first: dict[str, int] = {}
    wrong: dict[int, str] = dict.fromkeys(
        names.index[names == ""], "the face that the row is about"
    )
    for line, name in names[names != ""].items():
        face = faces.get(line)
        if face is None:
            wrong[line] = "a face of the last run, as its template names it" + suggestion(
                readings[name]
            )
        elif first.setdefault(face, line) != line:
            wrong[line] = (
                f"each face once, but it stands on line {first[face]} already; remove one of the "
                "two rows"
            )
    for line, expected in wrong.items():
        mistakes.add(path, column, names.loc[[line]], expected)
    return faces, describe_liberties(readings.values())


def _check_classes(
    text: pd.Series, target: str, classes: Mapping[str, list[str]], path: Path, mistakes: Mistakes
) -> None:
    """Add the cells of a classification that hold no known class to `mistakes`."""
    if STANDARD[target] == "regression":
        return
    known = classes[target]
    shown = ", ".join(known[:SHOWN_CLASSES]) + (", …" if len(known) > SHOWN_CLASSES else "")
    wrong = text[(text != "") & ~text.isin(known)]
    if len(wrong):
        mistakes.add(
            path,
            str(text.name),
            wrong,
            lambda value: (
                f"a class that is known ({shown or 'none yet'}){nearest(value, known)}, or "
                f"nothing; where it is meant to be a new class, add --new-class '{target}={value}'"
            ),
        )
