"""Single judgements (`ratings.csv`): read, checked against their scale, averaged by face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from facestats.data.csv_text import cell_error, numbers, read_csv
from facestats.data.names import NameIndex, key_column
from facestats.errors import LabelError

# Ends of the scales that rating studies use; `auto` takes the narrowest one that holds every rating.
USUAL_SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
REPEAT = "repeat"
# Up to 1 % of the ratings may be slips of the hand; `auto` does not let them make the scale more than twice as wide as the others need.
# A smaller step may be rare praise: 1 to 9 becomes 1 to 10 by a single 10.
SLIPS, STRETCH = 0.01, 2.0


def read_ratings(path: Path, names: NameIndex) -> pd.DataFrame | None:
    """Single judgements: `filename`, `rater` (empty where unknown), `rating`; None without a file.

    Lines whose `rating_type` is `repeat` (the same rater again) are left out and counted.
    """
    raw = read_csv(path)
    if raw is None:
        return None
    key = key_column(raw, path)
    if "rating" not in raw.columns:
        raise LabelError(f"{path}: there is no column `rating`; the header line has {', '.join(raw.columns)}")
    frame = pd.DataFrame({
        "filename": names.resolve(raw[key], key, path),
        "rater": raw.get("rater", ""),
        "rating": numbers(raw["rating"], path),
    })
    repeats = raw.get("rating_type", pd.Series("", raw.index)) == REPEAT
    frame = frame[~repeats & frame["rating"].notna()]
    named = frame[(frame["rater"] != "") & frame["filename"].notna()]
    values = named.groupby(["filename", "rater"])["rating"]
    conflict = named.index[named["rating"] != values.transform("first")]
    if len(conflict):
        line = conflict[0]
        raise cell_error(path, line, "rating", raw["rating"][line],
                         f"one judgement of {raw[key][line]} by {named['rater'][line]}, who has given another value on "
                         "an earlier line (mark a second judgement with rating_type=repeat)")
    frame = frame.drop(named.index[named.duplicated(["filename", "rater"])])
    frame.attrs["repeats"] = int(repeats.sum())
    return frame


def find_scale(wanted: str | list[float], judgements: pd.DataFrame | None, table: pd.DataFrame,
           folder: Path) -> tuple[float, float] | None:
    """Ends of the rating scale, checked against every rating; `judgements` are those of faces that are there."""
    judged = judgements["rating"].sort_index() if judgements is not None else pd.Series(dtype=float)
    means = table["rating"] if judgements is None else table.loc[table["rating_source"] == "manual", "rating"]
    means = means.dropna()
    if wanted != "auto":
        low, high = wanted
    elif len(judged) or len(means):
        # A slip of the hand must not stretch the scale of all other ratings beyond every usual one.
        everything = pd.concat([judged, means])
        low, high = _usual_scale(everything) or _usual_scale(judged) or (
            float(np.floor(everything.min())), float(np.ceil(everything.max())))
        low, high = _without_slips(judged if len(judged) else means, low, high)
    else:
        return None
    expected = f"a rating from {low:g} to {high:g} (labels.rating_scale: {wanted}; [low, high] sets another scale)"
    outside = judged[(judged < low) | (judged > high)]
    if len(outside):
        raise cell_error(folder / "ratings.csv", outside.index[0], "rating", f"{outside.iloc[0]:g}", expected)
    outside = means[(means < low) | (means > high)]
    if len(outside):
        raise LabelError(f"{outside.index[0]} has the rating {outside.iloc[0]:g} in {folder / 'labels.csv'} or in the labels "
                         f"by hand; expected {expected}")
    return low, high


def _without_slips(values: pd.Series, low: float, high: float) -> tuple[float, float]:
    """The usual scale that holds nearly all values, where the few others stretch it beyond measure; else [low, high]."""
    for ends in USUAL_SCALES:
        outside = (values < ends[0]) | (values > ends[1])
        if 0 < outside.sum() <= SLIPS * len(values):
            usual = (low, high) in USUAL_SCALES
            return ends if not usual or high - low > STRETCH * (ends[1] - ends[0]) else (low, high)
    return low, high


def _usual_scale(values: pd.Series) -> tuple[float, float] | None:
    """The narrowest usual scale that holds all values; None if there is none, or no value."""
    if not len(values):
        return None
    return next(((low, high) for low, high in USUAL_SCALES if low <= values.min() and values.max() <= high), None)


def use_judgements(table: pd.DataFrame, judgements: pd.DataFrame | None) -> None:
    """Put mean, number and spread of the judgements into the table; a rating by hand stays."""
    table["rating_n"] = pd.Series(np.where(table["rating"].notna(), 1, 0), index=table.index, dtype="int32")
    table["rating_sd"] = np.nan
    if judgements is None:
        return
    by_hand = table["rating_source"] == "manual"
    faces = judgements.groupby("filename")["rating"]
    mean, count, spread = (s.reindex(table.index) for s in (faces.mean(), faces.count(), faces.std()))
    table["rating"] = table["rating"].where(by_hand, mean)
    table["rating_n"] = table["rating_n"].where(by_hand, count.fillna(0)).astype("int32")
    table["rating_sd"] = spread.where(~by_hand)
    table["rating_source"] = table["rating_source"].where(by_hand, np.where(mean.notna(), "label", None))
