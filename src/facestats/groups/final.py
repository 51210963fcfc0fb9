"""The table of all that one can filter by, joined from those of the stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from facestats.attributes.tables import FLAGS
from facestats.core import tables
from facestats.core.doubts import PICTURE, named_doubts
from facestats.core.stats.identity import number_groups
from facestats.core.stats.shared import read_shared
from facestats.core.tables import blocks
from facestats.core.tables.names import among, as_arrow, in_order, look_up
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.labels.tables import LABELS

OF_CLUSTERS = ["filename", "cluster", "pc1", "pc2"]


def join_final(sources: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of a project, one row a face.

    Parameters
    ----------
    sources : mapping of str to DataFrame
        `attributes` (with pose and measurements), `clusters` (`OF_CLUSTERS`), `scores`, `traits`
        and `labels` with all their columns, of all faces or of some; `of_pictures`, as
        `Pictures.blocks` gives them.

    Returns
    -------
    DataFrame
        As `groups.tables.FINAL`. Columns of labels that no attribute answers follow.
    """
    table, labels, traits = sources["attributes"], sources["labels"], sources["traits"]
    taken = {*LABELS.fields, *FINAL.fields, *table, *traits}
    further = [
        name
        for name in map(str, labels)
        if not name.endswith("_source") and not {name, f"{name}_final"} & taken
    ]
    for other in (
        sources["clusters"],
        sources["scores"].drop(columns="image"),
        labels[["filename", "rating", "rating_n", *further]],
        traits,
        sources["of_pictures"],
    ):
        table = table.merge(other, on="filename", how="left", validate="one_to_one")
    return table


def read_persons(labels: Path) -> pd.Series:
    """`person` by filename, from `labels.parquet`, of faces where it is known."""
    with tables.reading(labels, LABELS, ["person"]) as frames:
        known = pd.concat([rows[rows["person"].notna()] for rows in frames])
    return known.set_index("filename")["person"]


class Pictures:
    """Whose pictures they are, which are copies, and what is doubtful about them.

    Parameters
    ----------
    faces : Path
        `faces.parquet`.
    persons : Series of str
        Person by filename, of the faces whose person is known.
    flags : Path
        `attributes_flags.parquet`.

    Attributes
    ----------
    doubtful : int
        How many of the accepted faces have doubts.
    """

    def __init__(self, faces: Path, persons: pd.Series, flags: Path):
        self._names, self._ranks, self._copies = _read_faces(faces)
        shared = read_shared(faces, FACES, persons)
        rows = np.flatnonzero(among(self._names, shared.index))
        self._groups = number_groups(len(self._names), shared.set_axis(rows))
        doubts = _read_doubts(flags)
        rows = np.flatnonzero(among(self._names, doubts.index))
        self._doubts = look_up(self._names.iloc[rows], doubts).set_axis(rows)
        self.doubtful = len(rows)

    def blocks(self) -> Iterator[pd.DataFrame]:
        """Faces in the order of their names.

        Yields
        ------
        DataFrame
            `filename`, `copy_group`, `copy_rank`, `person_group` (groups of
            `identity.same_faces`, numbered in the order of the faces) and `doubts`.
        """
        for start in range(0, max(len(self._names), 1), blocks.BLOCK):
            part = slice(start, start + blocks.BLOCK)
            names = self._names.iloc[part]
            yield pd.DataFrame(
                {
                    "filename": names,
                    "copy_group": _some(self._copies, names.index).fillna(names),
                    "copy_rank": self._ranks[part],
                    "person_group": self._groups[part],
                    "doubts": _some(self._doubts, names.index),
                }
            )


def _some(texts: pd.Series, rows: pd.Index) -> pd.Series:
    """Texts of these rows, which follow one another; null where there is none."""
    if not len(rows):
        return texts.iloc[:0]
    first, end = np.searchsorted(texts.index.to_numpy(), [rows[0], rows[-1] + 1])
    return texts.iloc[first:end].reindex(rows)


def _read_faces(path: Path) -> tuple[pd.Series, np.ndarray, pd.Series]:
    """Accepted faces in the order of their names.

    Returns
    -------
    names : Series of str (n,)
    ranks : ndarray of int32 (n,)
        `copy_rank`.
    copies : Series of str
        `copy_group` by row, of the faces that are not the best copy of their picture.
    """
    names, ranks, copies = [], [], []
    with tables.reading(path, FACES, ["filename", "copy_group", "copy_rank"]) as frames:
        for frame in frames:
            rows = frame[frame["filename"].notna()]
            names.append(rows["filename"])
            ranks.append(rows["copy_rank"].to_numpy(np.int32))
            copies.append(rows["copy_group"].where(rows["copy_group"] != rows["filename"]))
    name, group = (pd.concat(some, ignore_index=True) for some in (names, copies))
    rank = np.concatenate(ranks)
    if not in_order(name):
        order = pc.array_sort_indices(as_arrow(name)).to_numpy()
        name, group = (some.take(order).reset_index(drop=True) for some in (name, group))
        rank = rank[order]
    return name, rank, group.dropna()


def _read_doubts(path: Path) -> pd.Series:
    with tables.reading(path, FLAGS, ["reason"]) as frames:
        some = [rows.loc[rows["reason"].isin(PICTURE), ["filename", "reason"]] for rows in frames]
    return named_doubts(pd.concat(some))
