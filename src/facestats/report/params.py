"""The section `report` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from facestats.params.types import Section


class Report(Section):
    images: bool = True
    """false: no picture that shows faces is in it, composites included; names of files are"""
    examples: Annotated[int, Field(ge=0, le=50)] = 8
    """faces shown of each cluster, the most typical first"""
