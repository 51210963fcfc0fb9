"""Training the geometric score, and honest predictions of the faces that it learned from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from facestats.data.splits import uniform
from facestats.geometry.pairs import MIRROR
from facestats.geometry.procrustes import GeneralizedProcrustes

MIN_TRAIN = 20
SHAPE_COMPONENTS = 150
PENALTIES = np.logspace(-8, 0, 33)


def shape_pipeline(n: int) -> Pipeline:
    """Generalised Procrustes alignment, principal components of shape, ridge regression; for `n` train faces."""
    return Pipeline([
        ("procrustes", GeneralizedProcrustes(mirror=MIRROR)),
        ("components", PCA(min(SHAPE_COMPONENTS, n - 1), svd_solver="randomized", random_state=0)),
        ("ridge", RidgeCV(PENALTIES)),
    ])


def train_pipeline(x: np.ndarray, ratings: np.ndarray) -> tuple[Pipeline | None, str | None]:
    """The fitted pipeline, or None and the reason.

    Parameters
    ----------
    x : (n, 468 · 3), landmarks.
    ratings : (n,).
    """
    if len(x) < MIN_TRAIN:
        return None, f"{len(x)} rated faces with landmarks in train; {MIN_TRAIN} are needed"
    if np.ptp(ratings) == 0:
        return None, f"all {len(x)} train faces have the same rating, {ratings[0]:g}"
    with threadpool_limits(1):  # sums in another order give other bits
        return shape_pipeline(len(x)).fit(x.astype(np.float64), ratings), None


def out_of_fold(x: np.ndarray, ratings: np.ndarray, groups: pd.Series, folds: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Predict every train face by a pipeline that was fitted without its group.

    Parameters
    ----------
    x, ratings : as for `train_pipeline`.
    groups : n names; faces of one group are never on both sides. A group's fold is a hash of its name and the seed.

    Returns
    -------
    predicted : float64 (n,), NaN in folds that could not be trained.
    problems : why those could not.
    """
    names, codes = np.unique(groups.to_numpy(dtype=str), return_inverse=True)
    fold = np.floor(uniform(seed, [f"fold {name}" for name in names]) * folds).astype(np.int32)[codes]
    predicted, problems = np.full(len(x), np.nan), []
    for left_out in np.unique(fold):
        inside = fold == left_out
        pipeline, why = train_pipeline(x[~inside], ratings[~inside])
        if pipeline is None:
            problems.append(f"fold {left_out}: {why}")
            continue
        with threadpool_limits(1):
            predicted[inside] = pipeline.predict(x[inside].astype(np.float64))
    return predicted, problems
