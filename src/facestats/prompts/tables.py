"""The table of `zeroshot`."""

from __future__ import annotations

from facestats.core.tables import FILENAME, Schema

ZEROSHOT = Schema(
    "zeroshot.parquet",
    "What prompts say, one row a face.",
    stage="zeroshot",
    fields={
        "filename": FILENAME,
    },
    further={"<attribute>_prob_<class>": "its probability, 0–1"},
)
