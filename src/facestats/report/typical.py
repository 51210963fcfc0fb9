"""The faces that stand for a cluster: those nearest to its middle."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.tables.embeddings import Embeddings, in_batches

DECIMALS = 6  # of a similarity: faces that differ in rounding alone go by name


def typical_faces(
    names: pd.Index, embeddings: Embeddings, clusters: pd.Series, most: int
) -> dict[int, list[str]]:
    """Up to `most` faces of each cluster, by cosine similarity to the mean of its embeddings, the nearest first.

    Parameters
    ----------
    names : file names of the n rows of `embeddings` (n, d), unit norm.
    clusters : cluster number by file name; faces without one count for none.
    """
    numbers = clusters.reindex(names)
    rows = numbers.to_numpy(dtype=float)
    found = np.unique(rows[~np.isnan(rows)])
    sums, at = np.zeros((len(found), _width(embeddings))), 0
    for batch in in_batches(embeddings):
        group = rows[at : at + len(batch)]
        for i, number in enumerate(found):
            sums[i] += batch[group == number].sum(axis=0, dtype=np.float64)
        at += len(batch)
    middles = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.finfo(float).tiny)
    near, at = np.full(len(rows), np.nan), 0
    for batch in in_batches(embeddings):
        group = rows[at : at + len(batch)]
        for number, middle in zip(found, middles, strict=True):
            near[at : at + len(batch)][group == number] = np.einsum(
                "ij,j->i", batch[group == number].astype(np.float64), middle
            )
        at += len(batch)
    table = pd.DataFrame({"name": names, "cluster": rows, "near": near.round(DECIMALS)}).dropna()
    table = table.sort_values(["cluster", "near", "name"], ascending=[True, False, True])
    return {
        int(number): group["name"].head(most).tolist() for number, group in table.groupby("cluster")
    }


def _width(embeddings: Embeddings) -> int:
    return embeddings.shape[1] if isinstance(embeddings, np.ndarray) else embeddings.dimension
