"""The regressor on rated test faces, beside ridge regression and the mean."""

from __future__ import annotations

import pandas as pd

from facestats.embeddings import Embeddings, take
from facestats.evaluation.baselines import baseline_predictions
from facestats.evaluation.regression import METRICS, with_intervals

MODELS = ("mlp", "ridge", "mean")
PLOTTED = ["actual", "mlp", "ridge"]
NOTHING = {name: {"value": None, "low": None, "high": None} for name in METRICS}


def evaluate_attractiveness(embeddings: Embeddings, ratings: pd.Series, predicted: pd.Series, split: pd.Series,
                            resamples: int, seed: int) -> tuple[dict, pd.DataFrame]:
    """Measure on test faces that people rated.

    Parameters
    ----------
    embeddings : (n, d), which may stay on disk: the rated ones are read. The other three have the same rows.
    ratings : mean human rating, null where nobody rated.
    predicted : the regressor's rating; null where it is not trained.
    resamples, seed : of the bootstrap.

    Returns
    -------
    metrics : `trained`, `why`, `test.n` and `test.<model>.<metric>.{value, low, high}`; null where not measured.
    points : `actual`, `mlp`, `ridge` (ratings) of the test faces, by `actual`.
    """
    rated = ratings.notna().to_numpy()
    test, train = rated & (split == "test").to_numpy(), rated & (split == "train").to_numpy()
    trained = bool(predicted.notna().any())
    metrics: dict = {"trained": trained, "why": None, "test": {"n": int(test.sum()), **dict.fromkeys(MODELS, NOTHING)}}
    points = pd.DataFrame(columns=PLOTTED)
    if not trained:
        metrics["why"] = "no regressor was trained; metrics/train_attractiveness/metrics.json says why"
    elif test.sum() < 2:
        metrics["why"] = f"{test.sum()} rated test faces, 2 are needed"
    if metrics["why"]:
        return metrics, points
    actual = ratings[test].to_numpy()
    predictions = {"mlp": predicted[test].to_numpy()}
    if train.sum() >= 2:
        x, among = take(embeddings, train | test), test[train | test]
        predictions |= baseline_predictions(x[~among], ratings[train].to_numpy(), x[among])
    for name, values in predictions.items():
        metrics["test"][name] = with_intervals(actual, values, resamples, seed)
    points = pd.DataFrame({"actual": actual, **predictions}).reindex(columns=PLOTTED)
    return metrics, points.sort_values(PLOTTED).round(4)
