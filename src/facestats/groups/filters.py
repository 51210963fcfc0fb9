"""Filters of the table of faces: conditions that are applied in turn and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.doubts import SEPARATOR
from facestats.core.stats.identity import uniform
from facestats.errors import InputError, number_of
from facestats.groups.params import KEEP, LEAVE_OUT, Filter

# Column of `attributes_final.parquet` by condition; `attributes` names its own. Scores come last:
# where only they change, the counts before them stay.
COLUMNS = {
    "gender": "gender_final",
    "ethnicity": "ethnicity_final",
    "age_range": "age_final",
    "attributes": None,
    "cluster": "cluster",
    "attractiveness": "attractiveness",
}
DEFAULT = Filter()
# One step of widening, and the widest range there is.
WIDENING = {"age_range": (5, (0, 130)), "attractiveness": (1, (1, 10))}


@dataclass
class Selection:
    """The outcome of a filter.

    Attributes
    ----------
    rows : DataFrame
        The matching rows, at most `n`, sorted by filename.
    matched : dict of str to int
        Number of faces left after each condition, in order; `all` is the table, `flags` what is
        left without doubtful pictures.
    min_results : int
        How many were asked for at least.
    relaxed : list of dict
        What was widened, one entry per condition, in order: `condition`, `from`, `to` (null:
        dropped).
    hints : list of str
        For a class that no face has, the classes that exist.
    flagged : dict of str to int
        Faces left out for each doubt about the picture; a face may have several.
    copies : int
        Matching faces left out in favour of a better copy.
    """

    rows: pd.DataFrame
    matched: dict[str, int]
    min_results: int
    relaxed: list[dict] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    flagged: dict[str, int] = field(default_factory=dict)
    copies: int = 0

    @property
    def enough(self) -> bool:
        return len(self.rows) >= self.min_results

    def __str__(self) -> str:
        steps = ", ".join(f"{name}: {count}" for name, count in self.matched.items())
        copies = f", {number_of(self.copies, 'face')} left out as copies" if self.copies else ""
        return (
            f"{number_of(len(self.rows), 'face')} of at least {self.min_results} "
            f"(left after each condition: {steps}{copies})"
            + "".join(f"; {hint}" for hint in self.hints)
        )


def select_faces(
    table: pd.DataFrame,
    conditions: dict[str, Any],
    n: int | None = None,
    seed: int = DEFAULT.seed,
    min_results: int = 1,
    relax: list[str] | None = None,
    flags: str = DEFAULT.flags,
    copies: str = DEFAULT.copies,
) -> Selection:
    """Apply conditions to the table of faces.

    Parameters
    ----------
    table : DataFrame
        `filename` and the columns of `COLUMNS` that the conditions name.
    conditions : dict
        Any of `gender`, `ethnicity` (a class or a list), `age_range` [low, high] in years, both
        ends included, `attributes` (a class or a list by other attribute, such as
        `{"glasses": "with"}`), `cluster` (number or list), `attractiveness` [low, high] deciles;
        None: no condition.
    n : int, optional
        At most this many, drawn by a hash of seed and filename, so that one face more changes at
        most one member. By default all.
    seed : int
        Another seed draws other faces.
    min_results : int
        Fewer are too few; only then `relax` is used.
    relax : list of str, optional
        Conditions that may be widened, in this order: ranges step by step, others are dropped.
        Faces that get no score for their age (`score_withheld`) never enter a group that was
        filtered by `attractiveness`.
    flags : str
        `leave_out`: no faces with an entry in the column `doubts`, if the table has it; `keep`:
        these too.
    copies : str
        `best`: one of the matching copies of a picture, by `copy_group` and `copy_rank` (a table
        without these has no copies); `keep`: all.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        An unknown condition, one that is no class, number or range, or a column that the table
        lacks or that holds something else.
    """
    current = {name: value for name, value in conditions.items() if value is not None}
    _check_conditions(table, current, relax or [])
    check_flags(flags)
    judged = flags == LEAVE_OUT and "doubts" in table.columns
    if judged and not _texts(table["doubts"]).all():
        raise InputError("the column doubts must hold texts; leave it out, or set flags to keep")
    single = copies == "best" and {"copy_group", "copy_rank"} <= set(table.columns)
    rows, matched, flagged, n_copies = _apply(table, current, judged, single)
    relaxed: list[dict] = []
    for name in relax or []:
        before = current.get(name)
        while len(rows) < min_results and current.get(name) is not None:
            current[name] = _widen(name, current[name])
            if (
                name == "attractiveness"
                and current[name] is None
                and "score_withheld" in table.columns
            ):
                # A group that was filtered by score has no face that may be a child's.
                table = table[table["score_withheld"].isna()]
            kept = {name: value for name, value in current.items() if value is not None}
            rows, matched, flagged, n_copies = _apply(table, kept, judged, single)
        if current.get(name) != before:
            relaxed.append({"condition": name, "from": before, "to": current[name]})
    if n is not None and len(rows) > n:
        rows = rows.iloc[np.argsort(uniform(seed, rows["filename"]), kind="stable")[:n]]
    return Selection(
        rows.sort_values("filename"),
        matched,
        min_results,
        relaxed,
        _hints(table, current),
        flagged,
        n_copies,
    )


def _check_conditions(table: pd.DataFrame, conditions: dict[str, Any], relax: list[str]) -> None:
    """Raise `InputError` for conditions that don't exist, or that the table can't answer."""
    check_table(table)
    for name in [*conditions, *relax]:
        if name not in COLUMNS:
            raise InputError(f"unknown condition {name!r}; there are {', '.join(COLUMNS)}")
    attributes = conditions.get("attributes", {})
    if not isinstance(attributes, dict) or not all(isinstance(name, str) for name in attributes):
        raise InputError(
            f"attributes = {attributes!r}; expected a class by attribute, such as "
            "{'glasses': 'with'}"
        )
    for name, column, value in _steps(conditions):
        if column not in table.columns:
            raise InputError(
                f"the condition {name} needs the column {column}; the table has {_names(table)}"
            )
        _check_value(name, value)
        numbers = pd.api.types.is_numeric_dtype(table[column])
        if name.startswith("attributes.") and numbers:
            raise InputError(f"the condition {name} asks for a class, but {column} holds numbers")
        if name not in WIDENING and not numbers and not _texts(table[column]).all():
            raise InputError(
                f"the condition {name} asks for a class, but {column} holds something else than "
                "texts"
            )
        if name in WIDENING and not numbers and table[column].notna().any():
            raise InputError(
                f"the condition {name} needs numbers, but {column} holds something else"
            )


def filter_faces(table: pd.DataFrame, wanted: Filter) -> Selection:
    """Apply a filter of `params.yaml`; see `select_faces`.

    Parameters
    ----------
    table : DataFrame
        `attributes_final.parquet`.
    wanted : Filter

    Returns
    -------
    Selection
    """
    return select_faces(
        table,
        wanted.model_dump(include=set(COLUMNS)),
        wanted.n,
        wanted.seed,
        wanted.min_results,
        list(wanted.relax),
        wanted.flags,
        wanted.copies,
    )


def warnings_of(selection: Selection, name: str, doubts: list[str], on_few: str) -> list[str]:
    """Say what is notable about a selection: too few faces, unknown classes, widened conditions.

    Parameters
    ----------
    selection : Selection
    name : str
        What asked for it, such as `composites.women`.
    doubts : list of str
        As `column_doubts` returns them.
    on_few : str
        `skip` or `error`.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        There are too few faces, and `on_few` is `error`.
    """
    warnings = []
    if not selection.enough:
        message = "; ".join([f"{name} finds too few: {selection}", *doubts])
        if on_few == "error":
            raise InputError(f"{message}. Widen the filter, lower min_results, or set on_few: skip")
        warnings.append(f"{message}; it is not built")
    elif selection.hints:
        warnings.append(f"{name}: {'; '.join(selection.hints)}")
    return warnings + [
        f"{name}: {step['condition']} widened from {step['from']} to {step['to'] or 'any'}"
        for step in selection.relaxed
    ]


def column_doubts(
    rows: pd.DataFrame, conditions: dict[str, Any], doubts: dict[str, str]
) -> list[str]:
    """Say what is doubtful about the columns that a filter uses.

    Parameters
    ----------
    rows : DataFrame
        The matching faces. An attribute is doubtful where prompts alone answer it
        (`<attribute>_source` is `zeroshot`), or where no face matches.
    conditions : dict
        As of `select_faces`.
    doubts : dict of str to str
        A text by attribute, as `tables.read_doubts` returns it.

    Returns
    -------
    list of str
    """
    texts = []
    for _, column, _ in _steps(
        {name: value for name, value in conditions.items() if value is not None}
    ):
        attribute = column.removesuffix("_final")
        source = rows.get(f"{attribute}_source")
        by_prompts = 0 if source is None else int((source == "zeroshot").sum())
        if attribute in doubts and (source is None or by_prompts or rows.empty):
            texts.append(
                doubts[attribute]
                if source is None or rows.empty
                else f"{attribute} of {by_prompts} of {number_of(len(rows), 'face')} is what "
                f"prompts say: {doubts[attribute]}"
            )
    return texts


def check_flags(flags: str) -> None:
    """Raise `InputError` unless `flags` is `leave_out` or `keep`."""
    if flags not in (LEAVE_OUT, KEEP):
        raise InputError(f"flags = {flags!r}; there are {LEAVE_OUT} and {KEEP}")


def check_table(table: pd.DataFrame) -> None:
    """Raise `InputError` for rows without names, or columns that can't be told apart."""
    if "filename" not in table.columns:
        hint = "; .reset_index() makes one of the index" if table.index.name == "filename" else ""
        raise InputError(f"the table needs the column filename; it has {_names(table)}{hint}")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"the column {twice[0]} stands twice in the table; leave one out")
    nameless = table["filename"].isna() | ~_texts(table["filename"])
    if nameless.any():
        value = table.loc[nameless.to_numpy(), "filename"].iloc[0]
        raise InputError(f"the column filename must hold a text in every row; found {value!r}")


