"""Cross-validated r on the faces of each class, such as women and men."""

from __future__ import annotations

from typing import Any

import pandas as pd

from facestats.crossvalidation.measures import measure_numbers
from facestats.crossvalidation.plan import Plan

SHOWN = ("mlp", "ridge", "geometric", "combined")
MIN_FACES = 20  # of a class: four in each of five folds, over which r is averaged


def by_class(table: pd.DataFrame, classes: pd.Series, plan: Plan) -> dict[str, Any]:
    """Measure r of each model on the faces of each class, by the same models.

    Parameters
    ----------
    table : DataFrame
        Rows of one target.
    classes : Series
        By filename, null where unknown.
    plan : Plan
        Resamples and their seed.

    Returns
    -------
    dict
        By class with at least `MIN_FACES` faces: `n` and, by model, `pearson`.
    """
    figures: dict[str, Any] = {}
    table = table[table["model"].isin(SHOWN)]
    own = table["filename"].map(classes)
    for name in sorted(own.dropna().unique()):
        rows = table[own == name]
        wide = {
            model: part.pivot(index="filename", columns="repeat", values=["predicted", "fold"])
            for model, part in rows.groupby("model")
        }
        everybody = next(iter(wide.values())).index
        for part in wide.values():
            everybody = everybody.intersection(part.dropna().index)
        if len(everybody) < MIN_FACES:
            continue
        first = rows.drop_duplicates("filename").set_index("filename").loc[everybody]
        folds = next(iter(wide.values())).loc[everybody, "fold"].to_numpy(int).T
        predicted = {
            str(model): part.loc[everybody, "predicted"].to_numpy(float).T
            for model, part in wide.items()
        }
        groups = pd.factorize(first["person_group"])[0]
        actual = first["actual"].to_numpy(float)
        measured = measure_numbers(actual, predicted, folds, groups, plan.bootstrap, plan.seed)
        figures[str(name)] = {
            "n": len(everybody),
            **{model: {"pearson": one.report()["pearson"]} for model, one in measured.items()},
        }
    return figures
