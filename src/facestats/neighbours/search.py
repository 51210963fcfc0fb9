"""The faces of a run, searched by embedding."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.tables.matrix import EmbeddingMatrix
from facestats.neighbours.exact import ExactSearch


class Neighbours:
    """All faces of the pipeline, to search the nearest ones among.

    Parameters
    ----------
    names : Index (n,)
        Filenames in the order of the matrix.
    matrix : EmbeddingMatrix

    Attributes
    ----------
    names : Index (n,)
    """

    def __init__(self, names: pd.Index, matrix: EmbeddingMatrix):
        self.names, self._matrix = names, matrix
        self._exact = ExactSearch(matrix)

    def __len__(self) -> int:
        return len(self.names)

    def vector(self, name: str) -> np.ndarray:
        """The embedding of a face: float32 (d,); raises KeyError where there is no such face."""
        return self._matrix.vectors(np.array([self.names.get_loc(name)]))[0]

    def nearest(
        self,
        vector: np.ndarray,
        k: int,
        allowed: np.ndarray | None = None,
        but: str | None = None,
    ) -> tuple[pd.Index, np.ndarray]:
        """The faces whose embeddings are most similar to a vector, best first.

        Parameters
        ----------
        vector : ndarray of float32 (d,)
            Of unit length.
        k : int
            At most so many faces.
        allowed : ndarray of bool (n,), optional
            The faces among which to search; by default all.
        but : str, optional
            Name of a face to leave out.

        Returns
        -------
        names : Index (up to k,)
        similarity : ndarray of float32
            Cosines.
        """
        vector = np.ascontiguousarray(vector, np.float32)
        rows, similarity = self._exact.nearest(vector, k + (but is not None), allowed)
        names = self.names[rows]
        kept = np.flatnonzero(names != but)[:k]
        return names[kept], similarity[kept]
