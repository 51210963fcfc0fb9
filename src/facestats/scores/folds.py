"""Out-of-fold predictions.

Each face rated by a model that never saw its rating, neither to learn nor to stop nor to calibrate.
"""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd

from facestats.core.stats.folds import hashed_folds, hashed_share
from facestats.errors import InputError
from facestats.machine.threads import in_threads, one_thread
from facestats.scores.training import train_regressor

MEMORY = 3e9  # bytes that the trainings of folds may take together, if it is more than one
BYTES = 24  # that a training takes for each number of `x`


def out_of_fold(
    x: np.ndarray, ratings: np.ndarray, groups: pd.Series, folds: int, stop_share: float, **mlp
) -> tuple[pd.DataFrame, list[str]]:
    """Predict every face by a model trained on the other folds, of which a processor each trains
    one.

    A group's fold is a hash of its name and the seed, so that adding faces moves no one. Of the
    faces outside a fold a share, dealt out likewise, stops its training and calibrates it: whole
    groups again.

    Parameters
    ----------
    x : ndarray
        Features (n, d).
    ratings : ndarray (n,)
    groups : Series
        By filename, n names; faces of one group are never on both sides.
    folds : int
        How many.
    stop_share : float
        Of the faces outside a fold, what val is for the main model.
    mlp
        Of `train_regressor`.

    Returns
    -------
    table
        DataFrame in the schema `scores.tables.SCORES_OUT_OF_FOLD`, without the faces of folds that
        could not be trained.
    problems
        Why those could not.
    """
    seed = mlp.get("seed", 0)
    fold, stops = hashed_folds(groups, folds, seed), hashed_share(groups, stop_share, seed)
    stopped = threading.Event()

    def go_on(*_: float) -> None:
        if stopped.is_set():
            raise _StoppedError

    def predict(left_out: int) -> np.ndarray | str:
        inside, train, val = (
            fold == left_out,
            (fold != left_out) & ~stops,
            (fold != left_out) & stops,
        )
        try:
            return train_regressor(
                x[train],
                ratings[train],
                x[val],
                ratings[val],
                persons=(groups[train], groups[val]),
                on_epoch=go_on,
                **mlp,
            ).predict(x[inside])
        except InputError as error:
            return f"fold {left_out}: {error}"

    predicted, problems, kinds = np.full(len(x), np.nan), [], np.unique(fold)
    try:
        with one_thread():
            results = in_threads(predict, kinds, most=max(1, int(MEMORY / (BYTES * x.size))))
    finally:
        stopped.set()  # after Ctrl-C the other trainings end with their epoch
    for left_out, result in zip(kinds, results, strict=True):
        if isinstance(result, str):
            problems.append(result)
        else:
            predicted[fold == left_out] = result
    table = pd.DataFrame({"filename": groups.index, "fold": fold, "attractiveness_raw": predicted})
    return table[~np.isnan(predicted)].reset_index(drop=True), problems


class _StoppedError(Exception):
    """Nobody waits for this training any more."""
