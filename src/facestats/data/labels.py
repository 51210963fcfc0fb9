"""The user's label files: checked, joined, one row a face.

`labels.csv` and `ratings.csv` lie in one folder, both optional; corrections by hand lie in a file of their own and
win. Every cell is read as text first, so that an error can name file, line, column and value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.data.csv_text import numbers, read_csv, refuse_contradictions
from facestats.data.names import NameIndex, key_column
from facestats.data.raters import rater_warnings, without_raters
from facestats.data.ratings import find_scale, read_ratings, use_judgements
from facestats.errors import InputError, LabelError
from facestats.tables import UNKNOWN

COLUMNS = ("gender", "ethnicity", "age", "rating", "person")
RESERVED = ("rating_n", "rating_sd")
MAX_AGE = 130


@dataclass
class JoinedLabels:
    """Labels of all faces, and what was found on the way.

    Attributes
    ----------
    table : DataFrame in the schema `tables.LABELS`, one row an accepted face; further label columns follow as text.
    scale : (low, high) of the ratings, None where nobody rated.
    judgements : the single ratings of faces that are there, behind the means: `filename`, `rater`, `rating`; None without ratings.csv.
    summary : counts for `metrics/labels.json`.
    warnings : what the user should know but need not mend.
    """

    table: pd.DataFrame
    scale: tuple[float, float] | None
    judgements: pd.DataFrame | None
    summary: dict
    warnings: list[str] = field(default_factory=list)


def join_labels(faces: pd.DataFrame, folder: Path, manual: Path, rating_scale: str | list[float],
                drop_raters: str | list[str] | None = None) -> JoinedLabels:
    """Check and join all label files.

    Parameters
    ----------
    faces : `faces.parquet` with `image`, `filename` (null where rejected).
    folder : holds `labels.csv` and `ratings.csv`, or neither; must exist.
    manual : corrections by hand, same columns as `labels.csv`; may be missing.
    rating_scale : `auto` or [low, high].
    drop_raters : raters left out of the means: None (nobody), `auto` (the suspicious ones) or names; see `raters.without_raters`.

    Raises
    ------
    InputError
        The folder does not exist.
    LabelError
        A value that can't be used, with file, line, column and value; a rater to drop who is not there.
    """
    if not folder.is_dir():
        found = "is a file, expected a folder; move the file into a folder and name that in data.labels" if folder.exists() else (
            "does not exist; make it (it may be empty) or set data.labels")
        raise InputError(f"the label folder {folder} {found}")
    names = NameIndex(faces)
    labels = _read_labels(folder / "labels.csv", names)
    corrections = _read_labels(manual, names)
    judgements = read_ratings(folder / "ratings.csv", names)

    table = pd.DataFrame(index=pd.Index(faces["filename"].dropna().sort_values(), name="filename"))
    extras = [c for c in dict.fromkeys([*labels.columns, *corrections.columns]) if c not in COLUMNS]
    corrections, labels = corrections.reindex(table.index), labels.reindex(table.index)
    for column in [*COLUMNS, *extras]:
        said, labelled = _column(corrections, column), _column(labels, column)
        table[column] = said.where(said.notna(), labelled)
        if column != "person":
            source = np.where(said.notna(), "manual", np.where(labelled.notna(), "label", None))
            table[f"{column}_source"] = pd.Series(source, index=table.index, dtype="str")
    # The order of lines says nothing, but would move the last bits of sums; by rating first, equal judgements have equal means.
    present = None if judgements is None else judgements.dropna(subset="filename").sort_values(["filename", "rating", "rater"])
    listed = drop_raters if isinstance(drop_raters, list) else []
    scale = find_scale(rating_scale, None if present is None else present[~present["rater"].isin(listed)], table, folder)
    kept, raters = without_raters(present, drop_raters)
    use_judgements(table, kept)
    summary = _summary(table, scale, names, extras) | {"raters": raters}
    summary["rating"]["repeats_left_out"] = judgements.attrs["repeats"] if judgements is not None else 0
    return JoinedLabels(table.reset_index(), scale, kept, summary, [*names.warnings(), *rater_warnings(raters)])


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series(np.nan, frame.index, dtype="float64" if name in ("age", "rating") else "str")


def _read_labels(path: Path, names: NameIndex) -> pd.DataFrame:
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


def _summary(table: pd.DataFrame, scale: tuple[float, float] | None,
             names: NameIndex, extras: list[str]) -> dict:
    rated = table["rating"].dropna()
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
        },
        "images_not_there": sum(len(v) for v in names.absent.values()),
        "images_rejected": sum(len(v) for v in names.rejected.values()),
    }
