"""Cross-validation among train faces: the penalty, and out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from facestats.core.stats.folds import STRATIFIED, Fold, class_folds, group_folds
from facestats.core.tables.embeddings import sample_rows

MAX_ITERATIONS = 2000
PENALTIES = 10.0 ** np.arange(-4, 1.1, 0.5)  # C, strongest first
ALPHAS = 10.0 ** np.arange(-1, 5.1, 0.5)
# The search ends after so many penalties in a row that are worse than the best: the log loss has
# one minimum, and weak penalties take longest to fit.
WORSE = 2
SEARCHED = STRATIFIED  # faces that a penalty is chosen on, drawn at random where there are more
FITTED = 20_000  # faces that the model of a fold is trained on, drawn likewise


def weights_of(actual: np.ndarray, class_weight: str | None, classes: np.ndarray) -> np.ndarray:
    """Weight of each class in training, as scikit-learn computes it."""
    return compute_class_weight(class_weight, classes=classes, y=actual)


def logistic(c: float, class_weight: str | None) -> Pipeline:
    """Make the classifier: standardised embeddings, logistic regression."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=c, class_weight=class_weight, max_iter=MAX_ITERATIONS),
    )


def ridge(alpha: float) -> Pipeline:
    """Make the regression: standardised embeddings, ridge regression."""
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha))


def best_c(
    x: np.ndarray, actual: np.ndarray, persons: np.ndarray, class_weight: str | None
) -> float | None:
    """Find the C with the lowest log loss on left-out faces.

    The loss is that of the probabilities without class weights, which are the ones that users see.

    Parameters
    ----------
    x : ndarray of float64 (n, d)
        Embeddings.
    actual : ndarray (n,)
        Class of each face.
    persons : ndarray of int (n,)
        Number of each face's person.
    class_weight : str, optional
        `balanced` or None.

    Returns
    -------
    float or None
        None where there are no folds.
    """
    rows = sample_rows(len(x), SEARCHED)
    x, actual, persons = x[rows], actual[rows], persons[rows]
    folds = class_folds(actual, persons)
    if not folds:
        return None
    classes = np.unique(actual)
    weights = weights_of(actual, class_weight, classes)
    models = [
        LogisticRegression(class_weight=class_weight, max_iter=MAX_ITERATIONS, warm_start=True)
        for _ in folds
    ]
    scaled = [StandardScaler().fit(x[train]).transform for train, _ in folds]
    losses: list[float] = []
    for c in PENALTIES:
        shares = np.zeros((len(x), len(classes)))
        for model, transform, (train, held_out) in zip(models, scaled, folds, strict=True):
            model.set_params(C=c).fit(transform(x[train]), actual[train])
            shares[np.ix_(held_out, np.searchsorted(classes, model.classes_))] = (
                model.predict_proba(transform(x[held_out]))
            )
        shares /= weights
        losses.append(log_loss(actual, shares / shares.sum(axis=1, keepdims=True), labels=classes))
        if len(losses) - 1 - int(np.argmin(losses)) == WORSE:
            break
    return float(PENALTIES[np.argmin(losses)])


def best_alpha(x: np.ndarray, values: np.ndarray, persons: np.ndarray) -> float | None:
    """Find the alpha with the lowest squared error on left-out faces; None without folds."""
    rows = sample_rows(len(x), SEARCHED)
    folds = group_folds(persons[rows])
    if not folds:
        return None
    x, values = x[rows], values[rows]
    errors = np.zeros(len(ALPHAS))
    for train, held_out in folds:
        scaler, mean = StandardScaler().fit(x[train]), values[train].mean()
        z, rest = scaler.transform(x[train]), scaler.transform(x[held_out])
        spread, axes = np.linalg.eigh(z.T @ z)  # once for all penalties
        along, rest = axes.T @ (z.T @ (values[train] - mean)), rest @ axes
        errors += [
            (
                (mean + rest @ (along / (np.maximum(spread, 0) + alpha)) - values[held_out]) ** 2
            ).sum()
            for alpha in ALPHAS
        ]
    return float(ALPHAS[errors.argmin()])


def shares_out_of_fold(
    x: np.ndarray, actual: np.ndarray, persons: np.ndarray, c: float, class_weight: str | None
) -> np.ndarray:
    """Probabilities of each face by a model that has not seen its person: float64 (n, classes).

    NaN without folds, and for a face whose class the model of its fold does not know.
    """
    classes = np.unique(actual)
    shares = np.full((len(x), len(classes)), np.nan)
    folds = class_folds(actual, persons)
    for model, held_out in _fitted(logistic(c, class_weight), x, actual, folds):
        known = held_out[np.isin(actual[held_out], model.classes_)]
        shares[known] = 0
        if len(known):
            shares[np.ix_(known, np.searchsorted(classes, model.classes_))] = model.predict_proba(
                x[known]
            )
    return shares


def values_out_of_fold(
    x: np.ndarray, values: np.ndarray, persons: np.ndarray, alpha: float
) -> np.ndarray:
    """Value of each face by a model that has not seen its person; NaN without folds."""
    predicted = np.full(len(x), np.nan)
    for model, held_out in _fitted(ridge(alpha), x, values, group_folds(persons)):
        predicted[held_out] = model.predict(x[held_out])
    return predicted


def _fitted(
    model: Pipeline, x: np.ndarray, y: np.ndarray, folds: list[Fold]
) -> Iterator[tuple[Pipeline, np.ndarray]]:
    for train, held_out in folds:
        train = train[sample_rows(len(train), FITTED)]
        yield model.fit(x[train], y[train]), held_out
