"""Columns of names, of ten million faces: by Arrow, for pandas makes an object of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_TOGETHER = 100_000  # texts whose numbers are in memory at a time


def as_arrow(names: pd.Series | pd.Index) -> pa.Array:
    """Texts as one array of Arrow's."""
    if names.empty:  # of whatever type
        return pa.array([], pa.large_string())
    array = pa.array(names.array, pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def in_order(names: pd.Series | pd.Index) -> bool:
    """Whether names are sorted, and none repeats or is null."""
    array = as_arrow(names)
    return not array.null_count and pc.all(pc.less(array[:-1], array[1:])).as_py() is not False


def repeats(texts: pd.Series) -> np.ndarray:
    """Which texts are there more than once: bool (n,)."""
    array = as_arrow(texts)
    some = recurring(hashes(array))  # a dictionary of all would take gigabytes
    codes = (
        array.filter(pa.array(some)).dictionary_encode(null_encoding="encode").indices.to_numpy()
    )
    some[some] = np.bincount(codes)[codes] > 1 if len(codes) else False
    return some


def numbered(texts: pd.Series) -> np.ndarray:
    """A number for each text, the same for the same one: int (n,), below n."""
    numbers, rows = np.arange(len(texts)), np.flatnonzero(repeats(texts))
    codes = pd.factorize(texts.iloc[rows])[0]  # of a null: -1
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    numbers[rows] = rows[first][which]
    return numbers


def recurring(numbers: np.ndarray) -> np.ndarray:
    """Which numbers are there more than once: bool (n,)."""
    in_order = np.sort(numbers)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if not len(twice):
        return np.zeros(len(numbers), bool)
    return twice[np.minimum(np.searchsorted(twice, numbers), len(twice) - 1)] == numbers


def hashes(array: pa.LargeStringArray) -> np.ndarray:
    """A number of 64 bits for each text, always the same for the same one; 0 for a null."""
    hashes = np.zeros(len(array), np.uint64)
    if not len(array):
        return hashes
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
    signs = np.frombuffer(data or b"", np.uint8)
    weights = np.random.default_rng(0).integers(0, 2**64, np.diff(ends).max() + 1, np.uint64) | 1
    for start in range(0, len(array), _TOGETHER):
        own = ends[start : start + _TOGETHER + 1]
        first, sizes = own[:-1] - own[0], np.diff(own)
        place = np.arange(own[-1] - own[0]) - np.repeat(first, sizes)
        parts = (signs[own[0] : own[-1]].astype(np.uint64) + np.uint64(1)) * weights[place]
        sums = np.add.reduceat(np.append(parts, np.uint64(0)), first)
        hashes[start : start + _TOGETHER] = np.where(sizes > 0, sums, 1)
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashes


def among(names: pd.Series | pd.Index, others: pd.Series | pd.Index) -> np.ndarray:
    """Which names are among others: bool (n,)."""
    found = pc.is_in(as_arrow(names), value_set=as_arrow(others))
    return found.to_numpy(zero_copy_only=False)


def positions(names: pd.Series | pd.Index, among: pd.Series | pd.Index) -> np.ndarray:
    """The place of each name among others, all different; -1 for one that is not there."""
    array, others = as_arrow(names), as_arrow(among)
    if array.equals(others):
        return np.arange(len(array))
    found = pc.fill_null(pc.index_in(array, value_set=others), -1)
    return found.to_numpy().astype(np.int64)


def look_up(names: pd.Series, values: pd.Series) -> pd.Series:
    """The value of each name, by `values` with names as its index; null for one that it lacks."""
    if len(names) < len(values):
        values = values[among(values.index, names)]  # a dictionary of all would be large
    if len(values) == 0:
        return pd.Series(None, index=names.index, dtype="str")
    places = positions(names, values.index)
    if len(names) == len(values) and (places == np.arange(len(names))).all():
        return values.set_axis(names.index)
    found = values.take(np.maximum(places, 0)).set_axis(names.index)
    return found.where(places >= 0)
