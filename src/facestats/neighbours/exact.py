"""Exact search: every face is compared, first roughly, then the few that may count in float32."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import torch

from facestats.core.tables.matrix import BLOCK, EmbeddingMatrix

# How far a product of float16 vectors of unit length may lie from that of the float32 ones: both
# are rounded (2⁻¹¹ each), and so is the product (2⁻¹¹); the rest is for sums in float32.
ERROR = 2**-10 + 2**-11 + 1e-4
FEW = 16  # up to this share of the rows is picked out: each takes a read of its own
_TRIED = 4096  # rows of the matrix by which the ways are timed
# Where other programs run, starting threads takes longer than the work: then float16 stays.
_SLOWER = 2.0


class ExactSearch:
    """Search among all rows.

    Parameters
    ----------
    matrix : EmbeddingMatrix
    """

    def __init__(self, matrix: EmbeddingMatrix):
        self.matrix = matrix

    def nearest(
        self, vector: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows with the largest product, best first; of equal ones the first.

        Parameters
        ----------
        vector : ndarray of float32 (d,)
            Of unit length.
        k : int
            At most so many rows.
        allowed : ndarray of bool (n,), optional
            The rows that count; by default all.

        Returns
        -------
        rows : ndarray of int (up to k,)
        products : ndarray of float32
            Of the float32 embeddings.
        """
        rows = None if allowed is None else np.flatnonzero(allowed)
        rough = self._products(np.ascontiguousarray(vector), rows)
        k = min(k, len(rough))
        if not k:
            return np.empty(0, int), np.empty(0, np.float32)
        last = -np.partition(-rough, k - 1)[k - 1]
        near = np.flatnonzero(rough >= last - 2 * ERROR)
        return rank(self.matrix, vector, near if rows is None else rows[near], k)

    def _products(self, vector: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Rough products with some rows, or all: float32 (rows,), off by at most `ERROR`."""
        asked, n = torch.from_numpy(vector), len(self.matrix)
        if rows is not None and len(rows) * FEW <= n:
            parts = np.split(rows, range(BLOCK, len(rows), BLOCK))
            picked = (torch.from_numpy(self.matrix.rounded(part)) for part in parts)
            return np.concatenate([_rough(halves, asked) for halves in picked])
        products = np.empty(n, np.float32)
        block = np.empty((min(BLOCK, n), self.matrix.dimension), np.float16)
        for start in range(0, n, BLOCK):
            part = block[: n - start]
            self.matrix.read_into(part, start)
            products[start : start + len(part)] = _rough(torch.from_numpy(part), asked)
        return products if rows is None else products[rows]


def _rough(halves: torch.Tensor, vector: torch.Tensor) -> np.ndarray:
    if half_is_fast(len(vector)):
        return torch.mv(halves, vector.to(torch.float16)).to(torch.float32).numpy()
    return in_float32(halves, vector[:, None]).numpy()[:, 0]


def rank(
    matrix: EmbeddingMatrix, vector: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rank some rows (ascending) by float32 products; see `ExactSearch.nearest`."""
    products = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        products[part] = matrix.vectors(rows[part]) @ vector
    order = np.argsort(-products, kind="stable")[:k]
    return rows[order], products[order]


def in_float32(halves: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Products (n, m) of float16 rows (n, d) with float32 columns (d, m), block by block."""
    products = torch.empty(len(halves), vectors.shape[1])
    for start in range(0, len(halves), BLOCK):
        part = slice(start, start + BLOCK)
        torch.mm(halves[part].to(torch.float32), vectors, out=products[part])
    return products


@cache
def half_is_fast(dimension: int) -> bool:
    """Whether torch multiplies in float16 here, well and not slower than in float32; timed once."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((_TRIED, dimension), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    halves, vector = torch.from_numpy(rows.astype(np.float16)), torch.from_numpy(rows[0])
    try:
        rough = torch.mv(halves, vector.to(torch.float16)).to(torch.float32).numpy()
    except RuntimeError:  # no such product on this processor
        return False
    if np.abs(rough - rows @ rows[0]).max() > ERROR:
        return False
    asked = vector.to(torch.float16)
    times = [
        _seconds(lambda: torch.mv(halves, asked)),
        _seconds(lambda: in_float32(halves, vector[:, None])),
    ]
    return times[0] < _SLOWER * times[1]


def _seconds(work) -> float:
    """The shortest of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
