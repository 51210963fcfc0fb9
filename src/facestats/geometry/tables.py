"""The tables of `geometry`."""

from __future__ import annotations

from facestats.attributes.tables import CLEAN
from facestats.core.tables import BOOLEAN, FILENAME, FLOAT, NUMBER, Column, Schema

WITH_META = Schema(
    "attributes_with_meta.parquet",
    "`attributes_clean.parquet` with head pose and measurements.",
    stage="geometry",
    fields={
        **CLEAN.fields,
        "yaw": Column(FLOAT, "head turned to a side, degrees; above 0 to the image's right"),
        "pitch": Column(FLOAT, "head raised, degrees; above 0 looks up"),
        "roll": Column(FLOAT, "head tilted, degrees; above 0 clockwise"),
        "frontal": Column(
            BOOLEAN,
            "whether the head is turned little enough (yaw 15°, pitch 13°) for measurements to be "
            "compared",
        ),
    },
    further={
        **CLEAN.further,
        "<measurement>": "one column each for the measurements at the end of this page",
    },
)

GEOMETRY = Schema(
    "geometry.parquet",
    "Measurements and the geometric score's prediction, one row a face.",
    stage="geometry",
    fields={
        "filename": FILENAME,
        "frontal": Column(
            BOOLEAN,
            "whether the head is turned little enough (yaw 15°, pitch 13°) for measurements to be "
            "compared",
        ),
        "geometry_zscore": Column(
            NUMBER,
            "mean of the z-scores of symmetry and nearness to the golden ratio, to be compared "
            "with",
        ),
        "geometric_raw": Column(
            NUMBER, "rating predicted from the face's shape, on the raters' scale"
        ),
        "geometric_out_of_fold": Column(
            BOOLEAN,
            "whether the geometric score was predicted by a model that never saw the face's rating",
        ),
    },
    further={"<measurement>": "one column each for the measurements at the end of this page"},
)
