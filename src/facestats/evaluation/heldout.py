"""How one attribute's model does on faces that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.attributes.age import BUCKETS, age_bucket
from facestats.attributes.training import AttributeModel, numeric_labels
from facestats.evaluation import classification, regression
from facestats.tables import UNKNOWN

HELD_OUT = ("val", "test")


@dataclass
class HeldOut:
    """Metrics of val and test faces, and the test faces' (actual, predicted) pairs for a confusion plot."""

    metrics: dict
    pairs: pd.DataFrame


def measure_held_out(model: AttributeModel, embeddings: np.ndarray, labels: pd.Series, split: pd.Series) -> HeldOut:
    """Measure on labelled faces of val and test, without abstaining.

    Parameters
    ----------
    embeddings : (n, d); `labels` and `split` have the same n rows.
    """
    metrics: dict = {"trained": model.trained, "why": model.why, "n_train": model.n_train,
                     "classes": model.classes, "left_out": model.left_out}
    pairs = pd.DataFrame(columns=["actual", "predicted"])
    for name in HELD_OUT:
        chosen = (labels.notna() & (labels != UNKNOWN) & (split == name)).to_numpy()
        metrics[name] = {"n": int(chosen.sum())}
        if not model.trained or not chosen.any():
            continue
        predicted = model.predict(embeddings[chosen])
        if model.kind == "classification":
            measured, actual, said = _classification(labels[chosen].to_numpy(dtype=object), predicted)
        else:
            measured, actual, said = _regression(model.target, labels[chosen], predicted)
        metrics[name].update(measured)
        if name == "test":
            pairs = pd.DataFrame({"actual": actual, "predicted": said}).sort_values(["actual", "predicted"])
    return HeldOut(metrics, pairs)


def _classification(actual: np.ndarray, predicted: np.ndarray) -> tuple[dict, np.ndarray, np.ndarray]:
    matrix, classes = classification.confusion(actual, predicted)
    per_class = {name: int(n) for name, n in zip(classes, matrix.sum(axis=1), strict=True)}
    return {**classification.from_confusion(matrix), "n_per_class": per_class}, actual, predicted


def _regression(target: str, labels: pd.Series, predicted: np.ndarray) -> tuple[dict, np.ndarray, np.ndarray]:
    """Errors in the label's unit; the pairs are age groups for `age`, quintiles of the labels for anything else."""
    actual = numeric_labels(target, labels).to_numpy()
    measured = regression.measure(actual, predicted)
    if target == "age":
        groups, guesses = age_bucket(actual), age_bucket(predicted)
        measured["bucket_accuracy"] = float(np.mean(groups == guesses))
        measured["n_per_bucket"] = {b: int(np.sum(groups == b)) for b in BUCKETS if (groups == b).any()}
        return measured, groups, guesses
    edges = np.quantile(actual, [0.2, 0.4, 0.6, 0.8])
    return measured, np.searchsorted(edges, actual) + 1, np.searchsorted(edges, predicted) + 1
