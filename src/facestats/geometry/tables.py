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
SKIN_CLASS, SKIN_MISSING, PUPILS_SOURCE = "skin_ita_class", "skin_missing", "pupils_source"
MEASUREMENTS = {
    "<measurement>": "one column each for the measurements at the end of this page; empty where "
    "head pose spoils it",
    PUPILS_SOURCE: "where the pupils are from: `irises`, or `contours` of the eyes where "
    "there is no iris model or an eye is closed",
    "skin_l": "lightness of the skin, L* of CIELAB: the median of cheeks and forehead; light and "
    "camera decide it as much as the skin, as all that follows",
    "skin_a": "a* of it: red",
    "skin_b": "b* of it: yellow",
    "skin_ita": "individual typology angle, degrees: arctan((L* − 50) / b*)",
    SKIN_CLASS: "class of the angle: very light (above 55°), light (41°), intermediate "
    "(28°), tan (10°), brown (−30°), dark",
    SKIN_MISSING: "why there is no skin colour; empty where there is one",
}

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
