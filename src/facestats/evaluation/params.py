"""The section `evaluate` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from facestats.params.types import Section


class Evaluate(Section):
    bootstrap: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """resamples of the persons on the test faces behind each 95 % interval"""
    seed: Annotated[int, Field(ge=0)] = 0
    """of the resampling"""
    min_group: Annotated[int, Field(ge=2)] = 10
    """test faces that a group needs to be measured for fairness; smaller ones are counted only"""
