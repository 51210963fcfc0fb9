"""Figures as PNG files, without dates or versions in them."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from facestats.core.files import write_bytes

LEGEND_ROWS = 30
STRONG_FIRST = (*range(0, 20, 2), *range(1, 20, 2))  # colours of tab20


def cluster_map(points: pd.DataFrame, path: Path, of: int) -> None:
    """Scatter plot of `pc1` and `pc2`, coloured by `cluster`, of all or some of `of` faces."""
    clusters = sorted(points["cluster"].unique())
    colours = _colours(len(clusters))
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    for i, cluster in enumerate(clusters):
        group = points[points["cluster"] == cluster]
        axes.scatter(
            group["pc1"],
            group["pc2"],
            s=14,
            alpha=0.8,
            label=f"{cluster} ({len(group)})",
            color=colours[i],
            edgecolors="none",
        )
    shown = f", {len(points):,} of them shown" if len(points) < of else ""
    axes.set(
        xlabel="first principal component of the embeddings",
        ylabel="second principal component",
        title=f"Clusters of alike faces: {of:,} faces in {len(clusters)} clusters{shown}",
    )
    columns = 1 + len(clusters) // LEGEND_ROWS
    figure.legend(
        title="cluster (faces)", fontsize="small", loc="outside right center", ncols=columns
    )
    save(figure, path)


def _colours(n: int) -> list:
    if n > len(STRONG_FIRST):
        return list(colormaps["gist_rainbow"].resampled(n)(range(n)))
    return [colormaps["tab20"](i) for i in STRONG_FIRST[:n]]


def say_why(title: str, why: str, path: Path) -> None:
    """Write a picture with the reason why there is no figure."""
    figure = Figure(figsize=(6, 2))
    figure.text(0.5, 0.7, plain(title), ha="center", size="large")
    figure.text(0.5, 0.35, plain(why), ha="center", va="center", wrap=True)
    save(figure, path)


def plain(text: str) -> str:
    """Text with its dollar signs escaped: between two, matplotlib reads a formula."""
    return text.replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
