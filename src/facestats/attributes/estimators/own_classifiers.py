"""Trees and calibrated classifiers of our own: scikit-learn's can't be built from arrays alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin


class _Classifier(ClassifierMixin, BaseEstimator):
    """Predicts the class with the highest probability."""

    def fit(self, X: np.ndarray, y: object = None) -> _Classifier:
        """Do nothing: it was fitted elsewhere."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Class of each row (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class TreeClassifier(_Classifier):
    """A decision tree, a forest, or boosted trees.

    Parameters
    ----------
    feature, threshold, left, right : ndarray (n,)
        Of all nodes. At an inner node, rows with `x[feature] <= threshold` go on at `left`, others
        at `right`; -1 at leaves.
    values : ndarray
        (n, k) shares of the classes, or (n,) what a boosted tree adds.
    start : ndarray (o,)
        Initial values of boosted trees; unused by others.
    roots, column : ndarray (t,)
        First node of each tree, and the column that a boosted one adds to.
    boosted : bool
        Trees are summed before a softmax; otherwise their shares are averaged.
    classes : ndarray (k,)
        The classes.
    n_features : int
        Number of inputs.
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
        self.feature, self.threshold = feature, threshold
        self.left, self.right, self.values = left, right, values
        self.start, self.roots, self.column = start, roots, column
        self.boosted = boosted
        self.classes = self.classes_ = classes
        self.n_features = self.n_features_in_ = n_features

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
        """The sums of boosted trees: (n,) for two classes, else (n, k)."""
        if not self.boosted:
            raise AttributeError("trees that are averaged have no decision function")
        return self._sums

    def _sums(self, X: np.ndarray) -> np.ndarray:
        sums = np.repeat(self.start[None], len(X), axis=0)
        for root, column in zip(self.roots, self.column, strict=True):
            sums[:, column] += self.values[self._leaf(X, root)]
        return sums[:, 0] if sums.shape[1] == 1 else sums

    def _leaf(self, X: np.ndarray, root: int) -> np.ndarray:
        """Number of the leaf that each row ends at."""
        x = np.asarray(X, dtype=np.float32)  # as scikit-learn's trees compare them
        rows, nodes = np.arange(len(X)), np.full(len(X), root)
        while (inner := self.left[nodes] >= 0).any():
            parents = nodes[inner]
            nodes[inner] = np.where(
                x[rows[inner], self.feature[parents]] <= self.threshold[parents],
                self.left[parents],
                self.right[parents],
            )
        return nodes


class CalibratedClassifier(_Classifier):
    """The mean of classifiers, each with a curve from its margin to a probability.

    Parameters
    ----------
    estimators : list
        With `decision_function`, or `predict_proba`.
    method : str
        `sigmoid`: 1 / (1 + exp(x · margin + y)); `isotonic`: between the points (x, y); `margin`:
        the logistic function of the margin.
    curves : list
        (x, y) of each estimator and column; two classes have one column.
    classes : ndarray (k,)
        The classes.
    n_features : int
        Number of inputs.
    """

    def __init__(self, estimators, method, curves, classes, n_features):
        self.estimators, self.method, self.curves = estimators, method, curves
        self.classes = self.classes_ = classes
        self.n_features = self.n_features_in_ = n_features

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probability of each class: float64 (n, k)."""
        total: Any = sum(
            self._calibrated(_margins(estimator, X), curves)
            for estimator, curves in zip(self.estimators, self.curves, strict=True)
        )
        return total / len(self.estimators)

    def _calibrated(self, margins: np.ndarray, curves: list) -> np.ndarray:
        if self.method == "margin":
            shares = expit(margins)
        elif self.method == "sigmoid":
            shares = np.column_stack(
                [expit(-(x * margin + y)) for margin, (x, y) in zip(margins.T, curves, strict=True)]
            )
        else:
            shares = np.column_stack(
                [
                    np.interp(margin.astype(x.dtype), x, y)
                    for margin, (x, y) in zip(margins.T, curves, strict=True)
                ]
            )
        if shares.shape[1] == 1:
            return np.column_stack([1 - shares, shares])
        even = np.full_like(shares, 1 / shares.shape[1])
        total = shares.sum(axis=1, keepdims=True)
        return np.divide(shares, total, out=even, where=total != 0)


def _margins(estimator: BaseEstimator, X: np.ndarray) -> np.ndarray:
    """Margins (n, 1) for two classes, else (n, k)."""
    if hasattr(estimator, "decision_function"):
        margins = estimator.decision_function(X)
        return margins[:, None] if margins.ndim == 1 else margins
    shares = estimator.predict_proba(X)
    return shares[:, 1:] if shares.shape[1] == 2 else shares
