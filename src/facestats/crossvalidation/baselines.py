"""What a score is compared with: simple models, the other scores, and the raters' agreement."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from facestats.core.stats.scale import blend
from facestats.core.tables.embeddings import sample_rows
from facestats.scores.blending import BlendWeights, learn_weights

PENALTIES = np.logspace(-1, 5, 25)
# Train faces that the penalty is chosen on, drawn at random where there are more: scikit-learn's
# leave-one-out multiplies the whole matrix for each penalty, which took more than half of the time
# of `evaluate` for 50,000 faces.
CHOSEN_ON = 10_000
SIXTY_FORTY = {"geometric": 0.6, "holistic": 0.4}
COMBINED = ("combined", "combined_60_40", "combined_learned")
ZSCORE = "geometry_zscore"  # in no unit of ratings: only its correlations are meaningful
OTHERS = ("geometric", ZSCORE, *COMBINED)


def baseline_predictions(
    x_train: np.ndarray, y_train: np.ndarray, x: np.ndarray
) -> dict[str, np.ndarray]:
    """Fit the baselines on train faces, and predict others.

    Parameters
    ----------
    x_train : ndarray (m, d)
        Embeddings of the train faces.
    y_train : ndarray (m,)
        Their ratings.
    x : ndarray (n, d)
        Embeddings to predict.

    Returns
    -------
    dict of ndarray (n,)
        `ridge` (penalty by leave-one-out on up to `CHOSEN_ON` train faces) and `mean`.
    """
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
    chosen = sample_rows(len(x_train), CHOSEN_ON)
    with threadpool_limits(1):
        ridge.fit(x_train[chosen].astype(np.float64), y_train[chosen])
        if not chosen.all():
            ridge = make_pipeline(StandardScaler(), Ridge(ridge[-1].alpha_)).fit(
                x_train.astype(np.float64), y_train
            )
        predicted = ridge.predict(x.astype(np.float64))
    return {"ridge": predicted, "mean": np.full(len(x), y_train.mean())}


def other_predictions(
    scores: pd.DataFrame,
    ratings: pd.Series,
    scale: tuple[float, float] | None,
    weights: BlendWeights,
) -> tuple[dict[str, np.ndarray], dict[str, dict]]:
    """Turn the scores other than the holistic one into predicted ratings.

    Parameters
    ----------
    scores : DataFrame
        `attractiveness_score`, `geometric_score`, `combined_score`, `geometry_zscore` and `split`.
    ratings : Series
        Mean human rating of the same rows; those of val faces fit the learned weights.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated, and nothing is predicted.
    weights : BlendWeights
        Those of `combined_score`.

    Returns
    -------
    predictions : dict of ndarray of float64 (n,)
        By model of `OTHERS`, in rating units (the z-score in its own), NaN where a face has none;
        without models that no face has.
    weights : dict
        The fields of `BlendWeights` for `combined` and `combined_learned`.
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
    ratings_of = {name: low + (high - low) * values / 100 for name, values in points.items()} | {
        ZSCORE: scores[ZSCORE].to_numpy(float)
    }
    return {name: ratings_of[name] for name in OTHERS if np.isfinite(ratings_of[name]).any()}, used


def predicted_by_all(predictions: dict[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    """Find the chosen faces that every model predicts, so that all are measured on the same.

    A model that predicts fewer than half of them would change the faces too much: it is ignored
    here, and must not be measured.

    Parameters
    ----------
    predictions : dict of ndarray (n,)
        By model, NaN where there is none.
    chosen : ndarray of bool (n,)
        The faces to choose from.

    Returns
    -------
    ndarray of bool (n,)
    """
    known = [
        values
        for values in (np.isfinite(values) for values in predictions.values())
        if 2 * (chosen & values).sum() >= chosen.sum()
    ]
    return np.logical_and.reduce([chosen, *known])


def share_of_ceiling(
    pearson: dict[str, float], ceiling: dict[str, float | None]
) -> dict[str, float]:
    """Divide a correlation with the mean rating by its ceiling, √reliability.

    Both have intervals, from different faces. The interval of their ratio follows from these by the
    method of variance estimates recovery (Donner & Zou 2012, doi:10.1177/0962280210383082), which
    needs no symmetric intervals. By chance, the share may exceed 1.

    Parameters
    ----------
    pearson, ceiling : dict
        `value`, `low`, `high`.

    Returns
    -------
    dict
        `value`, `low`, `high`: NaN where either is not known; the ends also where the ceiling is
        hardly above 0.
    """
    known = [pearson[key] for key in ("value", "low", "high")] + [
        ceiling[key] for key in ("value", "low", "high")
    ]
    if any(number is None or not np.isfinite(number) for number in known):
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    r, r_low, r_high, c, c_low, c_high = (float(number) for number in known if number is not None)
    return {
        "value": r / c,
        "low": _bound(r, r_low, c, c_high, -1),
        "high": _bound(r, r_high, c, c_low, 1),
    }


def _bound(a: float, a_end: float, b: float, b_end: float, side: int) -> float:
    """One end of the interval of a / b: the lower one for `side` -1, the upper one for 1."""
    divisor = b_end * (2 * b - b_end)
    if divisor <= 0:
        return float("nan")
    square = max(0.0, (a * b) ** 2 - a_end * (2 * a - a_end) * divisor)
    return (a * b + side * float(np.sqrt(square))) / divisor
