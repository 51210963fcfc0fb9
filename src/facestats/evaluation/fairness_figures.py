"""The error of the holistic score by group of people: a figure, and the data of a DVC plot."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facestats.core.figures.png import plain
from facestats.core.files import write_bytes

COLUMNS = ["measure", "attribute", "group", "n", "value", "low", "high"]
PANELS = {"bias": "bias: mean of score minus rating", "mae": "mean absolute error"}
ROW, EDGES = 0.26, 1.5  # inches: height of a row; title, axis and margins
PANELS_WIDTH, LETTER = 7.8, 0.083  # inches: both panels; a letter of the names beside them
MOST_ROWS = 80  # beyond this many, pairs of attributes are left to fairness.json


def error_points(fairness: dict) -> pd.DataFrame:
    """List the figures, one row per measured group and measure, all faces first.

    Parameters
    ----------
    fairness : dict
        As `evaluate_fairness` gives it.

    Returns
    -------
    DataFrame
        `measure`, `attribute`, `group` (with its n), `n`, `value`, `low`, `high`.
    """
    rows = []
    for attribute, group, figures in _measured(fairness):
        name = (
            f"{attribute}: {group} (n={figures['n']})" if attribute else f"all (n={figures['n']})"
        )
        rows += [
            (
                title,
                attribute or "all",
                name,
                figures["n"],
                *(round(figures[key][part], 4) for part in ("value", "low", "high")),
            )
            for key, title in PANELS.items()
        ]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("measure", kind="stable")


def error_by_group(fairness: dict, path: Path) -> None:
    """Draw bias and mean absolute error of each measured group with their intervals.

    Parameters
    ----------
    fairness : dict
        As `evaluate_fairness` gives it.
    path : Path
        The PNG file to write.
    """
    measured = _measured(fairness)
    rows: list[tuple[str, dict | None]] = []
    for i, (attribute, group, figures) in enumerate(measured):
        if attribute and (i == 0 or measured[i - 1][0] != attribute):
            rows.append((plain(attribute), None))
        rows.append((f"{plain(group)}   n={figures['n']}", figures))
    longest = max((len(name) for name, _ in rows), default=0)
    figure = Figure(
        figsize=(PANELS_WIDTH + LETTER * longest, EDGES + ROW * max(len(rows), 3)),
        layout="constrained",
    )
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (key, title) in zip(panels, PANELS.items(), strict=True):
        _panel(axes, rows, key)
        axes.set_xlabel(f"{title}\n(points of 0–100)")
    figure.suptitle(
        "Error of the score by group of test faces, with 95 % intervals"
        if rows
        else "Error by group: not measured"
    )
    if rows:
        figure.supxlabel(
            f"dashed: all faces; not shown: groups of fewer than {fairness['min_group']} test "
            "faces",
            fontsize="small",
        )
    if rows:
        panels[0].set(
            yticks=range(len(rows)),
            yticklabels=[name for name, _ in rows],
            ylim=(len(rows) - 0.4, -0.6),
        )
        for text, (_, figures) in zip(panels[0].get_yticklabels(), rows, strict=True):
            text.set_fontweight("bold" if figures is None else "normal")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _panel(axes: Axes, rows: list[tuple[str, dict | None]], key: str) -> None:
    """Draw one measure: a point and its interval per row; the dashed line is all faces."""
    for place, (_, figures) in enumerate(rows):
        if figures:
            metric, colour = figures[key], "black" if place == 0 else "C0"
            axes.plot([metric["low"], metric["high"]], [place, place], color=colour, linewidth=2)
            axes.plot(metric["value"], place, "o", color=colour, markersize=5)
    if rows:
        everyone = rows[0][1]
        assert everyone is not None
        axes.axvline(everyone[key]["value"], color="black", linestyle="--", linewidth=0.8)
    if key == "bias":
        axes.axvline(0, color="grey", linewidth=0.8)
    else:
        axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)


def _measured(fairness: dict) -> list[tuple[str, str, dict]]:
    """Attribute, group and figures of measured groups; all faces first, with an empty attribute."""
    if fairness["why"]["attractiveness"]:
        return []
    rows = [
        (attribute, group, figures)
        for attribute, groups in fairness["attractiveness"].items()
        for group, figures in groups.items()
        if figures["mae"]
    ]
    if len(rows) > MOST_ROWS:
        rows = [row for row in rows if " × " not in row[0]]
    return [("", "all", fairness["overall"]), *rows]
