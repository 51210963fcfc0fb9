"""The section `evaluate` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from facestats.params.types import Section, Seed


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """resamples of the persons on the test faces behind each 95 % interval"""
    seed: Seed = 0
    """of the resampling"""
    min_group: Annotated[int, Field(ge=2)] = 10
    """test faces that a group needs to be measured for fairness; smaller ones are counted only"""
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    """outer folds of the cross-validation: parts of the labelled faces, each predicted by models of
    the others"""
    repeats: Annotated[int, Field(ge=1, le=100)] | Literal["auto"] = "auto"
    """divisions into folds whose figures are averaged | auto: 1 from 200 labelled faces on, up to 5
    below"""
    permutations: Annotated[int, Field(ge=19, le=9999)] = 199
    """cross-validations with permuted ratings, which show what r is by chance"""
    most: Annotated[int, Field(ge=20)] = 2000
    """labelled faces up to which there is a cross-validation; the figures of larger sets are those
    of test faces"""
