"""Reliability of the mean rating of a face: split-half and intraclass correlation.

A model's correlation with the mean rating can't be expected above √reliability, for the mean of a
few raters is not the mean of all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from facestats.core.stats.intervals import (
    NOT_MEASURED,
    RESAMPLES,
    SEED,
    person_groups,
    resampled_weights,
    value_with_interval,
)
from facestats.errors import number_of
from facestats.labels.personal import measure_personal
from facestats.labels.variance import ONE_WAY, TWO_WAY, icc, one_way, two_way

HALVES = 100  # then, another seed moves the sample's split-half reliability by at most 0.002
MIN_FACES = 10  # with fewer, the interval of a correlation of 0.5 reaches from below 0 to 0.86
MAX_FACES = 10_000  # of more, a random sample: the interval is then about 0.01 wide
CROSSED = 0.5  # share of all faces that the average rater must have rated for raters to be halved


def measure_reliability(judgements: pd.DataFrame | None, person: pd.Series | None = None) -> dict:
    """Reliability of the mean rating of a face, with 95 % bootstrap intervals over faces.

    `split_half`: mean correlation of the mean ratings by two random halves, over `HALVES` halvings,
    stepped up to all ratings by the Spearman-Brown formula r m / (1 + (m − 1) r), where m is the
    number of ratings behind a face's mean over that behind a half's (harmonic means; 2 for even
    halves). *Raters* are halved if they are named and rated at least half of the faces each, on
    average: their severity then cancels as it does in the means. Else each face's *ratings* are
    halved.

    `icc`: ICC(2,k) if every judgement names its rater, else ICC(1,k) (also if every rater rated one
    face only); k is the harmonic mean number of ratings a face. See `variance.icc`.

    Parameters
    ----------
    judgements : DataFrame or None
        `filename`, `rater`, `rating`; None without ratings.csv.
    person : Series of str, optional
        Person by filename, null if unknown. The bootstrap draws persons, for the ratings of a
        person's faces are alike.

    Returns
    -------
    dict
        `n_faces`, `n_raters`, `ratings_per_face` (harmonic mean), and `split_half`, `icc` (with
        `kind`) and `ceiling` (√ of `split_half`), each `{value, low, high}`: null if `why` says
        what is missing.
    """
    report: dict = {
        "why": None,
        "n_faces": 0,
        "n_raters": 0,
        "ratings_per_face": None,
        "split_half": dict(NOT_MEASURED),
        "icc": {"kind": None, **NOT_MEASURED},
        "ceiling": dict(NOT_MEASURED),
    }
    if judgements is None:
        return report | {
            "why": "there is no ratings.csv; a mean rating alone does not say how well raters agree"
        }
    ordered = _in_order(judgements)
    per_face = ordered.groupby("filename").size()
    named = bool(len(ordered)) and bool((ordered["rater"] != "").all())
    report |= {
        "n_faces": len(per_face),
        "n_raters": int(ordered["rater"][ordered["rater"] != ""].nunique()),
    }
    if len(per_face):
        report["ratings_per_face"] = float(1 / (1 / per_face).mean())
    report["why"] = _lacking(ordered, per_face, report["n_raters"], named)
    return report if report["why"] else report | _measure(ordered, person, named)


def measure_agreement(
    judgements: pd.DataFrame | None,
    traits: Mapping[str, pd.DataFrame],
    person: pd.Series | None = None,
) -> dict:
    """How well raters agree: about the mean rating, about one rater, and about each trait.

    Parameters
    ----------
    judgements : DataFrame or None
        Behind the ratings; see `measure_reliability`.
    traits : mapping of str to DataFrame
        The same by rated trait; empty if no trait is named.
    person : Series of str, optional
        Person by filename.

    Returns
    -------
    dict
        `reliability`, `personal` (see `personal.measure_personal`) and, by trait, both as `traits`.
    """
    report: dict = {
        "reliability": measure_reliability(judgements, person),
        "personal": measure_personal(judgements),
    }
    if traits:
        report["traits"] = {
            trait: {
                "reliability": measure_reliability(frame, person),
                "personal": measure_personal(frame, names=False),
            }
            for trait, frame in traits.items()
        }
    return report


def _measure(judgements: pd.DataFrame, person: pd.Series | None, named: bool) -> dict:
    """`split_half`, `icc` and, if that is defined, `ceiling`; see `measure_reliability`."""
    rng = np.random.default_rng(SEED)
    filenames = np.unique(judgements["filename"].to_numpy())
    if len(filenames) > MAX_FACES:
        drawn = rng.choice(filenames, MAX_FACES, replace=False)
        judgements = judgements.loc[judgements["filename"].isin(drawn)]
    face, faces = pd.factorize(judgements["filename"], sort=True)
    rater = pd.factorize(judgements["rater"])[0]
    rating = judgements["rating"].to_numpy(float) - judgements["rating"].mean()
    weights = np.concatenate([np.ones((1, len(faces))), _resamples(faces, person, rng)])
    crossed = named and len(rating) >= CROSSED * len(faces) * (rater.max() + 1)
    with threadpool_limits(1):  # sums in another order give other bits
        halves = [_halve(face, rater if crossed else None, rating, rng) for _ in range(HALVES)]
        split_half = _split_half(halves, np.bincount(face), weights)
        components = two_way(face, rater, rating, weights) if named else None
        kind = TWO_WAY if components else ONE_WAY
        coefficient = icc(components or one_way(face, rating, weights))
    report: dict = {
        "split_half": value_with_interval(split_half),
        "icc": {"kind": kind} | value_with_interval(coefficient),
    }
    if split_half[0] > 0:
        report["ceiling"] = value_with_interval(np.sqrt(np.clip(split_half, 0, None)))
    return report


def _in_order(judgements: pd.DataFrame) -> pd.DataFrame:
    """Judgements by face, rating and rater.

    Neither the order of lines nor the raters' names may move a bit of a sum, or who is drawn.
    Raters are therefore ordered by their judgements; those with equal ones are interchangeable.
    """
    judgements = judgements.sort_values(["filename", "rating", "rater"], ignore_index=True)
    face, rater = pd.factorize(judgements["filename"])[0], pd.factorize(judgements["rater"])[0]
    order = np.argsort(rater, kind="stable")
    ends = np.cumsum(np.bincount(rater, minlength=1))[:-1]
    own = zip(
        np.split(face[order], ends),
        np.split(judgements["rating"].to_numpy(float)[order], ends),
        strict=True,
    )
    place = np.empty(len(ends) + 1, dtype=int)
    place[
        sorted(
            range(len(place)),
            key=[faces.tobytes() + ratings.tobytes() for faces, ratings in own].__getitem__,
        )
    ] = np.arange(len(place))
    return judgements.iloc[np.lexsort((place[rater], judgements["rating"], face))]


def _lacking(
    judgements: pd.DataFrame, per_face: pd.Series, n_raters: int, named: bool
) -> str | None:
    """Why reliability can't be measured, or None."""
    twice = int((per_face >= 2).sum())
    if not len(judgements):
        return "ratings.csv has no rating of an accepted face by a rater who was not left out"
    if judgements["rating"].min() == judgements["rating"].max():
        return f"all {len(judgements)} ratings are {judgements['rating'].iloc[0]:g}"
    if named and n_raters == 1:
        return "there is only one rater"
    if twice < MIN_FACES:
        return f"{number_of(twice, 'face')} with two ratings or more, {MIN_FACES} are needed"
    means = judgements.groupby("filename")["rating"].mean()
    if np.ptp(means) <= 1e-12 * np.abs(means).max():  # equal but for rounding
        return f"the mean rating of all {len(means)} faces is {means.iloc[0]:g}"
    return None


