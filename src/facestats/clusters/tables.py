"""The table of `clusters`."""

from __future__ import annotations

from facestats.attributes.tables import CLEAN
from facestats.core.tables import FLOAT, INTEGER, Column, Schema

WITH_CLUSTERS = Schema(
    "attributes_with_clusters.parquet",
    "`attributes_clean.parquet` with clusters.",
    stage="clusters",
    fields={
        **CLEAN.fields,
        "cluster": Column(INTEGER, "number of the cluster; 0 is the largest"),
        "pc1": Column(FLOAT, "first principal component of the embedding"),
        "pc2": Column(FLOAT, "second principal component of the embedding"),
    },
    further=CLEAN.further,
)
