"""The few metrics worth a column in `dvc metrics show` and `dvc exp show`, out of the many that there are."""

from __future__ import annotations

from facestats.attractiveness.verdict import WORST_FIRST
from facestats.errors import number_of

MODELS = ("mlp", "ridge", "geometric", "combined")


def headlines(attractiveness: dict, attributes: dict) -> dict[str, dict[str, float | None] | str | None]:
    """One value a model, measured on test faces; null where it was not trained or can't be measured.

    Parameters
    ----------
    attractiveness, attributes : what `evaluate_attractiveness` and `evaluate_attributes` give.

    Returns
    -------
    `pearson` by score, `balanced_accuracy` by target with classes, `mae` by target with numbers, `verdict`: the worst of the scores',
    in two words (one column: which score it is, and why, `metrics/attractiveness.json` says).
    """
    found: dict[str, dict[str, float | None]] = {"pearson": {name: attractiveness["test"][name]["pearson"]["value"] for name in MODELS}}
    for target, facts in attributes.items():
        metric = "balanced_accuracy" if "balanced_accuracy" in facts else "mae"
        found.setdefault(metric, {})[target] = facts[metric]["value"]
    words = [verdict["word"] for verdict in attractiveness["verdicts"].values()]
    return found | {"verdict": min(words, key=WORST_FIRST.index, default=None)}


def doubts_of_scores(attractiveness: dict) -> list[str]:
    """A sentence, without its full stop, on each score that says nothing, or is not shown to."""
    return [verdict["text"] for verdict in attractiveness["verdicts"].values() if verdict["text"]]


def ages_said(ages: dict) -> list[str]:
    """Sentences, without their full stop, on whose age was not checked and who gets no score, out of `metrics/age_check.json`."""
    if ages["min_age"] is None:
        return ["nobody's age was checked, for score.min_age is null: children get scores, too"]
    said, unchecked, withheld = [], ages["checked"]["nothing"], sum(ages["withheld"].values())
    if unchecked:
        why = f": {ages['model']['why']}" if ages["model"]["why"] else ""
        said.append(f"the age of {unchecked} of {number_of(ages['faces'], 'face')} was not checked, so scores may be those of children{why}")
    elif ages["model"]["why"]:
        said.append(f"the age of other photos is not checked, so scores of them may be those of children: {ages['model']['why']}")
    if withheld:
        said.append(f"{withheld} of {number_of(ages['faces'], 'face')} {'gets' if withheld == 1 else 'get'} no score, for they may be under {ages['min_age']}")
    return said
