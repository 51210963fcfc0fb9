"""The score that notebooks of this kind compute: a mean of z-scores with the golden ratio in it.

It is kept for comparison, and made of the two things that such scores are always made of: symmetry
and the golden section. Nothing here is fitted on ratings. docs/methods/measurements.md says what
further measurements would do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SIGNS = {"symmetry_score": 1, "golden_deviation": -1}  # which way each counts
_SAME = 1e-9  # a standard deviation below this share of the mean is rounding


@dataclass(frozen=True)
class ZScore:
    """Means and standard deviations of the measurements of `SIGNS` among the faces it was fitted
    on, and their number `n`.
    """

    means: dict[str, float]
    deviations: dict[str, float]
    n: int

    def __call__(self, measured: pd.DataFrame) -> np.ndarray:
        """Mean of the signed z-scores, float64 (n,), in standard deviations of the fitted faces;
        NaN where a measurement is.

        A measurement that did not vary among them counts as 0.
        """
        scores = []
        for name, sign in SIGNS.items():
            away = measured[name].to_numpy(dtype=np.float64) - self.means[name]
            scores.append(
                sign * (away / self.deviations[name] if self.deviations[name] > 0 else away * 0)
            )
        return np.mean(scores, axis=0)


def fit_zscore(measured: pd.DataFrame) -> ZScore:
    """Take means and standard deviations from faces' measurements, leaving out rows with a missing
    one.

    Without a usable row they are NaN, and so is every score.
    """
    complete = measured[list(SIGNS)].dropna()
    means, deviations = complete.mean(), complete.std(ddof=0)
    deviations = deviations.mask(deviations <= _SAME * means.abs(), 0.0)
    return ZScore(means.to_dict(), deviations.to_dict(), len(complete))
