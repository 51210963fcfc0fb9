"""The section `composites` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from facestats.groups.params import Filter
from facestats.params.types import Section


class Render(Section):
    align: Literal["none", "eyes", "warp"] = "warp"
    """warp: every triangle of a face to the mean shape | eyes: eyes upon eyes | none: plain mean"""
    space: Literal["linear", "gamma"] = "linear"
    """what is averaged: linear (light) | gamma (the codes of the file)"""
    symmetric: bool = False
    """true: with the mirror image of every face"""
    max_yaw: Annotated[float, Field(gt=0, le=90)] = 25.0
    """degrees; `warp` leaves out faces turned further to a side, for their triangles fold over"""


class Composite(Section):
    filter: Filter
    """who is in it: every condition must hold"""
    render: Render
    """how it is drawn"""
