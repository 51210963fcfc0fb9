"""Metrics of attribute models and prompts on labelled test faces, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, class_shares, numeric_labels
from facestats.attributes.zeroshot import Model, ZeroShotModel
from facestats.core.stats import classification, regression
from facestats.core.stats.groups import age_bucket
from facestats.core.stats.intervals import NOT_MEASURED, mean_with_interval, person_groups
from facestats.core.tables import UNKNOWN, is_known
from facestats.errors import number_of


def evaluate_attributes(
    models: dict[str, AttributeModel],
    predictions: pd.DataFrame,
    labels: pd.DataFrame,
    split: pd.Series,
    resamples: int,
    seed: int,
    zeroshot: Mapping[str, ZeroShotModel] | None = None,
    shares: pd.DataFrame | None = None,
    doubts: Mapping[str, str] | None = None,
) -> dict:
    """Measure every target, and every attribute with prompts and labels, on labelled test faces.

    Parameters
    ----------
    models : dict of AttributeModel
        By target.
    predictions : DataFrame
        `<target>` (`unknown` where it abstains) and `<target>_prob_<class>`; same rows as `labels`
        and `split`.
    labels : DataFrame
        By target; `person` says whose face it is.
    split : Series
        Split of each face.
    resamples, seed : int
        Of the bootstrap over persons.
    zeroshot : mapping, optional
        Prompts by attribute.
    shares : DataFrame, optional
        The table `zeroshot.parquet` with the same rows.
    doubts : mapping, optional
        What is doubtful about the prompts, by attribute.

    Returns
    -------
    dict
        By target: `trained`, `why`, `n` and each metric as `{value, low, high}`, null where not
        measured.

        - Classifications: `accuracy`, `balanced_accuracy` and `macro_f1` without abstaining;
          `coverage`, the share that gets an answer, and `accuracy_answered`, to be compared with
          `wanted_precision`; `threshold`, the probability below which it abstains, chosen on the
          faces that `threshold_from` names (null where none reaches the precision, or it always
          answers); `ece`, the expected calibration error of the answers' probabilities, and
          `ece_uncalibrated`, that before calibration.
        - Regressions: `mae`, `rmse` (unit of the label), `r2` and correlations; age also
          `bucket_accuracy`.
        - `penalty` (C or alpha) and `penalty_from`, how it was chosen.
        - `zeroshot`: the same for prompts, on faces whose label is one of their classes
          (`left_out` counts the others); `doubt`, what is doubtful about them, or null; and
          `minus_model`, their accuracy (or MAE) minus the trained model's on the same faces.
    """
    zeroshot = zeroshot or {}
    labelled = {name for name in labels.columns if labels[name].notna().any()}
    only_prompts = {
        name: AttributeModel(name, zeroshot[name].kind, why="it is not among attributes.targets")
        for name in sorted(zeroshot)
        if name in labelled and name not in models
    }
    report = {}
    for target, model in {**models, **only_prompts}.items():
        column = labels.get(target, pd.Series(np.nan, index=labels.index, dtype="str"))
        actual = column[(is_known(column) & (split == "test")).to_numpy()]
        person = (
            labels.loc[actual.index, "person"]
            if "person" in labels
            else pd.Series(np.nan, index=actual.index)
        )
        measured = _evaluate_trained(
            model, predictions, actual, resamples, seed, person_groups(person)
        )
        measured["zeroshot"] = _evaluate_zeroshot(
            target,
            zeroshot.get(target),
            shares,
            model,
            predictions,
            actual,
            resamples,
            seed,
            person,
        ) | {"doubt": (doubts or {}).get(target)}
        report[target] = measured
    return report


def _evaluate_trained(
    model: AttributeModel,
    predictions: pd.DataFrame,
    labels: pd.Series,
    resamples: int,
    seed: int,
    groups: np.ndarray,
) -> dict:
    """Measure a model on test faces with `labels`."""
    report: dict = {
        "trained": model.trained,
        "why": model.why,
        "n": len(labels),
        "n_train": model.n_train,
        "classes": model.classes,
        "left_out": model.left_out,
        **model.choices(),
        **_not_measured(model),
        **_uncalibrated(model),
    }
    if not model.trained:
        return report
    if len(labels) < 2:
        report["why"] = f"{number_of(len(labels), 'labelled test face')}, 2 are needed"
        return report
    actual, table = _values(model, labels), predictions.loc[labels.index]
    if model.kind == "regression":
        return report | _measure_numbers(
            model, actual, table[model.target].to_numpy(float), resamples, seed, groups
        )
    shares = class_shares(table, model.target, model.classes)
    raw = model.uncalibrated(shares)
    before = classification.calibration_with_interval(
        raw.max(axis=1), model.decide(shares) == actual, resamples, seed, groups
    )
    return (
        report
        | _measure_answers(model, actual, shares, resamples, seed, groups)
        | {"ece_uncalibrated": before}
    )


def _evaluate_zeroshot(
    target: str,
    model: ZeroShotModel | None,
    shares: pd.DataFrame | None,
    trained: AttributeModel,
    predictions: pd.DataFrame,
    labels: pd.Series,
    resamples: int,
    seed: int,
    person: pd.Series,
) -> dict:
    """Measure prompts on test faces with `labels`, and compare them with the trained model."""
    report: dict = {"why": None, "n": 0, "classes": [], "left_out": {}, **_not_measured(trained)}
    compared = "accuracy" if trained.kind == "classification" else "mae"
    report["minus_model"] = {compared: NOT_MEASURED}
    if model is None or shares is None:
        return report | {"why": f"zeroshot.{target} is not in params.yaml"}
    report["classes"] = model.classes
    if model.kind == "classification":
        can_answer = labels.isin(model.classes)
        others = labels[~can_answer].value_counts().sort_index()
        report["left_out"] = {str(name): int(n) for name, n in others.items()}
        labels = labels[can_answer]
    report["n"] = len(labels)
    if len(labels) < 2:
        return report | {
            "why": f"{number_of(len(labels), 'test face')} with a label that prompts can say, "
            "2 are needed"
        }
    groups = person_groups(person[labels.index])
    actual = _values(model, labels)
    probabilities = class_shares(shares.loc[labels.index], model.target, model.classes)
    predicted = model.decide(probabilities)
    if model.kind == "regression":
        report |= _measure_numbers(model, actual, predicted, resamples, seed, groups)
    else:
        answers = (
            None
            if trained.trained or target not in predictions
            else predictions.loc[labels.index, target]
        )
        report |= _measure_answers(
            model,
            actual,
            probabilities,
            resamples,
            seed,
            groups,
            None if answers is None else (answers != UNKNOWN).to_numpy(),
        )
    if trained.trained:
        of_model = _predictions(trained, predictions.loc[labels.index])
        if model.kind == "classification":
            gain = (predicted == actual).astype(float) - (of_model == actual)
        else:
            gain = np.abs(predicted - actual) - np.abs(of_model - actual)
        report["minus_model"] = {compared: mean_with_interval(gain, resamples, seed, groups)}
    return report


def _values(model: Model, labels: pd.Series) -> np.ndarray:
    if model.kind == "regression":
        return numeric_labels(model.target, labels).to_numpy()
    return labels.to_numpy(dtype=object)


def _predictions(model: AttributeModel, table: pd.DataFrame) -> np.ndarray:
    """Predictions of a trained model, without abstaining."""
    return (
        table[model.target].to_numpy(float)
        if model.kind == "regression"
        else model.decide(class_shares(table, model.target, model.classes))
    )


def _measure_numbers(
    model: Model,
    actual: np.ndarray,
    predicted: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray,
) -> dict:
    report = regression.with_intervals(actual, predicted, resamples, seed, groups)
    if model.target == "age":
        report["bucket_accuracy"] = mean_with_interval(
            age_bucket(actual) == age_bucket(predicted), resamples, seed, groups
        )
    return report


def _measure_answers(
    model: Model,
    actual: np.ndarray,
    shares: np.ndarray,
    resamples: int,
    seed: int,
    groups: np.ndarray,
    answered: np.ndarray | None = None,
) -> dict:
    """Measure answers; `answered` says which faces got one (None: by the model's threshold)."""
    answer = model.decide(shares)
    right = answer == actual
    sure = shares[np.arange(len(shares)), model.choose(shares)]
    answered = sure >= model.abstain_below if answered is None else answered
    report = classification.with_intervals(actual, answer, resamples, seed, groups)
    report["coverage"] = mean_with_interval(answered, resamples, seed, groups)
    report["accuracy_answered"] = mean_with_interval(
        right[answered], resamples, seed, groups[answered]
    )
    report["ece"] = classification.calibration_with_interval(sure, right, resamples, seed, groups)
    report["n_per_class"] = {name: int((actual == name).sum()) for name in sorted(set(actual))}
    return report


def _not_measured(model: Model) -> dict[str, dict]:
    if model.kind == "classification":
        return dict.fromkeys(
            (*classification.METRICS, "coverage", "accuracy_answered", "ece"), NOT_MEASURED
        )
    return dict.fromkeys(
        (*regression.METRICS, *(("bucket_accuracy",) if model.target == "age" else ())),
        NOT_MEASURED,
    )


def _uncalibrated(model: AttributeModel) -> dict[str, dict]:
    return {"ece_uncalibrated": NOT_MEASURED} if model.kind == "classification" else {}
