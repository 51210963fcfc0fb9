"""The tables of `geometry`."""

from __future__ import annotations

from facestats.attributes.tables import CLEAN
from facestats.core.tables import (
    BOOLEAN,
    FILENAME,
    GEOMETRIC_OUT_OF_FOLD,
    GEOMETRY_ZSCORE,
    NUMBER,
    Column,
    Schema,
)
from facestats.faces.tables import FACES

_FRONTAL = Column(
    BOOLEAN,
    "whether the head is turned little enough (yaw 15°, pitch 13°) for measurements to be compared",
)
MEASUREMENTS = {"<measurement>": "one column each for the measurements at the end of this page"}

WITH_META = Schema(
    "attributes_with_meta.parquet",
    "`attributes_clean.parquet` with head pose and measurements.",
    stage="geometry",
    fields={
        **CLEAN.fields,
        **{name: FACES.fields[name] for name in ("yaw", "pitch", "roll")},
        "frontal": _FRONTAL,
    },
    further={**CLEAN.further, **MEASUREMENTS},
)

GEOMETRY = Schema(
    "geometry.parquet",
    "Measurements and the geometric score's prediction, one row a face.",
    stage="geometry",
    fields={
        "filename": FILENAME,
        "frontal": _FRONTAL,
        "geometry_zscore": GEOMETRY_ZSCORE,
        "geometric_raw": Column(
            NUMBER, "rating predicted from the face's shape, on the raters' scale"
        ),
        "geometric_out_of_fold": GEOMETRIC_OUT_OF_FOLD,
    },
    further=MEASUREMENTS,
)
