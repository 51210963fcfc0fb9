"""The sections `mlp` and `score` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facestats.params.names import FolderName
from facestats.params.paths import PathText
from facestats.params.types import Folds, Section, Seed, Share

_LOOKS = {"attractive", "attractiveness", "beautiful", "beauty"}


class Mlp(Section):
    hidden: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=lambda: [256, 64], examples=[[256, 64]]
    )
    """width of each hidden layer; a single number is one layer"""
    ensemble: Annotated[int, Field(ge=1, le=100)] = 8
    """perceptrons whose mean corrects the ridge regression; each leaves out another part of the
    train faces"""
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
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    """faces a training step"""
    epochs: Annotated[int, Field(ge=1)] = 200
    """at most this many passes over the train faces"""
    patience: Annotated[int, Field(ge=1)] = 10
    """stop after so many epochs without a better validation error"""
    calibration: Literal["auto", "linear", "isotonic", "none"] = "auto"
    """of the predictions, on held-out faces: none | linear | isotonic | auto (by
    cross-validation)"""
    folds: Folds = 5
    """train and val faces are scored by models of this many folds that never saw their rating; 0:
    by the main one"""
    seed: Seed = 0
    """initial weights, order of batches, parts and folds"""
    pretrained: PathText | None = None
    """path of a checkpoint to use instead of training (DVC does not watch it: a new file needs a
    new name)"""


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


# Their columns would be those of the main score.
TAKEN = ("attractiveness", "geometric", "combined", "geometry")


def _trait(name: Any) -> Any:
    """A trait whose columns no other table has; pydantic reports what is no text."""
    if name in TAKEN:
        raise ValueError(f"{name}_… are columns of the main score; traits are named as in ratings")
    return name


def _different(names: list[str]) -> list[str]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]} stands there twice")
    return names


Trait = Annotated[FolderName, BeforeValidator(_trait)]


class Score(Section):
    traits: Annotated[list[Trait], AfterValidator(_different)] = Field(
        default_factory=list, examples=[[]]
    )
    """rated traits to score, the main one first: [attractive, trustworthy] | []: the only one, or
    the first of ratings.csv"""
    weights: Weights | Literal["learned"]
    """shares of the combined score, which add up to 1 | learned: what fits the ratings of val faces
    best"""
    min_age: Annotated[int, Field(ge=1, le=130)] | None = 18
    """years; a face that may be younger gets no score, by its label or as far as a trained age
    model can tell | null: children get scores, too"""
    require_age_check: bool = False
    """true: without an age check there is no score, the run stops and single photos are refused |
    false: a warning says that age was not checked"""

    @model_validator(mode="after")
    def _checkable(self):
        if self.require_age_check and self.min_age is None:
            raise ValueError("require_age_check needs a min_age to check against")
        return self


def check_targets(
    score: Score, ratings: Collection[str], **attributes: Collection[str]
) -> list[str]:
    """What is wrong with attributes that are scores of how a face was rated.

    Those of the pipeline are withheld from children; those of an attribute could not be. By the
    name alone: what else a column of labels holds is not known.

    Parameters
    ----------
    score : Score
    ratings : collection of str
        What a label file may call a rating, in small letters without signs.
    **attributes : collection of str
        Names of attributes by the key of params.yaml.
    """
    problems = []
    for key, names in attributes.items():
        for name in names:
            words = re.split(r"[^a-z]+", name.lower())
            if name.startswith("rating_") and name.removeprefix("rating_") in score.traits:
                problems.append(
                    f"{key}.{name} is scored already, as score.traits names it; remove it"
                )
            elif score.min_age is not None and (
                words[0] in ("rating", "ratings")
                or {*words} & _LOOKS
                or re.sub(r"[^a-z]", "", name.lower()) in ratings
            ):
                problems.append(
                    f"{key}.{name} would tell how children look to others, too; score.traits "
                    "scores what was rated, without children (score.min_age: null scores all)"
                )
    return problems
