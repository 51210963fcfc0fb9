"""Training of one attribute: a logistic or ridge regression on standardised embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from facestats.attributes.calibration import Calibration, choose_threshold
from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.attributes.validation import (
    best_alpha,
    best_c,
    logistic,
    ridge,
    shares_out_of_fold,
    values_out_of_fold,
    weights_of,
)
from facestats.core.tables import is_known
from facestats.errors import InputError, number_of

AUTO = "auto"
DEFAULT_C, DEFAULT_ALPHA = 0.1, 100.0  # where cross-validation is impossible
# Labelled val faces that suffice to choose a threshold. On two overlapping classes, where a
# threshold of 0.75 gives 0.94 right answers, the model never answered in 47 % of 60 draws of 3 val
# faces, in 20 % of 5, and in 2 % of 10: among few, one mistake is too many for any precision.
ENOUGH = 10


@dataclass
class Training:
    """A model, and out-of-fold predictions of its train faces.

    Attributes
    ----------
    model : AttributeModel
        Trained or not.
    out_of_fold : DataFrame
        `<target>_prob_<class>` (calibrated), or `<target>` of a regression, by the index of the
        labels; without faces that could not be left out.
    """

    model: AttributeModel
    out_of_fold: pd.DataFrame


def train_classifier(
    target: str,
    embeddings: np.ndarray,
    labels: pd.Series,
    min_per_class: int,
    c: float | str = AUTO,
    class_weight: str | None = None,
    groups: pd.Series | None = None,
) -> Training:
    """Fit a logistic regression on labelled train faces, calibrated by cross-validation.

    The model always answers; `set_threshold` makes it abstain.

    Parameters
    ----------
    target : str
        Name of the attribute.
    embeddings : ndarray (n, d)
        Of the train faces.
    labels : Series
        Class of each, null where unknown; unknown is never a class.
    min_per_class : int
        Classes with fewer faces are left out.
    c : float or str
        Inverse strength of the L2 penalty, or `auto`: the lowest log loss in cross-validation.
    class_weight : str, optional
        `balanced` or None, as in scikit-learn.
    groups : Series, optional
        Whose face each is, as `identity.same_faces` gives it: no group is in two folds. By default
        each face is somebody else's.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        An embedding that is not finite.
    """
    model = AttributeModel(target, "classification")
    known = is_known(labels).to_numpy()
    counts = labels[known].value_counts().sort_index()
    model.left_out = {str(k): int(n) for k, n in counts[counts < min_per_class].items()}
    usable = known & ~labels.isin(model.left_out).to_numpy()
    model.n_train = int(usable.sum())
    kept = counts[counts >= min_per_class]
    if len(kept) < 2:
        model.why = (
            f"{len(kept)} classes with at least {min_per_class} labelled train faces, 2 are needed "
            f"(found {_list_counts(counts)})"
        )
        return Training(model, pd.DataFrame(index=labels.index[:0]))
    x, actual = _finite(embeddings[usable], labels[usable]), labels[usable].to_numpy(dtype=object)
    persons = _numbers(groups, usable)
    classes = np.unique(actual)
    with threadpool_limits(1):
        penalty = _set_penalty(
            model, c, lambda: best_c(x, actual, persons, class_weight), DEFAULT_C
        )
        pipeline = logistic(penalty, class_weight).fit(x, actual)
        raw = shares_out_of_fold(x, actual, persons, penalty, class_weight)
    model.pipeline = pipeline
    model.classes = [str(k) for k in pipeline.classes_]
    left_out = ~np.isnan(raw).any(axis=1)
    raw = raw[left_out]
    if len(raw):
        model.calibration = Calibration.fit(
            raw,
            np.searchsorted(classes, actual[left_out]),
            weights_of(actual, class_weight, classes),
        )
        raw = model.calibration.apply(raw)
    columns = [f"{target}_prob_{name}" for name in model.classes]
    index = labels.index[usable][left_out]
    return Training(model, pd.DataFrame(raw, index=index, columns=columns))


def set_threshold(
    trained: Training,
    precision: float | None,
    train_labels: pd.Series,
    embeddings: np.ndarray,
    labels: pd.Series,
) -> None:
    """Let a classifier abstain where it is not sure enough to reach a precision.

    The threshold is chosen on val faces. Where fewer than `ENOUGH` have a label, out-of-fold
    predictions of the train faces are used as well.

    Parameters
    ----------
    trained : Training
        Of a classification; its model is changed.
    precision : float, optional
        Share of right answers to reach; None: it always answers.
    train_labels : Series
        The labels that it was trained on.
    embeddings : ndarray (m, d)
        Of the val faces.
    labels : Series (m,)
        Labels of the val faces, null where unknown.
    """
    model = trained.model
    model.wanted_precision = precision
    if precision is None or not model.trained:
        return
    known = is_known(labels).to_numpy()
    n, folds = int(known.sum()), trained.out_of_fold
    shares, actual = np.empty((0, len(model.classes))), labels[known].to_numpy(dtype=object)
    if n:
        shares = model.predict_proba(_finite(embeddings[known], labels[known]))
        model.threshold_from = number_of(n, "val face")
    if not n or (n < ENOUGH and len(folds)):
        shares = np.concatenate([shares, folds.to_numpy()])
        actual = np.concatenate([actual, train_labels.reindex(folds.index).to_numpy(dtype=object)])
        left_out = f"{len(folds)} train faces, cross-validated, for"
        model.threshold_from = (
            f"{model.threshold_from} and {left_out} these are few"
            if n
            else f"{left_out} no val face has a label"
        )
    if model.pretrained and not len(shares):
        model.abstain_below, model.threshold_from = (
            precision,
            "its own probabilities, for no labelled face can tell",
        )
        return
    answer = model.choose(shares)
    right = np.asarray(model.classes, dtype=object)[answer] == actual
    model.abstain_below = choose_threshold(shares[np.arange(len(shares)), answer], right, precision)


def train_regression(
    target: str,
    embeddings: np.ndarray,
    labels: pd.Series,
    minimum: int,
    alpha: float | str = AUTO,
    groups: pd.Series | None = None,
) -> Training:
    """Fit a ridge regression on labelled train faces.

    Parameters
    ----------
    target : str
        Name of the attribute.
    embeddings : ndarray (n, d)
        Of the train faces.
    labels : Series
        Number of each, also as text; null where unknown.
    minimum : int
        With fewer labelled faces nothing is trained.
    alpha : float or str
        Strength of the L2 penalty, or `auto`: the lowest squared error in cross-validation.
    groups : Series, optional
        As in `train_classifier`.

    Returns
    -------
    Training

    Raises
    ------
    LabelError
        A label that is no number.
    InputError
        An embedding that is not finite.
    """
    model = AttributeModel(target, "regression")
    values = numeric_labels(target, labels)
    known = values.notna().to_numpy()
    model.n_train = int(known.sum())
    if model.n_train < minimum:
        model.why = f"{number_of(model.n_train, 'labelled train face')}, {minimum} are needed"
        return Training(model, pd.DataFrame(index=labels.index[:0]))
    x, y = _finite(embeddings[known], labels[known]), values[known].to_numpy()
    persons = _numbers(groups, known)
    with threadpool_limits(1):
        penalty = _set_penalty(model, alpha, lambda: best_alpha(x, y, persons), DEFAULT_ALPHA)
        model.pipeline = ridge(penalty).fit(x, y)
        predicted = values_out_of_fold(x, y, persons, penalty)
    return Training(model, pd.DataFrame({target: predicted}, index=labels.index[known]).dropna())


def _set_penalty(
    model: AttributeModel,
    option: float | str,
    search: Callable[[], float | None],
    default: float,
) -> float:
    """Choose the penalty, and note it and its source in the model."""
    if option != AUTO:
        penalty, source = float(option), "params.yaml"
    elif (chosen := search()) is not None:
        penalty, source = chosen, "cross-validation"
    else:
        penalty, source = default, "a default: too few persons to leave some out"
    model.penalty, model.penalty_from = penalty, source
    return penalty


def _numbers(groups: pd.Series | None, chosen: np.ndarray) -> np.ndarray:
    """Number the groups of the chosen faces."""
    return np.arange(chosen.sum()) if groups is None else pd.factorize(groups[chosen])[0]


def _finite(embeddings: np.ndarray, labels: pd.Series) -> np.ndarray:
    """Turn embeddings into float64; raises `InputError` where one is not finite."""
    wrong = ~np.isfinite(embeddings).all(axis=1)
    if wrong.any():
        raise InputError(
            f"the embedding of {labels.index[wrong][0]} is not finite ({wrong.sum()} such faces); "
            "`dvc repro -f embed` computes it anew"
        )
    return embeddings.astype(np.float64)


def _list_counts(counts: pd.Series) -> str:
    return ", ".join(f"{name}: {n}" for name, n in counts.items()) or "no label"
