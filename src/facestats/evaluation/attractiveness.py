"""The scores on rated test faces, beside ridge regression and the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.stats import regression
from facestats.core.stats.intervals import NOT_MEASURED, person_groups
from facestats.core.stats.scale import to_score
from facestats.core.tables.embeddings import Embeddings, take
from facestats.errors import number_of
from facestats.evaluation import score_calibration
from facestats.evaluation.baselines import (
    COMBINED,
    OTHERS,
    ZSCORE,
    baseline_predictions,
    other_predictions,
    share_of_ceiling,
    with_all,
)
from facestats.scores.blending import BlendWeights

MODELS = ("mlp", "ridge", "mean", *OTHERS)
METRICS = (*regression.METRICS, "share_of_ceiling", *score_calibration.METRICS)
AGAINST_MLP = ("geometric", *COMBINED)
PLOTTED = ["actual", "mlp", "ridge", "geometric", "combined"]
CURVE = [*score_calibration.CURVE, "perfect"]
NOTHING = dict.fromkeys(METRICS, NOT_MEASURED)
NOTHING["calibration_error"] = {**NOTHING["calibration_error"], "by_chance": None}
NO_DIFFERENCE = {"minus_mlp": {name: NOTHING[name] for name in regression.METRICS}}


@dataclass
class Attractiveness:
    """What was measured on rated test faces.

    Attributes
    ----------
    metrics : dict
        `trained`, `why` (why the holistic score is not measured; the geometric one may be all the
        same), `verdicts` (by score: `word`, `text`, null where it says something, and the
        `evidence`), `reliability`, `weights.{combined, combined_learned}`, `test.n`,
        `test.n_persons`, `test.n_copies`, `test.n_withheld`, `test.n_left_out` (rated test faces
        that some model does not predict) and `test.<model>.<metric>.{value, low, high}`; null where
        not measured. All models are measured on the same faces and resamples. Of `geometry_zscore`
        there are correlations only, for it is in no unit of ratings.
        `test.<model>.minus_mlp.<metric>` is the paired difference to the holistic score.
    points : DataFrame
        `actual`, `mlp`, `ridge`, `geometric`, `combined` (ratings) of the test faces, by `actual`.
    curve : DataFrame
        Reliability curve of `mlp`, see `score_calibration.reliability_curve`; `perfect` is the
        diagonal.
    """

    metrics: dict
    points: pd.DataFrame
    curve: pd.DataFrame


def evaluate_attractiveness(
    embeddings: Embeddings,
    ratings: pd.Series,
    predicted: pd.Series,
    split: pd.Series,
    resamples: int,
    seed: int,
    *,
    person: pd.Series,
    scale: tuple[float, float] | None,
    reliability: dict,
    n_copies: int = 0,
    n_withheld: int = 0,
    untrained: str | None = None,
    scores: pd.DataFrame | None = None,
    weights: BlendWeights | None = None,
    verdicts: dict[str, dict] | None = None,
) -> Attractiveness:
    """Measure on test faces that people rated.

    Parameters
    ----------
    embeddings : Embeddings
        (n, d), which may stay on disk: the rated ones are read. `ratings`, `predicted`, `split`,
        `person` have the same rows.
    ratings : Series
        Mean human rating, null where nobody rated.
    predicted : Series
        The regressor's rating; null where it is not trained.
    resamples, seed : int
        Of the bootstrap, which draws persons where `person` says that several faces are one
        person's.
    scale : (float, float), optional
        Ends of the raters' scale, which are the scores 0 and 100; None where nobody rated.
    reliability : dict
        Of the mean rating, as `metrics/labels.json` holds it.
    n_copies : int
        Rated test faces whose rating is left out of `ratings`, for a better copy of them has one.
    n_withheld : int
        Rated test faces whose rating is left out of `ratings`, for they may be too young to get a
        score.
    untrained : str, optional
        Why there is no regressor, as its training said.
    scores : DataFrame, optional
        The table of scores, same rows; None: the geometric and combined ones are not measured.
    weights : BlendWeights, optional
        Those of its `combined_score`.
    verdicts : dict, optional
        What each score is worth, as `models/blend.json` has it.
    """
    rated = ratings.notna().to_numpy()
    test, train = rated & (split == "test").to_numpy(), rated & (split == "train").to_numpy()
    trained = bool(predicted.notna().any())
    others, used = {}, {"combined": None, "combined_learned": None}
    if scores is not None:
        assert weights is not None
        others, used = other_predictions(scores, ratings, scale, weights)
    rated_test, test = test, with_all(others, test)
    groups = person_groups(person[test])
    metrics: dict = {
        "trained": trained,
        "why": None,
        "reliability": reliability,
        "weights": used,
        "verdicts": verdicts or {},
        "test": {
            "n": int(test.sum()),
            "n_persons": len(set(groups)),
            "n_copies": n_copies,
            "n_withheld": n_withheld,
            "n_left_out": int(rated_test.sum() - test.sum()),
            **{
                name: NOTHING | NO_DIFFERENCE if name in AGAINST_MLP else NOTHING for name in MODELS
            },
        },
    }
    points, curve = pd.DataFrame(columns=PLOTTED), pd.DataFrame(columns=CURVE)
    if not trained:
        metrics["why"] = "no regressor was trained" + (f": {untrained}" if untrained else "")
    elif test.sum() < 2:
        metrics["why"] = f"{number_of(test.sum(), 'rated test face')}, 2 are needed"
    actual = ratings[test].to_numpy()
    there = {
        name: values[test] for name, values in others.items() if np.isfinite(values[test]).all()
    }
    if len(actual) < 2 or not (trained or "geometric" in there):
        return Attractiveness(metrics, points, curve)
    predictions = {"mlp": predicted[test].to_numpy()} if trained else {}
    if train.sum() >= 2:
        x, among = take(embeddings, train | test), test[train | test]
        predictions |= baseline_predictions(x[~among], ratings[train].to_numpy(), x[among])
    predictions |= there
    # The weights in use are 60/40 or the learned ones as a rule, and one model then stands there
    # twice.
    alike = {
        name: next(other for other in predictions if np.array_equal(predictions[other], values))
        for name, values in predictions.items()
    }
    measured = regression.resampled(
        actual,
        {name: predictions[name] for name in dict.fromkeys(alike.values())},
        resamples,
        seed,
        groups,
    )
    assert scale is not None  # there are ratings
    for name, values in predictions.items():
        if alike[name] in COMBINED and alike[name] != name:
            metrics["test"][name] = metrics["test"][alike[name]]
            continue
        if name == ZSCORE:
            metrics["test"][name] = NOTHING | {
                key: measured[alike[name]].report()[key] for key in ("pearson", "spearman")
            }
        else:
            metrics["test"][name] = _report(
                measured[alike[name]],
                values,
                actual,
                scale,
                reliability["ceiling"],
                (resamples, seed, groups),
            )
        if name in AGAINST_MLP and trained:
            metrics["test"][name]["minus_mlp"] = measured[alike[name]].minus(measured["mlp"])
        elif name in AGAINST_MLP:
            metrics["test"][name] |= NO_DIFFERENCE
    if not trained:
        return Attractiveness(metrics, points, curve)
    points = pd.DataFrame({"actual": actual, **predictions}).reindex(columns=PLOTTED)
    curve = score_calibration.reliability_curve(
        to_score(actual, scale), to_score(predictions["mlp"], scale), resamples, seed, groups
    )
    return Attractiveness(
        metrics,
        points.sort_values(PLOTTED).round(4),
        curve.assign(perfect=curve["predicted"]).round(4),
    )


def _report(
    measured: regression.Resampled,
    predicted: np.ndarray,
    actual: np.ndarray,
    scale: tuple[float, float],
    ceiling: dict,
    samples: tuple[int, int, np.ndarray],
) -> dict[str, dict]:
    report = measured.report()
    return (
        report
        | {"share_of_ceiling": share_of_ceiling(report["pearson"], ceiling)}
        | score_calibration.calibration(
            to_score(actual, scale), to_score(predicted, scale), *samples
        )
    )
