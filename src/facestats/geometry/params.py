"""The section `geometry` of `params.yaml`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from facestats.params.types import Folds, Section, Seed


class Geometry(Section):
    appearance: bool = True
    """true: the score is learned from the face's shape and its pixels, brought to the mean shape |
    false: from the shape alone"""
    folds: Folds = 5
    """train faces are scored by models of this many folds that never saw their rating; 0: by the
    main one"""
    seed: Seed = 0
    """of the folds"""
