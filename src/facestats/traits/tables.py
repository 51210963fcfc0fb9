"""The tables of `trait@<name>` and `traits`."""

from __future__ import annotations

import pandas as pd

from facestats.core.layout import TRAITS
from facestats.core.tables import BOOLEAN, FILENAME, INTEGER, NUMBER, Column, Schema

OF_ONE = {
    "raw": Column(NUMBER, "rating predicted from the embedding, on the raters' scale"),
    "score": Column(NUMBER, "the same, 0–100: the holistic score"),
    "pct": Column(NUMBER, "share of the reference distribution that is below it, 0–1"),
    "decile": Column(INTEGER, "its decile, 1–10"),
    "geometric": Column(NUMBER, "score of the face's shape and pixels, 0–100"),
    "combined": Column(NUMBER, "mean of geometric and holistic score by `score.weights`, 0–100"),
    "out_of_fold": Column(BOOLEAN, "whether the holistic score's model never saw the rating"),
    "geometric_out_of_fold": Column(BOOLEAN, "whether the geometric score's never did"),
}
# The same in the table of the main score.
MAIN = {
    "raw": "attractiveness_raw",
    "score": "attractiveness_score",
    "pct": "attractiveness_pct",
    "decile": "attractiveness",
    "geometric": "geometric_score",
    "combined": "combined_score",
    "out_of_fold": "out_of_fold",
    "geometric_out_of_fold": "geometric_out_of_fold",
}

ONE_TRAIT = Schema(
    "scores.parquet",
    "The scores of one further trait, one row a face.",
    stage="trait",
    fields={"filename": FILENAME, **OF_ONE},
    path=f"{TRAITS}/<trait>/scores.parquet",
)

TRAIT_SCORES = Schema(
    "trait_scores.parquet",
    "The scores of all traits of `score.traits`, one row a face. Without `score.traits` it has no "
    "column but the name.",
    stage="traits",
    fields={"filename": FILENAME},
    further={f"<trait>_{name}": column.text for name, column in OF_ONE.items()},
)


def of_trait(scores: pd.DataFrame, trait: str) -> pd.DataFrame:
    """The scores of one trait from `trait_scores.parquet`, named as those of the main score."""
    own = {f"{trait}_{name}": main for name, main in MAIN.items()}
    return scores[[*own]].rename(columns=own)
