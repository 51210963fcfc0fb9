"""The regressor on rated test faces, beside ridge regression and the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.attractiveness.scores import to_score
from facestats.embeddings import Embeddings, take
from facestats.evaluation import regression, score_calibration
from facestats.evaluation.baselines import baseline_predictions
from facestats.evaluation.ceiling import share_of_ceiling
from facestats.resampling import person_groups

MODELS = ("mlp", "ridge", "mean")
METRICS = (*regression.METRICS, "share_of_ceiling", *score_calibration.METRICS)
PLOTTED = ["actual", "mlp", "ridge"]
CURVE = [*score_calibration.CURVE, "perfect"]
NOTHING = {name: {"value": None, "low": None, "high": None} for name in METRICS}
NOTHING["calibration_error"] = {**NOTHING["calibration_error"], "by_chance": None}


@dataclass
class Attractiveness:
    """What was measured on rated test faces.

    Attributes
    ----------
    metrics : `trained`, `why`, `reliability`, `test.n`, `test.n_persons` and `test.<model>.<metric>.{value, low, high}`; null where not measured.
    points : `actual`, `mlp`, `ridge` (ratings) of the test faces, by `actual`.
    curve : reliability curve of `mlp`, see `score_calibration.reliability_curve`; `perfect` is the diagonal.
    """

    metrics: dict
    points: pd.DataFrame
    curve: pd.DataFrame


def evaluate_attractiveness(embeddings: Embeddings, ratings: pd.Series, predicted: pd.Series, split: pd.Series,
                            resamples: int, seed: int, *, person: pd.Series, scale: tuple[float, float] | None,
                            reliability: dict, untrained: str | None = None) -> Attractiveness:
    """Measure on test faces that people rated.

    Parameters
    ----------
    embeddings : (n, d), which may stay on disk: the rated ones are read. `ratings`, `predicted`, `split`, `person` have the same rows.
    ratings : mean human rating, null where nobody rated.
    predicted : the regressor's rating; null where it is not trained.
    resamples, seed : of the bootstrap, which draws persons where `person` says that several faces are one person's.
    scale : ends of the raters' scale, which are the scores 0 and 100; None where nobody rated.
    reliability : of the mean rating, as `metrics/labels.json` holds it.
    untrained : why there is no regressor, as its training said.
    """
    rated = ratings.notna().to_numpy()
    test, train = rated & (split == "test").to_numpy(), rated & (split == "train").to_numpy()
    trained = bool(predicted.notna().any())
    groups = person_groups(person[test])
    metrics: dict = {"trained": trained, "why": None, "reliability": reliability,
                     "test": {"n": int(test.sum()), "n_persons": len(set(groups)), **dict.fromkeys(MODELS, NOTHING)}}
    points, curve = pd.DataFrame(columns=PLOTTED), pd.DataFrame(columns=CURVE)
    if not trained:
        metrics["why"] = "no regressor was trained" + (f": {untrained}" if untrained else "")
    elif test.sum() < 2:
        metrics["why"] = f"{test.sum()} rated test faces, 2 are needed"
    if metrics["why"]:
        return Attractiveness(metrics, points, curve)
    actual = ratings[test].to_numpy()
    predictions = {"mlp": predicted[test].to_numpy()}
    if train.sum() >= 2:
        x, among = take(embeddings, train | test), test[train | test]
        predictions |= baseline_predictions(x[~among], ratings[train].to_numpy(), x[among])
    for name, values in predictions.items():
        metrics["test"][name] = _measure(actual, values, scale, reliability["ceiling"], resamples, seed, groups)
    points = pd.DataFrame({"actual": actual, **predictions}).reindex(columns=PLOTTED)
    curve = score_calibration.reliability_curve(to_score(actual, scale), to_score(predictions["mlp"], scale), resamples, seed, groups)
    return Attractiveness(metrics, points.sort_values(PLOTTED).round(4), curve.assign(perfect=curve["predicted"]).round(4))


def _measure(actual: np.ndarray, predicted: np.ndarray, scale: tuple[float, float], ceiling: dict, resamples: int, seed: int,
             groups: np.ndarray) -> dict[str, dict]:
    report = regression.with_intervals(actual, predicted, resamples, seed, groups)
    return report | {"share_of_ceiling": share_of_ceiling(report["pearson"], ceiling)} | score_calibration.calibration(
        to_score(actual, scale), to_score(predicted, scale), resamples, seed, groups)
