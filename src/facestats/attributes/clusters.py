"""Groups of alike faces: principal components of the embeddings, then k-means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from facestats.embeddings import Embeddings, in_batches, sample_rows, take

FITTED = 20_000  # faces that the components and the centres are fitted on, drawn at random where there are more


def cluster_faces(filenames: pd.Index, embeddings: Embeddings, k: int, components: int, seed: int) -> pd.DataFrame:
    """Cluster faces.

    Parameters
    ----------
    filenames : n names, the rows of `embeddings` (n, d), which may stay on disk.
    k : clusters; fewer where there are fewer faces.
    components : principal components that k-means sees.
    seed : of k-means' initial centres, and of the sample that they are fitted on.

    Returns
    -------
    DataFrame `filename`, `cluster` (0 is the largest), `pc1`, `pc2` (float32). The sign of a component is that
    of its largest loading, so that it does not depend on the solver.
    """
    x = take(embeddings, sample_rows(len(filenames), FITTED, seed)).astype(np.float64)
    components = min(components, *x.shape)
    with threadpool_limits(1):  # k-means and PCA sum in another order with more threads
        pca = PCA(components, svd_solver="full").fit(x)
        signs = np.sign(pca.components_[np.arange(components), np.abs(pca.components_).argmax(axis=1)])
        means = KMeans(min(k, len(x)), n_init=10, random_state=seed).fit(pca.transform(x) * signs)
        first_two, groups = [], []
        for batch in in_batches(embeddings):
            scores = pca.transform(batch.astype(np.float64)) * signs
            first_two.append(scores[:, :2].copy())
            groups.append(means.predict(scores))
    scores, groups = np.concatenate(first_two), np.concatenate(groups)
    order = np.argsort(-np.bincount(groups), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    second = scores[:, 1] if components > 1 else np.zeros(len(groups))
    return pd.DataFrame({"filename": filenames.to_numpy(), "cluster": place[groups].astype(np.int32),
                         "pc1": scores[:, 0].astype(np.float32), "pc2": second.astype(np.float32)})
