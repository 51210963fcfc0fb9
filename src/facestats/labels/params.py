"""The sections `data`, `labels` and `split` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facestats.params.paths import DataPath, WrittenPath
from facestats.params.types import Range, Section, Seed


def _wide(scale: list) -> list:
    if scale[0] == scale[1]:
        raise ValueError("the two ends of a scale must differ")
    return scale


class Data(Section):
    images: DataPath
    """folder of photos; data/raw for your own (after `dvc add data/raw`)"""
    labels: DataPath
    """folder with labels.csv and ratings.csv, both optional; data/labels for your own"""
    manual_labels: WrittenPath
    """corrections by hand, kept in git; they win over every other source"""
    manual_ratings: WrittenPath
    """ratings by the page Rate, kept in git; they count beside those of ratings.csv"""


# Raters are often numbered, and YAML reads [3] as a number.
Rater = Annotated[
    str, Field(min_length=1), BeforeValidator(lambda name: str(name) if type(name) is int else name)
]


class Labels(Section):
    rating_scale: Literal["auto"] | Annotated[Range, AfterValidator(_wide)] = "auto"
    """ends of the raters' scale, [low, high], or auto: the narrowest usual scale that holds every
    rating but slips (an error)
    """
    drop_raters: Literal["auto"] | list[Rater] | None = None
    """raters left out: null (nobody; suspicious ones are named) | auto (those who answer always the
    same, at random or the other way round) | [names]
    """
    raters: (
        Annotated[dict[str, Rater | list[Rater]], Field(min_length=1)]
        | Annotated[list[Rater], Field(min_length=1)]
        | None
    ) = None
    """raters that count: null (all) | [names], which may hold a * for any text, as in [anna, r*] |
    values of columns of ratings.csv, as in {rater_gender: female} or {rater_gender: [female, male]}
    """
    level: bool = True
    """true: mean ratings of datasets (column `dataset`) are shifted to one mean |
    false: they stay
    """


class Split(Section):
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of faces for early stopping and choices, persons as a whole"""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """share of faces for the metrics, seen by no model, persons as a whole"""
    seed: Seed = 0
    """another seed deals people out anew"""
    stratify: list[str] = Field(default=["gender", "rating"])
    """columns of the labels in whose classes, and in fifths of the raters' scale, the shares of
    labelled faces hold; [] for none
    """
    official: bool = False
    """true: the column split_official of labels.csv decides where it says train, val or test; faces
    without it are dealt out as usual
    """

    @model_validator(mode="after")
    def _leaves_train(self):
        if self.val + self.test >= 1:
            raise ValueError("val + test must stay below 1, or nobody is left to train on")
        return self
