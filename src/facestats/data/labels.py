"""The user's label files: checked, joined, one row a face.

`labels.csv` and `ratings.csv` lie in one folder, both optional; corrections by hand lie in a file of their own and
win. Every cell is read as text first, so that an error can name file, line, column and value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.data.csv_text import cell_error, numbers, read_csv, refuse_contradictions
from facestats.errors import InputError, LabelError
from facestats.tables import UNKNOWN

COLUMNS = ("gender", "ethnicity", "age", "rating", "person")
RESERVED = ("rating_n", "rating_sd")
# Ends of the scales that rating studies use; `auto` takes the narrowest one that holds every rating.
USUAL_SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
REPEAT = "repeat"
MAX_AGE = 130


@dataclass
class JoinedLabels:
    """Labels of all faces, and what was found on the way.

    Attributes
    ----------
    table : DataFrame in the schema `tables.LABELS`, one row an accepted face; further label columns follow as text.
    scale : (low, high) of the ratings, None where nobody rated.
    summary : counts for `metrics/labels.json`.
    warnings : what the user should know but need not mend.
    """

    table: pd.DataFrame
    scale: tuple[float, float] | None
    summary: dict
    warnings: list[str] = field(default_factory=list)


def join_labels(faces: pd.DataFrame, folder: Path, manual: Path, rating_scale: str | list[float]) -> JoinedLabels:
    """Check and join all label files.

    Parameters
    ----------
    faces : `faces.parquet` with `image`, `filename` (null where rejected).
    folder : holds `labels.csv` and `ratings.csv`, or neither; must exist.
    manual : corrections by hand, same columns as `labels.csv`; may be missing.
    rating_scale : `auto` or [low, high].

    Raises
    ------
    InputError
        The folder does not exist.
    LabelError
        A value that can't be used, with file, line, column and value.
    """
    if not folder.is_dir():
        raise InputError(f"the label folder {folder} does not exist; make it (it may be empty) or set data.labels")
    names = _NameIndex(faces)
    labels = _read_labels(folder / "labels.csv", names)
    corrections = _read_labels(manual, names)
    judgements = _read_ratings(folder / "ratings.csv", names)

    table = pd.DataFrame(index=pd.Index(faces["filename"].dropna().sort_values(), name="filename"))
    extras = [c for c in dict.fromkeys([*labels.columns, *corrections.columns]) if c not in COLUMNS]
    corrections, labels = corrections.reindex(table.index), labels.reindex(table.index)
    for column in [*COLUMNS, *extras]:
        said, labelled = _column(corrections, column), _column(labels, column)
        table[column] = said.where(said.notna(), labelled)
        if column != "person":
            source = np.where(said.notna(), "manual", np.where(labelled.notna(), "label", None))
            table[f"{column}_source"] = pd.Series(source, index=table.index, dtype="str")
    scale = _scale(rating_scale, judgements, table, folder)
    _use_judgements(table, judgements)
    summary = _summary(table, judgements, scale, names, extras)
    return JoinedLabels(table.reset_index(), scale, summary, names.warnings())


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series(np.nan, frame.index, dtype="float64" if name in ("age", "rating") else "str")


class _NameIndex:
    """Finds the face that a label file means, by image path or by face name, and remembers what it did not find."""

    def __init__(self, faces: pd.DataFrame):
        accepted = faces["filename"].dropna()
        self.by_image = faces.set_index("image")["filename"]
        self.by_filename = accepted.set_axis(accepted)
        self.absent: dict[str, list[str]] = {}
        self.rejected: dict[str, list[str]] = {}

    def resolve(self, column: pd.Series, key: str, file: Path) -> pd.Series:
        """Face name of each cell; null where there is no face."""
        known = self.by_image if key == "image" else self.by_filename
        cells = column.drop_duplicates()
        row = known.index.get_indexer(cells)
        absent = cells[row < 0]
        rejected = cells[(row >= 0) & known.isna().to_numpy()[row]]
        if len(absent):
            self.absent[file.name] = list(absent)
        if len(rejected):
            self.rejected[file.name] = list(rejected)
        return column.map(known)

    def warnings(self) -> list[str]:
        said = []
        for found, what in ((self.absent, "images that are not there"), (self.rejected, "images that preprocess rejected")):
            said += [f"{file} names {len(images)} {what}, for example {', '.join(images[:3])}"
                     for file, images in sorted(found.items())]
        return said


def _read_labels(path: Path, names: _NameIndex) -> pd.DataFrame:
    """A label file indexed by face name; columns that are empty throughout are dropped."""
    raw = read_csv(path)
    if raw is None:
        return pd.DataFrame(index=pd.Index([], name="filename"))
    key = key_column(raw, path)
    taken = [c for c in raw.columns if c in RESERVED or c.endswith("_source")]
    if taken:
        raise LabelError(f"{path}: the column {taken[0]} is one that the pipeline writes itself; give it another name")
    frame = pd.DataFrame({"filename": names.resolve(raw[key], key, path)})
    for column in raw.columns.drop(["image", "filename"], errors="ignore"):
        text = raw[column]
        if column == "age":
            frame[column] = numbers(text, path, 0, MAX_AGE)
        elif column == "rating":
            frame[column] = numbers(text, path)
        else:
            frame[column] = text.mask((text == "") | (text.str.lower() == UNKNOWN))
    frame = frame[frame["filename"].notna()]
    refuse_contradictions(frame, "filename", raw[key], path)
    return frame.groupby("filename", sort=True).first().dropna(axis="columns", how="all")


def key_column(raw: pd.DataFrame, path: Path) -> str:
    """The column that says which face a row is about: `image`, else `filename`.

    Raises
    ------
    LabelError
        Neither is there, or a cell of it is empty.
    """
    for key in ("image", "filename"):
        if key in raw.columns:
            empty = raw[key] == ""
            if empty.any():
                raise cell_error(path, empty.idxmax(), key, "", "the name of an image")
            return key
    raise LabelError(f"{path}: there is no column `image` (path below the image folder); "
                     f"the header line has {', '.join(raw.columns) or 'nothing'}")


def _read_ratings(path: Path, names: _NameIndex) -> pd.DataFrame | None:
    """Single judgements: `filename`, `rater` (empty where unknown), `rating`; None without a file.

    Lines whose `rating_type` is `repeat` (the same rater again) are left out and counted.
    """
    raw = read_csv(path)
    if raw is None:
        return None
    key = key_column(raw, path)
    if "rating" not in raw.columns:
        raise LabelError(f"{path}: there is no column `rating`; the header line has {', '.join(raw.columns)}")
    frame = pd.DataFrame({
        "filename": names.resolve(raw[key], key, path),
        "rater": raw.get("rater", ""),
        "rating": numbers(raw["rating"], path),
    })
    repeats = raw.get("rating_type", pd.Series("", raw.index)) == REPEAT
    frame = frame[~repeats & frame["rating"].notna()]
    named = frame[(frame["rater"] != "") & frame["filename"].notna()]
    values = named.groupby(["filename", "rater"])["rating"]
    conflict = named.index[named["rating"] != values.transform("first")]
    if len(conflict):
        line = conflict[0]
        raise cell_error(path, line, "rating", raw["rating"][line],
                         f"one judgement of {raw[key][line]} by {named['rater'][line]}, who has given another value on "
                         "an earlier line (mark a second judgement with rating_type=repeat)")
    frame = frame.drop(named.index[named.duplicated(["filename", "rater"])])
    frame.attrs["repeats"] = int(repeats.sum())
    return frame


def _scale(wanted: str | list[float], judgements: pd.DataFrame | None, table: pd.DataFrame,
           folder: Path) -> tuple[float, float] | None:
    """Ends of the rating scale, checked against every rating of a face that is there."""
    judged = judgements.loc[judgements["filename"].notna(), "rating"] if judgements is not None else pd.Series(dtype=float)
    means = table["rating"] if judgements is None else table.loc[table["rating_source"] == "manual", "rating"]
    means = means.dropna()
    if wanted != "auto":
        low, high = wanted
    elif len(judged) or len(means):
        # A slip of the hand must not stretch the scale of all other ratings beyond every usual one.
        everything = pd.concat([judged, means])
        low, high = _usual_scale(everything) or _usual_scale(judged) or (
            float(np.floor(everything.min())), float(np.ceil(everything.max())))
    else:
        return None
    expected = f"a rating from {low:g} to {high:g} (labels.rating_scale: {wanted})"
    outside = judged[(judged < low) | (judged > high)]
    if len(outside):
        raise cell_error(folder / "ratings.csv", outside.index[0], "rating", f"{outside.iloc[0]:g}", expected)
    outside = means[(means < low) | (means > high)]
    if len(outside):
        raise LabelError(f"{outside.index[0]} has the rating {outside.iloc[0]:g} in {folder / 'labels.csv'} or in the labels "
                         f"by hand; expected {expected}")
    return low, high


def _usual_scale(values: pd.Series) -> tuple[float, float] | None:
    """The narrowest usual scale that holds all values; None if there is none, or no value."""
    if not len(values):
        return None
    return next(((low, high) for low, high in USUAL_SCALES if low <= values.min() and values.max() <= high), None)


def _use_judgements(table: pd.DataFrame, judgements: pd.DataFrame | None) -> None:
    """Put mean, number and spread of the judgements into the table; a rating by hand stays."""
    table["rating_n"] = pd.Series(np.where(table["rating"].notna(), 1, 0), index=table.index, dtype="int32")
    table["rating_sd"] = np.nan
    if judgements is None:
        return
    by_hand = table["rating_source"] == "manual"
    faces = judgements.dropna(subset="filename").groupby("filename")["rating"]
    mean, count, spread = (s.reindex(table.index) for s in (faces.mean(), faces.count(), faces.std()))
    table["rating"] = table["rating"].where(by_hand, mean)
    table["rating_n"] = table["rating_n"].where(by_hand, count.fillna(0)).astype("int32")
    table["rating_sd"] = spread.where(~by_hand)
    table["rating_source"] = table["rating_source"].where(by_hand, np.where(mean.notna(), "label", None))


def _summary(table: pd.DataFrame, judgements: pd.DataFrame | None, scale: tuple[float, float] | None,
             names: _NameIndex, extras: list[str]) -> dict:
    rated = table["rating"].dropna()
    raters = judgements.loc[judgements["rater"] != "", "rater"].nunique() if judgements is not None else 0
    classes = {c: {k: int(n) for k, n in sorted(table[c].value_counts().items())} for c in ("gender", "ethnicity")}
    return {
        "faces": len(table),
        "labelled": {c: int(table[c].notna().sum()) for c in [*COLUMNS, *extras]},
        "by_hand": int(sum((table[c] == "manual").sum() for c in table.columns if c.endswith("_source"))),
        "classes": classes,
        "rating": {
            "scale": list(scale) if scale else None,
            "mean": float(rated.mean()) if len(rated) else None,
            "sd": float(rated.std()) if len(rated) > 1 else None,
            "judgements": int(table["rating_n"].sum()),
            "raters": int(raters),
            "repeats_left_out": judgements.attrs["repeats"] if judgements is not None else 0,
        },
        "images_not_there": sum(len(v) for v in names.absent.values()),
        "images_rejected": sum(len(v) for v in names.rejected.values()),
    }
