"""The geometric, the combined and the z-score as predictions of the rating, to be measured beside the holistic one."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from facestats.core.stats.scale import blend
from facestats.scores.blending import BlendWeights, learn_weights

SIXTY_FORTY = {"geometric": 0.6, "holistic": 0.4}
COMBINED = ("combined", "combined_60_40", "combined_learned")
ZSCORE = "geometry_zscore"  # in no unit of ratings: only its correlations mean something
OTHERS = ("geometric", ZSCORE, *COMBINED)


def other_predictions(
    scores: pd.DataFrame,
    ratings: pd.Series,
    scale: tuple[float, float] | None,
    weights: BlendWeights,
) -> tuple[dict[str, np.ndarray], dict[str, dict]]:
    """What the scores other than the holistic one predict.

    Parameters
    ----------
    scores : `attractiveness_score`, `geometric_score`, `combined_score`, `geometry_zscore` and `split`.
    ratings : mean human rating of the same rows; those of val faces fit the learned weights.
    scale : ends of the raters' scale; None where nobody rated, and nothing is predicted.
    weights : those of `combined_score`.

    Returns
    -------
    predictions : by model of `OTHERS`, float64 (n,) in rating units (the z-score in its own), NaN where there is none; without the
        models that no face has.
    weights : `geometric`, `holistic`, `learned`, `n_val` and `why` of `combined` and of `combined_learned`.
    """
    geometric, holistic = (
        scores["geometric_score"].to_numpy(float),
        scores["attractiveness_score"].to_numpy(float),
    )
    learned = learn_weights(scores, ratings, scale)
    used = {"combined": asdict(weights), "combined_learned": asdict(learned)}
    if scale is None:
        return {}, used
    points = {
        "geometric": geometric,
        "combined": scores["combined_score"].to_numpy(float),
        "combined_60_40": blend(geometric, holistic, SIXTY_FORTY),
        "combined_learned": learned(geometric, holistic),
    }
    low, high = scale
    found = {name: low + (high - low) * values / 100 for name, values in points.items()} | {
        ZSCORE: scores[ZSCORE].to_numpy(float)
    }
    return {name: found[name] for name in OTHERS if np.isfinite(found[name]).any()}, used


def with_all(predictions: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    """Those of the chosen faces (bool, n) that every model predicts, so that all are measured on the same. A model that predicts fewer
    than half of them would make it a comparison on other faces: it does not count, and is not to be measured."""
    known = [
        values
        for values in (np.isfinite(said) for said in predictions.values())
        if 2 * (chosen & values).sum() >= chosen.sum()
    ]
    return np.logical_and.reduce([chosen, *known])
