"""Out-of-fold predictions: each face rated by a model that never saw its rating, neither to learn nor to stop nor to calibrate."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.attractiveness.training import train_regressor
from facestats.data.splits import uniform
from facestats.errors import InputError


def out_of_fold(x: np.ndarray, ratings: np.ndarray, groups: pd.Series, folds: int, stop_share: float,
                **mlp) -> tuple[pd.DataFrame, list[str]]:
    """Predict every face by a model trained on the other folds.

    A group's fold is a hash of its name and the seed, so that adding faces moves no one. Of the faces outside a fold a share, dealt
    out likewise, stops its training and calibrates it: whole groups again.

    Parameters
    ----------
    x : features (n, d).
    ratings : (n,).
    groups : by filename, n names; faces of one group are never on both sides.
    folds : how many.
    stop_share : of the faces outside a fold, what val is for the main model.
    mlp : of `train_regressor`.

    Returns
    -------
    table : DataFrame in the schema `tables.SCORES_OUT_OF_FOLD`, without the faces of folds that could not be trained.
    problems : why those could not.
    """
    seed = mlp.get("seed", 0)
    names, codes = np.unique(groups.to_numpy(dtype=str), return_inverse=True)
    fold = np.floor(uniform(seed, [f"fold {name}" for name in names]) * folds).astype(np.int32)[codes]
    stops = uniform(seed, [f"stop {name}" for name in names])[codes] < stop_share
    predicted, problems = np.full(len(x), np.nan), []
    for left_out in np.unique(fold):
        inside, train, val = fold == left_out, (fold != left_out) & ~stops, (fold != left_out) & stops
        try:
            predicted[inside] = train_regressor(x[train], ratings[train], x[val], ratings[val], **mlp).predict(x[inside])
        except InputError as error:
            problems.append(f"fold {left_out}: {error}")
    table = pd.DataFrame({"filename": groups.index, "fold": fold, "attractiveness_raw": predicted})
    return table[~np.isnan(predicted)].reset_index(drop=True), problems
