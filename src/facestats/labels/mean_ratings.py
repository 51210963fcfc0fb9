"""The mean over raters: each face's `rating`, and the means of further traits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import number_of
from facestats.labels.levels import DATASET
from facestats.labels.tables import PREFIX


def rated_by_labels(
    table: pd.DataFrame, judgements: pd.DataFrame | None, column: str = "rating"
) -> pd.Series:
    """Whether a face's rating by hand or mean of the label file counts before all judgements.

    Parameters
    ----------
    table : DataFrame
        Labels by face, with the column and its source.
    judgements : DataFrame or None
        Those of ratings.csv on this trait. Without any, all means count; else those of datasets
        of which it judges no face.
    column : str
    """
    from_labels = table[f"{column}_source"] == "manual"
    if judgements is None or judgements.empty:
        from_labels |= table[column].notna()
    elif DATASET in table:
        judged = table.index.isin(judgements["filename"])
        without = ~table[DATASET].isin(table.loc[judged, DATASET])
        from_labels |= without & table[column].notna()
    return from_labels


def means_without_judgements(table: pd.DataFrame, from_labels: pd.Series) -> list[str]:
    """Notes on datasets whose means stand beside the judgements of others."""
    if DATASET not in table:
        return []
    rated = from_labels & table["rating"].notna() & (table["rating_source"] != "manual")
    names = table.loc[rated, DATASET].dropna()
    return [
        f"{name} has no single judgements: {number_of((names == name).sum(), 'rating')} of "
        "labels.csv taken"
        for name in dict.fromkeys(names)
    ]


def use_judgements(
    table: pd.DataFrame, judgements: pd.DataFrame | None, from_labels: pd.Series
) -> None:
    """Put mean, number and spread of a face's judgements into the table.

    Faces of `from_labels` keep the rating of the label files.
    """
    if judgements is None:  # raters who are not chosen may have judged the others
        for column in ("rating", "rating_source"):
            table[column] = table[column].where(from_labels)
    table["rating_n"] = pd.Series(
        np.where(table["rating"].notna(), 1, 0), index=table.index, dtype="int32"
    )
    table["rating_sd"] = np.nan
    if judgements is None:
        return
    ratings = judgements.groupby("filename")["rating"]
    mean = _mean_rating(judgements, table.index)
    count, spread = (by_face.reindex(table.index) for by_face in (ratings.count(), ratings.std()))
    table["rating"] = table["rating"].where(from_labels, mean)
    table["rating_n"] = table["rating_n"].where(from_labels, count.fillna(0)).astype("int32")
    table["rating_sd"] = spread.where(~from_labels)
    nothing: Any = None
    source = np.where(mean.notna(), "label", nothing)
    table["rating_source"] = table["rating_source"].where(from_labels, source)


def drop_means_of_judged(
    table: pd.DataFrame, judgements: Mapping[str, pd.DataFrame | None]
) -> None:
    """Take the means of further traits from faces that were judged, perhaps by who does not count.

    Parameters
    ----------
    table : DataFrame
        Labels by face.
    judgements : mapping of str to DataFrame or None
        What anybody judged, by trait.
    """
    for trait, judged in judgements.items():
        column = PREFIX + trait
        if judged is not None and column in table:
            stays = ~table.index.isin(judged["filename"]) | (table[f"{column}_source"] == "manual")
            for name in (column, f"{column}_source"):
                table[name] = table[name].where(stays)


def use_trait(table: pd.DataFrame, trait: str, judgements: pd.DataFrame) -> str:
    """Put the mean judgement of a trait into the table; a value by hand stays.

    Returns
    -------
    str
        The column.
    """
    column = PREFIX + trait
    mean = _mean_rating(judgements, table.index)
    source = pd.Series("label", table.index, dtype="str").where(mean.notna())
    if column in table:  # a label file has it, too
        by_hand = table[f"{column}_source"] == "manual"
        mean = table[column].where(by_hand | mean.isna(), mean)
        source = table[f"{column}_source"].where(by_hand | source.isna(), source)
    table[column] = mean.astype("float64")
    table[f"{column}_source"] = source
    return column


def _mean_rating(judgements: pd.DataFrame, faces: pd.Index) -> pd.Series:
    """Mean over a face's raters; NaN for faces that nobody rated."""
    return judgements.groupby("filename")["rating"].mean().reindex(faces)
