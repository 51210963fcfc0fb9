"""Figures as PNG files, without dates or versions in them."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import pandas as pd

from facestats.files import write_bytes

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402


def cluster_map(points: pd.DataFrame, path: Path) -> None:
    """Scatter plot of `pc1` and `pc2`, coloured by `cluster`."""
    figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
    for cluster, group in points.groupby("cluster"):
        axes.scatter(group["pc1"], group["pc2"], s=14, alpha=0.8, label=f"{cluster} ({len(group)})",
                     color=f"C{cluster % 10}", edgecolors="none")
    axes.set(xlabel="first principal component of the embeddings", ylabel="second principal component",
             title=f"{len(points)} faces in {points['cluster'].nunique()} clusters")
    axes.legend(title="cluster (faces)", fontsize="small")
    _save(figure, path)


def _save(figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    write_bytes(path, buffer.getvalue())
