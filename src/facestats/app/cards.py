"""A face as it stands in a grid: its address, a line below the picture, and words for its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from facestats.app.site import Shown, address, words

SCORE = "combined_score"
_OF_CARD = ["score_withheld", "doubts", "gender_final", "age_final", SCORE, "attractiveness_score"]
_SCORES = {SCORE, "attractiveness_score"}
_NAMES = ("filename", "image")
UNITS = {"age_final": "years", "yaw": "°", "pitch": "°", "roll": "°"}

SOURCES = {
    "manual": "by hand",
    "label": "label",
    "model": "trained model",
    "pretrained": "model of yours",
    "zeroshot": "words (zero-shot)",
    "unknown": "nothing",
}


def cards_of(shown: Shown, rows: np.ndarray, sort: str = "filename") -> list[dict[str, Any]]:
    """Faces as a grid has them.

    Parameters
    ----------
    shown : Shown
    rows : ndarray
        Row numbers.
    sort : str
        The column whose value stands below; for names, the score does, where the run has scores.

    Returns
    -------
    list of dict
        `name`, `address` (the end of the paths of its page and pictures), `line` and `label`.
    """
    column, scored = sort.removeprefix("-"), _has_scores(shown)
    below_it = column if column not in _NAMES else None if scored else "filename"
    own = [] if below_it is None else [below_it]
    cells = shown.faces.values(rows, [*dict.fromkeys([*_OF_CARD, *own])])
    return [
        {
            "name": name,
            "address": address(name),
            "line": _score(cell) if below_it is None else shown_value(below_it, cell.get(below_it)),
            "label": _label(name, cell, scored),
        }
        for name, cell in zip(shown.faces.names(rows), cells, strict=True)
    ]


def below(shown: Shown, sort: str) -> str:
    """What stands below each face."""
    column = sort.removeprefix("-")
    if column in _NAMES:
        column = SCORE if _has_scores(shown) else "filename"
    return words(column)


def _has_scores(shown: Shown) -> bool:
    return not _SCORES.isdisjoint(shown.faces.scores)


def _score(cell: dict[str, Any]) -> str:
    if cell.get("score_withheld"):
        return "no score"
    value = cell.get(SCORE)
    value = cell.get("attractiveness_score") if value is None else value
    return "no score" if value is None else f"{value:.0f}"


def _label(name: str, cell: dict[str, Any], scored: bool) -> str:
    age = cell.get("age_final")
    score = _score(cell)
    parts = [
        name,
        cell.get("gender_final") or "",
        "" if age is None else f"{age:.0f} years",
        "" if not scored else score if score == "no score" else f"score {score}",
        f"doubtful: {cell['doubts']}" if cell.get("doubts") else "",
    ]
    return ", ".join(part for part in parts if part)


def shown_value(column: str, value: Any) -> str:
    """A cell in words, short."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    if isinstance(value, float) and column.endswith(("_score", "_combined", "_geometric")):
        text = f"{value:.1f}"
    unit = UNITS.get(column, "")
    if isinstance(value, float) and unit == "years":
        text = f"{value:.0f}"
    return f"{text}{'' if unit == '°' else ' '}{unit}".strip()
