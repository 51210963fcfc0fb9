"""The sections of `params.yaml` that say what is learned and measured: `attributes`, `mlp`, `geometry`, `score`, `clusters` and `evaluate`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md; that of a class is its section's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from facestats.params.types import PathText, Section, ordered
from facestats.params.zeroshot import NO_TARGETS, Attribute


def _several(folds: int) -> int:
    if folds == 1:
        raise ValueError(
            "one fold leaves nothing to train on; 0 switches folds off, 2 is the fewest"
        )
    return folds


def _watched(path: str) -> str:
    if not path.startswith("data/pretrained/") or ".." in path.split("/"):
        raise ValueError(
            "a pretrained model lies below data/pretrained, which DVC watches; copy it there"
        )
    if not path.endswith(".safetensors"):
        raise ValueError(
            "a pretrained model is a .safetensors file; `python -m facestats models convert` makes one of a pickled classifier"
        )
    return path


PretrainedFile = Annotated[PathText, AfterValidator(_watched)]
Share = Annotated[float, Field(ge=0, le=1)]
Folds = Annotated[
    int, Field(ge=0, le=100, json_schema_extra={"not": {"const": 1}}), AfterValidator(_several)
]
ClusterRange = Annotated[
    list[Annotated[int, Field(ge=2)]], Field(min_length=2, max_length=2), AfterValidator(ordered)
]


class Classification(Section):
    kind: Literal["classification"]
    """for classes: a logistic regression"""
    C: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """inverse of the penalty of the logistic regression, lower is smoother | auto: by cross-validation among train faces"""
    class_weight: Literal["balanced"] | None = None
    """balanced: answers count rare classes as much as frequent ones | null: each face counts the same"""
    precision: Annotated[float, Field(gt=0, lt=1)] | None = 0.9
    """wanted share of right answers: a face that the model is not sure enough of is `unknown` | null: it answers always"""
    pretrained: PretrainedFile | None = None
    """model file below data/pretrained to use instead of training; `facestats models convert` makes one of a pickled classifier"""


class Regression(Section):
    kind: Literal["regression"]
    """for numbers: a ridge regression"""
    alpha: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """penalty of the ridge regression, higher is smoother | auto: by cross-validation among train faces"""
    pretrained: PretrainedFile | None = None
    """model file below data/pretrained to use instead of training; `facestats models convert` makes one of a pickled classifier"""


Target = Annotated[Classification | Regression, Field(discriminator="kind")]


class Attributes(Section):
    min_per_class: Annotated[int, Field(ge=2)] = 10
    """classes with fewer labelled train faces are left out, and named in the metrics"""
    propose: Annotated[int, Field(ge=0)] = 40
    """faces proposed for labelling in labels_template.csv"""
    targets: dict[Attribute, Target]
    """one classifier or regressor each, for any column of labels.csv"""

    @field_validator("targets")
    @classmethod
    def _named(cls, targets):
        for name in targets:
            if name in NO_TARGETS:
                raise ValueError(
                    f"{name} can't be a target; it is what the label files call something else"
                )
        return targets

    @model_validator(mode="after")
    def _kinds(self):
        for name, kind in (
            ("gender", "classification"),
            ("ethnicity", "classification"),
            ("age", "regression"),
        ):
            if name in self.targets and self.targets[name].kind != kind:
                raise ValueError(
                    f"targets.{name}.kind must be {kind}, for that is what its columns in the tables hold"
                )
        return self


class Mlp(Section):
    hidden: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=lambda: [256, 64], examples=[[256, 64]]
    )
    """width of each hidden layer; a single number is one layer"""
    ensemble: Annotated[int, Field(ge=1, le=100)] = 8
    """perceptrons whose mean corrects the ridge regression; each leaves out another part of the train faces"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """share of hidden units silenced in a training step"""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    """learning rate of AdamW"""
    schedule: Literal["constant", "cosine"] = "constant"
    """of the learning rate: constant | cosine (falls to 0 over `epochs`)"""
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    """weight decay of AdamW (decoupled: each step shrinks the weights by lr × this)"""
    loss: Literal["mse", "huber"] = "mse"
    """mse | huber (counts errors beyond one standard deviation of the ratings less)"""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """faces a training step"""
    epochs: Annotated[int, Field(ge=1)] = 200
    """at most this many passes over the train faces"""
    patience: Annotated[int, Field(ge=1)] = 10
    """stop after so many epochs without a better validation error"""
    calibration: Literal["auto", "linear", "isotonic", "none"] = "auto"
    """of the predictions, on held-out faces: none | linear | isotonic | auto (by cross-validation)"""
    folds: Folds = 5
    """train and val faces are scored by models of this many folds that never saw their rating; 0: by the main one"""
    seed: Annotated[int, Field(ge=0)] = 0
    """initial weights, order of batches, parts and folds"""
    pretrained: PathText | None = None
    """path of a checkpoint to use instead of training (DVC does not watch it: a new file needs a new name)"""


class Geometry(Section):
    appearance: bool = True
    """true: the score is learned from the face's shape and its pixels, brought to the mean shape | false: from the shape alone"""
    folds: Folds = 5
    """train faces are scored by models of this many folds that never saw their rating; 0: by the main one"""
    seed: Annotated[int, Field(ge=0)] = 0
    """of the folds"""


class Weights(Section):
    geometric: Share
    """share of the geometric score"""
    holistic: Share
    """share of the holistic score"""

    @model_validator(mode="after")
    def _sum(self):
        if abs(self.geometric + self.holistic - 1) > 1e-9:
            raise ValueError("the weights must add up to 1")
        return self


class Score(Section):
    weights: Weights | Literal["learned"]
    """shares of the combined score, which add up to 1 | learned: what fits the ratings of val faces best"""
    min_age: Annotated[int, Field(ge=1, le=130)] | None = 18
    """years; a face that may be younger gets no score, by its label or as far as a trained age model can tell | null: children get scores, too"""
    require_age_check: bool = False
    """true: without an age check there is no score, the run stops and single photos are refused | false: a warning says that age was not checked"""

    @model_validator(mode="after")
    def _checkable(self):
        if self.require_age_check and self.min_age is None:
            raise ValueError("require_age_check needs a min_age to check against")
        return self


class Clusters(Section):
    k: Annotated[int, Field(ge=2)] | ClusterRange = Field(
        default_factory=lambda: [4, 12], examples=[[4, 12]]
    )
    """number of clusters (k-means), or a range: the number in it with the highest mean silhouette"""
    components: Annotated[int, Field(ge=2)] = 32
    """principal components of the embeddings that the clustering sees"""
    seed: Annotated[int, Field(ge=0)] = 0
    """initial centres"""


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """resamples of the test faces behind each 95 % interval"""
    seed: Annotated[int, Field(ge=0)] = 0
    """of the resampling"""
    min_group: Annotated[int, Field(ge=2)] = 10
    """test faces that a group needs to be measured for fairness; smaller ones are counted only"""


class Report(Section):
    images: bool = True
    """false: no picture that shows faces is in it, composites included; names of files are"""
    examples: Annotated[int, Field(ge=0, le=50)] = 8
    """faces shown of each cluster, the most typical first"""
