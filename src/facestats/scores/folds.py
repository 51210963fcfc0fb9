"""Out-of-fold predictions: each by a model that never used the face's rating, not even to stop."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd

from facestats.core.stats.folds import hashed_folds, hashed_share
from facestats.errors import InputError
from facestats.machine.threads import in_threads, one_thread
from facestats.scores.training import train_regressor

MEMORY = 3e9  # bytes that trainings side by side may take together
BYTES = 24  # that a training takes for each number of `x`


def out_of_fold(
    x: np.ndarray, ratings: np.ndarray, groups: pd.Series, folds: int, stop_share: float, **options
) -> tuple[pd.DataFrame, list[str]]:
    """Predict every face by a model trained on the other folds; folds are trained in parallel.

    A group's fold is a hash of its name and the seed, so that adding faces moves no one. Outside a
    fold, a share of the groups, drawn by another hash, stops and calibrates the training, as val
    does for the main model.

    Parameters
    ----------
    x : ndarray (n, d)
        Features.
    ratings : ndarray (n,)
        Of the faces.
    groups : Series of str (n,)
        By filename, whose face it is; no group is on both sides.
    folds : int
        Number of folds.
    stop_share : float
        Share of the groups outside a fold that stop and calibrate.
    **options
        Of `train_regressor`.

    Returns
    -------
    table : DataFrame
        As `scores.tables.SCORES_OUT_OF_FOLD`, without the faces of folds that could not be trained.
    problems : list of str
        Why these could not.
    """
    seed = options.get("seed", 0)
    fold, stops = hashed_folds(groups, folds, seed), hashed_share(groups, stop_share, seed)
    stopped = threading.Event()

    def go_on(*_: float) -> None:
        if stopped.is_set():
            raise _StoppedError

    def predict(left_out: int) -> np.ndarray | str:
        inside = fold == left_out
        train, val = ~inside & ~stops, ~inside & stops
        try:
            return train_regressor(
                x[train],
                ratings[train],
                x[val],
                ratings[val],
                persons=(groups[train], groups[val]),
                on_epoch=go_on,
                **options,
            ).predict(x[inside])
        except InputError as error:
            return f"fold {left_out}: {error}"

    predicted, problems, numbers = np.full(len(x), np.nan), [], np.unique(fold)
    try:
        with one_thread():
            results = in_threads(predict, numbers, most=max(1, int(MEMORY / (BYTES * x.size))))
    finally:
        stopped.set()  # after Ctrl-C, the other trainings stop after their epoch
    for left_out, result in zip(numbers, results, strict=True):
        if isinstance(result, str):
            problems.append(result)
        else:
            predicted[fold == left_out] = result
    table = pd.DataFrame({"filename": groups.index, "fold": fold, "attractiveness_raw": predicted})
    return table[~np.isnan(predicted)].reset_index(drop=True), problems


class _StoppedError(Exception):
    """The result of this training is no longer needed."""
