"""Corrections by hand laid over the labels of the label file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from facestats.errors import LabelError
from facestats.labels.columns import plain
from facestats.labels.label_file import COLUMNS, NUMBERS, FaceLabels


def merged(
    faces: pd.DataFrame, labels: FaceLabels, corrections: FaceLabels
) -> tuple[pd.DataFrame, list[str]]:
    """Labels of all accepted faces with their sources, and the names of the further columns."""
    table = pd.DataFrame(index=pd.Index(faces["filename"].dropna().sort_values(), name="filename"))
    table["image"] = faces.dropna(subset="filename").set_index("filename")["image"]
    names = names_of_labels(corrections, labels.by_face)
    by_hand = corrections.by_face.rename(columns=names).reindex(table.index)
    by_file = labels.by_face.reindex(table.index)
    extras = [
        name for name in dict.fromkeys([*by_file.columns, *by_hand.columns]) if name not in COLUMNS
    ]
    columns: dict[str, pd.Series] = {}
    nothing: Any = None
    for name in [*COLUMNS, *extras]:
        manual_labels = _column(by_hand, name, by_file)
        file_labels = _column(by_file, name, by_hand)
        columns[name] = manual_labels.where(manual_labels.notna(), file_labels)
        if name != "person":
            source = np.where(
                manual_labels.notna(), "manual", np.where(file_labels.notna(), "label", nothing)
            )
            columns[f"{name}_source"] = pd.Series(source, index=table.index, dtype="str")
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1), extras


def _column(frame: pd.DataFrame, name: str, other: pd.DataFrame) -> pd.Series:
    """The column, or an empty one of the other file's kind."""
    if name in frame:
        return frame[name]
    numeric = name in NUMBERS or (name in other and is_numeric_dtype(other[name]))
    return pd.Series(np.nan, frame.index, dtype="float64" if numeric else "str")


def names_of_labels(corrections: FaceLabels, labels: pd.DataFrame) -> dict[str, str]:
    """The label file's names of further columns that corrections spell otherwise (`Glasses`).

    Raises
    ------
    LabelError
        A column could be several of the other file.
    """
    in_labels = [name for name in labels.columns if name not in COLUMNS]
    in_corrections = [name for name in corrections.by_face.columns if name not in COLUMNS]
    renamed: dict[str, str] = {}
    for name in in_corrections:
        if name in in_labels:
            continue  # it keeps its name, whatever else is spelt like it
        alike = [other for other in in_labels if plain(other) == plain(name)]
        spelt_so = [other for other in in_corrections if plain(other) == plain(name)]
        if alike and len(alike) + len(spelt_so) > 2:
            several = ", ".join(map(repr, dict.fromkeys([*spelt_so, *alike])))
            raise LabelError(
                f"{corrections.path}: the column {name!r} could be several: {several}; "
                "write its name as in the label file"
            )
        if alike:
            renamed[name] = alike[0]
    return renamed
