"""The section `clusters` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from facestats.params.types import Section, Seed, ordered

ClusterRange = Annotated[
    list[Annotated[int, Field(ge=2)]], Field(min_length=2, max_length=2), AfterValidator(ordered)
]


class Clusters(Section):
    k: Annotated[int, Field(ge=2)] | ClusterRange = Field(
        default_factory=lambda: [4, 12], examples=[[4, 12]]
    )
    """number of clusters (k-means), or a range: the number in it with the highest mean
    silhouette"""
    components: Annotated[int, Field(ge=2)] = 32
    """principal components of the embeddings that the clustering sees"""
    seed: Seed = 0
    """initial centres"""
