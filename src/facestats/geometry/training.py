"""Training of the geometric score, and out-of-fold predictions of its train faces."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from facestats.core.landmarks import MIRROR, N_LANDMARKS
from facestats.core.stats.folds import hashed_folds
from facestats.core.stats.regression import is_constant
from facestats.errors import number_of
from facestats.geometry.appearance import FaceSampler
from facestats.geometry.procrustes import GeneralizedProcrustes

MIN_TRAIN = 20
COORDINATES = N_LANDMARKS * 3  # the first columns of a row; the others are pixels
# docs/methods/geometry.md has what other numbers gave in cross-validation on OMI.
SHAPE_COMPONENTS, APPEARANCE_COMPONENTS = 150, 200
SHAPE_VARIANCE = 0.25  # of the shape's components together, beside the pixels' 1
PENALTIES = np.logspace(-5, 3, 33)
# Variance below this is rounding: float32 landmarks of a shape of size 1 vary by 1e-14, pixels by 1
# at least.
_SAME = 1e-12


class TotalVariance(TransformerMixin, BaseEstimator):
    """Scale all features by one factor, so that their variances add up to `total`.

    Features that are always the same stay as they are.
    """

    def __init__(self, total: float = 1.0):
        self.total = total

    def fit(self, X: np.ndarray, y: object = None) -> TotalVariance:
        """Learn the factor from (n, features)."""
        variance = np.var(X, axis=0, dtype=np.float64).sum()
        self.factor_ = float(np.sqrt(self.total / variance)) if variance > _SAME else 1.0
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X * self.factor_


class ShapeAndPixels(TransformerMixin, BaseEstimator):
    """Features of the shape (the first columns) beside those of the pixels (all others)."""

    def __init__(self, shape: Pipeline, appearance: Pipeline):
        self.shape = shape
        self.appearance = appearance

    def fit(self, X: np.ndarray, y: object = None) -> ShapeAndPixels:
        """Fit both on (n, 468 · 3 + pixels)."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: np.ndarray, y: object = None) -> np.ndarray:
        """Fit both, and transform the same rows."""
        return np.hstack(
            [
                self.shape.fit_transform(X[:, :COORDINATES]),
                self.appearance.fit_transform(X[:, COORDINATES:]),
            ]
        )

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.hstack(
            [
                self.shape.transform(X[:, :COORDINATES]),
                self.appearance.transform(X[:, COORDINATES:]),
            ]
        )


def make_pipeline(n: int, appearance: bool) -> Pipeline:
    """Make the pipeline: principal components of aligned shapes and pixels, then ridge regression.

    Parameters
    ----------
    n : int
        Number of train faces.
    appearance : bool
        Whether rows have pixels, the values of `FaceSampler`, after the 468 · 3 coordinates.

    Returns
    -------
    Pipeline
    """
    shape = Pipeline(
        [
            ("procrustes", GeneralizedProcrustes(mirror=MIRROR)),
            *_components(SHAPE_COMPONENTS, n, SHAPE_VARIANCE),
        ]
    )
    ridge = ("ridge", RidgeCV(PENALTIES))  # its penalty by leave-one-out
    if not appearance:
        return Pipeline([*shape.steps, ridge])
    pixels = Pipeline(_components(APPEARANCE_COMPONENTS, n, 1.0))
    return Pipeline([("features", ShapeAndPixels(shape, pixels)), ridge])


def sampler_for(landmarks: np.ndarray) -> FaceSampler:
    """Make a sampler for the mean shape of faces (n, 468, 3), symmetric and frontal."""
    with threadpool_limits(1):
        return FaceSampler(GeneralizedProcrustes(mirror=MIRROR).fit(landmarks).consensus_)


def _components(most: int, n: int, variance: float) -> list[tuple]:
    return [
        ("components", PCA(min(most, n - 1), svd_solver="randomized", random_state=0)),
        ("scale", TotalVariance(variance)),
    ]


def train_pipeline(x: np.ndarray, ratings: np.ndarray) -> tuple[Pipeline | None, str | None]:
    """Fit the pipeline.

    Parameters
    ----------
    x : ndarray of float32 (n, 468 · 3 or more)
        Rows as `make_pipeline` describes them.
    ratings : ndarray (n,)
        Of the faces.

    Returns
    -------
    pipeline : Pipeline, optional
        None where it can't be trained.
    why : str, optional
        Why it can't.
    """
    if len(x) < MIN_TRAIN:
        return (
            None,
            f"{number_of(len(x), 'rated face')} with landmarks in train; {MIN_TRAIN} are needed",
        )
    if is_constant(ratings):
        return None, f"all {len(x)} rated train faces have the same rating, {ratings[0]:g}"
    with threadpool_limits(1):  # sums in another order give other bits
        return make_pipeline(len(x), x.shape[1] > COORDINATES).fit(x, ratings), None


def out_of_fold(
    x: np.ndarray, ratings: np.ndarray, groups: pd.Series, folds: int, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Predict every train face by a pipeline that was fitted without its group.

    Parameters
    ----------
    x, ratings : ndarray
        As for `train_pipeline`.
    groups : Series of str (n,)
        Whose face it is; no group is on both sides. A group's fold is a hash of its name and the
        seed.
    folds : int
        Number of folds.
    seed : int
        Of the folds.

    Returns
    -------
    predicted : ndarray of float64 (n,)
        NaN in folds that could not be trained.
    problems : list of str
        Why these could not.
    """
    fold = hashed_folds(groups, folds, seed)
    predicted, problems = np.full(len(x), np.nan), []
    for left_out in np.unique(fold):
        inside = fold == left_out
        pipeline, why = train_pipeline(x[~inside], ratings[~inside])
        if pipeline is None:
            problems.append(f"fold {left_out}: {why}")
            continue
        with threadpool_limits(1):
            predicted[inside] = pipeline.predict(x[inside])
    return predicted, problems
