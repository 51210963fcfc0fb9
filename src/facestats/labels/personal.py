"""How far one rater can be predicted: the correlation of each with the mean of the others.

The mean of many raters is known far better than the taste of one: a model that predicts the mean
as well as it can still says little about what one person likes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import NOT_MEASURED, RESAMPLES, SEED, percentile_interval
from facestats.labels.raters import agreement_with_others

MIN_FACES = 10  # shared with others; a correlation over fewer says nothing about one rater
MIN_RATERS = 3
MOST_NAMED = 50  # raters whose own figures are listed


def measure_personal(judgements: pd.DataFrame | None, names: bool = True) -> dict[str, Any]:
    """Correlation of each rater with the mean of the others, over the faces that they share.

    Parameters
    ----------
    judgements : DataFrame or None
        `filename`, `rater`, `rating`; None without ratings.csv.
    names : bool
        List each rater's figure, if there are at most `MOST_NAMED`.

    Returns
    -------
    dict
        `why` nothing was measured or None, `n_raters`, `r` (`value`: the mean over raters, `low`
        and `high`: its 95 % bootstrap interval over raters), `quartiles` (of raters), `raters`
        (r by name). The group mean's own figures are `reliability`.
    """
    report: dict[str, Any] = {
        "why": None,
        "n_raters": 0,
        "r": dict(NOT_MEASURED),
        "quartiles": None,
        "raters": {},
    }
    if judgements is None:
        return report | {"why": "there is no ratings.csv"}
    named = judgements[judgements["rater"] != ""]
    if named.empty:
        return report | {"why": "ratings.csv does not name its raters"}
    every = agreement_with_others(judgements)
    known = every[(every["n"] >= MIN_FACES) & every["r"].notna()]["r"]
    report["n_raters"] = len(known)
    if len(known) < MIN_RATERS:
        return report | {
            "why": f"{len(known)} raters share {MIN_FACES} faces or more with others, "
            f"{MIN_RATERS} are needed"
        }
    values = np.sort(known.to_numpy())  # a rater's name may not move a bit of the mean
    drawn = np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))
    report["r"] = {
        "value": float(values.mean()),
        **percentile_interval(values[drawn].mean(axis=1)),
    }
    report["quartiles"] = [float(q) for q in np.quantile(values, (0.25, 0.5, 0.75))]
    if names and len(known) <= MOST_NAMED:
        report["raters"] = {str(name): float(r) for name, r in known.sort_index().items()}
    return report
