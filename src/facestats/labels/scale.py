"""The scale of the ratings: its ends, and the check of every rating against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import Mistakes
from facestats.labels.levels import DATASET

# Ends of the scales that rating studies use; `auto` takes the narrowest that holds every rating.
USUAL_SCALES = (
    (0.0, 1.0),
    (1.0, 5.0),
    (1.0, 7.0),
    (1.0, 9.0),
    (1.0, 10.0),
    (0.0, 10.0),
    (0.0, 100.0),
)
# Up to 1 % of the ratings may be typing errors: they can't make the scale more than twice as wide
# as the others need. Less than that may be rare praise: a single 10 makes 1 to 9 a 1 to 10. A scale
# that no study uses is not made by one rating alone.
SLIPS, STRETCH = 0.01, 2.0
# Codes of SPSS and survey tools for a missing answer; not ratings if all others fit a usual scale.
# fmt: off
NO_ANSWER = (
    -1, -7, -8, -9, -77, -88, -97, -98, -99, -999,
    77, 88, 97, 98, 99, 777, 888, 998, 999, 9999,
)
# fmt: on
FEW = 10  # from this many other ratings on, a 99 is taken for a missing answer


def find_scale(
    rating_scale: str | list[float],
    judgements: pd.DataFrame | None,
    table: pd.DataFrame,
    files: Mapping[str, Path | None],
    mistakes: Mistakes,
    stays: pd.Series,
) -> tuple[float, float] | None:
    """Find the ends of the rating scale, and check every rating against it.

    Parameters
    ----------
    rating_scale : str or list of float
        `auto` or [low, high].
    judgements : DataFrame or None
        Single ratings of accepted faces, by line; None without ratings.csv.
    table : DataFrame
        `rating` and `rating_source` by face.
    files : mapping of str to Path or None
        The label files by kind.
    mistakes : Mistakes
        Gets the judgements that lie outside the scale.
    stays : Series of bool
        Faces whose rating in the table counts beside judgements, as `keeps_rating` finds them.

    Returns
    -------
    (float, float) or None
        None if nobody rated.

    Raises
    ------
    LabelError
        A mean rating lies outside the scale.
    """
    judged = judgements["rating"].sort_index() if judgements is not None else pd.Series(dtype=float)
    means = (table["rating"] if judgements is None else table.loc[stays, "rating"]).dropna()
    if not isinstance(rating_scale, str):
        low, high = rating_scale
    elif len(judged) or len(means):
        # One typing error must not stretch the scale of all other ratings beyond the usual ones.
        everything = pd.concat([judged, means])
        low, high = (
            usual_scale(everything)
            or usual_scale(judged)
            or (float(np.floor(everything.min())), float(np.ceil(everything.max())))
        )
        low, high = _without_slips(judged if len(judged) else means, low, high)
    else:
        return None
    expected = (
        f"a rating from {low:g} to {high:g}, or nothing (labels.rating_scale: {rating_scale}; "
        "[low, high] sets another scale)"
    )
    outside = judged[(judged < low) | (judged > high)]
    if judgements is not None and len(outside):
        for column, lines in judgements.loc[
            judgements["rating"].notna()
            & ((judgements["rating"] < low) | (judgements["rating"] > high))
        ].groupby("column"):
            assert files["ratings"] is not None
            mistakes.add(files["ratings"], column, lines["rating"].map("{:g}".format), expected)
    outside = means[(means < low) | (means > high)]
    if len(outside):
        raise LabelError(
            f"{outside.index[0]} has the rating {outside.iloc[0]:g} in "
            f"{files['labels'] or 'the label file'} or in the labels by hand; expected {expected}"
        )
    return low, high


def _without_slips(values: pd.Series, low: float, high: float) -> tuple[float, float]:
    """The usual scale of nearly all values, if the few others stretch it or mean no answer.

    Else [low, high].
    """
    rest = values[~values.isin(NO_ANSWER)]
    usual = usual_scale(rest)
    outside = values[(values < usual[0]) | (values > usual[1])] if usual else values
    if (
        usual
        and 2 * len(rest) > len(values)
        and usual[1] - usual[0] >= 4
        and len(outside)
        and (len(rest) >= FEW or outside.max() < 0)
    ):
        return usual  # narrower ones don't count: -1 may be the low end of -1 to 1
    for ends in USUAL_SCALES:
        outside = (values < ends[0]) | (values > ends[1])
        usual = (low, high) in USUAL_SCALES
        alone = 1 if not usual and len(values) > FEW else 0
        if 0 < outside.sum() <= max(alone, SLIPS * len(values)):
            return ends if not usual or high - low > STRETCH * (ends[1] - ends[0]) else (low, high)
    return low, high


def usual_scale(values: pd.Series) -> tuple[float, float] | None:
    """The narrowest usual scale that holds all values; None if none does, or without values."""
    if not len(values):
        return None
    return next(
        ((low, high) for low, high in USUAL_SCALES if low <= values.min() and values.max() <= high),
        None,
    )


def keeps_rating(table: pd.DataFrame, judgements: pd.DataFrame | None) -> pd.Series:
    """Which faces keep the rating of the label files, whatever the mean of their judgements.

    Those that were rated by hand, and those of a dataset without judgements.
    """
    stays = table["rating_source"] == "manual"
    if judgements is not None and DATASET in table:
        judged = table.index.isin(judgements["filename"])
        stays |= ~table[DATASET].isin(table.loc[judged, DATASET])
    return stays


def means_alone(table: pd.DataFrame, stays: pd.Series) -> list[str]:
    """Notes on datasets whose means stand beside the judgements of others."""
    if DATASET not in table:
        return []
    rated = stays & table["rating"].notna() & (table["rating_source"] != "manual")
    names = table.loc[rated, DATASET].dropna()
    return [
        f"{name} has no single judgements: {number_of((names == name).sum(), 'rating')} of "
        "labels.csv taken"
        for name in dict.fromkeys(names)
    ]


def use_judgements(table: pd.DataFrame, judgements: pd.DataFrame | None, stays: pd.Series) -> None:
    """Put mean, number and spread of the judgements into the table, but for faces that it stays."""
    table["rating_n"] = pd.Series(
        np.where(table["rating"].notna(), 1, 0), index=table.index, dtype="int32"
    )
    table["rating_sd"] = np.nan
    if judgements is None:
        return
    faces = judgements.groupby("filename")["rating"]
    mean, count, spread = (
        s.reindex(table.index) for s in (faces.mean(), faces.count(), faces.std())
    )
    table["rating"] = table["rating"].where(stays, mean)
    table["rating_n"] = table["rating_n"].where(stays, count.fillna(0)).astype("int32")
    table["rating_sd"] = spread.where(~stays)
    nothing: Any = None
    source = np.where(mean.notna(), "label", nothing)
    table["rating_source"] = table["rating_source"].where(stays, source)
