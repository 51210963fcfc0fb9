"""The tables of `geometry`, written block by block: ten million faces have a hundred columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.tables.names import in_order
from facestats.core.tables.steps import Source, in_step
from facestats.geometry.fitting import FittedGeometry
from facestats.geometry.tables import GEOMETRY, WITH_META

_POSE = ["yaw", "pitch", "roll"]
_PREDICTED = ["geometry_zscore", "geometric_raw", "geometric_out_of_fold"]


def write_measured(
    fitted: FittedGeometry,
    sizes: Iterator[tuple[int, pd.DataFrame]],
    geometry: Path,
    clean: Path,
    meta: Path,
) -> None:
    """Write the measurements of all faces, and join them with their attributes.

    Parameters
    ----------
    fitted : FittedGeometry
        The model and its predictions.
    sizes : iterator of (int, DataFrame)
        As `columns.measure_table` gives them.
    geometry : Path
        `geometry.parquet`, to be written.
    clean : Path
        `attributes_clean.parquet`.
    meta : Path
        `attributes_with_meta.parquet`, to be written.
    """
    scores = fitted.rows.drop(columns=_POSE)
    measured = (
        scores.iloc[start : start + len(some)].reset_index(drop=True).join(some)
        for start, some in sizes
    )
    why = {"why": fitted.model.why} if fitted.model.why else None
    ordered, pose = in_order(scores["filename"]), fitted.rows[["filename", *_POSE]]
    tables.write_blocks(measured, geometry, GEOMETRY, why, ordered)
    doubts = tables.doubts_metadata(tables.read_doubts(clean))
    with tables.writing(meta, WITH_META, doubts) as writer:
        for read in in_step(
            clean=Source(clean, CLEAN),
            pose=pose if ordered else pose.sort_values("filename"),
            measured=Source(geometry, GEOMETRY),
        ):
            own = read["pose"].merge(read["measured"].drop(columns=_PREDICTED), on="filename")
            writer.write(read["clean"].merge(own, on="filename", how="left"))
