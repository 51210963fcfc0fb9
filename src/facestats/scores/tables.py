"""The tables of `train_attractiveness` and `score`."""

from __future__ import annotations

from facestats.attributes.tables import CLEAN
from facestats.core.tables import (
    AGE_COLUMNS,
    BOOLEAN,
    FILENAME,
    GEOMETRIC_OUT_OF_FOLD,
    GEOMETRY_ZSCORE,
    IMAGE,
    INTEGER,
    NUMBER,
    Column,
    Schema,
)
from facestats.labels.tables import SPLITS

SCORES_OUT_OF_FOLD = Schema(
    "out_of_fold.parquet",
    "Ratings as predicted by models that never saw the face's own, of the faces that were trained "
    "on.",
    stage="train_attractiveness",
    fields={
        "filename": FILENAME,
        "fold": Column(INTEGER, "the fold that the face was left out of training with"),
        "attractiveness_raw": Column(
            NUMBER, "rating predicted by the models that were trained without this fold"
        ),
    },
)

SCORES = Schema(
    "attractiveness_scores.parquet",
    "The scores, one row a face.",
    stage="score",
    fields={
        "filename": FILENAME,
        "image": IMAGE,
        "attractiveness_raw": Column(
            NUMBER, "rating predicted from the embedding, on the raters' scale"
        ),
        "attractiveness_score": Column(NUMBER, "the same, 0–100: the holistic score"),
        "attractiveness_pct": Column(
            NUMBER, "share of the reference distribution that is below it, 0–1"
        ),
        "attractiveness": Column(INTEGER, "its decile, 1–10"),
        "geometric_score": Column(
            NUMBER, "score of the face's shape (with `geometry.appearance` also its pixels), 0–100"
        ),
        "combined_score": Column(
            NUMBER, "mean of geometric and holistic score by `score.weights`, 0–100"
        ),
        "geometry_zscore": GEOMETRY_ZSCORE,
        "split": SPLITS.fields["split"],
        "out_of_fold": Column(
            BOOLEAN,
            "whether the holistic score was predicted by a model that never saw the face's rating",
        ),
        "geometric_out_of_fold": GEOMETRIC_OUT_OF_FOLD,
        **AGE_COLUMNS,
    },
)

SCORES_WITH_ATTRIBUTES = Schema(
    "attractiveness_with_attributes.parquet",
    "The scores beside `attributes_clean.parquet`.",
    stage="score",
    fields={**SCORES.fields, **CLEAN.fields},
    further=CLEAN.further,
)
