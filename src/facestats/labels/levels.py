"""Ratings of several datasets on one level.

Raters of one study may call the average face 28 of 100, those of another 53. A model that is
trained on both then learns to tell the studies apart, and says less about the faces of either.
"""

from __future__ import annotations

import pandas as pd

DATASET = "dataset"  # column that an import with --append writes


def level_ratings(
    table: pd.DataFrame, columns: list[str], scale: tuple[float, float] | None
) -> dict[str, dict[str, float]]:
    """Shift the mean ratings of each dataset so that all datasets have the same mean.

    That of the dataset with the most rated faces counts. Ratings by hand stay, and none leaves the
    scale.

    Parameters
    ----------
    table : DataFrame
        Labels by face, changed in place; with a column `dataset`, else nothing is done.
    columns : list of str
        Columns of ratings, each with its `_source`.
    scale : (float, float) or None
        Ends of the scale.

    Returns
    -------
    dict
        Points that were added, by column and dataset; only datasets that were shifted.
    """
    if DATASET not in table or scale is None:
        return {}
    shifts: dict[str, dict[str, float]] = {}
    for column in columns:
        rated = table[column].notna() & (table[f"{column}_source"] != "manual")
        means = table[rated].groupby(DATASET)[column].agg(["count", "mean"])
        if len(means) < 2:
            continue
        level = means.sort_values("count", kind="stable")["mean"].iloc[-1]
        by_dataset = (level - means["mean"]).round(6)
        moved = (table[column] + table[DATASET].map(by_dataset)).clip(*scale)
        table[column] = table[column].where(~rated | moved.isna(), moved)
        shifts[column] = {str(name): float(d) for name, d in by_dataset.items() if d}
    return {column: by_dataset for column, by_dataset in shifts.items() if by_dataset}


def level_judgements(
    judgements: pd.DataFrame, table: pd.DataFrame, by_dataset: dict[str, float]
) -> pd.DataFrame:
    """The single judgements behind levelled means: else raters seem to agree who differ by dataset.

    Parameters
    ----------
    judgements : DataFrame
        `filename`, `rater`, `rating`.
    table : DataFrame
        Labels by face, with the column `dataset`.
    by_dataset : dict of str to float
        Points to add, as `level_ratings` gives them for the column.
    """
    if not by_dataset or judgements.empty:  # whose columns may be of any type
        return judgements
    points = judgements["filename"].map(table[DATASET].map(by_dataset)).fillna(0.0)
    return judgements.assign(rating=judgements["rating"] + points)
