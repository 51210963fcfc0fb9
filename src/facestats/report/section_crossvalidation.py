"""The section on all labelled faces, each predicted by models that have not seen its person."""

from __future__ import annotations

from typing import Any

from facestats.errors import number_of
from facestats.report.blocks import Section, Table, table
from facestats.report.material import Run
from facestats.report.prose import prose
from facestats.report.section_scores import CORRELATIONS
from facestats.report.text import NOT_MEASURED, measured, number

RATING = "rating"
SCORES = {
    "mlp": "holistic score",
    "geometric": "geometric score",
    "combined": "combined score",
    "combined_60_40": "… 60 % geometric, 40 % holistic",
    "geometry_zscore": "mean of z-scores, nothing learned",
    "ridge": "ridge regression",
    "mean": "mean rating, for every face",
}
MEASURES = {
    "pearson": "r",
    "spearman": "rank correlation",
    "mae": "mean absolute error",
    "r2": "R²",
}
ANSWERS = {
    "trained": "trained model",
    "zeroshot": "prompts alone",
    "majority": "the most frequent class",
    "mean": "the mean",
}
OF_CLASSES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "mae": "error"}


def crossvalidated(run: Run) -> Section:
    """How well models do on all labelled faces."""
    by_target = run.crossvalidated
    ratings = {name: figures for name, figures in by_target.items() if "mlp" in figures}
    targets = {name: figures for name, figures in by_target.items() if "mlp" not in figures}
    blocks = prose(
        "crossvalidation",
        scores=[
            (name, _counts(figures), _agreement(name, figures), _chance(figures))
            for name, figures in ratings.items()
            if not figures["why"]
        ],
        answers=_answers(targets),
        left_out=[(name, figures["why"]) for name, figures in by_target.items() if figures["why"]],
    )
    title = "On all labelled faces: cross-validation"
    return Section("crossvalidation", title, blocks, folded=True)


def lead(run: Run) -> dict[str, Any] | None:
    """What the summary says of the rating; None where it is not cross-validated."""
    rating = run.crossvalidated.get(RATING)
    if not rating or rating["why"]:
        return None
    known = [name for name in ("mlp", "geometric", "combined", "ridge") if _measured(rating[name])]
    return {
        "counts": _counts(rating),
        "scores": [(SCORES[name], rating[name]) for name in known],
        "chance": rating["ridge"]["by_chance"],
    }


def _counts(figures: dict) -> str:
    """Write on how many faces figures stand: `60 faces of 58 persons, in 5 folds, 5 times`."""
    times = f", {figures['repeats']} times" if figures["repeats"] > 1 else ""
    return (
        f"{number_of(figures['n'], 'face')} of {number_of(figures['n_persons'], 'person')}, in "
        f"{figures['folds']} folds{times}"
    )


def _measured(figures: dict) -> bool:
    return figures["mae"]["value"] is not None or figures["pearson"]["low"] is not None


def _agreement(name: str, by_model: dict) -> Table:
    rows = []
    for model, called in SCORES.items():
        figures = by_model[model]
        if model == "combined_60_40" and figures["pearson"] == by_model["combined"]["pearson"]:
            continue
        if not _measured(figures):
            if figures["why"]:
                rows.append([called, f"{NOT_MEASURED}: {figures['why']}", *[""] * 4])
            continue
        rows.append([called, *(_cell(figures, key) for key in MEASURES), _p(figures["by_chance"])])
    caption = f"Agreement with the mean {name}, cross-validated"
    return table(caption, ["score", *MEASURES.values(), "p"], rows)


def _cell(figures: dict, key: str) -> str:
    if key in CORRELATIONS and figures[key]["low"] is None:
        return "undefined: always the same"
    if figures[key]["value"] is None:
        return "–"
    return measured(figures[key], 1 if key == "mae" else 2)


def _p(chance: dict) -> str:
    if chance["p"] is None:
        return "–"
    least = 1 / (chance["permutations"] + 1)
    return f"≤ {least:.2g}" if chance["p"] <= least else number(chance["p"], 3)


def _chance(by_model: dict) -> dict | None:
    """What is by chance, and the scores with fewer permutations than ridge regression has."""
    chance = by_model["ridge"]["by_chance"]
    if chance["p"] is None:
        return None
    numbers = {
        called: by_model[model]["by_chance"]["permutations"]
        for model, called in SCORES.items()
        if by_model[model]["by_chance"]["p"] is not None
    }
    others = {name: n for name, n in numbers.items() if n != chance["permutations"]}
    return chance | {"others": [f"{n} for the {name}" for name, n in others.items()]}


def _answers(targets: dict) -> Table | None:
    rows = [
        [
            f"{name}: {called}",
            str(by_model["n"]),
            *(measured(by_model[model].get(key), 1 if key == "mae" else 2) for key in OF_CLASSES),
        ]
        for name, by_model in targets.items()
        if not by_model["why"]
        for model, called in ANSWERS.items()
        if model in by_model
    ]
    rows = [[cell.replace(NOT_MEASURED, "–") for cell in row] for row in rows]
    head = ["attribute", "faces", *OF_CLASSES.values()]
    return table("Attributes, cross-validated", head, rows) if rows else None
