"""The table of all that one can filter by, and what a composite needs of its members."""

from __future__ import annotations

from facestats.clusters.tables import WITH_CLUSTERS
from facestats.core.layout import MEMBERS
from facestats.core.tables import FILENAME, INTEGER, TEXT, Column, Schema
from facestats.faces.tables import FACES
from facestats.geometry.tables import WITH_META
from facestats.labels.tables import LABELS
from facestats.scores.tables import SCORES
from facestats.traits.tables import TRAIT_SCORES

FLAGS_SHA256 = "flags_sha256"  # in the metadata of the final table: of the flags of its run
FINAL = Schema(
    "attributes_final.parquet",
    "All that you can filter by, one row a face.",
    stage="finalize",
    fields={
        **WITH_META.fields,
        **WITH_CLUSTERS.fields,
        **SCORES.fields,
        **{name: LABELS.fields[name] for name in ("rating", "rating_n")},
        "doubts": Column(
            TEXT,
            "what is doubtful about the picture, as in `attributes_flags.parquet`, `, ` between; "
            "composites leave such faces out; empty where nothing is",
        ),
        **{name: FACES.fields[name] for name in ("copy_group", "copy_rank")},
        "person_group": Column(
            INTEGER,
            "number of the person: faces with the same `person` in the labels share a number, and "
            "so do copies",
        ),
    },
    further={
        **WITH_META.further,
        **TRAIT_SCORES.further,
        "<column>": "further column of labels.csv that is no attribute, as text",
        "rating_<trait>": LABELS.further["rating_<trait>"],
    },
)

MEMBER_LANDMARKS = Schema(
    "landmarks.parquet",
    "What drawing a composite needs of its members besides their crops.",
    stage="select",
    fields={"filename": FILENAME, **{name: FACES.fields[name] for name in ("landmarks", "yaw")}},
    path=f"{MEMBERS}/<composite>/faces/landmarks.parquet",
)
