"""Groups of alike faces.

Principal components of the embeddings, then k-means, with as many clusters as stand apart best.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_mutual_info_score, pairwise_distances, silhouette_score
from threadpoolctl import threadpool_limits

from facestats.core.stats.groups import age_bucket
from facestats.core.tables import UNKNOWN
from facestats.core.tables.embeddings import Embeddings, in_batches, sample_rows, take

# Faces that the components and the centres are fitted on, drawn at random where there are more.
FITTED = 20_000
# Of those, whose silhouettes choose the number of clusters: all pairs of them are compared.
COMPARED = 2_000
STARTS = 10  # of k-means
FIFTHS = 5  # into which a number other than age is cut to compare it with clusters


@dataclass
class Clustering:
    """Clusters of all faces.

    Attributes
    ----------
    faces : DataFrame
        `filename`, `cluster` (0 is the largest), `pc1`, `pc2` (float32). The sign of a component is
        that of its largest loading, so that it does not depend on the solver.
    silhouette : dict
        Mean silhouette of each number of clusters that was tried; null where the faces are too
        alike for so many.
    """

    faces: pd.DataFrame
    silhouette: dict[int, float | None]


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
        Clusters, or a range [low, high]: the number in it with the highest mean silhouette
        (Rousseeuw 1987), the smaller of equals. Fewer where there are fewer faces.
    components : int
        Principal components that k-means sees.
    seed : int
        Of k-means' initial centres, and of the samples that they and the silhouettes are computed
        on.
    counts : ndarray of bool (n,), optional
        Faces that the clusters are found on and ordered by; the others, copies of these, are only
        assigned. None: all.
    """
    counts = np.ones(len(filenames), dtype=bool) if counts is None else counts
    fitted = counts.copy()
    fitted[counts] = sample_rows(int(np.count_nonzero(counts)), FITTED, seed)
    x = take(embeddings, fitted).astype(np.float64)
    components = min(components, *x.shape)
    # One thread: k-means and PCA sum in another order with more. Alike faces are no reason to warn:
    # the metrics say how many clusters there are.
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
        first_two, groups = [], []
        for batch in in_batches(embeddings):
            scores = pca.transform(batch.astype(np.float64)) * signs
            first_two.append(scores[:, :2].copy())
            groups.append(means.predict(scores))
    scores, groups = np.concatenate(first_two), np.concatenate(groups)
    order = np.argsort(-np.bincount(groups[counts], minlength=best), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    second = scores[:, 1] if components > 1 else np.zeros(len(groups))
    return Clustering(
        pd.DataFrame(
            {
                "filename": filenames.to_numpy(),
                "cluster": place[groups].astype(np.int32),
                "pc1": scores[:, 0].astype(np.float32),
                "pc2": second.astype(np.float32),
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
    """How much clusters say about each attribute: adjusted mutual information (Vinh et al.

    2010), 0 for chance, 1 for all.

    Parameters
    ----------
    table : DataFrame
        `cluster` and `<target>_final`, as `attributes_with_clusters.parquet` has them. Age counts
        by FairFace's groups, any other number by fifths.

    Returns
    -------
    dict
        By target: `adjusted_mutual_information` (null where fewer than two classes are known), and
        `n`, the faces with a final value.
    """
    report = {}
    for column in sorted(name for name in table if name.endswith("_final")):
        target, values = column.removesuffix("_final"), table[column]
        known = (values.notna() & (values != UNKNOWN)).to_numpy()
        values = _classes(target, values[known])
        several = len(np.unique(values)) > 1
        score = adjusted_mutual_info_score(values, table["cluster"][known]) if several else None
        report[target] = {
            "adjusted_mutual_information": score and float(score),
            "n": int(known.sum()),
        }
    return report


def _classes(target: str, values: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=str)
    if target == "age":
        return age_bucket(values)
    return (
        np.searchsorted(values.quantile(np.arange(1, FIFTHS) / FIFTHS), values)
        if len(values)
        else values.to_numpy()
    )
