"""The model of an attribute: its file, its calibrated probabilities, and when it abstains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from facestats.attributes.calibration import Calibration
from facestats.attributes.estimators.nodes import from_file, to_file
from facestats.attributes.estimators.sklearn_kinds import put_together
from facestats.attributes.estimators.take_apart import take_apart
from facestats.core.model_files import SUFFIX, read_model, write_model
from facestats.core.tables import UNKNOWN
from facestats.errors import LabelError, MisfitError, ModelError

KINDS = ("classification", "regression")
FILE_KIND, FORMAT = "facestats attribute", 1
_WAY_OUT = "`dvc repro` makes it (or `dvc pull`)"


def class_shares(table: pd.DataFrame, target: str, classes: Iterable[str]) -> np.ndarray:
    """The columns `<target>_prob_<class>` of a table: (n, classes)."""
    return table[[f"{target}_prob_{name}" for name in classes]].to_numpy()


@dataclass
class AttributeModel:
    """The model of one target, or the reason why there is none.

    Attributes
    ----------
    target : str
        Label column, such as `gender`.
    kind : str
        `classification` or `regression`.
    pipeline : Pipeline, optional
        Fitted scikit-learn pipeline on embeddings (n, d). In a model that was read from its file,
        it is put together from arrays. None where it could not be trained.
    why : str, optional
        Why it was not trained; None where it was.
    classes : list of str
        Classes that it can answer, sorted.
    left_out : dict
        Classes with too few train faces, with their counts.
    calibration : Calibration, optional
        Of the pipeline's probabilities; None leaves them as they are.
    wanted_precision : float, optional
        Share of right answers that the threshold was chosen for; None: it always answers.
    abstain_below : float
        An answer whose probability is below this becomes `unknown`; infinite where no threshold
        reaches the wanted precision.
    threshold_from : str, optional
        The faces that the threshold was chosen on, in words.
    penalty : float, optional
        C of the logistic regression, or alpha of the ridge regression.
    penalty_from : str, optional
        `cross-validation`, `params.yaml`, or why a default was taken.
    pretrained : str, optional
        SHA-256 of its file, if it was trained elsewhere.
    """

    target: str
    kind: str
    pipeline: Any = None
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
    pretrained: str | None = None

    @property
    def trained(self) -> bool:
        return self.pipeline is not None

    @property
    def source(self) -> str:
        """The name of its answers' source in tables."""
        return "pretrained" if self.pretrained else "model"

    @property
    def dimension(self) -> int:
        """Numbers of the embeddings that it takes."""
        return int(self.pipeline.n_features_in_)

    def choices(self) -> dict[str, float | str | None]:
        """Penalty and threshold for the metrics; null where it always answers, or never does."""
        chosen = {"penalty": self.penalty, "penalty_from": self.penalty_from}
        if self.pretrained:
            chosen["pretrained_sha256"] = self.pretrained
        if self.kind == "regression":
            return chosen
        threshold = self.abstain_below if 0 < self.abstain_below < np.inf else None
        return chosen | {
            "wanted_precision": self.wanted_precision,
            "threshold": threshold,
            "threshold_from": self.threshold_from,
        }

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated probability of each class: float64 array (n, classes).

        Raises
        ------
        ModelError
            Its numbers are so large that its steps give none.
        """
        try:
            with threadpool_limits(1):
                raw = self.pipeline.predict_proba(embeddings.astype(np.float64, copy=False))
        except ValueError as error:  # scikit-learn refuses what a step before makes of them
            if np.isfinite(embeddings).all() and "infinity" in str(error):
                raise ModelError(
                    "an attribute's model holds far too large numbers; "
                    "`dvc repro -f train_attribute` makes it anew"
                ) from None
            raise
        return self.calibration.apply(raw) if self.calibration else raw

    def uncalibrated(self, shares: np.ndarray) -> np.ndarray:
        """Turn calibrated probabilities (n, classes) back into the pipeline's own."""
        return self.calibration.undo(shares) if self.calibration else shares

    def choose(self, shares: np.ndarray) -> np.ndarray:
        """Number of the class that is answered, from calibrated probabilities (n, classes).

        The class that is likeliest for the pipeline itself: calibration changes how sure a model
        is, never its answer. With balanced class weights, that is the class whose probability most
        exceeds its share of the train faces.
        """
        return self.uncalibrated(shares).argmax(axis=1)

    def silent(self, shares: np.ndarray, _photographs: np.ndarray | bool = False) -> np.ndarray:
        """Whether it abstains, for each row of calibrated probabilities (n, classes): bool (n,)."""
        return shares[np.arange(len(shares)), self.choose(shares)] < self.abstain_below

    def decide(self, shares: np.ndarray) -> np.ndarray:
        """Answer each row of calibrated probabilities (n, classes) with a class; never abstains."""
        return np.asarray(self.classes, dtype=object)[self.choose(shares)]

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Predict classes (text), without abstaining, or the values of a regression (float64)."""
        if self.kind == "classification":
            return self.decide(self.predict_proba(embeddings))
        with threadpool_limits(1):
            return self.pipeline.predict(embeddings.astype(np.float64, copy=False))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: the pipeline as arrays, the rest as JSON in the header."""
        parts = take_apart(self.pipeline) if self.trained else None
        estimator, arrays = to_file(parts.node) if parts else (None, {})
        fields = {name: getattr(self, name) for name in _FIELDS} | {
            "abstain_below": self.abstain_below if math.isfinite(self.abstain_below) else None,
            "calibration": self.calibration and vars(self.calibration),
            "estimator": estimator,
            "dimension": parts and parts.dimension,
        }
        write_model(path, FILE_KIND, FORMAT, fields, arrays)

    @classmethod
    def load(cls, path: str | Path) -> AttributeModel:
        """Read what `save` wrote; its content is checked, and no code in it is run.

        Raises
        ------
        ModelError
            The file is missing, damaged or something else.
        """
        fields, arrays = read_model(path, FILE_KIND, FORMAT, _WAY_OUT)
        try:
            return _from_fields(cls, fields, arrays)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelError(
                f"{path} is not a {FILE_KIND} of this project ({error}); {_WAY_OUT}"
            ) from None


