"""Embeddings as a matrix that is read block by block: half the bytes of float32.

Two files, with the rows of the table in its order: `*.f16.npy` holds each number as float16, and
`*.rest.npy` what float32 has beyond that, as int8. All rows are compared by the first; the few that
count get their float32 back from both.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

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
    """The two files of `write_matrix`, open.

    Nothing that the methods read stays in memory. Nor are the files mapped: a map ends the process
    where somebody cuts the file off.

    Parameters
    ----------
    half, rest : Path

    Attributes
    ----------
    shape : (int, int)
        Number of embeddings, and their length.

    Raises
    ------
    TableError
        A file is missing or damaged, or they are not of one table. So do the methods where a file
        was written over, or cut off, since it was opened. One that was replaced is read on.
    """

    def __init__(self, half: Path, rest: Path):
        self._halves, self._rests = _NpyRows(half, np.float16), _NpyRows(rest, np.int8)
        self.shape = self._halves.shape
        if self.shape != self._rests.shape:
            raise TableError(
                f"{half} has the shape {self.shape}, but {rest} {self._rests.shape}; {_ANEW}"
            )

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self.shape[1]

    @property
    def is_overwritten(self) -> bool:
        """Whether a file was written to since it was opened."""
        return self._halves.is_overwritten or self._rests.is_overwritten

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The embeddings of some rows: float32 (rows, d), to 1e-6 those of the table.

        Parameters
        ----------
        rows : ndarray of int
        """
        half = self.rounded(rows)
        return half + self._rests.read(rows) * (_steps(half) / _PARTS)

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """The embeddings of some rows as float16 (rows, d); those in a row are read at once."""
        return self._halves.read(rows)

    def read_into(self, block: np.ndarray, start: int) -> None:
        """Fill a block, float16 (rows, d), with the rounded embeddings from row `start` on."""
        self._halves.read_into(block, start)

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows as float16 (up to `BLOCK`, d)."""
        for start in range(0, len(self), BLOCK):
            yield self.rounded(np.arange(start, min(start + BLOCK, len(self))))


def matrix_of(table: EmbeddingTable, half: Path, rest: Path) -> EmbeddingMatrix:
    """The matrix of a table; raises `TableError` where the files are not, or are of another one."""
    matrix = EmbeddingMatrix(half, rest)
    if matrix.shape != (len(table), table.dimension):
        raise TableError(
            f"{half} has the shape {matrix.shape}, but {table.path} {len(table)} embeddings "
            f"of {table.dimension} numbers; {_ANEW}"
        )
    return matrix


class _NpyRows:
    """A matrix in an open file, of which rows are read."""

    def __init__(self, path: Path, kind: type):
        self._path, self._kind = path, np.dtype(kind)
        try:
            require_file(path)
            self._file = open(path, "rb")  # noqa: SIM115  open as long as the matrix is used
            self._seen = self._state()
            shape, is_by_columns, found = _read_header(self._file)
            if found != kind or len(shape) != 2:
                raise TableError(f"{path} is no matrix of {self._kind}; {_ANEW}")
            if is_by_columns or not all(shape):
                raise TableError(f"{path} is empty, or not stored row by row; {_ANEW}")
            self.shape = shape[0], shape[1]
            self._start, self._width = self._file.tell(), shape[1] * self._kind.itemsize
            if self._seen[0] < self._start + shape[0] * self._width:
                raise ValueError(f"{self._seen[0]:,} bytes are too few for {shape[0]:,} rows")
        except FileNotFoundError:
            raise TableError(f"{path}: no such file; `dvc repro embed` makes it") from None
        except DAMAGED_ARRAYS as error:
            if is_of_machine(error):
                raise fault(path, error) from None
            raise TableError(f"{path} is damaged ({error}); {_ANEW}") from None

    def _state(self) -> tuple[int, int]:
        """What differs once the open file was written to, and not where another has its name."""
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    @property
    def is_overwritten(self) -> bool:
        return self._state() != self._seen

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some rows; those that follow one another are read at once."""
        read = np.empty((len(rows), self.shape[1]), self._kind)
        first = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()
        for start, end in pairwise([*first, len(rows)]):
            self._fill(read[start:end], int(rows[start]))
        self._check()
        return read

    def read_into(self, block: np.ndarray, start: int) -> None:
        """Fill a block with the rows from `start` on."""
        self._fill(block, start)
        self._check()

    def _fill(self, block: np.ndarray, row: int) -> None:
        at = self._start + row * self._width
        if os.preadv(self._file.fileno(), [block.data], at) < block.nbytes:
            raise TableError(f"{self._path} is cut off; {_ANEW}")

    def _check(self) -> None:
        """Refuse what was just read where the file was written to: its rows may be of another."""
        if self.is_overwritten:
            raise TableError(f"{self._path} was written over while it was in use; {_ANEW}")


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored column by column, and type."""
    if (version := np.lib.format.read_magic(file)) != (1, 0):
        raise ValueError(f"version {version} of the format")
    with warnings.catch_warnings(action="ignore"):  # about headers of Python 2, before refusing
        return np.lib.format.read_array_header_1_0(file)
