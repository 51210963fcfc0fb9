"""The faces of a table that share a person or a picture with others: of ten million, few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.stats.identity import IDENTITY, shared_faces
from facestats.core.tables.names import among, as_arrow, hashes, positions, recurring


def read_shared(path: Path, schema: tables.Schema, persons: pd.Series) -> pd.Series:
    """The groups of `identity.shared_faces`, of the faces of a table that is read block by block.

    Parameters
    ----------
    path, schema
        `faces.parquet`, see `tables.read`.
    persons : Series of str
        Person by filename, null if unknown.

    Returns
    -------
    Series of str
        By filename, in order; faces that are alone in their group are left out.

    Raises
    ------
    TableError
        As `tables.read`.
    """
    persons = persons.dropna()
    may_share = _may_share(path, schema, persons)
    some, at = [], 0
    for block in _accepted(path, schema, IDENTITY):
        some.append(block[may_share[at : at + len(block)]])
        at += len(block)
    groups = shared_faces(pd.concat(some)[IDENTITY], persons)
    return groups.dropna()


def coded(names: pd.Index, groups: pd.Series) -> pd.Series:
    """The group of each name as a category, by filename; null for one that `groups` lacks."""
    numbers, texts = pd.factorize(groups)
    places = positions(names, groups.index)  # -1 for a name that is not there
    codes = np.append(numbers, -1)[places]
    return pd.Series(pd.Categorical.from_codes(codes, texts), names)


def _may_share(path: Path, schema: tables.Schema, persons: pd.Series) -> np.ndarray:
    """Which accepted faces may be in one group with others: bool (n,)."""
    named, pictures, groups = [], [], []
    for block in _accepted(path, schema, ["filename", "sha256", "copy_group"]):
        named.append(among(block["filename"], persons.index))
        pictures.append(hashes(as_arrow(block["sha256"].str.slice(-16))))
        groups.append(hashes(as_arrow(block["copy_group"])))
    may_share = np.concatenate(named)
    may_share |= recurring(np.concatenate(pictures))
    del pictures
    return may_share | recurring(np.concatenate(groups))


def _accepted(path: Path, schema: tables.Schema, columns: list[str]) -> Iterator[pd.DataFrame]:
    with tables.reading(path, schema, columns) as blocks:
        for block in blocks:
            yield block.dropna(subset="filename")
