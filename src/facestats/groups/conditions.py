"""The conditions of a filter: the columns that they ask for, and what they may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import InputError, suggestion
from facestats.groups.bounds import check_bounds, has_quantile, is_bounds, numbers_of
from facestats.groups.params import KEEP, LEAVE_OUT, MAIN
from facestats.traits.tables import MAIN as SCORES

AGE = "age_final"
# Column of `attributes_final.parquet` by condition; some name their own. Scores come last: where
# only they change, the counts before them stay.
COLUMNS = {
    "gender": "gender_final",
    "ethnicity": "ethnicity_final",
    "age_range": AGE,
    "attributes": None,
    "cluster": "cluster",
    "rating": "rating",
    "columns": None,
    "score": None,
    "attractiveness": "attractiveness",
}
DECILES = "deciles from 1 to 10"
DECILE = "_decile"  # of the column of a trait's deciles
_NAMING = {
    "attributes": "a class by attribute, such as {'glasses': 'with'}",
    "columns": "a range or a class by column, such as {'age_final': [20, 30]}",
    "score": "deciles by trait, such as {'trustworthy': [8, 10]}",
}
WITHHELD = "score_withheld"  # why a face gets no score; empty where it gets one
# A reason by the label of the face or of a copy, not by the model: see `age.check`.
_LABELLED_UNDER = re.compile(r"(?:said by hand to be|.*labelled as) under ([\d.]+) \(.*\)")
_MAIN_SCORES = {*SCORES.values(), "geometry_zscore"}
_OF_TRAIT = re.compile(rf".+_({'|'.join(SCORES)})")  # measurements and labels may be named so, too
# One step of widening, and the widest range there is.
WIDENING = {"age_range": (5, (0, 130)), "attractiveness": (1, (1, 10))}


def is_range(name: str, value: Any) -> bool:
    """Whether a condition has two ends; others name classes or clusters."""
    if name.startswith("columns."):
        return is_bounds(value)
    return name in WIDENING or name == "rating" or name.startswith("score.")


def check_conditions(table: pd.DataFrame, conditions: dict[str, Any], relax: list[str]) -> None:
    """Raise `InputError` for conditions that don't exist, or that the table can't answer."""
    check_table(table)
    for name in [*conditions, *relax]:
        if name not in COLUMNS:
            raise InputError(f"unknown condition {name!r}; there are {', '.join(COLUMNS)}")
    for group, example in _NAMING.items():
        own = conditions.get(group, {})
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            raise InputError(f"{group} = {own!r}; expected {example}")
    for name, column, value in steps(conditions, table):
        if column not in table.columns:
            raise _no_column(table, name, column)
        _check_value(name, value)
        numbers = pd.api.types.is_numeric_dtype(table[column])
        if is_range(name, value):
            _check_range(table[column], name, column, value)
        elif name.startswith(("attributes.", "columns.")) and numbers:
            raise InputError(f"the condition {name} asks for a class, but {column} holds numbers")
        elif not numbers and not are_texts(table[column]).all():
            raise InputError(
                f"the condition {name} asks for a class, but {column} holds something else than "
                "texts"
            )


def _no_column(table: pd.DataFrame, name: str, column: str) -> InputError:
    """The table lacks what a condition asks for."""
    group, _, asked = name.partition(".")
    if group == "score":
        there = [one.removesuffix(DECILE) for one in map(str, table) if one.endswith(DECILE)]
        near = suggestion(asked, there)
        known = ", ".join(there) or "none; score.traits in params.yaml names them"
        return InputError(f"the condition {name}: {asked} is not scored.{near} There are {known}")
    if group == "columns":
        near = suggestion(asked, map(str, table))
        return InputError(f"the condition {name}: the table has no column {asked}.{near}")
    return InputError(
        f"the condition {name} needs the column {column}; the table has {_names(table)}"
    )


def _check_range(values: pd.Series, name: str, column: str, value: Any) -> None:
    """Raise `InputError` for a range of a column that holds no numbers, or quantiles of none."""
    strict = name in WIDENING and not pd.api.types.is_numeric_dtype(values)
    if numbers_of(values) is None or (strict and values.notna().any()):
        strange = values.notna() & (strict | pd.to_numeric(values, errors="coerce").isna())
        raise InputError(
            f"the condition {name} needs numbers, but {column} holds something else, such as "
            f"{values[strange].iloc[0]!r}"
        )
    if has_quantile(value) and values.isna().all():
        raise InputError(
            f"the condition {name} asks for quantiles, but no face has a value in {column}"
        )


def asks_for_score(table: pd.DataFrame, conditions: dict[str, Any]) -> bool:
    """Whether a condition is about a score, of whatever trait.

    A column that is named like a trait's is one where no face whose score is withheld has a value.
    """
    if WITHHELD not in table.columns:
        return False
    withheld = table[WITHHELD].notna()
    return any(
        column in _MAIN_SCORES
        or (_OF_TRAIT.fullmatch(column) and table.loc[withheld, column].isna().all())
        for _, column, _ in steps(conditions, table)
    )


def are_too_young(table: pd.DataFrame, low: float) -> np.ndarray:
    """Which faces are under `low` years by a label of theirs or of a copy of the picture.

    `age_final` may be another: the label of a copy, which withholds the score, is not in it.

    Parameters
    ----------
    table : DataFrame (n rows)

    Returns
    -------
    ndarray of bool (n,)
    """
    if WITHHELD not in table.columns:
        return np.zeros(len(table), bool)
    reasons = table[WITHHELD]
    found = {text: _LABELLED_UNDER.fullmatch(str(text)) for text in reasons.dropna().unique()}
    return reasons.isin([text for text, age in found.items() if age and float(age[1]) <= low])


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
    nameless = table["filename"].isna() | ~are_texts(table["filename"])
    if nameless.any():
        value = table.loc[nameless.to_numpy(), "filename"].iloc[0]
        raise InputError(f"the column filename must hold a text in every row; found {value!r}")


def are_texts(column: pd.Series) -> pd.Series:
    """Whether a value is a text, or null."""
    if isinstance(column.dtype, pd.StringDtype):
        return pd.Series(True, index=column.index)
    return column.map(lambda value: isinstance(value, str)).astype(bool) | column.isna()


def _names(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns)) or "none"


def _check_value(name: str, value: Any) -> None:
    """Raise `InputError` where a condition has no class, number or range that fits its column."""
    if name == "rating" or (name.startswith("columns.") and is_range(name, value)):
        try:
            check_bounds(value)
        except ValueError as error:
            raise InputError(f"{name} = {value!r}; {error}") from None
        return
    if name.startswith("score."):
        _check_ends(name, value, WIDENING[MAIN][1], DECILES)
        return
    if name in WIDENING:
        _check_ends(name, value, WIDENING[name][1], DECILES if name == MAIN else "years")
        return
    kind, what = (Integral, "a cluster's number") if name == "cluster" else (str, "a class")
    if not all(isinstance(one, kind) for one in listed(value)):
        ends = " or [low, high]" if name.startswith("columns.") else ""
        raise InputError(f"{name} = {value!r}; expected {what}, or a list of them{ends}")


def _check_ends(name: str, value: Any, limits: tuple[int, int], what: str) -> None:
    """Raise `InputError` unless a value is [low, high]; deciles also lie within the limits."""
    lowest, highest = limits
    try:
        low, high = value
        possible = (
            # Sets have no order, and an iterator is used up by now.
            not isinstance(value, (set, frozenset, Iterator))
            and isinstance(low, Real)
            and isinstance(high, Real)
            and low <= high
            and (name == "age_range" or (float(low) >= lowest and float(high) <= highest))
        )
    except (TypeError, ValueError):
        possible = False
    if not possible:
        raise InputError(f"{name} = {value!r}; expected [low, high] in {what}, low first")


def listed(value: Any) -> list:
    """One class or several, as a list; columns and indexes of pandas and polars too."""
    if hasattr(value, "to_list"):
        return value.to_list()
    several = isinstance(value, (list, tuple, set, frozenset, np.ndarray))
    return list(value) if several else [value]


def steps(
    conditions: dict[str, Any], table: pd.DataFrame | None = None
) -> Iterator[tuple[str, str, Any]]:
    """Name, column and value of each condition, in the order in which they are applied.

    An attribute that the table has no answers for may be a column that people labelled.
    """
    for name, column in COLUMNS.items():
        if column is not None:
            if name in conditions:
                yield name, column, conditions[name]
            continue
        for own, value in sorted((conditions.get(name) or {}).items()):
            where = own
            if name == "attributes":
                answered = table is None or f"{own}_final" in table or own not in table
                where = f"{own}_final" if answered else own
            elif name == "score":
                where = MAIN if own == MAIN else own + DECILE
            yield f"{name}.{own}", where, value
