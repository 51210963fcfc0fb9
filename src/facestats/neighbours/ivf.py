"""Search by an index of faiss: lists of faces around centres, of which only the nearest are read.

IVF with SQ8: a face lies in the list of the centre that is nearest to it, as one byte a number. Its
candidates are ranked by their float32 embeddings, so similarities are those of exact search; a
neighbour in a list that was not read is missed. How many are, `recall` says: it is measured when
the index is built.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from facestats.core.tables.matrix import BLOCK, EmbeddingMatrix
from facestats.errors import ModelError
from facestats.neighbours.exact import ExactSearch, rank

SEED = 0
TRAINED_ON = 40  # faces a centre that the centres are found with
ROUNDS = 10  # of k-means
ASKED, WANTED = 200, 0.99  # faces that recall is measured with, and how large it is to be
FAR = 0.02  # this share of the faces lies as far from all centres as what all lists are read for
NEAREST = 10  # the recall is that of so many neighbours
EXACT_ROWS = 20_000  # up to so many rows are all compared
MISSING = (
    "an index needs a further package: `python -m pip install 'facestats[index]'`, or compare all "
    "faces with index.kind: exact in params.yaml"
)


def has_faiss() -> bool:
    """Whether the package of the extra `index` is there."""
    return importlib.util.find_spec("faiss") is not None


def import_faiss() -> Any:
    """The package faiss; raises `ModelError` where it is not installed."""
    try:
        import faiss  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        raise ModelError(MISSING) from None
    return faiss


def list_count(n: int) -> int:
    """Number of lists for n faces: 2√n, but none with too few faces to find its centre."""
    return max(1, min(round(2 * n**0.5), n // TRAINED_ON))


@dataclass(frozen=True, eq=False)
class Lists:
    """What an index consists of, but for the codes: a byte a number, face by face.

    Attributes
    ----------
    centres : ndarray of float32 (lists, d)
    ranges : ndarray of float32 (2, d)
        Smallest value, and span, of each number: what its byte counts.
    sizes : ndarray of int64 (lists,)
    rows : ndarray of uint32 (n,)
        Rows of the matrix, list by list; codes stand in their order.
    """

    centres: np.ndarray
    ranges: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray

    def are_sound(self) -> bool:
        """Whether an index may be made of these numbers, whoever wrote them."""
        n = len(self.rows)
        sizes = self.sizes
        if (sizes < 0).any() or (sizes > n).any() or sizes.sum() != n or (self.rows >= n).any():
            return False
        each_once = (np.bincount(self.rows, minlength=n) == 1).all()
        finite = np.isfinite(self.centres).all() and np.isfinite(self.ranges).all()
        return bool(each_once and finite)


@dataclass(frozen=True, eq=False)
class IvfSearch:
    """Search in lists; see `ExactSearch`.

    Attributes
    ----------
    matrix : EmbeddingMatrix
    index : IndexIVFScalarQuantizer
    probes : int
        Lists that a search reads.
    recall : float
        Share of the 10 nearest faces that it finds.
    least : float
        The product with its nearest centre that two of a hundred faces fall short of. A vector
        with a smaller one, such as that of words, lies far from most faces, and the nearest of them
        are in many lists: all are read. So they are where some faces count alone, for the nearest
        lists may hold none of them (those around a man, of women).
    """

    matrix: EmbeddingMatrix
    index: Any = field(repr=False)
    probes: int = 1
    recall: float = float("nan")
    least: float = -1.0

    def nearest(
        self, vector: np.ndarray, k: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows with the largest product that are found; see `ExactSearch.nearest`."""
        some = len(self.matrix) if allowed is None else np.count_nonzero(allowed)
        if some <= EXACT_ROWS or k * NEAREST > some:
            return ExactSearch(self.matrix).nearest(vector, k, allowed)
        is_face = some == len(self.matrix) and self.nearness(vector[None])[0] >= self.least
        probes = self.probes if is_face else self.index.nlist
        (found,) = self._candidates(vector[None], k, probes, allowed)
        return rank(self.matrix, vector, found, k)

    def nearness(self, vectors: np.ndarray) -> np.ndarray:
        """The product of each vector with its nearest centre."""
        products, _ = self.index.quantizer.search(vectors, 1)
        return products[:, 0]

    def _candidates(
        self, vectors: np.ndarray, k: int, probes: int, allowed: np.ndarray | None = None
    ) -> list[np.ndarray]:
        """Rows (ascending) among which the nearest of each vector are."""
        faiss = import_faiss()
        options: dict[str, Any] = {"nprobe": probes}
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")  # held while faiss reads it
            options["sel"] = faiss.IDSelectorBitmap(bits)
        parameters = faiss.SearchParametersIVF(**options)
        _, found = self.index.search(vectors, 4 * k + 32, params=parameters)
        return [np.sort(rows[rows >= 0]) for rows in found]

    @cached_property
    def steps(self) -> list[int]:
        """Numbers of lists that may be read: 1, 2, 4, … all."""
        most = self.index.nlist
        return [*(2**i for i in range(most.bit_length()) if 2**i < most), most]

    def recall_of(self, probes: int, asked: np.ndarray, best: np.ndarray) -> float:
        """The share of the nearest faces that are found when so many lists are read.

        Parameters
        ----------
        probes : int
        asked : ndarray of int (m,)
            Rows of faces, each of which is left out of its own neighbours.
        best : ndarray of int (m, 10)
            The rows that exact search finds.
        """
        vectors = self.matrix.vectors(asked)
        candidates = self._candidates(vectors, NEAREST + 1, probes)
        found = 0
        for row, vector, rows, wanted in zip(asked, vectors, candidates, best, strict=True):
            nearest, _ = rank(self.matrix, vector, rows[rows != row], NEAREST)
            found += len(np.intersect1d(nearest, wanted))
        return found / best.size


