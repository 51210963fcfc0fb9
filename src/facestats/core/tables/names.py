"""Columns of names, of ten million faces: by Arrow, for pandas makes an object of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def as_arrow(names: pd.Series | pd.Index) -> pa.Array:
    """Texts as one array of Arrow's."""
    array = pa.array(names.array, pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def in_order(names: pd.Series | pd.Index) -> bool:
    """Whether names are sorted, and none repeats or is null."""
    array = as_arrow(names)
    return not array.null_count and pc.all(pc.less(array[:-1], array[1:])).as_py() is not False


def repeats(texts: pd.Series) -> np.ndarray:
    """Which texts are there more than once: bool (n,)."""
    codes = as_arrow(texts).dictionary_encode(null_encoding="encode").indices.to_numpy()
    return np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, bool)


def positions(names: pd.Series | pd.Index, among: pd.Series | pd.Index) -> np.ndarray:
    """The place of each name among others, all different; -1 for one that is not there."""
    array, others = as_arrow(names), as_arrow(among)
    if array.equals(others):
        return np.arange(len(array))
    found = pc.fill_null(pc.index_in(array, value_set=others), -1)
    return found.to_numpy().astype(np.int64)


def look_up(names: pd.Series, values: pd.Series) -> pd.Series:
    """The value of each name, by `values` with names as its index; null for one that it lacks."""
    if len(values) == 0:
        return pd.Series(None, index=names.index, dtype="str")
    places = positions(names, values.index)
    found = values.take(np.maximum(places, 0)).set_axis(names.index)
    return found.where(places >= 0)
