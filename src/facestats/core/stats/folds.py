"""Folds of a cross-validation. No person is in two: `identity.same_faces` tells persons apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from facestats.core.stats.identity import uniform

FOLDS = 5
# Folds of up to so many faces are stratified: for 100,000 faces in groups it takes 16 s, and random
# folds have the same shares anyway.
STRATIFIED = 5_000

# Numbers of the rows to train on, and of the rows that are left out.
Fold = tuple[np.ndarray, np.ndarray]


def hashed_folds(groups: pd.Series, folds: int, seed: int) -> np.ndarray:
    """Assign faces to folds by a hash, so that adding faces moves no one.

    Parameters
    ----------
    groups : Series of str (n,)
        Name of each face's group, as `same_faces` gives it.
    folds : int
        Number of folds.
    seed : int
        Another seed assigns all groups anew.

    Returns
    -------
    ndarray of int32 (n,)
        Number of each face's fold.
    """
    return np.floor(_hashed(groups, seed, "fold") * folds).astype(np.int32)


def hashed_share(groups: pd.Series, share: float, seed: int) -> np.ndarray:
    """Choose whole groups by a hash that has nothing to do with that of `hashed_folds`.

    Parameters
    ----------
    groups : Series of str (n,)
        Name of each face's group.
    share : float
        Expected share of the groups, 0–1.
    seed : int
        Another seed chooses other groups.

    Returns
    -------
    ndarray of bool (n,)
        Whether a face's group is chosen.
    """
    return _hashed(groups, seed, "stop") < share


def class_folds(classes: np.ndarray, groups: np.ndarray) -> list[Fold]:
    """Make up to five folds with the classes' shares.

    Parameters
    ----------
    classes : ndarray (n,)
        Class of each face.
    groups : ndarray of int (n,)
        Number of each face's group.

    Returns
    -------
    list of (ndarray, ndarray)
        Rows to train on, and rows left out: as many folds as the rarest class has groups, at most
        five; none if it has one.
    """
    folds = min(FOLDS, int(pd.Series(groups).groupby(classes).nunique().min()))
    if folds < 2:
        return []
    if len(groups) <= STRATIFIED and len(np.unique(groups)) == len(groups):
        alone = StratifiedKFold(folds, shuffle=True, random_state=0)
        return list(alone.split(classes, classes))
    kind = GroupKFold if len(groups) > STRATIFIED else StratifiedGroupKFold
    return list(kind(folds, shuffle=True, random_state=0).split(classes, classes, groups))


def group_folds(groups: np.ndarray) -> list[Fold]:
    """Make up to five folds of about equal size; none if there is only one group.

    Parameters
    ----------
    groups : ndarray of int (n,)
        Number of each face's group.

    Returns
    -------
    list of (ndarray, ndarray)
        Rows to train on, and rows left out.
    """
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        return []
    return list(GroupKFold(folds, shuffle=True, random_state=0).split(groups, groups=groups))


def shuffled_folds(groups: np.ndarray, seed: int) -> list[Fold]:
    """Make five folds of groups in random order; see `group_folds`.

    Parameters
    ----------
    groups : ndarray of int (n,)
        Number of each face's group, from 0 without a gap; at least five groups.
    seed : int
        Of the order.

    Returns
    -------
    list of (ndarray, ndarray)
        Rows to train on, and rows left out.
    """
    splitter = KFold(FOLDS, shuffle=True, random_state=seed)
    left_out = [np.isin(groups, some) for _, some in splitter.split(np.arange(groups.max() + 1))]
    return [(np.flatnonzero(~rows), np.flatnonzero(rows)) for rows in left_out]


def dealt_folds(
    groups: np.ndarray, folds: int, seed: Sequence[int], classes: np.ndarray | None = None
) -> np.ndarray:
    """Deal whole groups out to folds, in random order, so that all get about as many faces.

    Parameters
    ----------
    groups : ndarray of int (n,)
        Number of each face's group, from 0 without a gap.
    folds : int
        Number of folds.
    seed : sequence of int
        Of the order.
    classes : ndarray (n,), optional
        Class of each face: all folds get about as many faces of each, too.

    Returns
    -------
    ndarray of int (n,)
        Number of each face's fold.
    """
    codes = np.zeros(len(groups), int) if classes is None else pd.factorize(classes)[0]
    rows_of = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    order = np.random.default_rng(seed).permutation(len(rows_of))
    counts, fold = np.zeros((folds, codes.max(initial=0) + 1)), np.empty(len(groups), dtype=int)
    for group in sorted(order, key=lambda group: -len(rows_of[group])):  # large ones first
        own = np.bincount(codes[rows_of[group]], minlength=counts.shape[1])
        chosen = min(range(folds), key=lambda i: (counts[i] @ own, counts[i].sum(), i))
        counts[chosen] += own
        fold[rows_of[group]] = chosen
    return fold


def dealt_share(groups: np.ndarray, share: float, seed: Sequence[int]) -> np.ndarray:
    """Choose whole groups at random until they hold a share of the faces: bool (n,).

    Parameters
    ----------
    groups : ndarray of int (n,)
        Number of each face's group.
    share : float
        Share of the faces, 0–1, met within half a group.
    seed : sequence of int
        Of the choice.
    """
    names, codes, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order] / 2
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[before <= share * len(groups)]] = True
    return chosen[codes]


def _hashed(groups: pd.Series, seed: int, purpose: str) -> np.ndarray:
    """A number in [0, 1) for each face, the same within a group."""
    names, codes = np.unique(groups.to_numpy(dtype=str), return_inverse=True)
    return uniform(seed, [f"{purpose} {name}" for name in names])[codes]
