"""The table of `age_check`."""

from __future__ import annotations

from facestats.core.tables import FILENAME, TEXT, Column, Schema

AGE_CHECK = Schema(
    "age_check.parquet",
    "Whose age was checked, and who gets no score, one row a face.",
    stage="age_check",
    fields={
        "filename": FILENAME,
        "score_withheld": Column(
            TEXT,
            "why the face gets no score, for it may be under `score.min_age`; empty where that is "
            "not so",
        ),
        "age_checked": Column(
            TEXT,
            "what its age was checked by: `manual`, `label`, `copy` (the label of a copy of the "
            "picture) or `model`; empty where nothing could tell",
        ),
    },
)
