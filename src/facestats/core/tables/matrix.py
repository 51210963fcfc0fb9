"""Embeddings as a matrix that is mapped into memory, not read: half the bytes of float32.

Two files, with the rows of the table in its order: `*.f16.npy` holds each number as float16, and
`*.rest.npy` what float32 has beyond that, as int8. All rows are compared by the first; the few that
count get their float32 back from both.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from facestats.core.files import replacing, require_file
from facestats.core.tables.embeddings import Embeddings, EmbeddingTable, in_batches
from facestats.errors import TableError
from facestats.machine.faults import DAMAGED_ARRAYS, fault, is_of_machine

HALF, REST = ".f16.npy", ".rest.npy"
BLOCK = 16_384  # rows that are computed with at a time
_ANEW = "`dvc repro -f embed` writes it anew"
# The step between neighbouring float16 numbers, by the five bits of their exponent.
_STEPS = np.ldexp(np.float32(1), np.maximum(np.arange(32), 1) - 25).astype(np.float32)
_PARTS = np.float32(254)  # of a step: a float32 lies up to half a step beside its float16


def write_matrix(embeddings: Embeddings, half: Path, rest: Path) -> None:
    """Write both files, block by block.

    Parameters
    ----------
    embeddings : EmbeddingTable or ndarray of float32 (n, d)
        Numbers from -1 to 1.
    half, rest : Path
        `*.f16.npy` and `*.rest.npy`.

    Raises
    ------
    TableError
        A path has another ending.
    OSError
        The disk is full.
    """
    for path, ending in ((half, HALF), (rest, REST)):
        if not path.name.endswith(ending):  # as where two paths of a stage were swapped
            raise TableError(f"{path}: expected a file *{ending} for the matrix of embeddings")
    with (
        replacing(half) as first,
        replacing(rest) as second,
        open(first, "wb") as halves,
        open(second, "wb") as rests,
    ):
        shape = len(embeddings), _dimension(embeddings)
        for file, kind in ((halves, np.float16), (rests, np.int8)):
            header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for block in in_batches(embeddings):
            rounded = block.astype(np.float16)
            halves.write(rounded.tobytes())
            rests.write(_rest(block, rounded).tobytes())


def _dimension(embeddings: Embeddings) -> int:
    return embeddings.shape[1] if isinstance(embeddings, np.ndarray) else embeddings.dimension


def _steps(half: np.ndarray) -> np.ndarray:
    return _STEPS[half.view(np.uint16) >> 10 & 31]


def _rest(block: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.rint((block - half) * (_PARTS / _steps(half))).astype(np.int8)


class EmbeddingMatrix:
    """The two files of `write_matrix`, mapped.

    Parameters
    ----------
    half, rest : Path

    Attributes
    ----------
    half : ndarray of float16 (n, d)
        The numbers, rounded; its pages are read when they are used.
    path : Path
        File of `half`.

    Raises
    ------
    TableError
        A file is missing or damaged, or they are not of one table.
    """

    def __init__(self, half: Path, rest: Path):
        self.path = half
        self.half, self._rest = _mapped(half, np.float16), _mapped(rest, np.int8)
        if self.half.shape != self._rest.shape:
            raise TableError(
                f"{half} has the shape {self.half.shape}, but {rest} {self._rest.shape}; {_ANEW}"
            )

    def __len__(self) -> int:
        return len(self.half)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.half.shape[1]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The embeddings of some rows: float32 (rows, d), to 1e-6 those of the table.

        Parameters
        ----------
        rows : ndarray of int
        """
        half = self.half[rows]
        return half + self._rest[rows] * (_steps(half) / _PARTS)

    def blocks(self, most: int = BLOCK) -> Iterator[np.ndarray]:
        """All rows as float16 (up to `most`, d), read past the map: they don't stay in memory.

        Raises
        ------
        TableError
            The file has become shorter.
        """
        with open(self.path, "rb") as file:
            file.seek(self.half.offset)
            for start in range(0, len(self), most):
                rows = min(most, len(self) - start)
                block = np.fromfile(file, np.float16, rows * self.dimension)
                if len(block) < rows * self.dimension:
                    raise TableError(f"{self.path} is cut off; {_ANEW}")
                yield block.reshape(rows, -1)


def matrix_of(table: EmbeddingTable, half: Path, rest: Path) -> EmbeddingMatrix:
    """The matrix of a table; raises `TableError` where the files are not, or are of another one."""
    matrix = EmbeddingMatrix(half, rest)
    if matrix.half.shape != (len(table), table.dimension):
        raise TableError(
            f"{half} has the shape {matrix.half.shape}, but {table.path} {len(table)} embeddings "
            f"of {table.dimension} numbers; {_ANEW}"
        )
    return matrix


def _mapped(path: Path, kind: type) -> np.memmap:
    try:
        require_file(path)
        with warnings.catch_warnings(action="ignore"):  # about headers of Python 2, before refusing
            matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise TableError(f"{path}: no such file; `dvc repro embed` makes it") from None
    except DAMAGED_ARRAYS as error:
        if is_of_machine(error):
            raise fault(path, error) from None
        raise TableError(f"{path} is damaged ({error}); {_ANEW}") from None
    if not isinstance(matrix, np.memmap) or matrix.dtype != kind or matrix.ndim != 2:
        raise TableError(f"{path} is no matrix of {np.dtype(kind)}; {_ANEW}")
    if not matrix.flags.c_contiguous or not matrix.size:
        raise TableError(f"{path} is empty, or not stored row by row; {_ANEW}")
    return matrix
