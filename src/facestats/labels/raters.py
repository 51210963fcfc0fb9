"""Raters whose answers say nothing about the faces: always the same, at random, or the other way
round.

Each rater is compared with the mean of the others on the same faces, tested with regard to how many
faces they rated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr

from facestats.errors import LabelError, did_you_mean, nearest_names

ALPHA = (
    0.05  # chance that anybody at all is named who agrees well enough (Bonferroni over the raters)
)
MIN_SAME = 10  # a rater who says the same of fewer faces may just have met alike ones
MIN_COMMON = 4  # faces shared with others: Fisher's z has the variance 1 / (n - 3)
AGREES = 0.05  # whose correlation is above 0 at this level is not random, however low it is
ROUNDS = 20
# Among 20 raters with a typical r of 0.58 (the built-in sample) 0.6 names 95 % of the random raters
# of 200 faces and 78 % of those of 100, but 2 to 3 % of the honest ones with r = 0.25, of 60 faces
# as of 200 (by the normal approximation of Fisher's z).
HONEST_SHARE = 0.6

CONSTANT, RANDOM, INVERTED = "always the same", "at random", "the other way round"


def suspicious_raters(judgements: pd.DataFrame) -> dict[str, dict]:
    """Named raters whose answers say nothing about the faces.

    *Always the same*: one answer to all of at least `MIN_SAME` faces, which is unlikely given how
    often the others use it. *At random*: the correlation with the mean of the others is not above 0
    (one-sided test, 5 %), and is below `HONEST_SHARE` of the typical rater's (median). *The other
    way round*: it is below 0. Correlations are tested by Fisher's z (standard error 1 / √(n − 3));
    the tests that accuse share `ALPHA` among the raters. Who was found counts no longer among the
    others, and everybody is tested again, until the same ones are found. Where most raters answer
    at random, nobody can be told apart.

    Parameters
    ----------
    judgements : `filename`, `rater` (empty where unknown: counts among the others, but is not
        tested), `rating`.

    Returns
    -------
    dict by rater, sorted: `reason`, `n` (judgements), `mean`, `sd`, `r` (with the mean of the
    others; None where one of them is constant), `n_common` (faces behind `r`), `p` (of the test
    that accuses, not corrected).
    """
    if judgements.empty:
        return {}
    judgements = judgements.sort_values(
        ["filename", "rating", "rater"]
    )  # neither the order of lines nor a name moves a bit of a sum
    face, _ = pd.factorize(judgements["filename"])
    rater, names = pd.factorize(judgements["rater"].where(judgements["rater"] != ""), sort=True)
    rating = judgements["rating"].to_numpy(float)
    constant = _constant(rater, rating, len(names))
    found = constant
    for _ in range(ROUNDS):
        agreement = _agreement(face, rater, rating, len(names), [*found])
        before, found = found, _disagreeing(agreement, [*found]) | constant
        if found.keys() == before.keys():
            break
    report = {}
    for j in sorted(found):
        own = rating[rater == j]
        r, n = agreement["r"][j], agreement["n"][j]
        report[str(names[j])] = {
            "reason": found[j]["reason"],
            "n": len(own),
            "mean": float(own.mean()),
            "sd": float(own.std(ddof=1)),
            "r": float(r) if np.isfinite(r) else None,
            "n_common": int(n),
            "p": found[j]["p"],
        }
    return report


def without_raters(
    judgements: pd.DataFrame | None, wanted: str | list[str] | None
) -> tuple[pd.DataFrame | None, dict]:
    """Leave raters out of the judgements, and say what was found.

    Parameters
    ----------
    wanted : None (nobody), `auto` (all suspicious ones) or a list of names.

    Returns
    -------
    judgements : without them.
    report : `n` named raters, `dropped` (name: reason), `suspicious` (see `suspicious_raters`;
        listed ones are not tested).

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
    if isinstance(wanted, list):
        for name in wanted:
            if name not in named:
                raise LabelError(
                    f"labels.drop_raters names {name!r}, who is no rater of a face in ratings.csv. "
                    f"{_nearest(name, named)}"
                )
        report["dropped"] = dict.fromkeys(sorted(set(wanted)), "named in labels.drop_raters")
        if judgements is not None:
            judgements = judgements[~judgements["rater"].isin(wanted)]
    if judgements is None or not named:
        return judgements, report
    report["suspicious"] = suspicious_raters(judgements)
    if wanted == "auto":
        report["dropped"] = {
            name: f"answers {seen['reason']}" for name, seen in report["suspicious"].items()
        }
        judgements = judgements[~judgements["rater"].isin(report["dropped"])]
    return judgements, report


def rater_warnings(report: dict) -> list[str]:
    """What the user should know of `without_raters`' report: suspicious raters that still count,
    and that nobody is left.
    """
    said = []
    for name, seen in report["suspicious"].items():
        if name not in report["dropped"]:
            figures = f"{seen['n']} ratings, standard deviation {seen['sd']:.3g}"
            figures += (
                "" if seen["r"] is None else f", r = {seen['r']:.2f} with the mean of the others"
            )
            said.append(
                f"rater {name} seems to answer {seen['reason']} ({figures}); labels.drop_raters: "
                "auto leaves such raters out"
            )
    if report["n"] and len(report["dropped"]) == report["n"]:
        said.append(f"labels.drop_raters leaves out all {report['n']} raters")
    return said


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
    found = {}
    for j in range(n_raters):
        own = rating[rater == j]
        if len(own) < MIN_SAME or np.ptp(own) > 0:
            continue
        _, times = np.unique(rating[rater != j], return_counts=True)
        p = float(((times / times.sum()) ** len(own)).sum()) if len(times) > 1 else 1.0
        if p * n_raters < ALPHA:
            found[j] = {"reason": CONSTANT, "p": p}
    return found


def _agreement(
    face: np.ndarray, rater: np.ndarray, rating: np.ndarray, n_raters: int, left_out: list[int]
) -> dict[str, np.ndarray]:
    """Correlation `r` (n_raters,) of each rater with the mean of the others but `left_out`, over
    the `n` faces that they share.
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
    found = {}
    for j in np.flatnonzero(tested):
        above, honest_p = ndtr(-z[j] * precision[j]), ndtr((z[j] - lowest) * precision[j])
        inverted_p = ndtr(z[j] * precision[j])
        if inverted_p * len(r) < ALPHA:
            found[int(j)] = {"reason": INVERTED, "p": float(inverted_p)}
        elif above > AGREES and honest_p * len(r) < ALPHA:
            found[int(j)] = {"reason": RANDOM, "p": float(honest_p)}
    return found
