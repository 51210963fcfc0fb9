"""Filters of composites that ask for a column which the last run's table does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facestats.cli.doctor_inputs import Finding
from facestats.core.layout import FINAL_TABLE
from facestats.core.tables.parquet import opened
from facestats.errors import FaceStatsError, suggestion
from facestats.params.project import Params

KIND = "composites"


def unknown_columns(root: Path, params: Params) -> Iterator[Finding]:
    """Name the columns of filters that `attributes_final.parquet` lacks, if there is one.

    A measurement or label that is new in the next run is named, too: the table is the last run's.
    """
    path = root / FINAL_TABLE
    try:
        with opened(path) as file:
            known = file.schema_arrow.names
    except FaceStatsError:  # no run yet, or a damaged table, which others name
        return
    for name, composite in params.composites.items():
        where = composite.filter
        asked = [("columns", column, column) for column in where.columns or {}]
        asked += [
            ("attributes", own, f"{own}_final" if own not in known else own)
            for own in where.attributes or {}
        ]
        for group, own, column in asked:
            if column not in known:
                there = [
                    one.removesuffix("_final") if group == "attributes" else one for one in known
                ]
                near = suggestion(own, there)
                yield Finding(
                    KIND,
                    f"composites.{name}.filter.{group}.{own}: the table of the last run has no "
                    f"column {column}.{near}",
                    "params.yaml",
                )
