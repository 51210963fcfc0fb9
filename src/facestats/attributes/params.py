"""The section `attributes` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from facestats.core.layout import PRETRAINED
from facestats.params.names import NO_TARGETS, RESULTS, Attribute
from facestats.params.paths import PathText
from facestats.params.types import Section


def _watched(path: str) -> str:
    if not path.startswith(f"{PRETRAINED}/") or ".." in path.split("/"):
        raise ValueError(
            f"a pretrained model lies below {PRETRAINED}, which DVC watches; copy it there"
        )
    if not path.endswith(".safetensors"):
        raise ValueError(
            "a pretrained model is a .safetensors file; `python -m facestats models convert` "
            "makes one of a pickled classifier"
        )
    return path


PretrainedFile = Annotated[PathText, AfterValidator(_watched)]


class Classification(Section):
    kind: Literal["classification"]
    """for classes: a logistic regression"""
    C: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """inverse of the penalty of the logistic regression, lower is smoother | auto: by
    cross-validation among train faces"""
    class_weight: Literal["balanced"] | None = None
    """balanced: answers count rare classes as much as frequent ones | null: each face counts the
    same"""
    precision: Annotated[float, Field(gt=0, lt=1)] | None = 0.9
    """wanted share of right answers: a face that the model is not sure enough of is `unknown` |
    null: it answers always"""
    pretrained: PretrainedFile | None = None
    """model file below data/pretrained to use instead of training; `facestats models convert` makes
    one of a pickled classifier"""


class Regression(Section):
    kind: Literal["regression"]
    """for numbers: a ridge regression"""
    alpha: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """penalty of the ridge regression, higher is smoother | auto: by cross-validation among train
    faces"""
    pretrained: PretrainedFile | None = None
    """model file below data/pretrained to use instead of training; `facestats models convert` makes
    one of a pickled classifier"""


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
            if name in RESULTS:
                raise ValueError(f"{name} can't be a target; it is a column of the results")
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
                    f"targets.{name}.kind must be {kind}, for that is what its columns in the "
                    "tables hold"
                )
        return self
