"""Means of a group's faces, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import RESAMPLES, SEED, mean_with_interval, person_groups


def mean_interval(values: pd.Series, what: str, persons: pd.Series | None = None) -> dict[str, Any]:
    """Average values of faces, with a 95 % bootstrap interval over persons.

    Parameters
    ----------
    values : Series (n,)
        One value a face, NaN where it has none.
    what : str
        What one of them is called, such as `human rating`.
    persons : Series (n,), optional
        Whose face each is, null where it is a person of its own. By default each face is somebody
        else's.

    Returns
    -------
    dict
        `value`, `low`, `high`, `n` (faces that have a value) and, where something is null, `why`.
    """
    has_value = values.notna().to_numpy()
    known = values.to_numpy(dtype=np.float64)[has_value]
    if len(known) == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "why": f"no member has a {what}"}
    groups = None if persons is None else person_groups(persons[has_value])
    if len(known) == 1 or (groups is not None and groups.max() == 0):
        who = "one member has" if len(known) == 1 else f"{len(known)} members of one person have"
        return {
            "value": float(known.mean()),
            "low": None,
            "high": None,
            "n": len(known),
            "why": f"{who} a {what}: an interval needs two persons",
        }
    return {**mean_with_interval(known, RESAMPLES, SEED, groups), "n": len(known)}


def mean_rating(ratings: pd.Series, persons: pd.Series | None = None) -> dict[str, Any]:
    """Mean human rating of faces, in the raters' unit; see `mean_interval`."""
    return mean_interval(ratings, "human rating", persons)
