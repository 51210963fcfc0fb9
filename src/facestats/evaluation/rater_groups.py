"""Whether a score follows one group of raters more than another, such as women more than men."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd

from facestats.core.stats import regression
from facestats.core.stats.intervals import NOT_MEASURED, person_groups
from facestats.errors import number_of
from facestats.evaluation.params import Evaluate

MIN_FACES = 10  # fewer say nothing about a difference of correlations
SCORES = {"holistic": "attractiveness_score", "combined": "combined_score"}


def evaluate_groups(
    options: Evaluate,
    means: pd.DataFrame,
    scores: pd.DataFrame,
    counted: pd.Series,
    person: pd.Series,
) -> dict[str, Any]:
    """Correlate scores with the mean ratings of each group, on faces that they did not learn from.

    Parameters
    ----------
    options : Evaluate
        The section `evaluate` of `params.yaml`.
    means : DataFrame
        Rows of `rater_groups.parquet` on one trait.
    scores : DataFrame (n rows)
        The scores of this trait by filename, named as those of the main one.
    counted : Series of bool (n rows)
        Faces that count: the best copy of a picture, if it gets a score.
    person : Series (n rows)
        Whose face each is, null where it is a person of its own.

    Returns
    -------
    dict
        By column, score: `n` faces that all groups rated and no rating of which was learned from
        (test faces, and train and val faces scored out of fold), `why` nothing is measured or None,
        `groups.<value>` (r), `pairs` (`groups`, `difference` of r, first minus second, on the same
        resamples of persons; raters are not drawn anew).
    """
    report: dict[str, Any] = {}
    for column in dict.fromkeys(means["column"]):
        by_group = means[means["column"] == column].pivot_table(
            index="filename", columns="group", values="rating"
        )
        by_group = by_group.reindex(scores.index)
        report[str(column)] = {
            name: _measure(options, by_group[counted & unseen], scores[of_score], person)
            for name, of_score in SCORES.items()
            for unseen in [_unseen(scores, name)]
        }
    return report


def _unseen(scores: pd.DataFrame, name: str) -> pd.Series:
    """Faces whose score is by models that did not learn from their rating."""
    split, holistic = scores["split"], scores["out_of_fold"].eq(True)
    geometric = scores["geometric_out_of_fold"].eq(True) | (split == "val")
    learned = holistic & geometric if name == "combined" else holistic
    return (split == "test") | learned


def _measure(
    options: Evaluate, by_group: pd.DataFrame, score: pd.Series, person: pd.Series
) -> dict[str, Any]:
    by_group = by_group[score.reindex(by_group.index).notna()].dropna()
    groups = [str(name) for name in by_group]
    report: dict[str, Any] = {
        "n": len(by_group),
        "why": None,
        "groups": {name: dict(NOT_MEASURED) for name in groups},
        "pairs": [],
    }
    if len(by_group) < MIN_FACES:
        why = f"{number_of(len(by_group), 'face')} rated by all groups, {MIN_FACES} are needed"
        return report | {"why": why}
    predicted = score.reindex(by_group.index).to_numpy(float)
    who = person_groups(person.reindex(by_group.index))
    measured = {
        name: regression.resampled(
            by_group[name].to_numpy(float),
            {"score": predicted},
            options.bootstrap,
            options.seed,
            who,
        )["score"]
        for name in groups
    }
    for name, own in measured.items():
        report["groups"][name] = own.report()["pearson"]
    for one, other in combinations(groups, 2):
        difference = measured[one].minus(measured[other])["pearson"]
        report["pairs"].append({"groups": [one, other], "difference": difference})
    return report