def build(matrix: EmbeddingMatrix) -> tuple[Lists, np.ndarray]:
    """Sort all rows into lists; gives them and the codes, uint8 (n, d).

    Its draws have a fixed seed: on one machine and with one number of threads, it is the same each
    time. It takes about a byte a number of memory.
    """
    faiss = import_faiss()
    n, d = matrix.shape
    index = empty_index(list_count(n), d)
    index.cp.seed, index.cp.niter = SEED + 1, ROUNDS
    sample, _ = _drawn(n)
    index.train(matrix.rounded(np.sort(sample)).astype(np.float32))
    nearest = np.empty(n, np.int32)
    for start, block in _blocks(matrix, "sorting faces into lists"):
        nearest[start : start + len(block)] = index.quantizer.search(block, 1)[1][:, 0]
    rows = np.argsort(nearest, kind="stable").astype(np.uint32)
    places = np.empty(n, np.uint32)
    places[rows] = np.arange(n, dtype=np.uint32)
    codes = np.empty((n, d), np.uint8)
    for start, block in _blocks(matrix, "packing faces"):
        codes[places[start : start + len(block)]] = index.sq.compute_codes(block)
    sizes = np.bincount(nearest, minlength=index.nlist)
    centres = index.quantizer.reconstruct_n(0, index.nlist)
    ranges = faiss.vector_to_array(index.sq.trained).reshape(2, d)
    return Lists(centres, ranges, sizes, rows), codes


def _drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows by which the centres are found, and others by which the recall is measured."""
    drawn = np.random.default_rng(SEED).permutation(n)
    some = list_count(n) * TRAINED_ON
    held_out = drawn[some:][:ASKED]
    return drawn[:some], held_out if len(held_out) else drawn[:ASKED]


def with_probes(search: IvfSearch) -> IvfSearch:
    """The search that reads as many lists as it must to find 99 % of the nearest faces."""
    _, asked = _drawn(len(search.matrix))
    best = nearest_of(search.matrix, asked)
    for probes in search.steps:
        recall = search.recall_of(probes, asked, best)
        if recall >= WANTED:
            break
    least = float(np.quantile(search.nearness(search.matrix.vectors(asked)), FAR))
    return replace(search, probes=probes, recall=recall, least=least)


def nearest_of(matrix: EmbeddingMatrix, asked: np.ndarray) -> np.ndarray:
    """The 10 nearest rows of each of some rows by exact search: int (m, 10), itself left out."""
    vectors = np.ascontiguousarray(matrix.vectors(asked).T)
    best = np.empty((len(asked), 0), np.int64)
    products = np.empty((len(asked), 0), np.float32)
    for start, block in _blocks(matrix, "comparing with exact search"):
        new, rows = (block @ vectors).T, np.arange(start, start + len(block))
        new[asked[:, None] == rows] = -np.inf
        products = np.concatenate([products, new], axis=1)
        best = np.concatenate([best, np.broadcast_to(rows, new.shape)], axis=1)
        if products.shape[1] > NEAREST:
            kept = np.argpartition(-products, NEAREST - 1, axis=1)[:, :NEAREST]
            best = np.take_along_axis(best, kept, axis=1)
            products = np.take_along_axis(products, kept, axis=1)
    return best


def _blocks(matrix: EmbeddingMatrix, text: str) -> Iterator[tuple[int, np.ndarray]]:
    """All rows as float32, block by block, each with the number of its first row."""
    starts = range(0, len(matrix), BLOCK)
    blocks = zip(starts, matrix.blocks(), strict=True)
    for start, block in tqdm(blocks, text, len(starts), unit="block", disable=None):
        yield start, torch.from_numpy(block).to(torch.float32).numpy()


def empty_index(count: int, d: int) -> Any:
    """An index without faces."""
    faiss = import_faiss()
    return faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(d),
        d,
        count,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
        False,  # codes of the vectors themselves, not of what they have beyond their centre
    )


def index_of(lists: Lists, codes: Callable[[int], np.ndarray]) -> Any:
    """The index that holds the lists.

    Parameters
    ----------
    lists : Lists
        Sound ones.
    codes : callable
        Gives the codes of the next so many rows: uint8 (rows, d).
    """
    faiss = import_faiss()
    index = empty_index(*lists.centres.shape)
    index.quantizer.add(lists.centres)
    faiss.copy_array_to_vector(lists.ranges.reshape(-1), index.sq.trained)
    index.is_trained = True
    start = 0
    for number, size in enumerate(lists.sizes.tolist()):
        if size:
            rows = lists.rows[start : start + size].astype(np.int64)
            packed = np.ascontiguousarray(codes(size))
            index.invlists.add_entries(number, size, faiss.swig_ptr(rows), faiss.swig_ptr(packed))
        start += size
    index.ntotal = start
    return index
