"""Polars frames as pandas ones, as far as filters and composites need them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from facestats.core.stats.verdict import SCORES
from facestats.errors import InputError
from facestats.groups.conditions import COLUMNS, DECILE
from facestats.groups.members import PERSON

USED = {
    "filename",
    "image",
    "rating",
    "doubts",
    "copy_group",
    "copy_rank",
    PERSON,
    *SCORES.values(),
    *filter(None, COLUMNS.values()),
}


def is_polars_frame(frame: Any) -> bool:
    """Whether it is a polars frame, which needs no polars to be installed."""
    return type(frame).__module__.split(".")[0] == "polars" and type(frame).__name__ in (
        "DataFrame",
        "LazyFrame",
    )


def to_pandas(frame: Any, further: Collection[str] = ()) -> pd.DataFrame:
    """The columns of a polars frame that filters and composites need, with rows numbered from 0.

    Raises
    ------
    InputError
        It is no polars frame, or a lazy one.
    """
    if not is_polars_frame(frame):
        raise InputError(f"expected a pandas or polars frame, found {type(frame).__name__}")
    if not hasattr(frame, "rows"):
        raise InputError("a lazy polars frame has no rows yet; call .collect() first")
    columns = [
        name
        for name in frame.columns
        if name in USED or name in further or name.endswith(("_final", DECILE))
    ]
    return pd.DataFrame({name: frame[name].to_list() for name in columns})
