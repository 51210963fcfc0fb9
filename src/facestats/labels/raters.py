"""Suspicious raters: those who answer always the same, at random, or the other way round.

Each rater is compared with the mean of the others on the same faces; the tests allow for how many
faces they rated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr

from facestats.errors import LabelError, did_you_mean, nearest_names

ALPHA = 0.05  # chance that any honest rater at all is accused (Bonferroni over the raters)
MIN_SAME = 10  # equal answers to fewer faces may be chance
MIN_COMMON = 4  # faces shared with others: Fisher's z has the variance 1 / (n - 3)
AGREES = 0.05  # a correlation above 0 at this level is not random, however low it is
ROUNDS = 20
# Among 20 raters with a typical r of 0.58 (the built-in sample) 0.6 names 95 % of the random raters
# of 200 faces and 78 % of those of 100, but 2 to 3 % of the honest ones with r = 0.25, of 60 faces
# as of 200 (by the normal approximation of Fisher's z).
HONEST_SHARE = 0.6

CONSTANT, RANDOM, INVERTED = "always the same", "at random", "the other way round"


def suspicious_raters(judgements: pd.DataFrame) -> dict[str, dict]:
    """Find named raters whose answers do not depend on the faces as the others' do.

    *Always the same*: one answer to all of at least `MIN_SAME` faces, which is unlikely given how
    often the others use it. *At random*: the correlation with the mean of the others is not above 0
    (one-sided test, 5 %), and is below `HONEST_SHARE` of the typical rater's (median). *The other
    way round*: it is below 0. Correlations are tested by Fisher's z (standard error 1 / √(n − 3));
    the tests that accuse share `ALPHA` among the raters. Suspicious raters are then left out of the
    others' mean and everybody is tested again, until the same raters come out. If most raters
    answer at random, none can be told apart.

    Parameters
    ----------
    judgements : DataFrame
        `filename`, `rater` (if empty, it counts among the others but is not tested), `rating`.

    Returns
    -------
    dict of str to dict
        By rater, sorted: `reason`, `n` (judgements), `mean`, `sd`, `r` (with the mean of the
        others; None if one of the two is constant), `n_common` (faces behind `r`), `p` (of the test
        that accuses, not corrected).
    """
    if judgements.empty:
        return {}
    # Neither the order of lines nor a name may move a bit of a sum.
    judgements = judgements.sort_values(["filename", "rating", "rater"])
    face, _ = pd.factorize(judgements["filename"])
    rater, names = pd.factorize(judgements["rater"].where(judgements["rater"] != ""), sort=True)
    rating = judgements["rating"].to_numpy(float)
    constant = _constant(rater, rating, len(names))
    suspects = constant
    for _ in range(ROUNDS):
        agreement = _agreement(face, rater, rating, len(names), [*suspects])
        before, suspects = suspects, _disagreeing(agreement, [*suspects]) | constant
        if suspects.keys() == before.keys():
            break
    report = {}
    for code in sorted(suspects):
        own = rating[rater == code]
        correlation = agreement["r"][code]
        report[str(names[code])] = {
            "reason": suspects[code]["reason"],
            "n": len(own),
            "mean": float(own.mean()),
            "sd": float(own.std(ddof=1)),
            "r": float(correlation) if np.isfinite(correlation) else None,
            "n_common": int(agreement["n"][code]),
            "p": suspects[code]["p"],
        }
    return report


def without_raters(
    judgements: pd.DataFrame | None, drop_raters: str | list[str] | None
) -> tuple[pd.DataFrame | None, dict]:
    """Leave raters out of the judgements.

    Parameters
    ----------
    judgements : DataFrame or None
        `filename`, `rater`, `rating`; None without ratings.csv.
    drop_raters : str, list of str or None
        None (nobody), `auto` (all suspicious ones) or names.

    Returns
    -------
    judgements : DataFrame or None
        Those of the other raters.
    report : dict
        `n` named raters, `dropped` (name: reason), `suspicious` (see `suspicious_raters`; listed
        raters are not tested).

    Raises
    ------
    LabelError
        A listed rater is not in ratings.csv.
    """
    if judgements is None:
        named, report = [], {"n": 0, "dropped": {}, "suspicious": {}}
    else:
        named = sorted(set(judgements["rater"]) - {""})
        report = {"n": len(named), "dropped": {}, "suspicious": {}}
    if isinstance(drop_raters, list):
        for name in drop_raters:
            if name not in named:
                raise LabelError(
                    f"labels.drop_raters names {name!r}, who is no rater of a face in ratings.csv. "
                    f"{_nearest(name, named)}"
                )
        report["dropped"] = dict.fromkeys(sorted(set(drop_raters)), "named in labels.drop_raters")
        if judgements is not None:
            judgements = judgements[~judgements["rater"].isin(drop_raters)]
    if judgements is None or not named:
        return judgements, report
    report["suspicious"] = suspicious_raters(judgements)
    if drop_raters == "auto":
        report["dropped"] = {
            name: f"answers {rater['reason']}" for name, rater in report["suspicious"].items()
        }
        judgements = judgements[~judgements["rater"].isin(report["dropped"])]
    return judgements, report


def rater_warnings(report: dict) -> list[str]:
    """Warnings on suspicious raters that still count, by the report of `without_raters`."""
    warnings = []
    for name, rater in report["suspicious"].items():
        if name not in report["dropped"]:
            figures = f"{rater['n']} ratings, standard deviation {rater['sd']:.3g}"
            if rater["r"] is not None:
                figures += f", r = {rater['r']:.2f} with the mean of the others"
            warnings.append(
                f"rater {name} seems to answer {rater['reason']} ({figures}); labels.drop_raters: "
                "auto leaves such raters out"
            )
    if report["n"] and len(report["dropped"]) == report["n"]:
        warnings.append(f"labels.drop_raters leaves out all {report['n']} raters")
    return warnings


def agreement_with_others(judgements: pd.DataFrame) -> pd.DataFrame:
    """Correlation of each named rater with the mean of the others.

    Parameters
    ----------
    judgements : DataFrame
        `filename`, `rater` (if empty, it counts among the others), `rating`.

    Returns
    -------
    DataFrame
        By rater: `r` (null if one of the two is constant) and `n`, the faces behind it.
    """
    judgements = judgements.sort_values(["filename", "rating", "rater"])
    face, _ = pd.factorize(judgements["filename"])
    rater, names = pd.factorize(judgements["rater"].where(judgements["rater"] != ""), sort=True)
    found = _agreement(face, rater, judgements["rating"].to_numpy(float), len(names), [])
    return pd.DataFrame(found, index=pd.Index(names, name="rater"))


def _nearest(name: str, named: list[str]) -> str:
    if not named:
        return "No rater is named there"
    near = nearest_names(name, named, most=3, likeness=0.8)
    return (
        did_you_mean(sorted(near), "Did you mean")
        if near
        else f"Raters there: {', '.join(named[:10])}{', …' if len(named) > 10 else ''}"
    )


def _constant(rater: np.ndarray, rating: np.ndarray, n_raters: int) -> dict[int, dict]:
    """Raters with one answer to everything, given how often the others give each answer."""
    suspects = {}
    for code in range(n_raters):
        own = rating[rater == code]
        if len(own) < MIN_SAME or np.ptp(own) > 0:
            continue
        _, times = np.unique(rating[rater != code], return_counts=True)
        p = float(((times / times.sum()) ** len(own)).sum()) if len(times) > 1 else 1.0
        if p * n_raters < ALPHA:
            suspects[code] = {"reason": CONSTANT, "p": p}
    return suspects


def _agreement(
    face: np.ndarray, rater: np.ndarray, rating: np.ndarray, n_raters: int, left_out: list[int]
) -> dict[str, np.ndarray]:
    """Correlation `r` of each rater with the mean of the others, over the `n` faces they share.

    Both are of shape (n_raters,); raters in `left_out` do not count among the others.
    """
    counts = ~np.isin(rater, left_out)
    centred = rating - rating.mean()
    total = np.bincount(face, centred * counts)
    judged = np.bincount(face, counts)
    others = judged[face] - counts
    shared = (rater >= 0) & (others > 0)
    j, x = rater[shared], centred[shared]
    y = (total[face] - centred * counts)[shared] / others[shared]

    def by_rater(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(j, values, n_raters)

    n = by_rater()
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = x - (by_rater(x) / n)[j], y - (by_rater(y) / n)[j]
        variances = np.stack([by_rater(x * x), by_rater(y * y)])
        r = by_rater(x * y) / np.sqrt(variances.prod(axis=0))
        r[(variances <= 1e-12 * n).any(axis=0)] = np.nan
    return {"r": r, "n": n}


def _disagreeing(agreement: dict[str, np.ndarray], left_out: list[int]) -> dict[int, dict]:
    """Raters whose correlation with the others is too low to be honest."""
    r, n = agreement["r"], agreement["n"]
    tested = np.isfinite(r) & (n >= MIN_COMMON)
    honest = tested & ~np.isin(np.arange(len(r)), left_out)
    if not honest.any():
        return {}
    lowest = np.arctanh(HONEST_SHARE * np.median(r[honest]))
    z = np.arctanh(np.clip(r, -0.999999, 0.999999))
    precision = np.sqrt(np.maximum(n - 3, 1))
    suspects = {}
    for code in np.flatnonzero(tested):
        not_above = ndtr(-z[code] * precision[code])
        honest_p = ndtr((z[code] - lowest) * precision[code])
        inverted_p = ndtr(z[code] * precision[code])
        if inverted_p * len(r) < ALPHA:
            suspects[int(code)] = {"reason": INVERTED, "p": float(inverted_p)}
        elif not_above > AGREES and honest_p * len(r) < ALPHA:
            suspects[int(code)] = {"reason": RANDOM, "p": float(honest_p)}
    return suspects
