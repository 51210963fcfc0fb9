"""Rated faces made of numbers, and their cross-validation, for tests."""

import numpy as np
import pandas as pd

from facestats.crossvalidation import ratings as ratings_module
from facestats.crossvalidation.measures import (
    fold_correlations,
)
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.ratings import Scoring, cross_validate_rating
from facestats.errors import InputError
from facestats.scores.params import Mlp
from resources import names

FAST = Mlp(hidden=4, ensemble=2, epochs=2, folds=0)
PLAN = Plan(repeats=1, permutations=19, bootstrap=100)
SCORING = Scoring(FAST, {"geometric": 0.6, "holistic": 0.4}, (0.0, 10.0), 0.2)


def text(values) -> pd.Series:
    return pd.Series(values, index=names(len(values)), dtype="str")


def alone(n: int) -> pd.Series:
    return text([f"bytes {i:04}" for i in range(n)])


def ones(n: int) -> pd.Series:
    return pd.Series(True, index=names(n))


def rated(n: int, seed: int, signal: float = 0.0, d: int = 20):
    """Embeddings and ratings that correlate by `signal` with what is linear in them."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    y = signal * x[:, :4].sum(axis=1) / 2 + np.sqrt(1 - signal**2) * rng.standard_normal(n)
    return x, pd.Series(5 + y, index=names(n))


def without_networks(monkeypatch):
    """Leave the perceptrons out, for tests that are about the ridge regression."""

    def none(*_):
        raise InputError("left out")

    monkeypatch.setattr(ratings_module, "_holistic", none)


def validate(x, y, groups=None, plan=PLAN, **options):
    groups = alone(len(y)) if groups is None else groups
    return cross_validate_rating(x, groups, y, ones(len(y)), SCORING, plan, **options)


def mean_r(out, model="ridge"):
    return float(
        np.mean(
            [
                fold_correlations(out.actual.to_numpy()[:, None], values[:, None], fold)[0]
                for values, fold in zip(out.predicted[model], out.folds, strict=True)
            ]
        )
    )
