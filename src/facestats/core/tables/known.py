"""The rows of a table that say anything: of ten million faces, few have labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.tables import INTEGER


def read_known(path: str | Path, schema: tables.Schema, names: Iterable[str] = ()) -> pd.DataFrame:
    """Read the rows that say more than a face's names and counts of nothing, block by block.

    Parameters
    ----------
    path, schema
        See `tables.read`; further columns are read, too.
    names : iterable of str, optional
        What columns are called, see `tables.called_as`.

    Returns
    -------
    DataFrame
        By filename.
    """
    silent = [
        "filename",
        "image",
        *(name for name, kind in schema.columns.items() if kind == INTEGER),
    ]
    with tables.reading(path, schema) as blocks:
        known = [frame[frame.drop(columns=silent).notna().any(axis=1)] for frame in blocks]
    return tables.called_as(pd.concat(known), names).set_index("filename")
