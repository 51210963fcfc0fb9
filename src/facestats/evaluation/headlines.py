"""The few metrics worth a column in `dvc metrics show` and `dvc exp show`, out of the many that there are."""

from __future__ import annotations

MODELS = ("mlp", "ridge", "geometric", "combined")
SCORES = {"mlp": "holistic", "geometric": "geometric", "combined": "combined"}


def headlines(attractiveness: dict, attributes: dict) -> dict[str, dict[str, float | str | None]]:
    """One value a model, measured on test faces; null where it was not trained or can't be measured.

    Parameters
    ----------
    attractiveness, attributes : what `evaluate_attractiveness` and `evaluate_attributes` give.

    Returns
    -------
    `pearson` by score, `balanced_accuracy` by target with classes, `mae` by target with numbers, `verdict` by score (whether it says something,
    in two words).
    """
    found: dict[str, dict[str, float | str | None]] = {"pearson": {name: attractiveness["test"][name]["pearson"]["value"] for name in MODELS}}
    for target, facts in attributes.items():
        metric = "balanced_accuracy" if "balanced_accuracy" in facts else "mae"
        found.setdefault(metric, {})[target] = facts[metric]["value"]
    return found | {"verdict": {name: attractiveness["verdicts"].get(score, {}).get("word") for name, score in SCORES.items()}}


def doubts_of_scores(attractiveness: dict) -> list[str]:
    """A sentence, without its full stop, on each score that says nothing, or is not shown to."""
    return [verdict["text"] for verdict in attractiveness["verdicts"].values() if verdict["text"]]
