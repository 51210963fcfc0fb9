"""What members score and are rated on average, with bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import interval_text, mean_with_interval

SCORES = {
    "holistic": "attractiveness_score",
    "geometric": "geometric_score",
    "combined": "combined_score",
}
_RESAMPLES, _SEED = 1000, 0


def mean_interval(values: pd.Series, what: str) -> dict[str, Any]:
    """Mean with a 95 % bootstrap interval of the faces.

    Returns
    -------
    dict `value`, `low`, `high`, `n` (faces that have a value) and, where something is null, `why`.
    """
    known = values.dropna().to_numpy(dtype=np.float64)
    if len(known) == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "why": f"no member has a {what}"}
    if len(known) == 1:
        return {
            "value": float(known[0]),
            "low": None,
            "high": None,
            "n": 1,
            "why": f"one member has a {what}: an interval needs two",
        }
    return {**mean_with_interval(known, _RESAMPLES, _SEED), "n": len(known)}


def mean_rating(ratings: pd.Series) -> dict[str, Any]:
    """Mean human rating of faces, in the raters' unit; see `mean_interval`."""
    return mean_interval(ratings, "human rating")


def mean_scores(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Mean holistic, geometric and combined score (0–100) of rows of `attributes_final.parquet`; see `mean_interval`."""
    return {name: mean_interval(rows[column], f"{name} score") for name, column in SCORES.items()}


def said(scores: dict[str, dict[str, Any]]) -> str:
    """Mean scores as one line: `holistic 61.2 (58.9 to 63.5)`, without interval where there is none."""
    parts = [
        f"{name} {interval_text(score, '.1f')}"
        for name, score in scores.items()
        if score["value"] is not None
    ]
    return ", ".join(parts) or "none"
