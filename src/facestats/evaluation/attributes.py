"""The attribute models on labelled test faces, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.attributes.age import age_bucket
from facestats.attributes.training import AttributeModel, numeric_labels
from facestats.evaluation import classification, regression
from facestats.tables import UNKNOWN

NOTHING = {"value": None, "low": None, "high": None}


def evaluate_attributes(models: dict[str, AttributeModel], predictions: pd.DataFrame, labels: pd.DataFrame,
                        split: pd.Series, resamples: int, seed: int) -> dict:
    """Measure every target on test faces that people labelled.

    Parameters
    ----------
    predictions : `<target>` (`unknown` where it abstains) and `<target>_prob_<class>`; same rows as `labels`, `split`.
    resamples, seed : of the bootstrap.

    Returns
    -------
    dict by target: `trained`, `why`, `n` and each metric as `{value, low, high}`, null where not measured. Accuracy, balanced accuracy and
    macro-F1 are without abstaining; `coverage` is the share that gets an answer, `accuracy_answered` the accuracy
    among those. Regressions have MAE, RMSE (unit of the label), R² and correlations; age also `bucket_accuracy`.
    """
    return {target: _evaluate(model, predictions, labels, split, resamples, seed)
            for target, model in models.items()}


def _evaluate(model: AttributeModel, predictions: pd.DataFrame, labels: pd.DataFrame, split: pd.Series,
              resamples: int, seed: int) -> dict:
    said = labels.get(model.target, pd.Series(np.nan, index=labels.index, dtype="str"))
    chosen = (said.notna() & (said != UNKNOWN) & (split == "test")).to_numpy()
    report: dict = {"trained": model.trained, "why": model.why, "n": int(chosen.sum()), "n_train": model.n_train,
                    "classes": model.classes, "left_out": model.left_out, **dict.fromkeys(_metrics(model), NOTHING)}
    if not model.trained:
        return report
    if chosen.sum() < 2:
        report["why"] = f"{chosen.sum()} labelled test faces, 2 are needed"
        return report
    if model.kind == "regression":
        actual, predicted = numeric_labels(model.target, said[chosen]).to_numpy(), predictions[model.target][chosen].to_numpy(float)
        report |= regression.with_intervals(actual, predicted, resamples, seed)
        if model.target == "age":
            report["bucket_accuracy"] = _share(age_bucket(actual) == age_bucket(predicted), resamples, seed)
        return report
    actual = said[chosen].to_numpy(dtype=object)
    shares = predictions.loc[chosen, [f"{model.target}_prob_{name}" for name in model.classes]].to_numpy()
    predicted = np.asarray(model.classes, dtype=object)[shares.argmax(axis=1)]
    answered = (predictions[model.target][chosen] != UNKNOWN).to_numpy()
    report |= classification.with_intervals(actual, predicted, resamples, seed)
    report["coverage"] = _share(answered, resamples, seed)
    report["accuracy_answered"] = _share((actual == predicted)[answered], resamples, seed)
    report["n_per_class"] = {name: int((actual == name).sum()) for name in sorted(set(actual))}
    return report


def _metrics(model: AttributeModel) -> tuple[str, ...]:
    if model.kind == "classification":
        return *classification.METRICS, "coverage", "accuracy_answered"
    return *regression.METRICS, *(("bucket_accuracy",) if model.target == "age" else ())


def _share(hits: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """Share of true values with its 95 % bootstrap interval; null for none."""
    if not len(hits):
        return NOTHING
    drawn = np.random.default_rng(seed).binomial(len(hits), hits.mean(), resamples) / len(hits)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": float(hits.mean()), "low": float(low), "high": float(high)}
