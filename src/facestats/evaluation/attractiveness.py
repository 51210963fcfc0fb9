"""The scores on rated test faces, beside ridge regression and the mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.stats import regression
from facestats.core.stats.intervals import NOT_MEASURED, person_groups
from facestats.core.stats.scale import to_score
from facestats.core.tables.embeddings import Embeddings, take
from facestats.crossvalidation.baselines import (
    COMBINED,
    OTHERS,
    ZSCORE,
    baseline_predictions,
    other_predictions,
    predicted_by_all,
    share_of_ceiling,
)
from facestats.errors import number_of
from facestats.evaluation import score_calibration
from facestats.scores.blending import BlendWeights

# Keys of the metrics. `mlp` is the regressor, whose predictions are the holistic score; `ridge` and
# `mean` are baselines.
MODELS = ("mlp", "ridge", "mean", *OTHERS)
METRICS = (*regression.METRICS, "share_of_ceiling", *score_calibration.METRICS)
COMPARED = ("geometric", *COMBINED)  # with the holistic score
PLOTTED = ["actual", "mlp", "ridge", "geometric", "combined"]
NOTHING = dict.fromkeys(METRICS, NOT_MEASURED)
NOTHING["calibration_error"] = {**NOTHING["calibration_error"], "by_chance": None}
NO_DIFFERENCE = {"minus_mlp": {name: NOTHING[name] for name in regression.METRICS}}


@dataclass
class Attractiveness:
    """What was measured on rated test faces.

    Attributes
    ----------
    metrics : dict
        `trained`, `why` (the holistic score is not measured; the geometric one may be),
        `verdicts` (by score: `word`, `text`, null where it says something, and the `evidence`),
        `reliability`, `weights.{combined, combined_learned}`, `test.n`, `test.n_persons`,
        `test.n_copies`, `test.n_withheld`, `test.n_left_out` (rated test faces that some model does
        not predict) and `test.<model>.<metric>.{value, low, high}`; null where not measured. All
        models are measured on the same faces and resamples. `geometry_zscore` has correlations
        only, since it is in no unit of ratings. `test.<model>.minus_mlp.<metric>` is the paired
        difference to the holistic score.
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
        (n, d), which may stay on disk: only those of rated faces are read. `ratings`, `predicted`,
        `split`, `person` have the same rows.
    ratings : Series
        Mean human rating, null where nobody rated.
    predicted : Series
        The regressor's rating; null where it is not trained.
    resamples, seed : int
        Of the bootstrap over persons.
    person : Series
        Whose face each is, null where it is a person of its own.
    scale : (float, float), optional
        Ends of the raters' scale, the scores 0 and 100; None where nobody rated.
    reliability : dict
        Of the mean rating, as `metrics/labels.json` holds it.
    n_copies : int
        Rated test faces without a rating in `ratings`, since a better copy of them has one.
    n_withheld : int
        Rated test faces without a rating in `ratings`, since they may be too young for a score.
    untrained : str, optional
        Why there is no regressor.
    scores : DataFrame, optional
        The table of scores, same rows; None: the geometric and combined ones are not measured.
    weights : BlendWeights, optional
        Those of its `combined_score`.
    verdicts : dict, optional
        By score, as `models/blend.json` has them.

    Returns
    -------
    Attractiveness
    """
    rated = ratings.notna().to_numpy()
    test, train = rated & (split == "test").to_numpy(), rated & (split == "train").to_numpy()
    trained = bool(predicted.notna().any())
    others, used = {}, {"combined": None, "combined_learned": None}
    if scores is not None:
        assert weights is not None
        others, used = other_predictions(scores, ratings, scale, weights)
    rated_test, test = test, predicted_by_all(others, test)
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
            **{name: NOTHING | NO_DIFFERENCE if name in COMPARED else NOTHING for name in MODELS},
        },
    }
    if not trained:
        metrics["why"] = "no regressor was trained" + (f": {untrained}" if untrained else "")
    elif test.sum() < 2:
        metrics["why"] = f"{number_of(test.sum(), 'rated test face')}, 2 are needed"
    actual = ratings[test].to_numpy()
    predictions = {"mlp": predicted[test].to_numpy()} if trained else {}
    others = {name: v[test] for name, v in others.items() if np.isfinite(v[test]).all()}
    if len(actual) < 2 or not (trained or "geometric" in others):
        return Attractiveness(metrics, *_no_plots())
    if train.sum() >= 2:
        x, is_test = take(embeddings, train | test), test[train | test]
        predictions |= baseline_predictions(x[~is_test], ratings[train].to_numpy(), x[is_test])
    predictions |= others
    assert scale is not None  # there are ratings
    samples = resamples, seed, groups
    metrics["test"] |= _measure_models(actual, predictions, scale, reliability["ceiling"], samples)
    if not trained:
        return Attractiveness(metrics, *_no_plots())
    points = pd.DataFrame({"actual": actual, **predictions}).reindex(columns=PLOTTED)
    curve = score_calibration.reliability_curve(
        to_score(actual, scale), to_score(predictions["mlp"], scale), *samples
    )
    return Attractiveness(
        metrics,
        points.sort_values(PLOTTED).round(4),
        curve.assign(perfect=curve["predicted"]).round(4),
    )


def _no_plots() -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(columns=PLOTTED), pd.DataFrame(
        columns=[*score_calibration.CURVE, "perfect"]
    )


def _measure_models(
    actual: np.ndarray,
    predictions: dict[str, np.ndarray],
    scale: tuple[float, float],
    ceiling: dict,
    samples: tuple[int, int, np.ndarray],
) -> dict[str, dict]:
    """Measure all models on the same resamples; gives the metrics by model."""
    # `combined` mostly has the weights of `combined_60_40` or `combined_learned`: equal predictions
    # are measured once.
    first_alike = {
        name: next(other for other in predictions if np.array_equal(predictions[other], values))
        for name, values in predictions.items()
    }
    measured = regression.resampled(
        actual, {name: predictions[name] for name in dict.fromkeys(first_alike.values())}, *samples
    )
    report: dict[str, dict] = {}
    for name, values in predictions.items():
        alike = first_alike[name]
        if alike in COMBINED and alike != name:
            report[name] = report[alike]
            continue
        if name == ZSCORE:
            figures = measured[alike].report()
            report[name] = NOTHING | {key: figures[key] for key in ("pearson", "spearman")}
        else:
            report[name] = _report(measured[alike], values, actual, scale, ceiling, samples)
        if name in COMPARED and "mlp" in measured:
            report[name]["minus_mlp"] = measured[alike].minus(measured["mlp"])
        elif name in COMPARED:
            report[name] |= NO_DIFFERENCE
    return report


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
