"""The attribute models and their zero-shot rivals on labelled test faces, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.attributes.zeroshot import Model, ZeroShotModel
from facestats.core.stats import classification, regression
from facestats.core.stats.groups import age_bucket
from facestats.core.stats.intervals import NOT_MEASURED, mean_with_interval, person_groups
from facestats.core.tables import UNKNOWN
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
    """Measure every target, and every attribute with prompts and labels, on test faces that people
    labelled.

    Parameters
    ----------
    predictions : DataFrame
        `<target>` (`unknown` where it abstains) and `<target>_prob_<class>`; same rows as `labels`,
        `split`.
    resamples, seed : int
        Of the bootstrap, which draws persons where `person` of the labels says that several faces
        are one person's.
    zeroshot : mapping, optional
        Attributes with prompts.
    shares : DataFrame, optional
        The table `zeroshot.parquet` with the same rows.
    doubts : mapping, optional
        What is doubtful about the prompts of an attribute, where something is.

    Returns
    -------
    dict
        By target: `trained`, `why`, `n` and each metric as `{value, low, high}`, null where not
        measured. Accuracy, balanced accuracy and macro-F1 are without abstaining; `coverage` is the
        share that gets an answer, `accuracy_answered` the accuracy among those, to be held against
        `wanted_precision`; `threshold` is the probability below which it abstains, chosen on the
        faces that `threshold_from` names, null where none gives what is wanted or where it always
        answers. `ece` is the expected calibration error of the answers' probabilities,
        `ece_uncalibrated` that before calibration. `penalty` is C or alpha, and `penalty_from` says
        who chose it. Regressions have MAE, RMSE (unit of the label), R² and correlations; age also
        `bucket_accuracy`. `zeroshot` holds the same of the prompts, on those of the faces whose
        label is one of their classes (`left_out`: the others, counted), `doubt` (what is doubtful
        about them, or null), and `minus_model`: zero-shot's accuracy (or MAE) minus the trained
        model's on the same faces.
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
        actual = column[((column.notna()) & (column != UNKNOWN) & (split == "test")).to_numpy()]
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
    """`labels`: of the test faces that have one."""
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
    shares = _shares(model, table)
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
    report: dict = {"why": None, "n": 0, "classes": [], "left_out": {}, **_not_measured(trained)}
    compared = "accuracy" if trained.kind == "classification" else "mae"
    report["minus_model"] = {compared: NOT_MEASURED}
    if model is None or shares is None:
        return report | {"why": f"zeroshot.{target} is not in params.yaml"}
    report["classes"] = model.classes
    if model.kind == "classification":
        among = labels.isin(model.classes)
        report["left_out"] = {
            str(name): int(n) for name, n in labels[~among].value_counts().sort_index().items()
        }
        labels = labels[among]
    report["n"] = len(labels)
    if len(labels) < 2:
        return report | {
            "why": f"{number_of(len(labels), 'test face')} with a label that prompts can say, "
            "2 are needed"
        }
    groups = person_groups(person[labels.index])
    actual = _values(model, labels)
    share = _shares(model, shares.loc[labels.index])
    predicted = model.decide(share)
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
            share,
            resamples,
            seed,
            groups,
            None if answers is None else (answers != UNKNOWN).to_numpy(),
        )
    if trained.trained:
        rival = _predictions(trained, predictions.loc[labels.index])
        if model.kind == "classification":
            gain = (predicted == actual).astype(float) - (rival == actual)
        else:
            gain = np.abs(predicted - actual) - np.abs(rival - actual)
        report["minus_model"] = {compared: mean_with_interval(gain, resamples, seed, groups)}
    return report


def _values(model: Model, labels: pd.Series) -> np.ndarray:
    if model.kind == "regression":
        return numeric_labels(model.target, labels).to_numpy()
    return labels.to_numpy(dtype=object)


def _shares(model: Model, table: pd.DataFrame) -> np.ndarray:
    return table[[f"{model.target}_prob_{name}" for name in model.classes]].to_numpy()


def _predictions(model: AttributeModel, table: pd.DataFrame) -> np.ndarray:
    """What a trained model says of each face without abstaining."""
    return (
        table[model.target].to_numpy(float)
        if model.kind == "regression"
        else model.decide(_shares(model, table))
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
    """`answered`: which faces got an answer; None: by the model's threshold."""
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
