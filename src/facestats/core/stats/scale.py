"""From a predicted rating to score, percentile, decile and combined score.

All of them are pure functions of the prediction and of the model file, so that one uploaded photo
and the whole table agree.
"""

from __future__ import annotations

import numpy as np

DECILE = "attractiveness"  # the column with the decile of the holistic score
COMBINED_PREFIX = "combined_"  # of the combined score's measures
# The reference distribution of more faces is kept as so many quantiles.
MAX_REFERENCE = 10_001


def reference_distribution(predicted: np.ndarray) -> np.ndarray:
    """Ascending float64 reference ratings of at most `MAX_REFERENCE` values."""
    if len(predicted) <= MAX_REFERENCE:
        return np.sort(predicted.astype(np.float64))
    return np.quantile(predicted.astype(np.float64), np.linspace(0, 1, MAX_REFERENCE))


def to_score(raw: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Rating units to 0–100, the ends of the raters' scale being 0 and 100; clipped."""
    low, high = scale
    return np.clip((np.asarray(raw, dtype=np.float64) - low) / (high - low) * 100, 0, 100)


def to_pct(raw: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Share (0–1) of the reference distribution that lies below, linear between its values.

    The i-th of m reference values stands at (i + 0.5) / m, equal ones at the middle of their
    places; the function is constant beyond the first and the last. It has no steps, so that a
    rounding error in `raw` can't move a face to another percentile.
    """
    values, first, count = np.unique(reference, return_index=True, return_counts=True)
    return np.interp(raw, values, (first + count / 2) / len(reference))


def to_decile(pct: np.ndarray) -> np.ndarray:
    """Decile 1 (lowest) to 10 (highest) of a percentile 0–1."""
    return np.clip(np.floor(np.asarray(pct) * 10).astype(np.int32) + 1, 1, 10)


def blend(geometric: np.ndarray, holistic: np.ndarray, weights: dict[str, float]) -> np.ndarray:
    """Weighted mean of two 0–100 scores; NaN where either is."""
    return weights["geometric"] * np.asarray(geometric) + weights["holistic"] * np.asarray(holistic)
