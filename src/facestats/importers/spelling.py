"""One name for one column, however the tables of two datasets spell it.

Known columns are those that the stage `labels` knows, by all its words for them; a mean of a trait
is `rating_<trait>`; further columns are named as in the earlier table.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.columns import (
    LABELS,
    RATINGS,
    describe_columns,
    find_columns,
    rating_name,
    refuse_other_unit,
)
from facestats.labels.levels import DATASET
from facestats.labels.traits import trait_column


def letters(text: str) -> str:
    """A word without case, blanks and signs; what stands in brackets counts."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def known_columns(
    columns: Sequence[str], path: Path, names: Iterable[str] = LABELS
) -> dict[str, str]:
    """The headers of known label columns, by their names; see `find_columns`.

    Raises
    ------
    LabelError
        Two headers could be the same column, or ages are not in years.
    """
    headers = find_columns(columns, {name: LABELS[name] for name in names}, path)
    refuse_other_unit(headers.get("age", ""), path)
    return headers


def with_own_names(
    table: pd.DataFrame, stem: str, path: Path
) -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """A table of labels or ratings, its known columns under their own names.

    Parameters
    ----------
    table : DataFrame
    stem : str
        `labels` or `ratings`.
    path : Path
        The file, for messages.

    Returns
    -------
    table : DataFrame
    headers : dict of str to str
        The header of each known column, by its name.
    notes : list of str
        Headers that were read as another word.

    Raises
    ------
    LabelError
        Two columns would become one, or ages are not in years.
    """
    columns = [str(column) for column in table.columns]
    if stem == "labels":
        headers = known_columns(columns, path)
        names = {header: name for header in columns if (name := rating_name(header))}
    else:
        headers = find_columns(columns, RATINGS, path)
        trait = trait_column(table.columns)
        names = {trait: "trait"} if trait else {}
    names |= {header: name for name, header in headers.items()}
    notes = describe_columns(headers, path)
    return _renamed(table, names, path), headers, notes


def without_column_dataset(table: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    """The labels of a dataset, its own column `dataset` under another name; and a note on it."""
    names, taken = {}, {*table.columns}
    for header in map(str, table.columns):
        if letters(header) == DATASET:
            new = f"{name}_{DATASET}"
            while new in taken:
                new += "_"
            names[header] = new
            taken.add(new)
    notes = [
        f"the column {header!r} of {name} is {new}, for `{DATASET}` says which dataset a photo "
        "is of"
        for header, new in names.items()
    ]
    return table.rename(columns=names), notes


def named_as(table: pd.DataFrame, earlier: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A table whose columns have the names of earlier ones that differ in case, blanks and signs.

    Raises
    ------
    LabelError
        Which of several is meant can't be told.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in map(str, earlier.columns):
        alike[letters(name)].append(name)
    names: dict[str, str] = {}
    for header in map(str, table.columns):
        there = alike.get(letters(header), []) if letters(header) else []
        if len(there) > 1 and header not in there:
            raise LabelError(
                f"{path}: the column {header!r} could be {' or '.join(map(repr, there))} of what "
                "is there; write its name as there"
            )
        if there and header not in there:
            names[header] = there[0]
    return _renamed(table, names, path)


def _renamed(table: pd.DataFrame, names: Mapping[str, str], path: Path) -> pd.DataFrame:
    """The table under new names.

    Raises
    ------
    LabelError
        Two columns would have one name.
    """
    headers: dict[str, str] = {}
    for header in map(str, table.columns):
        name = names.get(header, header)
        if name in headers:
            raise LabelError(
                f"{path}: the columns {headers[name]!r} and {header!r} would both be `{name}`; "
                "give one of them another name"
            )
        headers[name] = header
    return table.rename(columns=dict(names))
