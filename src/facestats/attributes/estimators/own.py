"""Classifiers that scikit-learn has, too, but can't put together from arrays without trusting them:
trees, and calibrated ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin


class _Classifier(ClassifierMixin, BaseEstimator):
    """Answers the class with the highest probability."""

    def fit(self, X: np.ndarray, y: object = None) -> _Classifier:
        """Nothing: what it knows was learned elsewhere."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Class of each row (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TreeClassifier(_Classifier):
    """A decision tree, a forest of them, or boosted ones.

    Parameters
    ----------
    feature, threshold, left, right
        (n,) of all nodes: at an inner one, rows with `x[feature] <= threshold` go on at `left`; -1
        at leaves.
    values
        (n, k) shares of the classes, or (n,) what is added of boosted trees.
    start
        (o,) what boosted trees start from; not used of others.
    roots, column
        (t,) first node of each tree, and the column that a boosted one adds to.
    boosted
        Trees are summed up before a softmax; otherwise their shares are averaged.
    """

    def __init__(
        self,
        feature,
        threshold,
        left,
        right,
        values,
        start,
        roots,
        column,
        boosted,
        classes,
        n_features,
    ):
        self.feature, self.threshold, self.left, self.right, self.values = (
            feature,
            threshold,
            left,
            right,
            values,
        )
        self.start, self.roots, self.column, self.boosted, self.classes, self.n_features = (
            start,
            roots,
            column,
            boosted,
            classes,
            n_features,
        )
        self.classes_, self.n_features_in_ = classes, n_features

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probability of each class: float64 (n, k)."""
        if not self.boosted:
            total: Any = sum(self.values[self._leaf(X, root)] for root in self.roots)
            return total / len(self.roots)
        sums = self.decision_function(X)
        return (
            softmax(sums, axis=1)
            if sums.ndim == 2
            else np.column_stack([1 - expit(sums), expit(sums)])
        )

    @property
    def decision_function(self):
        """What boosted trees add up to: (n,) of two classes, else (n, k)."""
        if not self.boosted:
            raise AttributeError("trees that are averaged have no decision function")
        return self._sums

    def _sums(self, X: np.ndarray) -> np.ndarray:
        sums = np.repeat(self.start[None], len(X), axis=0)
        for root, column in zip(self.roots, self.column, strict=True):
            sums[:, column] += self.values[self._leaf(X, root)]
        return sums[:, 0] if sums.shape[1] == 1 else sums

    def _leaf(self, X: np.ndarray, root: int) -> np.ndarray:
        x, rows = (
            np.asarray(X, dtype=np.float32),
            np.arange(len(X)),
        )  # scikit-learn's trees see no more digits
        at = np.full(len(X), root)
        while (inner := self.left[at] >= 0).any():
            here = at[inner]
            at[inner] = np.where(
                x[rows[inner], self.feature[here]] <= self.threshold[here],
                self.left[here],
                self.right[here],
            )
        return at


class CalibratedClassifier(_Classifier):
    """The mean of classifiers, each with a curve from its margin to a probability.

    Parameters
    ----------
    estimators
        With `decision_function`, or `predict_proba`.
    method
        `sigmoid`: 1 / (1 + exp(x margin + y)); `isotonic`: between the points (x, y); `margin`: the
        logistic function of the margin.
    curves
        (x, y) of each estimator and column; of two classes there is one.
    """

    def __init__(self, estimators, method, curves, classes, n_features):
        self.estimators, self.method, self.curves, self.classes, self.n_features = (
            estimators,
            method,
            curves,
            classes,
            n_features,
        )
        self.classes_, self.n_features_in_ = classes, n_features

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probability of each class: float64 (n, k)."""
        total: Any = sum(
            self._calibrated(_margins(estimator, X), curves)
            for estimator, curves in zip(self.estimators, self.curves, strict=True)
        )
        return total / len(self.estimators)

    def _calibrated(self, margins: np.ndarray, curves: list) -> np.ndarray:
        if self.method == "margin":
            one = expit(margins)
        elif self.method == "sigmoid":
            one = np.column_stack(
                [expit(-(x * margin + y)) for margin, (x, y) in zip(margins.T, curves, strict=True)]
            )
        else:
            one = np.column_stack(
                [
                    np.interp(margin.astype(x.dtype), x, y)
                    for margin, (x, y) in zip(margins.T, curves, strict=True)
                ]
            )
        if one.shape[1] == 1:
            return np.column_stack([1 - one, one])
        total = one.sum(axis=1, keepdims=True)
        return np.divide(one, total, out=np.full_like(one, 1 / one.shape[1]), where=total != 0)


def _margins(estimator: BaseEstimator, X: np.ndarray) -> np.ndarray:
    """(n, 1) of two classes, else (n, k)."""
    if hasattr(estimator, "decision_function"):
        margins = estimator.decision_function(X)
        return margins[:, None] if margins.ndim == 1 else margins
    shares = estimator.predict_proba(X)
    return shares[:, 1:] if shares.shape[1] == 2 else shares
