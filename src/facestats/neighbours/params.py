"""The section `index` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Literal

from facestats.params.types import Section


class Index(Section):
    kind: Literal["auto", "exact", "ivf"] = "auto"
    """how similar faces are searched. exact: all are compared | ivf: an index of faiss (extra
    `index`), which may miss some | auto: exact up to a million faces, then ivf if faiss is there"""
