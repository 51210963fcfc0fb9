"""Metrics of scores and classifiers by group of people, and the largest gaps between groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, class_shares
from facestats.core.stats.groups import Grouping, human_groupings
from facestats.core.stats.intervals import NOT_MEASURED, person_groups
from facestats.core.stats.scale import COMBINED_PREFIX, to_score
from facestats.core.tables import UNKNOWN, is_known
from facestats.errors import number_of
from facestats.evaluation.group_samples import Gaps, GroupSamples, gaps_between, sample_groups
from facestats.geometry.tables import SKIN_CLASS

MEASURES = ("mean_rating", "mean_score", "bias", "mae", "pearson")
OF_CLASSIFIERS = ("accuracy", "abstention")
UNIT = "points; the ends of the raters' scale are 0 and 100"
NO_REGRESSOR = "no regressor was trained; metrics/train_attractiveness/metrics.json says why"
NO_COMBINED = (
    "no test face has a combined score; metrics/attractiveness.json says why under weights.combined"
)
SKIN = "the colour in the picture, which light decides as much as the skin"
ALL = ""  # in the place of an attribute: all faces as one group, measured from two faces on


def evaluate_fairness(
    labels: pd.DataFrame,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    models: Mapping[str, AttributeModel],
    scale: tuple[float, float] | None,
    min_group: int,
    resamples: int,
    seed: int,
) -> dict:
    """Measure groups of test faces, by each attribute and each pair of attributes.

    Groups are made by labels, never by predictions; but where no ethnicity is labelled, also by the
    class of skin colour that the picture shows.

    Parameters
    ----------
    labels : DataFrame
        The table of labels, perhaps with `skin_ita_class`. The other two tables have the same rows.
    scores : DataFrame
        `attractiveness_score` (0–100), `split`, and `combined_score` where there is one.
    predictions : DataFrame
        `<target>` (`unknown` where the model abstains) and `<target>_prob_<class>`.
    models : mapping
        By target.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.
    min_group : int
        A group with fewer faces is counted, not measured.
    resamples, seed : int
        Of the bootstrap, which draws persons.

    Returns
    -------
    dict
        Each figure is `{value, low, high}`, or null in a small group, which has a `why`. Ratings
        and scores are points of 0–100.

        - `overall` and `attractiveness.<attribute>.<group>`: `n`, mean rating, mean score, bias
          (mean of score − rating), MAE and Pearson r.
        - `combined_overall` and `combined.<attribute>.<group>`: the same for the combined score.
        - `classifiers.<target>.<attribute>.<group>`: `n`, accuracy without abstaining, and the
          share of faces on which the model abstains.
        - `largest_gaps.<measure>`: the two groups of one attribute that are furthest apart,
          overall and `by_attribute`.
        - `why`: by model, what could not be measured.
        - `notes`: by attribute, what to know of its groups.
    """
    test = (scores["split"] == "test").to_numpy()
    labels, scores, predictions = labels[test], scores[test], predictions[test]
    kinds = {name: model.kind for name, model in models.items()}
    options: dict[str, Any] = {"min_group": min_group, "resamples": resamples, "seed": seed}
    groupings = human_groupings(labels, kinds)
    if not any(grouping.attribute == "ethnicity" for grouping in groupings):
        groupings = human_groupings(labels, kinds | {SKIN_CLASS: "classification"})
    report: dict = {
        "n": 0,
        "min_group": min_group,
        "unit": UNIT,
        "attributes": [g.attribute for g in groupings],
        "why": {},
        "notes": {SKIN_CLASS: SKIN} if SKIN_CLASS in [g.attribute for g in groupings] else {},
        "overall": {"n": 0, **dict.fromkeys(MEASURES, NOT_MEASURED)},
        "attractiveness": {},
        "classifiers": {},
        "combined_overall": {"n": 0, **dict.fromkeys(MEASURES, NOT_MEASURED)},
        "combined": {},
        "largest_gaps": {},
    }
    points, report["why"]["attractiveness"] = _points(
        labels, scores["attractiveness_score"], scale, NO_REGRESSOR
    )
    if points is not None:
        report["n"] = len(points)
        report["overall"], report["attractiveness"], report["largest_gaps"] = _of_score(
            points, labels, groupings, options
        )
    combined = scores.get("combined_score", pd.Series(np.nan, index=scores.index))
    points, report["why"]["combined_score"] = _points(labels, combined, scale, NO_COMBINED)
    if points is not None:
        report["combined_overall"], report["combined"], gaps = _of_score(
            points, labels, groupings, options
        )
        report["largest_gaps"] |= {
            f"{COMBINED_PREFIX}{name}": gap for name, gap in gaps.items() if name != "mean_rating"
        }
    for target, model in models.items():
        if model.kind != "classification":
            continue
        answers, report["why"][target] = _answers(model, labels, predictions)
        if answers is not None:
            rows = labels.index.get_indexer(answers.index)
            columns = {name: answers[name].to_numpy() for name in OF_CLASSIFIERS}
            measured, gaps = _by_group(
                columns, _only(groupings, rows), labels["person"].iloc[rows], **options, shares=True
            )
            report["classifiers"][target] = measured
            report["largest_gaps"] |= {f"{target}_{name}": gap for name, gap in gaps.items()}
    return report


def _of_score(
    points: pd.DataFrame, labels: pd.DataFrame, groupings: list[Grouping], options: dict
) -> tuple[dict, dict, dict]:
    """Measure one score on all faces and by group, and find the largest gaps."""
    rows = labels.index.get_indexer(points.index)
    measured_groups = [Grouping(ALL, [ALL], np.zeros(len(points), int)), *_only(groupings, rows)]
    columns = {name: points[name].to_numpy() for name in MEASURES if name in points}
    measured, gaps = _by_group(
        columns,
        measured_groups,
        labels["person"].iloc[rows],
        **options,
        correlate=("mean_rating", "mean_score"),
    )
    return measured.pop(ALL)[ALL], measured, gaps


def _points(
    labels: pd.DataFrame, scores: pd.Series, scale: tuple[float, float] | None, missing: str
) -> tuple[pd.DataFrame | None, str | None]:
    """Errors of each rated and scored face, in points; or None and why. `missing`: no scores."""
    if scores.isna().all() and len(scores):
        return None, missing
    ratings = labels["rating"]
    both = (ratings.notna() & scores.notna()).to_numpy()
    if scale is None or len(set(person_groups(labels["person"][both]))) < 2:
        return None, f"rated test faces: {both.sum()}; those of 2 persons are needed"
    rating, score = to_score(ratings[both].to_numpy(), scale), scores[both].to_numpy(float)
    return pd.DataFrame(
        {
            "mean_rating": rating,
            "mean_score": score,
            "bias": score - rating,
            "mae": np.abs(score - rating),
        },
        index=ratings.index[both],
    ), None


def _answers(
    model: AttributeModel, labels: pd.DataFrame, predictions: pd.DataFrame
) -> tuple[pd.DataFrame | None, str | None]:
    """Whether the model is right about each labelled face, and abstains (0, 1); or None and why."""
    if not model.trained:
        return None, model.why
    column = labels.get(model.target, pd.Series(np.nan, index=labels.index, dtype="str"))
    labelled = is_known(column).to_numpy()
    if labelled.sum() < 2:
        return None, f"labelled test faces: {labelled.sum()}; 2 are needed"
    shares = class_shares(predictions.loc[labelled], model.target, model.classes)
    return pd.DataFrame(
        {
            "accuracy": (model.decide(shares) == column[labelled].to_numpy(dtype=object)).astype(
                float
            ),
            "abstention": (predictions.loc[labelled, model.target] == UNKNOWN).to_numpy(float),
        },
        index=labels.index[labelled],
    ), None


def _only(groupings: list[Grouping], rows: np.ndarray) -> list[Grouping]:
    """Restrict groupings to some of the faces, without groups that are empty then."""
    restricted = []
    for grouping in groupings:
        place = grouping.place[rows]
        left = np.unique(place[place >= 0])
        restricted.append(
            Grouping(
                grouping.attribute,
                [grouping.groups[i] for i in left],
                np.where(place < 0, -1, np.searchsorted(left, place)),
            )
        )
    return restricted


def _by_group(
    columns: Mapping[str, np.ndarray],
    groupings: list[Grouping],
    persons: pd.Series,
    min_group: int,
    resamples: int,
    seed: int,
    correlate: tuple[str, str] | None = None,
    shares: bool = False,
) -> tuple[dict, dict]:
    """Measure every group, and find the largest gaps of each measure."""
    members = np.concatenate([grouping.members() for grouping in groupings], axis=1)
    samples = sample_groups(
        columns, members, person_groups(persons), resamples, seed, correlate, shares
    )
    counts, several = members.sum(axis=0), next(iter(samples.values())).persons > 1
    report, gaps, start = {}, {name: {} for name in samples}, 0
    for grouping in groupings:
        places = range(start, start + len(grouping.groups))
        start = places.stop
        needed = 2 if grouping.attribute == ALL else min_group
        large = [place for place in places if counts[place] >= needed and several[place]]
        report[grouping.attribute] = {
            group: _figures(samples, place, int(counts[place]), needed)
            for group, place in zip(grouping.groups, places, strict=True)
        }
        for name in samples:
            gaps[name][grouping.attribute] = (
                gaps_between(samples[name], large),
                grouping.groups,
                places.start,
            )
    return report, {name: _largest(by_attribute, min_group) for name, by_attribute in gaps.items()}


def _figures(samples: Mapping[str, GroupSamples], place: int, n: int, min_group: int) -> dict:
    why = None
    if n < min_group:
        why = f"{number_of(n, 'face')}, {min_group} are needed (evaluate.min_group)"
    elif next(iter(samples.values())).persons[place] < 2:
        why = f"{number_of(n, 'face')} of one person; an interval takes two"
    if why:
        return {"n": n, "why": why, **dict.fromkeys(samples)}
    return {"n": n, **{name: sample.interval(place) for name, sample in samples.items()}}


def _largest(by_attribute: Mapping[str, tuple[Gaps, list[str], int]], min_group: int) -> dict:
    """Find the largest gap of one measure, overall and by attribute with two measured groups."""
    compared_gaps = {name: entry for name, entry in by_attribute.items() if entry[0].largest}
    if not compared_gaps:
        return {
            "attribute": None,
            "groups": None,
            **NOT_MEASURED,
            "compared": 0,
            "by_attribute": {},
            "why": "no attribute has two groups that were measured "
            f"(of {min_group} faces or more, evaluate.min_group)",
        }

    def described(name: str, strayed: np.ndarray, compared: int) -> dict:
        gaps, groups, start = compared_gaps[name]
        return {
            "groups": [groups[place - start] for place in gaps.largest or ()],
            **gaps.interval(strayed),
            "compared": compared,
        }

    overall = max(compared_gaps, key=lambda name: compared_gaps[name][0].value)
    everything = np.max([gaps.strayed for gaps, _, _ in compared_gaps.values()], axis=0)
    compared = sum(gaps.compared for gaps, _, _ in compared_gaps.values())
    return {
        "attribute": overall,
        **described(overall, everything, compared),
        "by_attribute": {
            name: described(name, gaps.strayed, gaps.compared)
            for name, (gaps, _, _) in compared_gaps.items()
        },
    }
