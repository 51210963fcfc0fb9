"""The section `sample` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from facestats.params.types import Section, Seed


class Sample(Section):
    n: Annotated[int, Field(ge=1, le=100_000)] = 480
    """drawn faces; a dozen deliberately bad files come on top"""
    size: Annotated[int, Field(ge=64, le=1024)] = 256
    """side of a drawn image, pixels"""
    seed: Seed = 0
    """another seed draws other people"""
