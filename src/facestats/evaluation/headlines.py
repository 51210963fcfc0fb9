"""The few metrics worth a column in `dvc metrics show` and `dvc exp show`, out of the many that there are."""

from __future__ import annotations

from facestats.core.stats.verdict import WORST_FIRST

MODELS = ("mlp", "ridge", "geometric", "combined")


def headlines(
    attractiveness: dict, attributes: dict
) -> dict[str, dict[str, float | None] | str | None]:
    """One value a model, measured on test faces; null where it was not trained or can't be measured.

    Parameters
    ----------
    attractiveness, attributes : what `evaluate_attractiveness` and `evaluate_attributes` give.

    Returns
    -------
    `pearson` by score, `balanced_accuracy` by target with classes, `mae` by target with numbers, `verdict`: the worst of the scores',
    in two words (one column: which score it is, and why, `metrics/attractiveness.json` says).
    """
    found: dict[str, dict[str, float | None]] = {
        "pearson": {name: attractiveness["test"][name]["pearson"]["value"] for name in MODELS}
    }
    for target, facts in attributes.items():
        metric = "balanced_accuracy" if "balanced_accuracy" in facts else "mae"
        found.setdefault(metric, {})[target] = facts[metric]["value"]
    words = [verdict["word"] for verdict in attractiveness["verdicts"].values()]
    return found | {"verdict": min(words, key=WORST_FIRST.index, default=None)}
