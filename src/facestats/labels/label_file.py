"""One label file with a line a face: its columns, and the labels of each face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import (
    MAX_AGE,
    MAX_RATING,
    Mistakes,
    numbers,
    one_form,
    refuse_contradictions,
    without_empty,
)
from facestats.labels.columns import (
    LABELS,
    describe_columns,
    find_columns,
    has_sign,
    is_else,
    is_own,
    key_column,
    names_photo,
    plain,
    refuse_other_unit,
)
from facestats.labels.files import read_sheet
from facestats.labels.name_index import NameIndex
from facestats.labels.names import expected_of_a_moved, refuse_other_photos
from facestats.labels.tables import PREFIX

COLUMNS = ("gender", "ethnicity", "age", "rating", "person")
CLASSES = ("gender", "ethnicity")
NUMBERS = ("age", "rating")
RESERVED = ("ratingn", "ratingsd")

YOUNG = 21  # years: ages by hand below, `score.min_age` and some room, are not passed over


@dataclass
class FaceLabels:
    """The labels of one file.

    Attributes
    ----------
    path : Path or None
        None if there is no such file.
    by_face : DataFrame
        Labels by face; columns without any label are dropped.
    cells : DataFrame
        The same by line.
    text : DataFrame
        Further columns called `rating_…` as text by line; '' where empty.
    classes : list of str
        Columns that hold classes.
    guessed, notes : list of str
        Warnings and notes on how the file was read.
    """

    path: Path | None = None
    by_face: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(index=pd.Index([], name="filename"))
    )
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    text: pd.DataFrame = field(default_factory=pd.DataFrame)
    classes: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _refuse_moved_children(
    by_line: pd.DataFrame,
    shown: pd.Series,
    names: NameIndex,
    path: Path,
    mistakes: Mistakes,
    by_hand: bool,
) -> None:
    """Add young ages to `mistakes` whose photo may have moved: it would get a score.

    In a file that is not by hand, that is said where one photo alone is called so in another
    folder, of which the file does not tell the age.
    """
    young = shown[by_line["filename"].isna() & (by_line["age"] < YOUNG)]
    alike = {
        name: images
        for name in young.unique()
        if (images := names.photos.called_alike(name)) and not names.photos.read(name).image
    }
    if alike and not by_hand:
        aged = names.photos.read_all([*shown[by_line["age"].notna()].unique()], explain=0)
        known = {reading.image for reading in aged.values()}
        alike = {name: {*images} - known for name, images in alike.items() if len(images) == 1}
        alike = {name: [*images] for name, images in alike.items() if images}
    if alike:
        mistakes.add(
            path,
            str(shown.name),
            young[young.isin([*alike])],
            lambda name: expected_of_a_moved(sorted(alike[name])),
        )


def read_labels(
    path: Path | None, names: NameIndex, mistakes: Mistakes, must_match: bool = True
) -> FaceLabels:
    """Read and check a label file.

    Parameters
    ----------
    path : Path or None
        The file; None if there is none.
    names : NameIndex
        Finds the faces.
    mistakes : Mistakes
        Gets the cells that can't be used.
    must_match : bool
        Whether a file none of whose names is a photo is a mistake.

    Raises
    ------
    LabelError
        The file can't be read, or lacks a column of images; see `_columns_by_header`.
    """
    sheet = None if path is None else read_sheet(path)
    if path is None or sheet is None:
        return FaceLabels()
    raw = sheet.table
    headers = find_columns(raw.columns, LABELS, path)
    _refuse_divided(raw, headers, path)
    image = key_column(raw, path)
    columns_by_header = _columns_by_header(raw, headers, path)
    cells = pd.DataFrame(
        {
            header: without_empty(raw[header], own=is_own(column))
            for header, column in columns_by_header.items()
        }
    )
    # A file may name the face beside the photo's path.
    other_names = [without_empty(raw[header]) for header in raw.columns.difference(cells.columns)]
    for second in other_names:
        cells[image] = cells[image].where(cells[image] != "", second)
    cells = cells[(cells != "").any(axis=1)]
    nameless = cells[image] == ""
    if nameless.any():
        mistakes.add(path, image, cells.loc[nameless, image], "the name of an image")
        cells = cells[~nameless]
    shown = cells[image]
    columns: dict[str | None, Any] = {"filename": names.resolve(shown, path, mistakes, must_match)}
    for second in other_names:
        refuse_other_photos(shown, second, names.photos, path, mistakes)
    classes = []
    for header, column in columns_by_header.items():
        text = cells[header]
        if column == "age":
            columns[column] = numbers(text, path, mistakes, 0, MAX_AGE)
        elif column == "rating":
            columns[column] = numbers(text, path, mistakes, -MAX_RATING, MAX_RATING)
        elif column != "image":
            words = text.map(one_form) if column == "person" else text
            columns[column] = words.mask(text == "")
            classes += [column] if column != "person" else []
    by_line = pd.DataFrame(columns, index=cells.index)
    if "age" in by_line:
        _refuse_moved_children(by_line, shown, names, path, mistakes, not must_match)
    by_line = by_line[by_line["filename"].notna()]
    refuse_contradictions(by_line, "filename", shown, path, mistakes)
    return FaceLabels(
        path=path,
        by_face=by_line.groupby("filename", sort=True).first().dropna(axis="columns", how="all"),
        cells=by_line,
        text=cells[[name for name in classes if plain(name).startswith(plain(PREFIX))]],
        classes=classes,
        guessed=sheet.notes,
        notes=describe_columns(headers, path),
    )


def _refuse_divided(raw: pd.DataFrame, headers: Mapping[str, str], path: Path) -> None:
    """Raise `LabelError` where labels of one kind stand in two columns, as in two joined tables.

    Those are columns of one name but for case and signs, and of ages in whatever words.
    """
    for name, header in headers.items():
        for other in raw.columns.drop(header):
            word = plain(re.sub(r"\.\d+$", "", other))  # age.1, as pandas calls a second age
            alike = word == plain(header) or (name == "age" and word in LABELS["age"])
            if not alike or name == "image" or is_else(other, name) or has_sign(other):
                continue
            alone = (without_empty(raw[other]) != "") & (without_empty(raw[header]) == "")
            if alone.any():
                line = raw.index[alone][0]
                raise LabelError(
                    f"{path}, line {line}: {name} stands in {other!r}, and elsewhere in "
                    f"{header!r}; put them into one column"
                )


def _columns_by_header(raw: pd.DataFrame, headers: dict[str, str], path: Path) -> dict[str, str]:
    """The column that each header stands for; further ones stand for themselves.

    Raises
    ------
    LabelError
        The ages are not in years, or a column is one that the pipeline writes.
    """
    refuse_other_unit(headers.get("age", ""), path)
    known = {header: name for name, header in headers.items()}
    columns: dict[str, str] = {
        header: str(known.get(header, header))
        for header in raw.columns
        if header == headers["image"] or not names_photo(header)
    }
    for header in columns:
        if plain(header) in RESERVED or header.lower().endswith("_source"):
            raise LabelError(
                f"{path}: the pipeline itself writes a column {header}; give yours another name"
            )
    return columns


def young_otherwise(labels: FaceLabels, corrections: FaceLabels) -> list[str]:
    """A warning on faces that a file makes young, and labels by hand, which count, do not."""
    if "age" not in labels.by_face or "age" not in corrections.by_face:
        return []
    ages = labels.by_face[["age"]].join(corrections.by_face["age"], rsuffix="_by_hand").dropna()
    differ = ages[(ages["age"] < YOUNG) & (ages["age_by_hand"] >= YOUNG)]
    if differ.empty or labels.path is None or corrections.path is None:
        return []
    first = differ.iloc[0]
    return [
        f"{corrections.path.name} gives {number_of(len(differ), 'face')} another age than "
        f"{labels.path.name}, and counts, for example {first['age_by_hand']:g} instead of "
        f"{first['age']:g} for {differ.index[0]}: see whether its photo is still the one that was "
        "labelled"
    ]
