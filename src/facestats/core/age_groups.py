"""Age groups of FairFace, derived from an age in years."""

from __future__ import annotations

import numpy as np
import pandas as pd

# Lower ends and names of the age groups of FairFace (Kärkkäinen and Joo 2021, WACV).
LOWER_ENDS = (0, 3, 10, 20, 30, 40, 50, 60, 70)
BUCKETS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")


def age_bucket(age: pd.Series | np.ndarray) -> np.ndarray:
    """FairFace's group of each age in years, as text.

    Ages below 0 count as 0, NaN gives 'unknown'.
    """
    age = np.asarray(age, dtype=float)
    place = (
        np.searchsorted(LOWER_ENDS, np.floor(np.maximum(np.nan_to_num(age), 0)), side="right") - 1
    )
    return np.where(np.isnan(age), "unknown", np.asarray(BUCKETS)[place])
