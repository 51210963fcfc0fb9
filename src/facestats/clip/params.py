"""The section `clip` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from facestats.params.paths import PathText
from facestats.params.types import Revision, Section


class Clip(Section):
    variant: PathText
    """`tiny` (shipped), a Hugging Face id such as openai/clip-vit-base-patch32, or a local folder
    (DVC does not watch it: pin its revision)"""
    revision: Revision | None = None
    """commit or tag of a Hugging Face id; sha256 (or its beginning) of a local folder's weights"""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """float32 | bfloat16 | float16 | auto (the fastest this machine computes natively)"""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """images a forward pass; the last batch is padded, so a row's bits do not depend on its
    neighbours"""
