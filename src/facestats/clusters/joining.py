"""The table of `clusters`, joined block by block; and what of it is compared with clusters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.tables.names import among
from facestats.core.tables.steps import Source, in_step
from facestats.faces.tables import FACES


def best_copies(names: pd.Index, faces: Path) -> np.ndarray:
    """Which faces are the best copy of their picture: bool (n,).

    Parameters
    ----------
    names : Index (n,)
        Filenames.
    faces : Path
        `faces.parquet`.
    """
    with tables.reading(faces, FACES, ["filename", "copy_rank"]) as blocks:
        others = [rows.loc[rows["copy_rank"] > 1, "filename"] for rows in blocks]
    return ~among(names, pd.concat(others))


class Joined:
    """Attributes and clusters side by side.

    Parameters
    ----------
    attributes : Path
        `attributes_clean.parquet`.
    clusters : DataFrame (n,)
        `Clustering.faces`.
    is_best : ndarray of bool (n,)
        Which faces count.
    """

    def __init__(self, attributes: Path, clusters: pd.DataFrame, is_best: np.ndarray):
        self._sources = {
            "attributes": Source(attributes, CLEAN),
            "clusters": clusters.assign(counts=is_best),
        }
        self._compared: list[pa.Table] = []

    def blocks(self) -> Iterator[pd.DataFrame]:
        """The rows of `attributes_with_clusters.parquet`."""
        for block in in_step(**self._sources):
            rows = block["attributes"].merge(block["clusters"], on="filename")
            counts = rows.pop("counts")
            shown = rows.columns[rows.columns.str.endswith("_final")]
            self._compared.append(_compact(rows.loc[counts, [*shown, "cluster"]]))
            yield rows

    def compared(self) -> pd.DataFrame:
        """What `agreement` takes: of faces that `blocks` gave, those that count."""
        return pa.concat_tables(self._compared).unify_dictionaries().to_pandas()


def _compact(rows: pd.DataFrame) -> pa.Table:
    """Texts as numbers of theirs: of ten million faces, they would take a gigabyte."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for at, (name, kind) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        if pa.types.is_large_string(kind):
            table = table.set_column(at, name, table[name].dictionary_encode())
    return table
