"""Ridge regressions on many permutations of the ratings, for one decomposition of the features."""

from __future__ import annotations

import numpy as np


def ridge_predictions(
    x: np.ndarray,
    ratings: np.ndarray,
    others: np.ndarray,
    penalties: np.ndarray,
    standardised: bool,
) -> np.ndarray:
    """Fit a ridge regression to each column of ratings, and predict other faces.

    The penalty of each is the one with the smallest leave-one-out error, as scikit-learn's
    `RidgeCV` chooses it. A singular value decomposition of the features serves all columns and
    penalties.

    Parameters
    ----------
    x : ndarray (n, d)
        Features to fit on.
    ratings : ndarray (n, p)
        Ratings, a column each regression.
    others : ndarray (m, d)
        Features to predict.
    penalties : ndarray
        To choose from.
    standardised : bool
        Whether features are divided by their standard deviation.

    Returns
    -------
    ndarray of float64 (m, p)
    """
    x, others = np.asarray(x, dtype=np.float64), np.asarray(others, dtype=np.float64)
    mean = x.mean(axis=0)
    scale = x.std(axis=0) if standardised else np.ones(x.shape[1])
    scale[scale <= 1e-12 * np.abs(x).max(axis=0, initial=0)] = 1.0  # do not vary
    left, lengths, right = np.linalg.svd((x - mean) / scale, full_matrices=False)
    kept = lengths > 1e-10 * lengths.max(initial=0)
    left, lengths, right = left[:, kept], lengths[kept], right[kept]
    level = ratings.mean(axis=0)
    centred = ratings - level
    along, places = left.T @ centred, ((others - mean) / scale) @ right.T
    least, predicted = np.full(ratings.shape[1], np.inf), np.empty((len(others), ratings.shape[1]))
    for penalty in penalties:
        kept_share = lengths**2 / (lengths**2 + penalty)
        leverage = 1 / len(x) + left**2 @ kept_share
        residuals = centred - left @ (kept_share[:, None] * along)
        errors = ((residuals / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).mean(axis=0)
        better = errors < least
        least = np.where(better, errors, least)
        slopes = (lengths / (lengths**2 + penalty))[:, None] * along[:, better]
        predicted[:, better] = places @ slopes
    return predicted + level