def _resamples(faces: pd.Index, person: pd.Series | None, rng: np.random.Generator) -> np.ndarray:
    """How often each face is drawn, float64 (`RESAMPLES`, faces)."""
    who = np.arange(len(faces)) if person is None else person_groups(person.reindex(faces))
    return resampled_weights(who, RESAMPLES, rng)


def _halve(
    face: np.ndarray, rater: np.ndarray | None, rating: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Number and mean of the ratings of each face in two random halves, each of shape (2, faces).

    The mean is 0 if a half has no ratings. With `rater`, raters are halved; without, each face's
    ratings, and of an odd number either half gets one more.
    """
    n_faces = face.max() + 1
    if rater is not None:
        n_raters = rater.max() + 1
        half = (rng.permutation(n_raters) % 2)[rater]
    else:
        order = np.lexsort((rng.random(len(face)), face))
        count = np.bincount(face)
        rank = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
        half = np.empty(len(face), dtype=int)
        half[order] = (rank + np.repeat(rng.integers(0, 2, n_faces), count)) % 2
    cell = half * n_faces + face
    counts = np.bincount(cell, minlength=2 * n_faces).reshape(2, -1)
    sums = np.bincount(cell, rating, 2 * n_faces).reshape(2, -1)
    return counts, sums / np.maximum(counts, 1)


def _split_half(
    halves: list[tuple[np.ndarray, np.ndarray]], count: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Stepped-up reliability for each row of `weights` (resamples, faces)."""
    counts = np.stack([c for c, _ in halves])  # (halvings, 2, faces)
    a, b = (np.stack([means[side] for _, means in halves]).T for side in (0, 1))
    # A face whose ratings all fell into one half does not count.
    both = (counts > 0).all(axis=1).T.astype(np.float64)
    a, b = a * both, b * both
    n, sa, sb, saa, sbb, sab = (weights @ m for m in (both, a, b, a * a, b * b, a * b))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (sab - sa * sb / n) / np.sqrt((saa - sa**2 / n) * (sbb - sb**2 / n))
        # Noise of a mean, in variances of one rating.
        noise = np.where(both > 0, (1 / np.maximum(counts, 1)).mean(axis=1).T, 0)
        half_noise = (weights @ noise) / n
        whole_noise = (weights @ (1 / count)) / weights.sum(axis=1)
        r, m = np.nanmean(r, axis=1), np.nanmean(half_noise, axis=1) / whole_noise
        return r * m / (1 + (m - 1) * r)
