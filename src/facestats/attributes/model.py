"""A trained attribute: its file, its calibrated probabilities, and when it says `unknown`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from facestats.attributes.calibration import Calibration
from facestats.errors import LabelError, ModelError
from facestats.tables import UNKNOWN

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
    calibration : of the pipeline's probabilities; None leaves them as they are.
    wanted_precision : share of right answers that the threshold was chosen for; None: it answers always.
    abstain_below : an answer whose probability is below this becomes `unknown`; infinite where no threshold
        reaches the wanted precision.
    threshold_from : the faces that the threshold was chosen on, in words.
    penalty : C of the logistic or alpha of the ridge regression.
    penalty_from : `cross-validation`, `params.yaml`, or why a default was taken.
    """

    target: str
    kind: str
    pipeline: Pipeline | None = None
    why: str | None = None
    classes: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    calibration: Calibration | None = None
    wanted_precision: float | None = None
    abstain_below: float = 0.0
    threshold_from: str | None = None
    penalty: float | None = None
    penalty_from: str | None = None
    n_train: int = 0
    source: ClassVar[str] = "model"

    @property
    def trained(self) -> bool:
        return self.pipeline is not None

    def choices(self) -> dict[str, float | str | None]:
        """What was chosen in training and by what, for the metrics; `threshold` is null where it answers always or never."""
        chosen = {"penalty": self.penalty, "penalty_from": self.penalty_from}
        if self.kind == "regression":
            return chosen
        threshold = self.abstain_below if 0 < self.abstain_below < np.inf else None
        return chosen | {"wanted_precision": self.wanted_precision, "threshold": threshold, "threshold_from": self.threshold_from}

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated probability of each class: float64 array (n, classes)."""
        with threadpool_limits(1):
            raw = self.pipeline.predict_proba(embeddings.astype(np.float64, copy=False))
        return self.calibration.apply(raw) if self.calibration else raw

    def uncalibrated(self, shares: np.ndarray) -> np.ndarray:
        """What the pipeline itself said, from calibrated probabilities (n, classes)."""
        return self.calibration.undo(shares) if self.calibration else shares

    def choose(self, shares: np.ndarray) -> np.ndarray:
        """Number of the class that is answered, from calibrated probabilities (n, classes).

        The likeliest class; with balanced class weights the one that gains most on its share of the train faces, which
        is what the pipeline itself would say: calibration changes how sure a model is, never what it answers.
        """
        return self.uncalibrated(shares).argmax(axis=1)

    def silent(self, shares: np.ndarray, _photographs: np.ndarray | bool = False) -> np.ndarray:
        """Which rows of calibrated probabilities (n, classes) get no answer, for it is not sure enough: bool (n,)."""
        return shares[np.arange(len(shares)), self.choose(shares)] < self.abstain_below

    def decide(self, shares: np.ndarray) -> np.ndarray:
        """The answer to each row of calibrated probabilities (n, classes) as text, never abstaining."""
        return np.asarray(self.classes, dtype=object)[self.choose(shares)]

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The answer of a classifier, never abstaining (text), or the value of a regression (float64)."""
        if self.kind == "classification":
            return self.decide(self.predict_proba(embeddings))
        with threadpool_limits(1):
            return self.pipeline.predict(embeddings.astype(np.float64, copy=False))

    def save(self, path: Path) -> None:
        """Write a joblib file holding a plain dict of these attributes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")  # always this name: the folder is a dep, and what a kill leaves is replaced
        content = vars(self) | {"calibration": self.calibration and vars(self.calibration)}
        try:
            joblib.dump(content, temporary)
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
            model = cls(**joblib.load(path))
            if model.calibration is not None:
                model.calibration = Calibration(**model.calibration)
            return model
        except FileNotFoundError:
            raise ModelError(f"{path}: no such classifier; `dvc repro` trains it") from None
        except Exception as error:  # a damaged pickle fails in many ways
            raise ModelError(f"{path} is not a classifier of this project ({error!r}); run `dvc repro`") from None


def load_models(folder: Path, targets: Iterable[str]) -> dict[str, AttributeModel]:
    """The models of the targets in use, by target, sorted; files of targets that were removed are left alone."""
    return {target: AttributeModel.load(folder / f"{target}_clf.joblib") for target in sorted(targets)}


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
