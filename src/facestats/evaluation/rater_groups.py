"""Whether a score follows one group of raters more than another, such as women more than men."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from facestats.core.stats.intervals import NOT_MEASURED
from facestats.crossvalidation.measures import measure_numbers
from facestats.errors import number_of
from facestats.evaluation.params import Evaluate

MIN_FACES = 10  # fewer say nothing about a difference of correlations
SCORES = {"holistic": "mlp", "combined": "combined"}


def evaluate_groups(
    options: Evaluate, means: pd.DataFrame, predicted: pd.DataFrame
) -> dict[str, Any]:
    """Correlate scores with the mean ratings of each group, on faces that they did not learn from.

    r is averaged over folds, for that of all folds together is biased below 0.

    Parameters
    ----------
    options : Evaluate
        The section `evaluate` of `params.yaml`.
    means : DataFrame
        Rows of `rater_groups.parquet` on one trait.
    predicted : DataFrame
        `model`, `repeat`, `filename`, `fold`, `person_group` and `predicted`, of cross-validation
        or, as one fold, of test faces.

    Returns
    -------
    dict
        By column, score: `n` faces that all groups rated, `why` nothing is measured or None,
        `groups.<value>` (r), `pairs` (`groups`, `difference` of r, first minus second, on the same
        resamples of persons; raters are not drawn anew).
    """
    report: dict[str, Any] = {}
    for column in dict.fromkeys(means["column"]):
        by_group = means[means["column"] == column].pivot_table(
            index="filename", columns="group", values="rating"
        )
        report[str(column)] = {
            name: _measure(options, by_group, predicted[predicted["model"] == model])
            for name, model in SCORES.items()
        }
    return report


def _measure(options: Evaluate, by_group: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, Any]:
    wide = predicted.pivot(index="filename", columns="repeat", values=["predicted", "fold"])
    both = by_group.dropna().index.intersection(wide.dropna().index)
    groups = [str(name) for name in by_group]
    report: dict[str, Any] = {
        "n": len(both),
        "why": None,
        "groups": {name: dict(NOT_MEASURED) for name in groups},
        "pairs": [],
    }
    if len(both) < MIN_FACES:
        why = f"{number_of(len(both), 'face')} rated by all groups, {MIN_FACES} are needed"
        return report | {"why": why}
    wide = wide.loc[both]
    folds, values = wide["fold"].to_numpy(int).T, wide["predicted"].to_numpy(float).T
    person = predicted.drop_duplicates("filename").set_index("filename")["person_group"][both]
    who, draws = pd.factorize(person)[0], (options.bootstrap, options.seed)
    measured = {
        name: measure_numbers(
            by_group.loc[both, name].to_numpy(float), {"": values}, folds, who, *draws
        )[""]
        for name in groups
    }
    for name, own in measured.items():
        report["groups"][name] = own.report()["pearson"]
    for one, other in combinations(groups, 2):
        difference = measured[one].minus(measured[other])["pearson"]
        report["pairs"].append({"groups": [one, other], "difference": difference})
    return report
