"""Filters of the table of faces: conditions that are applied in turn and counted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.doubts import SEPARATOR
from facestats.core.stats.identity import uniform
from facestats.core.tables.names import repeats
from facestats.core.tables.parquet import opened
from facestats.errors import InputError, number_of
from facestats.groups.bounds import has_quantile, in_numbers, numbers_of
from facestats.groups.conditions import (
    AGE,
    COLUMNS,
    WIDENING,
    WITHHELD,
    are_texts,
    are_too_young,
    asks_for_score,
    check_conditions,
    check_flags,
    is_range,
    listed,
    steps,
)
from facestats.groups.params import LEAVE_OUT, Filter
from facestats.groups.tables import FINAL

_NAMED = 20  # classes in a message
DEFAULT = Filter()
# What a selection looks at besides the columns of its conditions.
OTHER_COLUMNS = {"filename", "doubts", "copy_group", "copy_rank", WITHHELD}


@dataclass
class Selection:
    """The outcome of a filter.

    Attributes
    ----------
    rows : DataFrame
        The matching rows, at most `n`, sorted by filename.
    matched : dict of str to int
        Number of faces left after each condition, in order; `all` is the table, `flags` what is
        left without doubtful pictures; `score_withheld`, where there are such faces, without them.
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
    ranges : dict of str to [float, float]
        What quantiles are in numbers, by condition.
    """

    rows: pd.DataFrame
    matched: dict[str, int]
    min_results: int
    relaxed: list[dict] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    flagged: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    ranges: dict[str, list[float]] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        return len(self.rows) >= self.min_results

    def __str__(self) -> str:
        steps = ", ".join(f"{name}: {count}" for name, count in self.matched.items())
        copies = ""
        if self.copies:
            what = "a copy" if self.copies == 1 else "copies"
            copies = f", {number_of(self.copies, 'face')} left out as {what}"
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
        ends included (from `score.min_age` on, without faces whose score a copy's label withholds),
        `attributes` (a class or a list by other attribute, such as
        `{"glasses": "with"}`; also of a column that was only labelled), `cluster` (number or list),
        `rating` [low, high], `columns` (range, class or list by column), `score` (deciles by
        trait), `attractiveness` [low, high] deciles; None: no condition. An end of `rating` and
        `columns` may be a quantile of all faces with a value: `[q0.8, q1]`.
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
        filtered by a score, of whatever trait, or by a column of scores.
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
    check_conditions(table, current, relax or [])
    check_flags(flags)
    table, current, ranges = _numbered(table, current)
    judged = flags == LEAVE_OUT and "doubts" in table.columns
    if judged and not are_texts(table["doubts"]).all():
        raise InputError("the column doubts must hold texts; leave it out, or set flags to keep")
    single = copies == "best" and {"copy_group", "copy_rank"} <= set(table.columns)
    by_score = asks_for_score(table, current)
    rows, matched, flagged, n_copies = _apply(table, current, by_score, judged, single)
    relaxed: list[dict] = []
    for name in relax or []:
        before = current.get(name)
        while len(rows) < min_results and current.get(name) is not None:
            current[name] = _widen(name, current[name])
            kept = {name: value for name, value in current.items() if value is not None}
            rows, matched, flagged, n_copies = _apply(table, kept, by_score, judged, single)
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
        ranges,
    )


def _numbered(
    table: pd.DataFrame, conditions: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, list[float]]]:
    """The table with numbers where ranges are asked for, and quantiles as numbers, by condition."""
    ranges, columns = {}, dict(conditions.get("columns", {}))
    for name, column, value in list(steps(conditions, table)):
        if not is_range(name, value) or name in WIDENING:
            continue
        values = numbers_of(table[column])
        assert values is not None  # the conditions are checked
        table = table if values is table[column] else table.assign(**{column: values})
        if has_quantile(value):
            ranges[name] = in_numbers(value, values)
            if name == "rating":
                conditions = conditions | {"rating": ranges[name]}
            else:
                columns[column] = ranges[name]
    return table, conditions | ({"columns": columns} if columns else {}), ranges


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


def filter_table(path: Path, wanted: Filter) -> Selection:
    """Apply a filter to a table of which only the columns that it names are read.

    Of the faces that match, all columns are read.

    Parameters
    ----------
    path : Path
        `attributes_final.parquet`.
    wanted : Filter
    """
    tables.check(path, FINAL)
    with opened(path) as file:
        names = file.schema_arrow.names
    conditions = wanted.model_dump(include=set(COLUMNS), exclude_none=True)
    asked = {column for _, column, _ in steps(conditions, pd.DataFrame(columns=names))}
    read = [name for name in names if name in asked | OTHER_COLUMNS]
    if asked - {*names}:  # the error names those that there are
        read = names
    selection = filter_faces(tables.read(path, FINAL, read), wanted)
    chosen = selection.rows["filename"]
    if read != names:
        rows = tables.read(path, FINAL, names, only=chosen).set_index("filename", drop=False)
        selection.rows = rows.loc[chosen].set_axis(selection.rows.index)
    return selection


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
    for _, column, _ in steps(
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


def _hints(table: pd.DataFrame, conditions: dict[str, Any]) -> list[str]:
    """For each class that no face has, name the classes that exist."""
    hints = []
    for name, column, value in steps(conditions, table):
        if name == "cluster" or value is None or is_range(name, value):
            continue
        known = set(table[column].dropna().unique())
        missing = set(listed(value)) - known
        if missing:
            classes = _some(known) or "none"
            hints.append(f"no face has {name} {_some(missing)}; there are {classes}")
    return hints


def _some(classes: Collection) -> str:
    """The first classes by name, and how many others there are."""
    names = sorted(map(str, classes))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _apply(
    table: pd.DataFrame, conditions: dict[str, Any], by_score: bool, judged: bool, single: bool
) -> tuple[pd.DataFrame, dict[str, int], dict[str, int], int]:
    """Apply conditions, and leave out doubtful pictures and, with `single`, copies.

    A group that is filtered `by_score`, even by a condition that was dropped, has no face that may
    be a child's.

    Gives the rows, and how many faces were left after each step, left out for each doubt, and left
    out as copies.
    """
    matched = {"all": len(table)}
    for name, column, value in steps(conditions, table):
        if is_range(name, value):
            inside = table[column].between(*value)
            if column == AGE:
                inside &= ~are_too_young(table, value[0])
            table = table[inside]
        else:
            table = table[table[column].isin(listed(value))]
        matched[name] = len(table)
    if by_score and (withheld := table[WITHHELD].notna()).any():
        table = table[~withheld]
        matched[WITHHELD] = len(table)
    flagged: dict[str, int] = {}
    if judged:
        doubts = table["doubts"].astype("object")
        if "yaw" in conditions.get("columns", {}):  # turned heads are asked for, not doubted
            doubts = doubts.map(_without_pose, na_action="ignore").astype("object")
        doubtful = (doubts.notna() & (doubts != "")).to_numpy()
        reasons = doubts[doubtful].str.split(SEPARATOR).explode()
        matched["flags"] = len(table) - int(doubtful.sum())
        table = table[~doubtful]
        flagged = {reason: int(n) for reason, n in reasons.value_counts().sort_index().items()}
    if not single:
        return table, matched, flagged, 0
    several = repeats(table["copy_group"])
    order = table.loc[several, ["copy_group", "copy_rank", "filename"]].reset_index(drop=True)
    order = order.sort_values(["copy_rank", "filename"])
    again = order["copy_group"].duplicated() & order["copy_group"].notna()
    several[several] = again.sort_index().to_numpy()
    best = table[~several]
    return best, matched, flagged, len(table) - len(best)


def _without_pose(doubts: str) -> str:
    return SEPARATOR.join(one for one in doubts.split(SEPARATOR) if one != "extreme_pose")


def _widen(name: str, value: Any) -> list | None:
    """Widen a condition by one step; None where it is dropped."""
    if name not in WIDENING:
        return None
    step, (lowest, highest) = WIDENING[name]
    low, high = max(lowest, value[0] - step), min(highest, value[1] + step)
    return None if (low, high) == (lowest, highest) else [low, high]
