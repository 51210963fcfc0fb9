"""A filter as a text: the keys of `composites.<name>.filter` as the query of an address.

    gender=female&age_range=50..80&attributes.glasses=with

A range has its two ends around `..`, each a number or a quantile; an end may be missing. Forms
without script send the ends as two fields, `age_range.from` and `age_range.to`. Classes are
repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
from pydantic import ValidationError

from facestats.core.layout import FINAL_TABLE
from facestats.errors import InputError, suggestion
from facestats.groups.conditions import COLUMNS, steps
from facestats.groups.filters import OTHER_COLUMNS, Selection, filter_faces, filter_table
from facestats.groups.params import Filter
from facestats.serving.composites_manifest import CompositesManifest

if TYPE_CHECKING:
    from facestats.serving.models import Models

WIDEST = {"age_range": ("0", "130"), "attractiveness": ("1", "10"), "score": ("1", "10")}
LONGEST = 4000  # characters of a filter
_SHOWN = 60  # characters of one in a message
MOST = 200  # fields of one
_END = r"(?:-?\d+(?:\.\d*)?|-?\.\d+|q(?:\d*\.?\d+|\d+\.))"
_RANGE = re.compile(rf"({_END})?\.\.({_END})?")
GROUPS = ("attributes", "columns", "score")
_RANGES = ("age_range", "rating", "attractiveness", "score")
_CLASSES = ("gender", "ethnicity", "cluster")
_NUMBERS = ("n", "seed")
_CHOICES = ("flags", "copies")
KEYS = (*_CLASSES, *_RANGES[:3], *_NUMBERS, *_CHOICES)


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises
    ------
    InputError
        An unknown key, or a value that its condition does not take.
    """
    try:
        text.encode()
        fields = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text.strip()))
    except ValueError:
        raise InputError(
            f"the filter: {text[:_SHOWN]!a} is not such as gender=female&age_range=20..30"
        ) from None
    return parse_fields(fields)


def parse_fields(fields: Iterable[tuple[str, str]], own: Iterable[str] = ()) -> Filter:
    """Read the fields of a filter; empty ones are passed over.

    Parameters
    ----------
    fields : iterable of (str, str)
    own : iterable of str
        Further keys that the caller knows, for the message about an unknown one.

    Raises
    ------
    InputError
        As of `parse_filter`.
    """
    values: dict[str, list[str]] = {}
    for key, value in fields:
        if value.strip():
            values.setdefault(key, []).append(value.strip())
    check_length(text for texts in values.values() for text in texts)
    _join_ends(values)
    wanted: dict[str, Any] = {"min_results": 1}
    for key, texts in values.items():
        group, _, name = key.partition(".")
        if key in KEYS:
            wanted[key] = _value(key, texts)
        elif group in GROUPS and name:
            wanted.setdefault(group, {})[name] = _value(key, texts)
        else:
            near = suggestion(key, (*KEYS, *own))
            raise InputError(f"the filter has no condition {key!a}.{near}")
    try:
        return Filter.model_validate(wanted)
    except ValidationError as error:
        raise InputError(f"the filter: {listed(error.errors())}") from None


def check_length(texts: Iterable[str]) -> None:
    """Refuse a filter of too many fields, or too many characters.

    Raises
    ------
    InputError
    """
    every = list(texts)
    if len(every) > MOST or sum(map(len, every)) > LONGEST:
        raise InputError("the filter is too long")


def listed(errors: Any) -> str:
    """The errors of a validation in one line."""
    return "; ".join(
        f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors[:5]
    )


def select_allowed(table: pd.DataFrame, where: Filter, names: pd.Index) -> np.ndarray:
    """Which of some faces fulfil a filter.

    Parameters
    ----------
    table : DataFrame
        `attributes_final.parquet`, with any index.
    where : Filter
    names : Index (n,)
        Filenames of faces.

    Returns
    -------
    ndarray of bool (n,)

    Raises
    ------
    InputError
        A condition that the table can't answer, or no face fulfils all.
    """
    there = [str(name) for name in table.columns]
    conditions = where.model_dump(include=set(COLUMNS), exclude_none=True)
    asked = {column for _, column, _ in steps(conditions, pd.DataFrame(columns=there))}
    # Where a column is missing, the error names those that there are.
    read = there if asked - {*there} else [name for name in there if name in asked | OTHER_COLUMNS]
    return names.isin(_found(filter_faces(table[read].reset_index(drop=True), where)))


def names_that_match(models: Models, where: Filter) -> list[str]:
    """Filenames of the faces of a project that fulfil a filter.

    Raises
    ------
    InputError
        As of `select_allowed`.
    MixedPartsError
        The table of faces is of another run than the models.
    """
    manifest = CompositesManifest.read(models)
    selection = filter_table(models.root / FINAL_TABLE, where)
    manifest.check_final()
    return _found(selection).tolist()


def _found(selection: Selection) -> pd.Series:
    if selection.rows.empty:
        raise InputError(f"the filter leaves no face: {selection}")
    return selection.rows["filename"]


def _join_ends(values: dict[str, list[str]]) -> None:
    """Make one range of the two fields of a form."""
    for key in [*values]:
        name, _, end = key.rpartition(".")
        if end in ("from", "to") and name and name.partition(".")[0] in (*_RANGES, "columns"):
            low = values.pop(f"{name}.from", [""])[-1]
            high = values.pop(f"{name}.to", [""])[-1]
            if low or high:
                values[name] = [f"{low}..{high}"]


def _value(key: str, texts: list[str]) -> Any:
    group = key.partition(".")[0]
    if group in _CHOICES:
        return texts[-1]
    if group in _NUMBERS or group == "cluster":
        numbers = [_whole(key, text) for text in texts]
        return numbers if group == "cluster" else numbers[-1]
    is_range = _RANGE.fullmatch(texts[-1])
    if group in _RANGES and not is_range:
        raise InputError(f"the filter: {key} = {texts[-1]!a}; expected a range such as 20..30")
    if is_range and group in (*_RANGES, "columns"):
        least, most = WIDEST.get(group, ("q0", "q1"))
        return [_end(is_range[1] or least), _end(is_range[2] or most)]
    return texts


def _whole(key: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise InputError(f"the filter: {key} = {text!a}; expected a whole number")
    return int(text)


def _end(text: str) -> float | int | str:
    if text.startswith("q"):
        return text
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)


def texts_of(label: str, value: Any) -> list[str]:
    """The values of one field as the text has them."""
    if label.startswith((*_RANGES, "columns.")) and isinstance(value, list) and len(value) == 2:
        text = "..".join(open_ends(label, value))
        if _RANGE.fullmatch(text):
            return [text]
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def open_ends(label: str, value: list[Any]) -> list[str]:
    """Both ends of a range as the text and a form have them; '' where one is open."""
    texts = [_end_text(end) for end in value]
    widest = WIDEST.get(label.partition(".")[0], ("q0", "q1"))
    return ["" if text == end else text for text, end in zip(texts, widest, strict=True)]


def _end_text(end: Any) -> str:
    return np.format_float_positional(end, trim="-") if isinstance(end, float) else str(end)
