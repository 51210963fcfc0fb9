"""The table of all that one can filter by, and what a composite needs of its members."""

from __future__ import annotations

import pyarrow as pa

from facestats.attributes.tables import CLEAN
from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.layout import MEMBERS
from facestats.core.tables import FILENAME, FLOAT, INTEGER, NUMBER, TEXT, Column, Schema
from facestats.geometry.tables import WITH_META
from facestats.scores.tables import SCORES

FINAL = Schema(
    "attributes_final.parquet",
    "All that you can filter by, one row a face.",
    stage="finalize",
    fields={
        **WITH_META.fields,
        **WITH_CLUSTERS.fields,
        **SCORES.fields,
        "rating": Column(NUMBER, "mean of the human ratings, on the raters' scale"),
        "rating_n": Column(INTEGER, "number of ratings behind the mean"),
        "doubts": Column(
            TEXT,
            "what is doubtful about the picture, as in `attributes_flags.parquet`, `, ` between; "
            "composites leave such faces out; empty where nothing is",
        ),
        "copy_group": Column(
            TEXT,
            "best of the face's copies, exact and near: the face itself where it is that, or has "
            "none",
        ),
        "copy_rank": Column(
            INTEGER,
            "its place among its copies: 1 for the best (sharp, large, little compressed), and for "
            "a face without copies",
        ),
        "person_group": Column(
            INTEGER,
            "number of the person: faces with the same `person` in the labels share a number, and "
            "so do copies",
        ),
    },
    further={
        **CLEAN.further,
        "<measurement>": "one column each for the measurements at the end of this page",
    },
)

MEMBER_LANDMARKS = Schema(
    "landmarks.parquet",
    "What drawing a composite needs of its members besides their crops.",
    stage="select",
    fields={
        "filename": FILENAME,
        "landmarks": Column(
            pa.list_(FLOAT, N_LANDMARKS * 3),
            "468 points of MediaPipe's face mesh, x y z one after the other, as fractions of the "
            "crop",
        ),
        "yaw": Column(FLOAT, "head turned to a side, degrees; above 0 to the image's right"),
    },
    path=f"{MEMBERS}/<composite>/faces/landmarks.parquet",
)
