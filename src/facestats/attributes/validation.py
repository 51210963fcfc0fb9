"""Cross-validation among train faces: the penalty, and predictions out of fold."""

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
# Weaker penalties in a row that lose to the best: the log loss has one valley, and weak ones take
# longest.
WORSE = 2
SEARCHED = STRATIFIED  # faces that a penalty is chosen on, drawn at random where there are more
FITTED = 20_000  # faces that the model of a fold is trained on


def weights_of(actual: np.ndarray, class_weight: str | None, classes: np.ndarray) -> np.ndarray:
    """Weight of each class in training, as scikit-learn computes it."""
    return compute_class_weight(class_weight, classes=classes, y=actual)


def logistic(c: float, class_weight: str | None) -> Pipeline:
    """The classifier: standardised embeddings, logistic regression."""
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(C=c, class_weight=class_weight, max_iter=MAX_ITERATIONS),
    )


def ridge(alpha: float) -> Pipeline:
    """The regression: standardised embeddings, ridge regression."""
    return make_pipeline(StandardScaler(), Ridge(alpha=alpha))


def best_c(
    x: np.ndarray, actual: np.ndarray, who: np.ndarray, class_weight: str | None
) -> float | None:
    """The C with the lowest log loss on left-out faces; None where there are no folds.

    The log loss is that of the probabilities without the class weights: it is these that are told
    to the user.

    Parameters
    ----------
    x : ndarray (n, d)
        Float64.
    actual : ndarray (n,)
        Class of each face; who : (n,) number of each face's person.
    """
    rows = sample_rows(len(x), SEARCHED)
    x, actual, who = x[rows], actual[rows], who[rows]
    folds = class_folds(actual, who)
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


def best_alpha(x: np.ndarray, values: np.ndarray, who: np.ndarray) -> float | None:
    """The alpha with the lowest squared error on left-out faces; None where there are no folds."""
    rows = sample_rows(len(x), SEARCHED)
    folds = group_folds(who[rows])
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
    x: np.ndarray, actual: np.ndarray, who: np.ndarray, c: float, class_weight: str | None
) -> np.ndarray:
    """Probabilities of each face by a model that has not seen its person: float64 (n, classes).

    Null where there are no folds, and for a face whose class its fold's model does not know.
    """
    classes = np.unique(actual)
    shares = np.full((len(x), len(classes)), np.nan)
    for model, held_out in _fitted(logistic(c, class_weight), x, actual, class_folds(actual, who)):
        known = held_out[np.isin(actual[held_out], model.classes_)]
        shares[known] = 0
        if len(known):
            shares[np.ix_(known, np.searchsorted(classes, model.classes_))] = model.predict_proba(
                x[known]
            )
    return shares


def values_out_of_fold(
    x: np.ndarray, values: np.ndarray, who: np.ndarray, alpha: float
) -> np.ndarray:
    """Value of each face by a model that has not seen its person.

    Float64 (n,), null where there are no folds.
    """
    predicted = np.full(len(x), np.nan)
    for model, held_out in _fitted(ridge(alpha), x, values, group_folds(who)):
        predicted[held_out] = model.predict(x[held_out])
    return predicted


def _fitted(
    model: Pipeline, x: np.ndarray, y: np.ndarray, folds: list[Fold]
) -> Iterator[tuple[Pipeline, np.ndarray]]:
    for train, held_out in folds:
        train = train[sample_rows(len(train), FITTED)]
        yield model.fit(x[train], y[train]), held_out
