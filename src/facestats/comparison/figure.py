"""A forest plot of differences between runs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facestats.comparison.differences import LOWER_IS_BETTER, Comparison, Difference
from facestats.core.figures.png import plain
from facestats.core.files import write_bytes

_ROW, _APART = 0.32, 0.4  # inches of a row, and the share of it that several runs take
# Text stays text, and no dates: the same figure gives the same bytes.
_STYLE: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "facestats"}
_DATED = {".png": "Software", ".svg": "Date", ".pdf": "CreationDate"}


def draw_differences(
    compared: Sequence[tuple[str, Comparison]],
    first: str,
    labels: dict[tuple[str, str, str], str],
    panels: dict[tuple[str, str, str], str],
    path: Path,
) -> None:
    """Draw the differences of some runs to a first one, with their intervals.

    Parameters
    ----------
    compared : sequence of (str, Comparison)
        Name of each run, and how it compares with the first.
    first : str
        Name of the first run.
    labels : dict of str
        What a figure is called, by target, model and measure.
    panels : dict of str
        The axis that a figure belongs to, by target, model and measure: its title.
    path : Path
        The file: .png, .svg or .pdf.
    """
    titles = list(dict.fromkeys(panels.values()))
    rows = {title: [key for key in panels if panels[key] == title] for title in titles}
    heights = [len(keys) for keys in rows.values()]
    inches = _ROW * max(1, 0.6 * len(compared)) * sum(heights) + 0.75 * len(titles) + 0.6
    figure = Figure(figsize=(7, inches), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(titles), 1, height_ratios=[n + 0.5 for n in heights]))
    for own, (title, keys) in zip(axes, rows.items(), strict=True):
        _panel(own, title, keys, compared, labels)
    if len(compared) > 1:
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
    figure.suptitle(
        plain(f"{compared[0][0]} − {first}" if len(compared) == 1 else f"Differences from {first}"),
        size="medium",
    )
    buffer, suffix = io.BytesIO(), path.suffix.lower()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format=suffix[1:], dpi=150, metadata={_DATED[suffix]: None})
    write_bytes(path, buffer.getvalue())


def _panel(
    axes: Axes,
    title: str,
    keys: list[tuple[str, str, str]],
    compared: Sequence[tuple[str, Comparison]],
    labels: dict[tuple[str, str, str], str],
) -> None:
    """Draw figures of one unit, the first on top."""
    shifts = np.linspace(-_APART / 2, _APART / 2, len(compared)) if len(compared) > 1 else [0.0]
    for number, ((name, comparison), shift) in enumerate(zip(compared, shifts, strict=True)):
        by_key = {
            (difference.target, difference.model, difference.measure): difference
            for difference in comparison.differences
        }
        shown = [(row, by_key[key]) for row, key in enumerate(keys) if key in by_key]
        colour = colormaps["tab10"](number % 10)
        values = [difference.minus["value"] for _, difference in shown]
        axes.errorbar(
            values,
            [row + shift for row, _ in shown],
            xerr=np.array([_arms(difference) for _, difference in shown]).T.reshape(2, -1),
            fmt="o",
            ms=4,
            capsize=2,
            color=colour,
            label=plain(name),
        )
    axes.axvline(0, color="0.6", lw=0.8, zorder=0)
    axes.set_yticks(range(len(keys)), [plain(labels[key]) for key in keys], size="small")
    axes.set_ylim(len(keys) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize="small")
    side = "below" if keys[0][2] in LOWER_IS_BETTER else "above"
    axes.set_xlabel(plain(f"{title} ({side} 0 is better)"), size="small")


def _arms(difference: Difference) -> tuple[float, float]:
    """Lengths of an interval's two sides; 0 without one."""
    value, low, high = (difference.minus[key] for key in ("value", "low", "high"))
    return max(0.0, float(np.nan_to_num(value - low))), max(0.0, float(np.nan_to_num(high - value)))
