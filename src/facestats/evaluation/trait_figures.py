"""The figure of traits: predicted against mean human rating, one panel a trait."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from facestats.core.figures.png import plain, save, say_why

COLUMNS = 3  # panels side by side
TITLE = "Holistic scores by trait: predicted against mean human rating"


def draw_traits(points: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw one panel a trait, or why there is none.

    Parameters
    ----------
    points : mapping of str to DataFrame
        `actual` and `predicted` rating of faces that the models had not seen, by trait.
    path : Path
        The PNG file to write.
    """
    points = {trait: faces for trait, faces in points.items() if len(faces)}
    if not points:
        say_why(TITLE, "No trait of score.traits was measured.", path)
        return
    columns, lines = min(len(points), COLUMNS), -(-len(points) // COLUMNS)
    figure = Figure(figsize=(1 + 3.6 * columns, 0.6 + 3.9 * lines), layout="constrained")
    figure.suptitle(TITLE)
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for (trait, faces), axes in zip(points.items(), panels, strict=False):
        low, high = float(faces.to_numpy().min()), float(faces.to_numpy().max())
        room = 0.05 * (high - low) or 1.0
        ends = low - room, high + room
        axes.plot(ends, ends, color="0.6", linestyle="--", zorder=0)
        opacity = float(np.clip(30 / np.sqrt(len(faces)), 0.15, 0.8))
        axes.scatter(faces["actual"], faces["predicted"], s=16, alpha=opacity, edgecolors="none")
        axes.set(
            xlabel="mean human rating",
            ylabel="predicted rating",
            title=plain(f"{trait}: {len(faces)} faces"),
            xlim=ends,
            ylim=ends,
            box_aspect=1,
        )
    for axes in panels:
        axes.set_axis_off()
    save(figure, path)
