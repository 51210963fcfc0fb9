"""The faces of a run, searched by embedding."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.core.tables.matrix import EmbeddingMatrix
from facestats.errors import InputError, did_you_mean, nearest_names
from facestats.neighbours.exact import ExactSearch
from facestats.neighbours.ivf import MISSING, IvfSearch, has_faiss

MANY = 1_000_000  # faces from which on `auto` takes an index


class Neighbours:
    """All faces of the pipeline, to search the nearest ones among.

    Parameters
    ----------
    names : Index (n,)
        Filenames in the order of the matrix.
    matrix : EmbeddingMatrix
    kind : {"auto", "exact", "ivf"}, default "auto"
        Parameter `index.kind`.
    sha256 : str, optional
        Of the matrix' file, by which an index is kept.
    root : Path or None, optional
        The project folder, whose cache keeps it.

    Attributes
    ----------
    names : Index (n,)
    """

    def __init__(
        self,
        names: pd.Index,
        matrix: EmbeddingMatrix,
        kind: str = "auto",
        sha256: str = "",
        root: Path | None = None,
    ):
        self.names, self._matrix = names, matrix
        self._kind, self._sha256, self._root = kind, sha256, root
        self._search: ExactSearch | IvfSearch | None = None
        self._opening = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_overwritten(self) -> bool:
        """Whether the matrix was written to since it was opened, so that each search fails."""
        return self._matrix.is_overwritten

    @property
    def search(self) -> ExactSearch | IvfSearch:
        """How they are searched; an index is opened, or built, when it is first asked for.

        Raises
        ------
        ModelError
            `index.kind` asks for an index, and faiss is not installed.
        """
        with self._opening:
            if self._search is None:
                self._search = self._open()
            return self._search

    def _open(self) -> ExactSearch | IvfSearch:
        many = self._kind == "auto" and len(self) > MANY
        if many and not has_faiss():
            warnings.warn(f"{len(self):,} faces are compared one by one: {MISSING}", stacklevel=3)
        elif many or self._kind == "ivf":
            from facestats.neighbours.cache import open_index
            from facestats.neighbours.place import find_place

            place = find_place(self._root) if self._root else None
            return open_index(self._matrix, self._sha256, place)
        return ExactSearch(self._matrix)

    def vector(self, name: str) -> np.ndarray:
        """The embedding of a face: float32 (d,); raises KeyError where there is no such face."""
        return self._matrix.vectors(np.array([self.names.get_loc(name)]))[0]

    def rows_of(self, names: Iterable[str]) -> np.ndarray:
        """Which faces are among those of some names: bool (n,).

        Raises
        ------
        InputError
            There is no such face, or the names are none.
        """
        if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
            raise InputError(f"among = {names!r}: expected a list of filenames of faces")
        listed = list(names)
        if wrong := [name for name in listed if not isinstance(name, str)]:
            raise InputError(f"among: {wrong[0]!r} is no face: expected filenames of faces")
        rows = self.names.get_indexer(pd.Index(listed, dtype=object))
        if len(unknown := np.flatnonzero(rows < 0)):
            name = listed[unknown[0]]
            raise InputError(
                f"among: {name!r} is no face{did_you_mean(nearest_names(name, self.names))}"
            )
        allowed = np.zeros(len(self), dtype=bool)
        allowed[rows] = True
        return allowed

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
        rows, similarity = self.search.nearest(vector, k + (but is not None), allowed)
        names = self.names[rows]
        kept = np.flatnonzero(names != but)[:k]
        return names[kept], similarity[kept]