def _texts(column: pd.Series) -> pd.Series:
    """Whether a value is a text, or null."""
    if isinstance(column.dtype, pd.StringDtype):
        return pd.Series(True, index=column.index)
    return column.map(lambda value: isinstance(value, str)).astype(bool) | column.isna()


def _names(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns)) or "none"


def _check_value(name: str, value: Any) -> None:
    """Raise `InputError` where a condition has no class, number or range that fits its column."""
    if name not in WIDENING:
        kind, what = (Integral, "a cluster's number") if name == "cluster" else (str, "a class")
        if not all(isinstance(one, kind) for one in _listed(value)):
            raise InputError(f"{name} = {value!r}; expected {what}, or a list of them")
        return
    lowest, highest = WIDENING[name][1]
    try:
        low, high = value
        possible = (
            # These have no order, or are used up by now.
            not isinstance(value, (set, frozenset, Iterator))
            and isinstance(low, Real)
            and isinstance(high, Real)
            and low <= high
            and (name != "attractiveness" or (float(low) >= lowest and float(high) <= highest))
        )
    except (TypeError, ValueError):
        possible = False
    if not possible:
        what = f"deciles from {lowest} to {highest}" if name == "attractiveness" else "years"
        raise InputError(f"{name} = {value!r}; expected [low, high] in {what}, low first")


