"""Clusters of faces with similar embeddings: principal components, then k-means."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score, pairwise_distances, silhouette_score
from threadpoolctl import threadpool_limits

from facestats.core.stats.groups import BUCKETS, bucket_number
from facestats.core.tables import is_known
from facestats.core.tables.embeddings import Embeddings, in_batches, sample_rows, take

# Faces that components and centres are fitted on, drawn at random where there are more.
FITTED = 20_000
# Of these, faces whose silhouettes choose the number of clusters; all pairs are compared.
COMPARED = 2_000
STARTS = 10  # of k-means
FIFTHS = 5  # classes that a number other than age is cut into, to compare it with clusters


@dataclass
class Clustering:
    """Clusters of all faces.

    Attributes
    ----------
    faces : DataFrame
        `filename`, `cluster` (0 is the largest), `pc1`, `pc2` (float32). The largest loading of a
        component is positive, so that its sign does not depend on the solver.
    silhouette : dict
        Mean silhouette of each number of clusters that was tried; null where the faces are too
        similar for so many.
    """

    faces: pd.DataFrame
    silhouette: dict[int, float | None]

    def metrics(self, chosen_by: str, attributes: pd.DataFrame) -> dict[str, Any]:
        """The content of `metrics/clusters.json`.

        Parameters
        ----------
        chosen_by : str
            What chose the number of clusters: `params.yaml` or `silhouette`.
        attributes : DataFrame
            See `agreement`.

        Returns
        -------
        dict
        """
        return {
            "n": len(self.faces),
            "k": self.faces["cluster"].nunique(),
            "k_from": chosen_by,
            "silhouette": {str(number): value for number, value in self.silhouette.items()},
            "attributes": agreement(attributes),
        }


def cluster_faces(
    filenames: pd.Index,
    embeddings: Embeddings,
    k: int | list[int],
    components: int,
    seed: int,
    counts: np.ndarray | None = None,
) -> Clustering:
    """Cluster faces.

    Parameters
    ----------
    filenames : Index
        N names, the rows of `embeddings` (n, d), which may stay on disk.
    k : int or list[int]
        Number of clusters, or a range [low, high]: the number in it with the highest mean
        silhouette (Rousseeuw 1987), the smaller one of equals. Fewer if there are fewer faces.
    components : int
        Principal components that k-means uses.
    seed : int
        Of the initial centres, and of the samples for centres and silhouettes.
    counts : ndarray of bool (n,), optional
        Faces that clusters are fitted on and ordered by; the others, copies of these, are only
        assigned. None: all.

    Returns
    -------
    Clustering
    """
    counts = np.ones(len(filenames), dtype=bool) if counts is None else counts
    fitted = counts.copy()
    fitted[counts] = sample_rows(int(np.count_nonzero(counts)), FITTED, seed)
    x = take(embeddings, fitted).astype(np.float64)
    components = min(components, *x.shape)
    # One thread, since more of them sum in another order. Similar faces, for which k-means would
    # warn, are no problem: the metrics say how many clusters there are.
    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        pca = PCA(components, svd_solver="full").fit(x)
        signs = np.sign(
            pca.components_[np.arange(components), np.abs(pca.components_).argmax(axis=1)]
        )
        points = pca.transform(x) * signs
        low, high = (k, k) if isinstance(k, int) else k
        tried = range(min(low, len(x)), min(high, len(x)) + 1)
        silhouette = _silhouettes(points[sample_rows(len(x), COMPARED, seed)], tried, seed)
        best = max(
            tried,
            key=lambda number: (
                silhouette[number] if silhouette[number] is not None else -2,
                -number,
            ),
        )
        means = KMeans(best, n_init=STARTS, random_state=seed).fit(points)
        first_two = np.zeros((2, len(filenames)), np.float32)
        groups, at = np.empty(len(filenames), np.int32), 0
        for batch in in_batches(embeddings):
            scores = pca.transform(batch.astype(np.float64)) * signs
            rows = slice(at, at + len(batch))
            first_two[: min(components, 2), rows] = scores[:, :2].T
            groups[rows] = means.predict(scores)
            at += len(batch)
    by_size = np.argsort(-np.bincount(groups[counts], minlength=best), kind="stable")
    clusters = np.argsort(by_size).astype(np.int32)[groups]
    return Clustering(
        pd.DataFrame(
            {
                "filename": filenames.to_series(index=pd.RangeIndex(len(filenames))),
                "cluster": clusters,
                "pc1": first_two[0],
                "pc2": first_two[1],
            }
        ),
        silhouette,
    )


def _silhouettes(points: np.ndarray, numbers: range, seed: int) -> dict[int, float | None]:
    distances = pairwise_distances(points)
    np.fill_diagonal(distances, 0)
    silhouettes: dict[int, float | None] = {}
    for k in numbers:
        groups = KMeans(min(k, len(points)), n_init=STARTS, random_state=seed).fit_predict(points)
        possible = 1 < len(np.unique(groups)) < len(points)
        silhouettes[k] = (
            float(silhouette_score(distances, groups, metric="precomputed")) if possible else None
        )
    return silhouettes


def agreement(table: pd.DataFrame) -> dict[str, dict]:
    """Measure how much clusters tell about each attribute.

    Parameters
    ----------
    table : DataFrame
        `cluster` and `<target>_final`, as `attributes_with_clusters.parquet` has them; texts may
        be categories. Age counts by FairFace's groups, any other number by fifths.

    Returns
    -------
    dict
        By target: `adjusted_mutual_information` (Vinh et al. 2010; 0 for chance, 1 for identity,
        null with fewer than two classes), and `n`, the faces with a final value.
    """
    report = {}
    for column in sorted(name for name in table if name.endswith("_final")):
        target, values = column.removesuffix("_final"), table[column]
        known = is_known(values).to_numpy()
        values = _classes(target, values[known])
        several = len(np.unique(values)) > 1
        score = adjusted_mutual_info_score(values, table["cluster"][known]) if several else None
        report[target] = {
            "adjusted_mutual_information": score and float(score),
            "n": int(known.sum()),
        }
    return report


def _classes(target: str, values: pd.Series) -> np.ndarray:
    """The number of each value's class, in the order of the classes' names."""
    if not pd.api.types.is_numeric_dtype(values):
        text = values.astype("category").cat
        codes = text.codes.to_numpy()
        return np.argsort(text.categories.argsort()).astype(codes.dtype)[codes]
    if target == "age":
        return np.argsort(np.argsort(BUCKETS)).astype(np.int8)[bucket_number(values)]
    ends = values.quantile(np.arange(1, FIFTHS) / FIFTHS) if len(values) else []
    return np.searchsorted(ends, values).astype(np.int8)
