"""Variance components of ratings, and the intraclass correlations made of them.

Shrout & Fleiss (1979, doi:10.1037/0033-2909.86.2.420) define ICC(1,k) and ICC(2,k) for complete
designs. Ratings of many faces seldom are: the components are therefore estimated by Henderson's
method 1 (1953, doi:10.2307/3001853; Searle, Casella & McCulloch, *Variance Components*, 1992, ch.
5), which sets uncorrected sums of squares equal to their expectations. It needs no complete design,
is unbiased where faces and raters are random, and equals the analysis of variance where every rater
rated every face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

MOST_CONDITION = 1e8  # beyond, the equations have no single solution but for rounding
ONE_WAY, TWO_WAY = "ICC(1,k)", "ICC(2,k)"


@dataclass
class Components:
    """Variance components, each a float64 array (m,) with one value a resample.

    Attributes
    ----------
    faces : ndarray
        Variance of the faces' true means.
    noise : ndarray
        Variance of one rating around it: of raters and residual.
    k : ndarray
        Harmonic mean number of ratings a face.
    """

    faces: np.ndarray
    noise: np.ndarray
    k: np.ndarray


def icc(components: Components, k: np.ndarray | float | None = None) -> np.ndarray:
    """Reliability (m,) of the mean of `k` ratings: faces / (faces + noise / k).

    By default, `k` is the mean number of ratings a face.
    """
    k = components.k if k is None else k
    return components.faces / (components.faces + components.noise / k)


def one_way(face: np.ndarray, rating: np.ndarray, weights: np.ndarray) -> Components:
    """Components of ratings by unknown raters: rater and residual are one.

    Parameters
    ----------
    face : ndarray of int (n,)
        Code of the face, 0 to faces − 1; every face occurs.
    rating : ndarray of float64 (n,)
        Centred, for squares of large numbers lose digits.
    weights : ndarray of float64 (m, faces)
        How often a face counts in each of m resamples.
    """
    count, total = np.bincount(face), np.bincount(face, rating)
    squares = np.bincount(face, rating**2)
    n, a = weights @ count, weights.sum(axis=1)
    within = weights @ (squares - total**2 / count) / (n - a)
    between = (weights @ (total**2 / count) - (weights @ total) ** 2 / n) / (a - 1)
    faces = (between - within) / ((n - (weights @ count**2) / n) / (a - 1))
    return Components(faces, within, a / (weights @ (1 / count)))


def two_way(
    face: np.ndarray, rater: np.ndarray, rating: np.ndarray, weights: np.ndarray
) -> Components | None:
    """Components of ratings by named raters, one a face and rater; see `one_way`.

    Returns
    -------
    Components or None
        None if raters and residual can't be told apart in the first resample, such as when every
        rater rated one face only. A later resample in which they can't gives NaN.
    """
    cells = (face, rater)
    judged, values = csr_array((np.ones(len(face)), cells)), csr_array((rating, cells))
    count, total = np.bincount(face), np.bincount(face, rating)
    n, a = weights @ count, weights.sum(axis=1)
    by_rater = (judged.T @ weights.T).T
    present = by_rater > 0
    n_raters = present.sum(axis=1)
    share = np.divide(
        ((values.T @ weights.T).T) ** 2, by_rater, out=np.zeros_like(by_rater), where=present
    ).sum(axis=1)
    mean = (weights @ total) ** 2 / n
    # Expected sums of squares, less that of the mean; rows: faces, raters, all; columns: faces,
    # raters, residual.
    by_face2, by_rater2 = (weights @ count**2) / n, (by_rater**2).sum(axis=1) / n
    matrix = np.stack(
        [
            n - by_face2,
            a - by_rater2,
            a - 1,
            n_raters - by_face2,
            n - by_rater2,
            n_raters - 1,
            n - by_face2,
            n - by_rater2,
            n - 1,
        ],
        axis=1,
    ).reshape(-1, 3, 3)
    sums = np.stack(
        [
            weights @ (total**2 / count) - mean,
            share - mean,
            weights @ np.bincount(face, rating**2) - mean,
        ],
        axis=1,
    )
    solvable = np.linalg.cond(matrix) < MOST_CONDITION
    if not solvable[0]:
        return None
    variances = np.full_like(sums, np.nan)
    variances[solvable] = np.linalg.solve(matrix[solvable], sums[solvable, :, None])[..., 0]
    faces, raters, residual = variances.T
    return Components(faces, raters + residual, a / (weights @ (1 / count)))
