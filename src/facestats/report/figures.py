"""Figures as PNG files, without dates or versions in them."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from facestats.files import write_bytes


def cluster_map(points: pd.DataFrame, path: Path, of: int) -> None:
    """Scatter plot of `pc1` and `pc2`, coloured by `cluster`, of all or some of `of` faces."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    for cluster, group in points.groupby("cluster"):
        axes.scatter(group["pc1"], group["pc2"], s=14, alpha=0.8, label=f"{cluster} ({len(group)})",
                     color=f"C{cluster % 10}", edgecolors="none")
    axes.set(xlabel="first principal component of the embeddings", ylabel="second principal component",
             title=f"{of} faces in {points['cluster'].nunique()} clusters" + (f", {len(points)} of them shown" if len(points) < of else ""))
    axes.legend(title="cluster (faces)", fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
