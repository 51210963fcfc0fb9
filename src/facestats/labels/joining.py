"""The user's label files: checked, joined, one row a face.

`labels.csv` and `ratings.csv`, or Excel workbooks of these names, lie in one folder, both optional;
corrections by hand lie in a file of their own and win. Every cell is read as text first, so that an
error can name file, line, column and value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import InputError, LabelError, number_of
from facestats.labels.cells import (
    MAX_AGE,
    Mistakes,
    check_classes,
    numbers,
    one_form,
    refuse_contradictions,
    spelt_alike,
    without_empty,
)
from facestats.labels.columns import LABELS, OWN_NAMES, find_columns, key_column, plain, say_columns
from facestats.labels.files import STEMS, find_label_file, read_sheet, unread_files
from facestats.labels.names import NameIndex, refuse_other_photos
from facestats.labels.raters import rater_warnings, without_raters
from facestats.labels.ratings import read_ratings
from facestats.labels.scale import find_scale, use_judgements

COLUMNS = ("gender", "ethnicity", "age", "rating", "person")
CLASSES = ("gender", "ethnicity")
OTHER_UNIT = re.compile(r"month|monat|mois|mes|week|woche|\bdays?\b|\btage\b|group|decade")
RESERVED = ("ratingn", "ratingsd")


@dataclass
class JoinedLabels:
    """Labels of all faces, and what was found on the way.

    Attributes
    ----------
    table : DataFrame in the schema `labels.tables.LABELS`, one row an accepted face; further label
        columns follow as text.
    scale : (low, high) of the ratings, None where nobody rated.
    judgements : the single ratings of faces that are there, behind the means: `filename`, `rater`,
        `rating`; None without ratings.csv.
    summary : counts for `metrics/labels.json`.
    warnings : what the user should know but need not mend.
    notes : how files were understood that say things in their own way.
    """

    table: pd.DataFrame
    scale: tuple[float, float] | None
    judgements: pd.DataFrame | None
    summary: dict
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def join_labels(
    faces: pd.DataFrame,
    folder: Path,
    manual: Path,
    rating_scale: str | list[float],
    drop_raters: str | list[str] | None = None,
) -> JoinedLabels:
    """Check and join all label files.

    Parameters
    ----------
    faces : `faces.parquet` with `image`, `filename` (null where rejected).
    folder : holds `labels.csv` and `ratings.csv`, or workbooks of these names, or neither; must
        exist.
    manual : corrections by hand, same columns as `labels.csv`; may be missing.
    rating_scale : `auto` or [low, high].
    drop_raters : raters left out of the means: None (nobody), `auto` (the suspicious ones) or
        names; see `raters.without_raters`.

    Raises
    ------
    InputError
        The folder does not exist.
    LabelError
        All values that can't be used, with file, line, column and value; a file that can't be read,
        or of whose names not one is a photo; a rater to drop who is not there.
    """
    if not folder.is_dir():
        found = (
            "is a file, expected a folder; move the file into a folder and name that in data.labels"
            if folder.exists()
            else ("does not exist; make it (it may be empty) or set data.labels")
        )
        raise InputError(f"the label folder {folder} {found}")
    names, mistakes = NameIndex(faces), Mistakes()
    files = {stem: find_label_file(folder, stem) for stem in STEMS}
    labels = _read_labels(files["labels"], names, mistakes)
    corrections = _read_labels(
        manual, names, mistakes, must_match=False
    )  # often of another collection, for its place stays the same
    ratings = read_ratings(files["ratings"], names, mistakes)
    judgements = ratings.judgements
    read = [file for file in (labels, corrections) if file.path]
    doubts = check_classes(
        [
            (file.path, name, file.cells[name])
            for file in read
            if file.path
            for name in file.classes
        ],
        CLASSES,
        mistakes,
    )
    doubts += _coded_ages(read)
    doubts += spelt_alike(
        "person",
        [
            value
            for file in read
            if "person" in file.cells
            for value in file.cells["person"].dropna()
        ],
    )
    doubts += spelt_alike("rater", [] if judgements is None else judgements["rater"])
    mistakes.raise_any()

    table = pd.DataFrame(index=pd.Index(faces["filename"].dropna().sort_values(), name="filename"))
    table["image"] = faces.dropna(subset="filename").set_index("filename")["image"]
    by_hand = _under_one_name(corrections, labels.by_face).reindex(table.index)
    given = labels.by_face.reindex(table.index)
    extras = [c for c in dict.fromkeys([*given.columns, *by_hand.columns]) if c not in COLUMNS]
    columns: dict[str, pd.Series] = {}
    nothing: Any = None
    for column in [*COLUMNS, *extras]:
        manual_labels, file_labels = _column(by_hand, column), _column(given, column)
        columns[column] = manual_labels.where(manual_labels.notna(), file_labels)
        if column != "person":
            source = np.where(
                manual_labels.notna(), "manual", np.where(file_labels.notna(), "label", nothing)
            )
            columns[f"{column}_source"] = pd.Series(source, index=table.index, dtype="str")
    table = pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)
    # The order of lines says nothing, but would move the last bits of sums; by rating first, equal
    # judgements have equal means.
    present = (
        None
        if judgements is None
        else judgements.dropna(subset="filename").sort_values(["filename", "rating", "rater"])
    )
    listed = drop_raters if isinstance(drop_raters, list) else []
    scale = find_scale(
        rating_scale,
        None if present is None else present[~present["rater"].isin(listed)],
        table,
        files,
        mistakes,
    )
    mistakes.raise_any()
    kept, raters = without_raters(
        None if present is None else present[["filename", "rater", "rating"]], drop_raters
    )
    use_judgements(table, kept)
    summary = _summary(table, scale, names, extras) | {"raters": raters}
    summary["rating"]["repeats_left_out"] = ratings.repeats
    guessed = [note for file in (labels, corrections, ratings) for note in file.guessed]
    return JoinedLabels(
        table.reset_index(),
        scale,
        kept,
        summary,
        [
            *guessed,
            *unread_files(folder, manual),
            *names.warnings(),
            *doubts,
            *rater_warnings(raters),
        ],
        [*(note for file in (labels, corrections, ratings) for note in file.notes), *names.notes()],
    )


def _coded_ages(files: list[_LabelFile]) -> list[str]:
    """A question about ages that are probably a code for no answer: several of 99, or of 0, and
    none near it.
    """
    asked = []
    for file in files:
        ages = file.cells["age"].dropna() if "age" in file.cells else pd.Series(dtype="float64")
        for code, near in ((99, 5), (0, 2)):
            there = np.isclose(ages, code)
            if file.path and there.sum() > 1 and not ((ages - code).abs()[~there] <= near).any():
                asked.append(
                    f"{file.path.name}: the age is {code} in "
                    f"{number_of(int(there.sum()), 'line')}, first in line {ages.index[there][0]}; "
                    "if that is a code for no answer, leave such cells empty"
                )
    return asked


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return (
        frame[name]
        if name in frame
        else pd.Series(np.nan, frame.index, dtype="float64" if name in ("age", "rating") else "str")
    )


@dataclass
class _LabelFile:
    """A label file that was read.

    Attributes
    ----------
    path : None where there is none.
    by_face : labels by face name; columns that are empty throughout are dropped.
    cells : the same by line.
    classes : columns that hold classes.
    guessed, notes : what to say of how it was read.
    """

    path: Path | None = None
    by_face: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(index=pd.Index([], name="filename"))
    )
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    classes: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _read_labels(
    path: Path | None, names: NameIndex, mistakes: Mistakes, must_match: bool = True
) -> _LabelFile:
    raw = None if path is None else read_sheet(path)
    if path is None or raw is None:
        return _LabelFile()
    notes, raw.attrs = raw.attrs["notes"], {}  # pandas copies them with every operation
    found = find_columns(raw.columns, LABELS, path)
    if "image" not in found:
        key_column(raw, path)  # raises
    if OTHER_UNIT.search(found.get("age", "").casefold()):
        raise LabelError(
            f"{path}: the column {found['age']!r} is not in years; give age in years, or the "
            "column another name"
        )
    written = {header: name for name, header in found.items()}
    own = {
        header: written.get(header, header)
        for header in raw.columns
        if header == found["image"] or plain(header) not in OWN_NAMES
    }
    taken = [
        header for header in own if plain(header) in RESERVED or header.lower().endswith("_source")
    ]
    if taken:
        raise LabelError(
            f"{path}: the column {taken[0]} is one that the pipeline writes itself; give it "
            "another name"
        )
    cells = pd.DataFrame(
        {header: without_empty(raw[header], own=header not in written) for header in own}
    )
    second = None
    for header in raw.columns.difference(cells.columns):  # the face's name beside the photo's path
        second = without_empty(raw[header])
        cells[found["image"]] = cells[found["image"]].where(cells[found["image"]] != "", second)
    cells = cells[(cells != "").any(axis=1)]
    nameless = cells[found["image"]] == ""
    if nameless.any():
        mistakes.add(
            path, found["image"], cells.loc[nameless, found["image"]], "the name of an image"
        )
        cells = cells[~nameless]
    shown = cells[found["image"]]
    columns: dict[str | None, Any] = {"filename": names.resolve(shown, path, mistakes, must_match)}
    if second is not None:
        refuse_other_photos(shown, second, names.photos, path, mistakes)
    classes = []
    for header, column in own.items():
        text = cells[header]
        if column == "age":
            columns[column] = numbers(text, path, mistakes, 0, MAX_AGE)
        elif column == "rating":
            columns[column] = numbers(text, path, mistakes)
        elif column != "image":
            words = text.map(one_form) if column == "person" else text
            columns[column] = words.mask(text == "")
            classes += [column] if column != "person" else []
    frame = pd.DataFrame(columns, index=cells.index)
    frame = frame[frame["filename"].notna()]
    refuse_contradictions(frame, "filename", shown, path, mistakes)
    by_face = frame.groupby("filename", sort=True).first().dropna(axis="columns", how="all")
    return _LabelFile(path, by_face, frame, classes, notes, say_columns(found, path))


def _under_one_name(corrections: _LabelFile, labels: pd.DataFrame) -> pd.DataFrame:
    """The corrections, their further columns called as in the label file (`Glasses`, `glasses`).

    Raises
    ------
    LabelError
        A column could be several of the other file.
    """
    further = [name for name in labels.columns if name not in COLUMNS]
    renamed: dict[str, str] = {}
    for name in corrections.by_face.columns:
        if name in COLUMNS or name in further:
            continue  # a standard column keeps its name, whatever else is spelt like it
        alike = [other for other in further if plain(other) == plain(name)]
        own = [other for other in corrections.by_face.columns if plain(other) == plain(name)]
        own = [other for other in own if other not in COLUMNS]
        if alike and len(alike) + len(own) > 2:
            listed = ", ".join(map(repr, dict.fromkeys([*own, *alike])))
            raise LabelError(
                f"{corrections.path}: the column {name!r} could be several: {listed}; "
                "write its name as in the label file"
            )
        if alike:
            renamed[name] = alike[0]
    return corrections.by_face.rename(columns=renamed)


def _summary(
    table: pd.DataFrame, scale: tuple[float, float] | None, names: NameIndex, extras: list[str]
) -> dict:
    rated = table["rating"].dropna()
    classes = {
        c: {k: int(n) for k, n in sorted(table[c].value_counts().items())}
        for c in ("gender", "ethnicity")
    }
    return {
        "faces": len(table),
        "labelled": {c: int(table[c].notna().sum()) for c in [*COLUMNS, *extras]},
        "by_hand": int(
            sum((table[c] == "manual").sum() for c in table.columns if c.endswith("_source"))
        ),
        "classes": classes,
        "rating": {
            "scale": list(scale) if scale else None,
            "mean": float(rated.mean()) if len(rated) else None,
            "sd": float(rated.std()) if len(rated) > 1 else None,
            "judgements": int(table["rating_n"].sum()),
        },
        "images_not_there": sum(len(v) for v in names.absent.values()),
        "images_rejected": sum(len(v) for v in names.rejected.values()),
    }