def _listed(value: Any) -> list:
    """One class or several, as a list; columns and indexes of pandas and polars too."""
    if hasattr(value, "to_list"):
        return value.to_list()
    several = isinstance(value, (list, tuple, set, frozenset, np.ndarray))
    return list(value) if several else [value]


def _steps(conditions: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Name, column and value of each condition, in the order in which they are applied."""
    for name, column in COLUMNS.items():
        if column is None:
            for attribute, value in sorted((conditions.get(name) or {}).items()):
                yield f"{name}.{attribute}", f"{attribute}_final", value
        elif name in conditions:
            yield name, column, conditions[name]


def _hints(table: pd.DataFrame, conditions: dict[str, Any]) -> list[str]:
    """For each class that no face has, name the classes that exist."""
    hints = []
    for name, column, value in _steps(conditions):
        if name in WIDENING or name == "cluster" or value is None:
            continue
        known = set(table[column].dropna().unique())
        missing = set(_listed(value)) - known
        if missing:
            classes = ", ".join(sorted(map(str, known))) or "none"
            hints.append(f"no face has {name} {', '.join(sorted(missing))}; there are {classes}")
    return hints


def _apply(
    table: pd.DataFrame, conditions: dict[str, Any], judged: bool, single: bool
) -> tuple[pd.DataFrame, dict[str, int], dict[str, int], int]:
    """Apply conditions, and leave out doubtful pictures and, with `single`, copies.

    Gives the rows, and how many faces were left after each step, left out for each doubt, and left
    out as copies.
    """
    matched = {"all": len(table)}
    for name, column, value in _steps(conditions):
        if name in WIDENING:
            table = table[table[column].between(*value)]
        else:
            table = table[table[column].isin(_listed(value))]
        matched[name] = len(table)
    flagged: dict[str, int] = {}
    if judged:
        doubtful = (table["doubts"].notna() & (table["doubts"] != "")).to_numpy()
        reasons = table["doubts"][doubtful].str.split(SEPARATOR).explode()
        matched["flags"] = len(table) - int(doubtful.sum())
        table = table[~doubtful]
        flagged = {reason: int(n) for reason, n in reasons.value_counts().sort_index().items()}
    if not single:
        return table, matched, flagged, 0
    order = (
        table[["copy_group", "copy_rank", "filename"]]
        .reset_index(drop=True)
        .sort_values(["copy_rank", "filename"])
    )
    again = order["copy_group"].duplicated() & order["copy_group"].notna()
    best = table[~again.sort_index().to_numpy()]
    return best, matched, flagged, len(table) - len(best)


def _widen(name: str, value: Any) -> list | None:
    """Widen a condition by one step; None where it is dropped."""
    if name not in WIDENING:
        return None
    step, (lowest, highest) = WIDENING[name]
    low, high = max(lowest, value[0] - step), min(highest, value[1] + step)
    return None if (low, high) == (lowest, highest) else [low, high]
