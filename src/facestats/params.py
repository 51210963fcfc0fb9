"""`params.yaml`, typed and checked.

Each section is one pydantic model; `params_errors` turns what pydantic finds wrong into one message that names
the key, the value, what is allowed and, for an unknown key, the nearest known one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from facestats.errors import ParamsError
from facestats.params_composites import Composite, Continuum, Difference, FolderName, check_pairs
from facestats.params_errors import explain
from facestats.params_types import Range, Section, ordered
from facestats.params_zeroshot import NO_TARGETS, Attribute, Zeroshot, check_ranges


def _wide(scale: list) -> list:
    if scale[0] == scale[1]:
        raise ValueError("the two ends of a scale must differ")
    return scale


def _several(folds: int) -> int:
    if folds == 1:
        raise ValueError("one fold leaves nothing to train on; 0 switches folds off, 2 is the fewest")
    return folds


Share = Annotated[float, Field(ge=0, le=1)]
Folds = Annotated[int, Field(ge=0, le=100), AfterValidator(_several)]
ClusterRange = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=2, max_length=2), AfterValidator(ordered)]


class Data(Section):
    images: Annotated[str, Field(min_length=1)]
    labels: Annotated[str, Field(min_length=1)]
    manual_labels: Annotated[str, Field(min_length=1)]


class Clip(Section):
    variant: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32


class Landmarker(Section):
    source: Annotated[str, Field(min_length=1)] = "wheel"


class Sample(Section):
    n: Annotated[int, Field(ge=1, le=100_000)] = 480
    size: Annotated[int, Field(ge=64, le=1024)] = 256
    seed: Annotated[int, Field(ge=0)] = 0


class Preprocess(Section):
    size: Annotated[int, Field(ge=32, le=4096)] = 512
    margin: Annotated[float, Field(ge=0, le=2)] = 0.3
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    align: Literal["eyes", "none"] = "eyes"
    on_no_face: Literal["reject", "center_crop"] = "reject"


# Raters are often numbered, and YAML reads [3] as a number.
Rater = Annotated[str, Field(min_length=1), BeforeValidator(lambda name: str(name) if type(name) is int else name)]


class Labels(Section):
    rating_scale: Literal["auto"] | Annotated[Range, AfterValidator(_wide)] = "auto"
    drop_raters: Literal["auto"] | list[Rater] | None = None


class Split(Section):
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _leaves_train(self):
        if self.val + self.test >= 1:
            raise ValueError("val + test must stay below 1, or nobody is left to train on")
        return self


class Classification(Section):
    kind: Literal["classification"]
    C: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    class_weight: Literal["balanced"] | None = None
    precision: Annotated[float, Field(gt=0, lt=1)] | None = 0.9


class Regression(Section):
    kind: Literal["regression"]
    alpha: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"


Target = Annotated[Classification | Regression, Field(discriminator="kind")]


class Attributes(Section):
    min_per_class: Annotated[int, Field(ge=2)] = 10
    propose: Annotated[int, Field(ge=0)] = 40
    targets: dict[Attribute, Target]

    @field_validator("targets")
    @classmethod
    def _named(cls, targets):
        for name in targets:
            if name in NO_TARGETS:
                raise ValueError(f"{name} can't be a target; it is what the label files call something else")
        return targets

    @model_validator(mode="after")
    def _kinds(self):
        for name, kind in (("gender", "classification"), ("ethnicity", "classification"), ("age", "regression")):
            if name in self.targets and self.targets[name].kind != kind:
                raise ValueError(f"targets.{name}.kind must be {kind}, for that is what its columns in the tables hold")
        return self


class Mlp(Section):
    hidden: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [256, 64])
    ensemble: Annotated[int, Field(ge=1, le=100)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    lr: Annotated[float, Field(gt=0)] = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[float, Field(ge=0)] = 1.0
    loss: Literal["mse", "huber"] = "mse"
    batch_size: Annotated[int, Field(ge=1)] = 64
    epochs: Annotated[int, Field(ge=1)] = 200
    patience: Annotated[int, Field(ge=1)] = 10
    calibration: Literal["auto", "linear", "isotonic", "none"] = "auto"
    folds: Folds = 5
    seed: Annotated[int, Field(ge=0)] = 0
    pretrained: str | None = None


class Geometry(Section):
    appearance: bool = True
    folds: Folds = 5
    seed: Annotated[int, Field(ge=0)] = 0


class Weights(Section):
    geometric: Share
    holistic: Share

    @model_validator(mode="after")
    def _sum(self):
        if abs(self.geometric + self.holistic - 1) > 1e-9:
            raise ValueError("the weights must add up to 1")
        return self


class Score(Section):
    weights: Weights | Literal["learned"]


class Clusters(Section):
    k: Annotated[int, Field(ge=2)] | ClusterRange = Field(default_factory=lambda: [4, 12])
    components: Annotated[int, Field(ge=2)] = 32
    seed: Annotated[int, Field(ge=0)] = 0


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    seed: Annotated[int, Field(ge=0)] = 0
    min_group: Annotated[int, Field(ge=2)] = 10


class Report(Section):
    images: bool = True
    examples: Annotated[int, Field(ge=0, le=50)] = 8


class Params(Section):
    """All of `params.yaml`."""

    data: Data
    landmarker: Landmarker
    clip: Clip
    sample: Sample
    preprocess: Preprocess
    labels: Labels
    split: Split
    attributes: Attributes
    zeroshot: Zeroshot
    mlp: Mlp
    geometry: Geometry
    score: Score
    clusters: Clusters
    composites: dict[FolderName, Composite]
    continua: dict[FolderName, Continuum]
    differences: dict[FolderName, Difference]
    evaluate: Evaluate
    report: Report


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises
    ------
    ParamsError
        Missing file, broken YAML, unknown key, wrong type or impossible value; every problem is named.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run this from the folder that holds it") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not valid YAML: {error}") from None
    return check_params(raw, str(path))


def check_params(raw: Any, where: str = "params.yaml") -> Params:
    """Validate already parsed parameters; see `load_params`."""
    if not isinstance(raw, dict):
        raise ParamsError(f"{where} must be a mapping of sections, found {type(raw).__name__}")
    try:
        params = Params.model_validate(raw)
        problems = check_ranges(params.zeroshot, {name: target.kind for name, target in params.attributes.targets.items()})
        problems += check_pairs(params.composites, params.continua, params.differences)
    except ValidationError as error:
        problems = explain(error.errors(include_url=False), raw, Params)
    if problems:
        raise ParamsError("\n".join(f"{where}: {problem}" for problem in problems))
    return params
