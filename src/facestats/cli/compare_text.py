"""What `compare` says: differences, their verdicts, and which run validation faces choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facestats.cli.compare_runs import Run, changed_params
from facestats.cli.results import MODELS as SCORES
from facestats.comparison.differences import (
    LOWER_IS_BETTER,
    MOST_TIMES,
    POWER,
    A,
    B,
    Comparison,
    Difference,
    compare,
)
from facestats.comparison.figure import draw_differences
from facestats.core.files import rounded
from facestats.core.stats.intervals import interval_text, number_text
from facestats.crossvalidation.attributes import ZEROSHOT
from facestats.crossvalidation.dataset import RATING
from facestats.errors import number_of
from facestats.labels.tables import PREFIX
from facestats.machine.output import print_line

MODELS = {**SCORES, ZEROSHOT: "zero-shot"}
MEASURES = {"pearson": "r", "mae": "MAE", "balanced_accuracy": "balanced accuracy"}
WORDS = {"mae": "mean absolute error"}  # where there is room
SHOWN, WIDEST = 12, 60  # changed parameters, and characters of a value
CHOOSING = ("mlp", ("pearson", "mae"))  # whose training best.val_loss is of


def print_all(first: Run, compared: Sequence[tuple[Run, Comparison]]) -> None:
    """Print how runs compare with a first one, and how to read that."""
    for other, comparison in compared:
        _print_comparison(first, other, comparison)
    _print_remarks(compared)


def _print_comparison(a: Run, b: Run, comparison: Comparison) -> None:
    print_line(f"{b.title()}, compared with {a.title()}")
    changed = changed_params(a, b)
    for key, (before, after) in list(changed.items())[:SHOWN]:
        print_line(f"  {key}: {_value(before)} → {_value(after)}")
    if len(changed) > SHOWN:
        print(f"  and {number_of(len(changed) - SHOWN, 'more changed parameter')}")
    if not changed:
        print("  no parameter differs")
    shown = [difference for difference in comparison.differences if not difference.same]
    width = max((len(_label(difference)) for difference in shown), default=0)
    for target, faces in {
        difference.target: difference for difference in comparison.differences
    }.items():
        of_target = [
            difference for difference in comparison.differences if difference.target == target
        ]
        count = f"{number_of(faces.n, 'face')} of {number_of(faces.n_persons, 'person')}"
        print()
        print_line(f"  {target}, {count}")
        for difference in of_target:
            if not difference.same:
                values = " → ".join(
                    number_text(each["value"], ".3f").rjust(6)
                    for each in (difference.of_a, difference.of_b)
                )
                print_line(
                    f"    {_label(difference).ljust(width)}  {values}   {_apart(difference)}"
                    f"   {difference.verdict((a.name, b.name))}"
                )
        if same := dict.fromkeys(
            MODELS.get(difference.model, "the model") for difference in of_target if difference.same
        ):
            print_line(f"    the same predictions: {', '.join(same)}")
    for note in comparison.notes:
        print_line(f"  note: {note}")
    print()


def _print_remarks(compared: Sequence[tuple[Run, Comparison]]) -> None:
    """How to read the verdicts."""
    shown = [
        difference
        for _, comparison in compared
        for difference in comparison.differences
        if not difference.same
    ]
    if any(difference.measure == "mae" for difference in shown):
        print("MAE: mean absolute error, lower is better.")
    if len(shown) > 1:
        print(
            f"Of the {len(shown)} intervals of 95 %, one in 20 leaves out the true difference by "
            "chance alone."
        )
    if any(difference.better() is None for difference in shown):
        print(
            f"So many faces might show a difference: with a probability of {POWER:.0%}, if it is "
            "the one seen here.\nThe standard error then falls with the square root of the number "
            "of persons."
        )


def _apart(difference: Difference) -> str:
    """B − A with its interval."""
    return interval_text({**difference.minus}, "+.3f" if difference.has_interval() else ".3f")


def _label(difference: Difference) -> str:
    return ", ".join(filter(None, (MODELS.get(difference.model), MEASURES[difference.measure])))


def _value(value: Any) -> str:
    """A parameter on few characters."""
    text = "–" if value is None else str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def choose(first: Run, others: Sequence[Run]) -> dict[str, Any]:
    """The run with the lowest `best.val_loss`, with its figures on faces that did not choose it.

    Returns
    -------
    dict
        `run` (null where that can't be told), `why`, `text` (sentences); of a run also `val_loss`
        of all, and `outside_val`, its differences to the first one.
    """
    runs = [first, *others]
    if why := _why_no_choice(runs):
        text = [
            f"Which run to choose can't be told: {why}.",
            f"The best of {len(runs)} by the figures above is best partly by luck.",
        ]
        return {"run": None, "why": why, "text": text}
    best = min(runs, key=_loss)
    outside = frozenset(first.table["filename"]) - (first.val or frozenset())
    names, (model, measures) = (first.name, best.name), CHOOSING
    figures = [
        difference
        for difference in compare(first.table, best.table, names, outside).differences
        if (difference.target, difference.model) == (RATING, model)
        and difference.measure in measures
    ]
    text = [f"best.val_loss chooses {best.name}: {_loss(best):.4g}, the lowest of {len(runs)}."]
    if figures:
        values = " and ".join(
            f"{MEASURES[difference.measure]} {interval_text({**difference.of_b}, '.3f')}"
            for difference in figures
        )
        faces = number_of(figures[0].n, "face")
        text.append(
            f"On the {faces} outside val, which did not choose, its holistic score has {values}."
        )
    if best is not first:
        text += [
            f"Compared with {first.name}: {MEASURES[difference.measure]} {_apart(difference)}, "
            f"{difference.verdict(names)}."
            for difference in figures
        ]
    text.append("Who chooses by the figures above instead gets one that looks better than it is.")
    return {
        "run": best.name,
        "why": None,
        "val_loss": {run.name: run.val_loss for run in runs},
        "outside_val": [_facts(difference) for difference in figures],
        "text": text,
    }


def _why_no_choice(runs: Sequence[Run]) -> str | None:
    """Why `best.val_loss` can't choose among runs; None if it can."""
    lacking = [run.name for run in runs if run.val_loss is None]
    if lacking:
        return f"metrics/summary.json has no best.val_loss in {', '.join(lacking)}"
    if any(run.params.get("mlp.loss") != runs[0].params.get("mlp.loss") for run in runs):
        return "their mlp.loss differs, so that best.val_loss does not compare"
    if any(run.val is None for run in runs) or len({_rated_val(run) for run in runs}) > 1:
        return (
            "their rated val faces differ or are not here, so that best.val_loss does not compare"
        )
    return None


def _rated_val(run: Run) -> frozenset[tuple[str, float]]:
    """The faces that `best.val_loss` is measured on, with their ratings."""
    rated = run.table[run.table["target"] == RATING].drop_duplicates("filename")
    chosen = rated[rated["filename"].isin(run.val or ())]
    return frozenset(zip(chosen["filename"], chosen["actual"].round(9), strict=True))


def _loss(run: Run) -> float:
    return float("inf") if run.val_loss is None else run.val_loss


def draw(first: Run, compared: Sequence[tuple[Run, Comparison]], path: Path) -> None:
    """Draw all differences."""
    labels, panels = {}, {}
    for difference in (
        difference for _, comparison in compared for difference in comparison.differences
    ):
        key, model = (
            (difference.target, difference.model, difference.measure),
            MODELS.get(difference.model),
        )
        labels[key] = difference.target if model is None else f"{difference.target}, {model}"
        measure = WORDS.get(difference.measure, MEASURES[difference.measure])
        of_rating = difference.target == RATING or difference.target.startswith(PREFIX)
        unit = f", {'rating points' if of_rating else difference.target}"
        panels[key] = measure + (unit if difference.measure in LOWER_IS_BETTER else "")
    runs = [(other.name, comparison) for other, comparison in compared]
    draw_differences(runs, first.name, labels, panels, path)


def content(
    first: Run, compared: Sequence[tuple[Run, Comparison]], choice: dict[str, Any] | None
) -> dict[str, Any]:
    """What `--json` prints."""
    of_run = {
        "first": {"run": first.name, "commit": first.commit},
        "compared": [
            {
                "run": other.name,
                "commit": other.commit,
                "changed_params": {
                    key: list(pair) for key, pair in changed_params(first, other).items()
                },
                "differences": [
                    _facts(difference) | {"verdict": difference.verdict((first.name, other.name))}
                    for difference in comparison.differences
                ],
                "notes": comparison.notes,
            }
            for other, comparison in compared
        ],
        "chosen": choice,
        "power": POWER,
    }
    return rounded(of_run)


def _facts(difference: Difference) -> dict[str, Any]:
    needed = difference.needed()
    return {
        "target": difference.target,
        "model": difference.model,
        "measure": difference.measure,
        "n": difference.n,
        "n_persons": difference.n_persons,
        "first": _finite(difference.of_a),
        "other": _finite(difference.of_b),
        "difference": _finite(difference.minus),
        "better": {A: "first", B: "other"}.get(difference.better() or ""),
        "faces_needed": round(needed) if needed <= MOST_TIMES * difference.n else None,
        "detectable": difference.detectable() if difference.has_interval() else None,
    }


def _finite(figure: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in figure.items()}
