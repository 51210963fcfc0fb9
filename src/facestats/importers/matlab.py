"""MATLAB files, read in a process of its own: a damaged one can crash the reader of SciPy."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np

from facestats.errors import InputError
from facestats.importers.tree import Tree, naming
from facestats.machine.limits import CrashError, Limits, OverLimitError, is_own_limit
from facestats.machine.pool import ordered_map

# A MATLAB file: its header, the kind of a compressed part, and how large all may be unpacked.
HEADER, COMPRESSED, BLOCK = 128, 15, 1 << 20
MOST_UNPACKED, FREE_BYTES, MOST_PACKED = 3 << 30, 64 << 20, 50
LIMITS = Limits(seconds=600, memory=8 << 30)  # IMDB, the largest, takes 10 s and 1 GiB

Fields = dict[str, np.ndarray]


def read_struct(tree: Tree, path: str, name: str, fields: tuple[str, ...]) -> Fields:
    """Read fields of the one struct that a file holds.

    Parameters
    ----------
    tree : Tree
        The dataset's folder.
    path : str
        The file, below it.
    name : str
        The variable that is the struct.
    fields : tuple of str
        Its fields, each a list.

    Returns
    -------
    dict of str to ndarray
        By field, the numbers, or the texts (numbers of lists of lists as texts, too; '' where one
        is empty).

    Raises
    ------
    InputError
        The file is damaged or another one, or takes too much time or memory.
    """
    where = tree.top / path
    data = tree.read(path)
    with naming(where, "IMDB-WIKI"):
        _require_small(data)
    items = [(data, where, name, fields)]
    (found,) = ordered_map(_read, items, 1, _nothing, (), LIMITS, _over, _named)
    return found


def _nothing() -> None:
    """Set up a process that needs nothing."""


def _named(item: tuple) -> str:
    return str(item[1])


def _over(item: tuple, error: OverLimitError | CrashError) -> Fields:
    if isinstance(error, CrashError):
        raise InputError(f"{item[1]} is damaged: reading it ends the process; get it again")
    raise InputError(f"{item[1]} takes more {error} to read than any such file; get it again")


def _read(item: tuple[bytes, Path, str, tuple[str, ...]]) -> Fields:
    from scipy.io import loadmat

    data, where, name, fields = item
    try:
        with naming(where, "IMDB-WIKI"):
            struct = loadmat(io.BytesIO(data), variable_names=[name])[name][0, 0]
            return {field: _column(struct[field]) for field in fields}
    except MemoryError:
        if not is_own_limit(LIMITS.memory):
            raise
        return _over(item, OverLimitError("memory"))


def _column(values: object) -> np.ndarray:
    """The values of a list: numbers, or texts."""
    column = np.asarray(values).reshape(-1)
    if column.dtype != object:
        return column
    return np.array([str(_inner(value)) for value in column], dtype=object)


def _inner(value: object) -> object:
    """What an array of one element, perhaps nested, holds; '' of an empty one."""
    while isinstance(value, np.ndarray):
        if not value.size:
            return ""
        value = value.reshape(-1)[0]
    return value


def _require_small(data: bytes) -> None:
    """Refuse a file whose compressed parts unpack to far more than the file.

    Raises
    ------
    ValueError
        They do, or one is damaged.
    """
    most = min(MOST_UNPACKED, FREE_BYTES + MOST_PACKED * len(data))
    start, size = HEADER, len(data)
    order = "<" if data[126:128] == b"IM" else ">"
    while start + 8 <= len(data):
        kind, length = struct.unpack(f"{order}II", data[start : start + 8])
        if kind == COMPRESSED:
            part, left = zlib.decompressobj(), data[start + 8 : start + 8 + length]
            while left and not part.eof:
                size += len(part.decompress(left, BLOCK))
                left = part.unconsumed_tail
                if size > most:
                    raise ValueError(f"it unpacks to more than {most >> 20} MiB")
        start += 8 + length
