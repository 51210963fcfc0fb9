"""The table of `age_check`."""

from __future__ import annotations

from facestats.core.tables import AGE_COLUMNS, FILENAME, Schema

AGE_CHECK = Schema(
    "age_check.parquet",
    "Whose age was checked, and who gets no score, one row a face.",
    stage="age_check",
    fields={"filename": FILENAME, **AGE_COLUMNS},
)
