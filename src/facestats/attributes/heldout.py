"""Metrics of one attribute's model on val and test faces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.core.stats import classification, regression
from facestats.core.stats.groups import BUCKETS, age_bucket
from facestats.core.tables import is_known

HELD_OUT = ("val", "test")


@dataclass
class HeldOut:
    """What was measured on val and test faces.

    Attributes
    ----------
    metrics : dict
        What was chosen in training, and the metrics by split.
    pairs : DataFrame
        `actual` and `predicted` of the test faces, for a confusion matrix.
    order : list
        The classes in the order of its rows: age groups from young to old, others by name.
    """

    metrics: dict
    pairs: pd.DataFrame
    order: list


def measure_held_out(
    model: AttributeModel, embeddings: np.ndarray, labels: pd.Series, split: pd.Series
) -> HeldOut:
    """Measure a model on labelled faces of val and test.

    The model does not abstain here, except for `coverage` and `accuracy_answered`.

    Parameters
    ----------
    model : AttributeModel
        Trained or not.
    embeddings : ndarray (n, d)
        Of the faces.
    labels, split : Series (n,)
        Label (null where unknown) and split of each face.

    Returns
    -------
    HeldOut
    """
    metrics: dict = {
        "trained": model.trained,
        "why": model.why,
        "n_train": model.n_train,
        "classes": model.classes,
        "left_out": model.left_out,
        **model.choices(),
    }
    pairs = pd.DataFrame(columns=["actual", "predicted"])
    for name in HELD_OUT:
        chosen = (is_known(labels) & (split == name)).to_numpy()
        metrics[name] = {"n": int(chosen.sum())}
        if not model.trained or not chosen.any():
            continue
        if model.kind == "classification":
            measured, actual, predicted = _classification(
                model, labels[chosen].to_numpy(dtype=object), embeddings[chosen]
            )
        else:
            measured, actual, predicted = _regression(
                model.target, labels[chosen], model.predict(embeddings[chosen])
            )
        metrics[name].update(measured)
        if name == "test":
            pairs = pd.DataFrame({"actual": actual, "predicted": predicted}).sort_values(
                ["actual", "predicted"]
            )
    classes = set(pairs["actual"]) | set(pairs["predicted"])
    return HeldOut(
        metrics,
        pairs,
        [b for b in BUCKETS if b in classes] if model.target == "age" else sorted(classes),
    )


def _classification(
    model: AttributeModel, actual: np.ndarray, embeddings: np.ndarray
) -> tuple[dict, np.ndarray, np.ndarray]:
    shares = model.predict_proba(embeddings)
    predicted = model.decide(shares)
    matrix, classes = classification.confusion(actual, predicted)
    right, sure = predicted == actual, shares[np.arange(len(shares)), model.choose(shares)]
    answered = sure >= model.abstain_below
    return (
        {
            **classification.from_confusion(matrix),
            "coverage": float(answered.mean()),
            "accuracy_answered": float(right[answered].mean()) if answered.any() else None,
            "ece": classification.calibration_error(sure, right),
            "ece_uncalibrated": classification.calibration_error(
                model.uncalibrated(shares).max(axis=1), right
            ),
            "n_per_class": {
                name: int(n) for name, n in zip(classes, matrix.sum(axis=1), strict=True)
            },
        },
        actual,
        predicted,
    )


def _regression(
    target: str, labels: pd.Series, predicted: np.ndarray
) -> tuple[dict, np.ndarray, np.ndarray]:
    """Measure errors in the label's unit; the pairs are age groups, or fifths of other labels."""
    actual = numeric_labels(target, labels).to_numpy()
    measured: dict[str, Any] = {**regression.measure(actual, predicted)}
    if target == "age":
        groups, guesses = age_bucket(actual), age_bucket(predicted)
        measured["bucket_accuracy"] = float(np.mean(groups == guesses))
        measured["n_per_bucket"] = {
            b: int(np.sum(groups == b)) for b in BUCKETS if (groups == b).any()
        }
        return measured, groups, guesses
    edges = np.unique(np.quantile(actual, [0.2, 0.4, 0.6, 0.8]))
    names = _ranges([f"{edge:.6g}" for edge in edges])
    return measured, names[np.searchsorted(edges, actual)], names[np.searchsorted(edges, predicted)]


def _ranges(edges: list[str]) -> np.ndarray:
    """Name the ranges between edges; numbered, since DVC's confusion plot sorts them as text."""
    names = [
        f"up to {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"above {edges[-1]}",
    ]
    return np.array([f"{place}: {name}" for place, name in enumerate(names, 1)], dtype=object)
