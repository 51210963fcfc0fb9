"""Cross-validation of a project: the rating and each attribute, their table and their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.stats import regression
from facestats.core.stats.classification import METRICS as OF_CLASSES
from facestats.core.stats.identity import count_once
from facestats.core.stats.intervals import NOT_MEASURED
from facestats.core.tables import UNKNOWN
from facestats.crossvalidation.attributes import TRAINED, Answers, cross_validate_attribute
from facestats.crossvalidation.baselines import ZSCORE, predicted_by_all, share_of_ceiling
from facestats.crossvalidation.dataset import (
    EXCLUDED,
    RATING,
    Project,
    rated_columns,
    stop_share,
)
from facestats.crossvalidation.geometric_folds import GeometricFolds
from facestats.crossvalidation.measures import by_chance, measure_classes, measure_numbers
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.ratings import Predictions, Scoring, cross_validate_rating
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.errors import FaultError, InputError
from facestats.scores.params import Mlp

MODELS = ("mlp", "geometric", "combined", "combined_60_40", ZSCORE, "ridge", "mean")
COMPARED = ("geometric", "combined", "combined_60_40")  # with the holistic score


@dataclass(frozen=True)
class Options:
    """The choices of `params.yaml` that models follow.

    Attributes
    ----------
    mlp : Mlp
    weights : mapping or str
        `score.weights`.
    traits : sequence of str
        `score.traits`.
    targets : mapping
        `attributes.targets`.
    min_per_class : int
        `attributes.min_per_class`.
    """

    mlp: Mlp
    weights: Mapping[str, float] | str
    traits: Sequence[str]
    targets: Mapping[str, Any]
    min_per_class: int


@dataclass
class CrossValidated:
    """What was predicted and measured.

    Attributes
    ----------
    table : DataFrame
        As `tables.CROSSVALIDATED`.
    metrics : dict
        By target: `why` (null where it was measured), `n`, `n_persons`, `n_left_out`, `folds`,
        `repeats`, and `<model>.<metric>.{value, low, high}`. `<model>.by_chance` is r on permuted
        ratings, `<model>.spread` the standard deviation of the predictions as a share of the
        ratings'.
    warnings : list of str
        What the user should know.
    """

    table: pd.DataFrame
    metrics: dict[str, dict]
    warnings: list[str]

    def summary(self) -> str:
        """Count faces by target, in one line."""
        counts = [
            f"{target}={facts['n']}x{facts['repeats']}"
            for target, facts in self.metrics.items()
            if not facts["why"]
        ]
        return " ".join(["faces x repeats:", *(counts or ["none"])])


def cross_validate(
    data: Project,
    plan: Plan,
    options: Options,
    geometric: Mapping[str, GeometricFolds],
    prompts: pd.DataFrame,
    ceiling: dict,
) -> CrossValidated:
    """Cross-validate every rating and every target.

    Parameters
    ----------
    data : Project
    plan : Plan
    options : Options
    geometric : mapping of GeometricFolds
        By column of the rating, as `cross_validate_shapes` gives it.
    prompts : DataFrame (n rows)
        The table of `zeroshot`.
    ceiling : dict
        Of r with the main rating, by the raters' reliability.

    Returns
    -------
    CrossValidated
    """
    parts = {}
    for column in rated_columns(options.traits):
        of_main = column == RATING
        mlp = options.mlp if of_main else options.mlp.model_copy(update={"pretrained": None})
        parts[column] = _rating(
            data,
            column,
            plan,
            (mlp, options.weights),
            geometric.get(column),
            ceiling if of_main else NOT_MEASURED,
        )
    for target, own in options.targets.items():
        parts[target] = _attribute(data, target, own, options.min_per_class, plan, prompts)
    answers = [table for table, _ in parts.values() if table is not None]
    empty = pd.DataFrame(columns=list(CROSSVALIDATED.columns))
    metrics = {target: measured for target, (_, measured) in parts.items()}
    warnings = [
        f"{target} is not cross-validated: {measured['why']}"
        for target, measured in metrics.items()
        if measured["why"]
    ]
    return CrossValidated(
        pd.concat(answers, ignore_index=True) if answers else empty, metrics, warnings
    )


def _rating(
    data: Project,
    column: str,
    plan: Plan,
    options: tuple[Mlp, Mapping[str, float] | str],
    geometric: GeometricFolds | None,
    ceiling: dict,
) -> tuple[pd.DataFrame | None, dict]:
    """Cross-validate the scores on one rating."""
    rated, metrics = data.rated(column), _not_measured(MODELS)
    try:
        if why := plan.why_not(rated.groups[rated.measured]):
            raise InputError(why)
        assert data.scale is not None  # there are ratings
        out = cross_validate_rating(
            data.embeddings.take(rated.chosen),
            rated.groups,
            rated.ratings,
            rated.measured,
            Scoring(*options, data.scale, rated.stop_share),
            plan,
            geometric,
        )
    except FaultError:
        raise
    except InputError as error:
        return None, metrics | {"why": str(error)}
    return _number_rows(column, out), metrics | _measure_rating(out, ceiling, plan)


def _not_measured(models: tuple[str, ...]) -> dict[str, Any]:
    nothing = dict.fromkeys((*regression.METRICS, "share_of_ceiling"), NOT_MEASURED)
    nothing |= {"by_chance": {**NOT_MEASURED, "p": None, "permutations": 0}, "spread": None}
    return {
        "why": None,
        "n": 0,
        "n_persons": 0,
        "n_left_out": 0,
        "folds": None,
        "repeats": None,
        **{model: {"why": None, **nothing} for model in models},
    }


def _measure_rating(out: Predictions, ceiling: dict, plan: Plan) -> dict[str, Any]:
    """Measure all models on the same faces and resamples."""
    everywhere = {name: values.sum(axis=0) for name, values in out.predicted.items()}
    by_all = predicted_by_all(everywhere, np.ones(len(out.actual), dtype=bool))
    predicted = {
        name: values[:, by_all]
        for name, values in out.predicted.items()
        if np.isfinite(values[:, by_all]).all()
    }
    actual, groups = out.actual.to_numpy(float)[by_all], pd.factorize(out.groups[by_all])[0]
    measured = measure_numbers(
        actual, predicted, out.folds[:, by_all], groups, plan.bootstrap, plan.seed
    )
    metrics: dict[str, Any] = {
        "n": len(actual),
        "n_persons": len(np.unique(groups)),
        "n_left_out": int((~by_all).sum()),
        "folds": int(out.folds.max()) + 1,
        "repeats": len(out.folds),
    }
    metrics |= {
        name: _not_measured((name,))[name] | {"why": why} for name, why in out.problems.items()
    }
    for name in (name for name in MODELS if name in measured):
        report = measured[name].report()
        if name == ZSCORE:  # in no unit of ratings
            report = {key: report[key] for key in ("pearson", "spearman")}
        metrics[name] = (
            _not_measured((name,))[name]
            | report
            | {"spread": float(predicted[name].std(axis=1).mean() / actual.std())}
        )
        if name != ZSCORE:
            metrics[name]["share_of_ceiling"] = share_of_ceiling(report["pearson"], ceiling)
        if name in out.chance:
            metrics[name]["by_chance"] = by_chance(out.observed[name], out.chance[name])
        if name in COMPARED and "mlp" in measured:
            metrics[name]["minus_mlp"] = measured[name].minus(measured["mlp"])
    return metrics


def _attribute(
    data: Project,
    target: str,
    options: Any,
    min_per_class: int,
    plan: Plan,
    prompts: pd.DataFrame,
) -> tuple[pd.DataFrame | None, dict]:
    """Cross-validate one attribute; its table is None where there is nothing."""
    labels = tables.called_as(data.labels, [target])
    metrics: dict[str, Any] = {
        "why": None,
        "n": 0,
        "n_persons": 0,
        "folds": None,
        "repeats": None,
    }
    names = OF_CLASSES if options.kind == "classification" else regression.METRICS
    metrics[TRAINED] = dict.fromkeys(names, NOT_MEASURED)
    try:
        out = _predict_attribute(data, labels, target, options, min_per_class, plan, prompts)
    except FaultError:
        raise
    except InputError as error:
        return None, metrics | {"why": str(error)}
    metrics |= {
        "n": len(out.actual),
        "n_persons": out.groups.nunique(),
        "folds": int(out.folds.max()) + 1,
        "repeats": len(out.folds),
    }
    if options.kind != "classification":
        table, measured = _measure_number(target, out, plan)
        return table, metrics | measured
    return _class_rows(target, out), metrics | _measure_classes(out, plan)


def _predict_attribute(
    data: Project,
    labels: pd.DataFrame,
    target: str,
    options: Any,
    min_per_class: int,
    plan: Plan,
    prompts: pd.DataFrame,
) -> Answers:
    """Out-of-fold answers for all labelled faces.

    Raises
    ------
    InputError
        No face has a label, or too few persons have one.
    """
    if target not in labels:
        raise InputError("no face has a label")
    column, split = labels[target], data.rows["split"]
    column = column.where(column != UNKNOWN).where(split != EXCLUDED)
    once = count_once(column.to_frame(), data.faces)[target]
    chosen = column.notna()
    groups = data.rows["group"]
    if why := plan.why_not(groups[once.notna()]):  # before a million embeddings are read
        raise InputError(why)
    return cross_validate_attribute(
        target,
        options,
        min_per_class,
        data.embeddings.take(chosen.to_numpy()),
        column[chosen],
        once[chosen].notna(),
        groups[chosen],
        stop_share(split[chosen]),
        plan,
        prompts[chosen],
    )


def _measure_number(target: str, out: Answers, plan: Plan) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the measures, by model, of a regression's answers."""
    predictions = {name: values.astype(float) for name, values in out.predicted.items()}
    measured = measure_numbers(
        out.actual.to_numpy(float),
        predictions,
        out.folds,
        pd.factorize(out.groups)[0],
        plan.bootstrap,
        plan.seed,
    )
    table = _number_rows(target, Predictions(out.actual, out.groups, out.folds, predictions))
    return table, {name: of_model.report() for name, of_model in measured.items()}


