"""The table of `crossvalidate`."""

from __future__ import annotations

from facestats.core.layout import CROSSVALIDATED_GEOMETRY
from facestats.core.tables import (
    BOOLEAN,
    FILENAME,
    GEOMETRY_ZSCORE,
    INTEGER,
    NUMBER,
    TEXT,
    Column,
    Schema,
)

CROSSVALIDATED = Schema(
    "crossvalidated.parquet",
    "What cross-validation predicts of labelled faces, one row a target, model, repeat and face. "
    "The models of a fold have not seen its faces, nor another face of the same person.",
    stage="crossvalidate",
    fields={
        "target": Column(TEXT, "`rating`, or the attribute"),
        "model": Column(
            TEXT,
            "of ratings: `mlp` (the holistic score), `geometric`, `combined`, `combined_60_40`, "
            "`geometry_zscore`, `ridge`, `mean`; of attributes: `trained`, `zeroshot`, `majority` "
            "or `mean`",
        ),
        "repeat": Column(INTEGER, "number of the division into folds, from 0"),
        "filename": FILENAME,
        "fold": Column(INTEGER, "the fold that the face was left out of training with, from 0"),
        "person_group": Column(TEXT, "whose face it is: persons and copies stay in one fold"),
        "actual": Column(NUMBER, "mean rating, or the label of an attribute with numbers"),
        "predicted": Column(NUMBER, "the same as predicted"),
        "actual_class": Column(TEXT, "labelled class of an attribute with classes"),
        "predicted_class": Column(TEXT, "the same as predicted, without abstaining"),
        "probability": Column(NUMBER, "of the predicted class, 0–1"),
        "answered": Column(BOOLEAN, "whether the classifier was sure enough to answer"),
    },
    key=("target", "model", "repeat", "filename"),
)

GEOMETRIC = Schema(
    "crossvalidated_geometry.parquet",
    "What the geometric score of each fold predicts of the faces that it has not learned from.",
    stage="crossvalidate_geometry",
    fields={
        "target": Column(TEXT, "`rating`, or the trait"),
        "repeat": Column(INTEGER, "number of the division into folds, from 0"),
        "fold": Column(INTEGER, "the fold that was left out, from 0"),
        "filename": FILENAME,
        "geometric_raw": Column(NUMBER, "predicted rating"),
        "geometry_zscore": GEOMETRY_ZSCORE,
    },
    path=str(CROSSVALIDATED_GEOMETRY),
    key=("target", "repeat", "fold", "filename"),
)
