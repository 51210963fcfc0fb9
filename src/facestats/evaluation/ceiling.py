"""How much of what can be predicted a model predicts."""

from __future__ import annotations

import numpy as np


def share_of_ceiling(
    pearson: dict[str, float], ceiling: dict[str, float | None]
) -> dict[str, float]:
    """A correlation with the mean rating, divided by the highest that can be expected, √reliability.

    Both are estimates with an interval (`value`, `low`, `high`), of different faces; the interval of their ratio is put together
    from the two by the method of variance estimates recovery (Donner & Zou 2012, doi:10.1177/0962280210383082),
    which needs no symmetric intervals. NaN where either is not known, the ends also where the ceiling is hardly above 0. Chance may take the share above 1.
    """
    known = [pearson[key] for key in ("value", "low", "high")] + [
        ceiling[key] for key in ("value", "low", "high")
    ]
    if any(number is None or not np.isfinite(number) for number in known):
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    r, r_low, r_high, c, c_low, c_high = known
    return {
        "value": r / c,
        "low": _bound(r, r_low, c, c_high, -1),
        "high": _bound(r, r_high, c, c_low, 1),
    }


def _bound(a: float, a_end: float, b: float, b_end: float, side: int) -> float:
    divisor = b_end * (2 * b - b_end)
    if divisor <= 0:
        return float("nan")
    square = max(0.0, (a * b) ** 2 - a_end * (2 * a - a_end) * divisor)
    return (a * b + side * float(np.sqrt(square))) / divisor