def _measure_classes(out: Answers, plan: Plan) -> dict[str, Any]:
    """The measures of a classifier's answers, by model."""
    groups = pd.factorize(out.groups)[0]
    measured = {}
    for name, answers in out.predicted.items():
        nothing = np.full(answers.shape, np.nan)
        measured[name] = measure_classes(
            out.actual.to_numpy(object),
            answers,
            out.sure.get(name, nothing),
            out.answered.get(name, np.ones(answers.shape, dtype=bool)),
            groups,
            int(out.folds.max()) + 1,
            plan.bootstrap,
            plan.seed,
        ).report()
    return measured


def _number_rows(target: str, out: Predictions) -> pd.DataFrame:
    parts = [
        _rows(target, name, repeat, out.actual.index, out.folds[repeat], out.groups).assign(
            actual=out.actual.to_numpy(float), predicted=values[repeat]
        )
        for name, values in out.predicted.items()
        for repeat in range(len(out.folds))
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset="predicted")


def _class_rows(target: str, out: Answers) -> pd.DataFrame:
    parts = []
    for name, values in out.predicted.items():
        for repeat in range(len(out.folds)):
            rows = _rows(
                target, name, repeat, out.actual.index, out.folds[repeat], out.groups
            ).assign(actual_class=out.actual.to_numpy(object), predicted_class=values[repeat])
            if name in out.sure:
                rows["probability"] = out.sure[name][repeat]
            if name in out.answered:
                rows["answered"] = pd.array(out.answered[name][repeat], dtype="boolean")
            parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _rows(
    target: str, model: str, repeat: int, names: pd.Index, fold: np.ndarray, groups: pd.Series
) -> pd.DataFrame:
    missing = pd.Series([None] * len(names), dtype="object")
    return pd.DataFrame(
        {
            "target": target,
            "model": model,
            "repeat": repeat,
            "filename": names.to_numpy(),
            "fold": fold,
            "person_group": groups.to_numpy(),
            "actual": np.nan,
            "predicted": np.nan,
            "actual_class": missing,
            "predicted_class": missing,
            "probability": np.nan,
            "answered": pd.array([None] * len(names), dtype="boolean"),
        }
    )