_TEXT, _COUNT = (str, type(None)), (int,)
_NUMBER = (int, float, type(None))
# The fields of a file, and their types; `abstain_below` is null where the model never answers.
_FIELDS = {
    "target": (str,),
    "kind": (str,),
    "why": _TEXT,
    "classes": (list,),
    "left_out": (dict,),
    "wanted_precision": _NUMBER,
    "abstain_below": _NUMBER,
    "threshold_from": _TEXT,
    "penalty": _NUMBER,
    "penalty_from": _TEXT,
    "n_train": _COUNT,
    "pretrained": _TEXT,
}


def _from_fields(
    cls: type[AttributeModel], fields: dict[str, Any], arrays: dict[str, np.ndarray]
) -> AttributeModel:
    """Build a model; raises ValueError, TypeError or KeyError where fields or arrays don't fit."""
    strange = sorted(map(str, set(fields) ^ {*_FIELDS, "calibration", "estimator", "dimension"}))
    if strange:
        raise MisfitError(f"{', '.join(strange)[:80]} is missing, or unknown")
    for name, types in _FIELDS.items():
        if type(fields[name]) not in types or (
            isinstance(fields[name], float) and not math.isfinite(fields[name])
        ):
            raise MisfitError(f"{name} is {fields[name]!r:.40}")
    if fields["kind"] not in KINDS:
        raise MisfitError(f"kind is {fields['kind']!r:.40}, expected one of {', '.join(KINDS)}")
    classes = fields["classes"]
    if not all(isinstance(name, str) for name in classes) or len(set(classes)) != len(classes):
        raise MisfitError("classes are not texts, or two of them are the same")
    if not all(type(n) is int for n in fields["left_out"].values()):
        raise MisfitError("left_out holds no counts")
    model = cls(**{name: fields[name] for name in _FIELDS})
    model.abstain_below = (
        math.inf if fields["abstain_below"] is None else float(fields["abstain_below"])
    )
    if fields["estimator"] is None:
        if arrays or fields["why"] is None:
            raise MisfitError("neither an estimator nor the reason why there is none")
        return model
    if type(fields["dimension"]) is not int or fields["dimension"] < 1:
        raise MisfitError(f"dimension is {fields['dimension']!r:.40}")
    if (fields["kind"] == "regression") != (not classes) or len(classes) == 1:
        raise MisfitError(f"a {fields['kind']} with {len(classes)} classes")
    model.pipeline = put_together(
        from_file(fields["estimator"], arrays),
        np.asarray(classes, dtype=object),
        fields["dimension"],
    )
    model.calibration = _calibration(fields["calibration"], len(classes))
    return model


def _calibration(fields: Any, classes: int) -> Calibration | None:
    if fields is None:
        return None
    if set(fields) != {"slope", "shift"} or len(fields["shift"]) != classes:
        raise MisfitError(f"a calibration has slope and shift, of {classes} classes")
    numbers = [fields["slope"], *fields["shift"]]
    if (
        not all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
        or not fields["slope"] > 0
    ):
        raise MisfitError("a calibration's numbers are finite, its slope above 0")
    return Calibration(fields["slope"], fields["shift"])


def model_path(folder: Path, target: str) -> Path:
    """Path of a target's model in the folder of models."""
    return folder / f"{target}_clf{SUFFIX}"


def load_models(folder: Path, targets: Iterable[str]) -> dict[str, AttributeModel]:
    """Read the models of the targets, sorted; files of targets that were removed are ignored."""
    return {target: AttributeModel.load(model_path(folder, target)) for target in sorted(targets)}


def numeric_labels(target: str, labels: pd.Series) -> pd.Series:
    """Read the labels of a regression as float64, null where unknown.

    Raises
    ------
    LabelError
        A label that is no finite number.
    """
    values = pd.to_numeric(labels, errors="coerce").astype("float64")
    wrong = labels[labels.notna() & ~np.isfinite(values) & (labels != UNKNOWN)]
    if len(wrong):
        raise LabelError(
            f"attributes.targets.{target} is a regression, but the label of {wrong.index[0]} is "
            f"{wrong.iloc[0]!r}; expected a number, or use kind: classification"
        )
    return values
