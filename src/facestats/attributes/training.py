"""Train one attribute on embeddings: a standardising logistic or ridge regression of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from facestats.errors import LabelError, ModelError
from facestats.tables import UNKNOWN

MAX_ITERATIONS = 2000
KINDS = ("classification", "regression")


@dataclass
class AttributeModel:
    """One trained target, or the reason why there is none.

    Attributes
    ----------
    target : label column, such as `gender`.
    kind : `classification` or `regression`.
    pipeline : scikit-learn pipeline on embeddings (n, d); None where it could not be trained.
    why : why it was not trained; None where it was.
    classes : classes that it can say, sorted.
    left_out : classes with too few train faces, with their counts.
    abstain_below : a best probability below this makes the answer `unknown`.
    """

    target: str
    kind: str
    pipeline: Pipeline | None = None
    why: str | None = None
    classes: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    abstain_below: float = 0.0
    n_train: int = 0
    source: ClassVar[str] = "model"

    @property
    def trained(self) -> bool:
        return self.pipeline is not None

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Probability of each class: float64 array (n, classes)."""
        with threadpool_limits(1):
            return self.pipeline.predict_proba(embeddings.astype(np.float64, copy=False))

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The likeliest class, never abstaining (text), or the value of a regression (float64)."""
        if self.kind == "classification":
            return np.asarray(self.classes, dtype=object)[self.predict_proba(embeddings).argmax(axis=1)]
        with threadpool_limits(1):
            return self.pipeline.predict(embeddings.astype(np.float64, copy=False))

    def save(self, path: Path) -> None:
        """Write a joblib file holding a plain dict of these attributes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")  # always this name: the folder is a dep, and what a kill leaves is replaced
        try:
            joblib.dump(vars(self), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> AttributeModel:
        """Read what `save` wrote.

        Raises
        ------
        ModelError
            The file is missing or something else.
        """
        try:
            return cls(**joblib.load(path))
        except FileNotFoundError:
            raise ModelError(f"{path}: no such classifier; `dvc repro` trains it") from None
        except (TypeError, EOFError, KeyError, ValueError) as error:
            raise ModelError(f"{path} is not a classifier of this project ({error}); run `dvc repro`") from None


def load_models(folder: Path, targets: Iterable[str]) -> dict[str, AttributeModel]:
    """The models of the targets in use, by target, sorted; files of targets that were removed are left alone."""
    return {target: AttributeModel.load(folder / f"{target}_clf.joblib") for target in sorted(targets)}


def train_classifier(target: str, embeddings: np.ndarray, labels: pd.Series, c: float, class_weight: str | None,
                     min_per_class: int, abstain_below: float) -> AttributeModel:
    """Fit a logistic regression on labelled train faces.

    Parameters
    ----------
    embeddings : (n, d) of the train faces.
    labels : class of each, null where unknown; unknown is never a class.
    c : inverse strength of the L2 penalty.
    class_weight : `balanced` or None, as in scikit-learn.
    min_per_class : classes with fewer faces are left out.
    abstain_below : stored in the model.
    """
    model = AttributeModel(target, "classification", abstain_below=abstain_below)
    known = labels.notna().to_numpy() & (labels != UNKNOWN).to_numpy()
    counts = labels[known].value_counts().sort_index()
    model.left_out = {str(k): int(n) for k, n in counts[counts < min_per_class].items()}
    usable = known & ~labels.isin(model.left_out).to_numpy()
    model.n_train = int(usable.sum())
    classes = sorted(counts.index[counts >= min_per_class])
    if len(classes) < 2:
        model.why = (f"{len(classes)} classes with at least {min_per_class} labelled train faces, 2 are needed "
                     f"(found {_list_counts(counts)})")
        return model
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=c, class_weight=class_weight, max_iter=MAX_ITERATIONS))
    with threadpool_limits(1):
        pipeline.fit(embeddings[usable].astype(np.float64), labels[usable].astype(object))
    model.pipeline, model.classes = pipeline, [str(k) for k in pipeline.classes_]
    return model


def train_regression(target: str, embeddings: np.ndarray, labels: pd.Series, alpha: float, minimum: int) -> AttributeModel:
    """Fit a ridge regression on labelled train faces; `labels` hold numbers, or text that is one.

    Raises
    ------
    LabelError
        A label that is no number.
    """
    model = AttributeModel(target, "regression")
    values = numeric_labels(target, labels)
    known = values.notna().to_numpy()
    model.n_train = int(known.sum())
    if model.n_train < minimum:
        model.why = f"{model.n_train} labelled train faces, {minimum} are needed"
        return model
    pipeline = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    with threadpool_limits(1):
        pipeline.fit(embeddings[known].astype(np.float64), values[known])
    model.pipeline = pipeline
    return model


def numeric_labels(target: str, labels: pd.Series) -> pd.Series:
    """Labels of a regression as float64, null where unknown.

    Raises
    ------
    LabelError
        A label that is no finite number.
    """
    values = pd.to_numeric(labels, errors="coerce").astype("float64")
    wrong = labels[labels.notna() & ~np.isfinite(values) & (labels != UNKNOWN)]
    if len(wrong):
        raise LabelError(f"attributes.targets.{target} is a regression, but the label of {wrong.index[0]} is "
                         f"{wrong.iloc[0]!r}; expected a number, or use kind: classification")
    return values


def _list_counts(counts: pd.Series) -> str:
    return ", ".join(f"{name}: {n}" for name, n in counts.items()) or "no label"
