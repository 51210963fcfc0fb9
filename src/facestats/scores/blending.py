"""How much the geometric and the holistic score count in the combined one.

Given, or learned from val faces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facestats.core.files import write_json
from facestats.core.stats.scale import blend, to_score
from facestats.core.stats.verdict import Verdict
from facestats.errors import ModelError, number_of

LEARNED = "learned"
# Fewer say nothing: of two scores that miss ratings by 12 points and differ by 6, 20 faces know the
# weight to a standard error of 0.5 and 70 faces to one of 0.2 (simulated).
MIN_FACES = 20
NO_HOLISTIC = "no face has a holistic score, for no regressor was trained"
NO_GEOMETRIC = "no face has a geometric score"
NO_ADULT = "no face gets a score, for all may be under score.min_age"


@dataclass(frozen=True)
class BlendWeights:
    """Shares of the combined score, as `models/blend.json` holds them.

    Attributes
    ----------
    geometric, holistic : float, optional
        They add up to 1; None where there is no combined score.
    learned : bool
        Fitted on val faces, not given.
    n_val : int
        Faces that they were fitted on; 0 where they were given.
    why : str, optional
        Why there is no combined score.
    """

    geometric: float | None = None
    holistic: float | None = None
    learned: bool = False
    n_val: int = 0
    why: str | None = None

    def __call__(self, geometric: np.ndarray, holistic: np.ndarray) -> np.ndarray:
        """Combined scores (0–100, float64).

        NaN where either score is, or where there are no weights.
        """
        if self.why or self.geometric is None or self.holistic is None:
            return np.full(np.shape(geometric), np.nan)
        return blend(geometric, holistic, {"geometric": self.geometric, "holistic": self.holistic})


def blend_weights(
    wanted: Mapping[str, float] | str,
    scores: pd.DataFrame,
    ratings: pd.Series,
    scale: tuple[float, float] | None,
    missing: str | None = None,
) -> BlendWeights:
    """The weights that `score.weights` asks for.

    Parameters
    ----------
    wanted : Mapping[str, float] or str
        Shares of `geometric` and `holistic`, or `learned`.
    scores : DataFrame
        The table of scores, `combined_score` not needed.
    ratings : Series
        Mean human rating of the same rows, null where nobody rated.
    scale : (float, float), optional
        Ends of the raters' scale.
    missing : str, optional
        Why there are no geometric scores, where it is known.
    """
    if why := _lacking(scores, missing):
        return BlendWeights(learned=wanted == LEARNED, why=why)
    if wanted == LEARNED:
        return learn_weights(scores, ratings, scale)
    assert not isinstance(wanted, str)
    return BlendWeights(wanted["geometric"], wanted["holistic"])


def learn_weights(
    scores: pd.DataFrame, ratings: pd.Series, scale: tuple[float, float] | None
) -> BlendWeights:
    """Least squares of the rating on both scores among rated val faces.

    Weights in [0, 1] that add up to 1.

    Both scores of a val face come from models that did not learn from its rating: a face whose fold
    could not be trained does not count. Only where `mlp.folds` is 0, holistic scores are by the
    model that val stopped and calibrated.
    """
    if why := _lacking(scores):
        return BlendWeights(learned=True, why=why)
    geometric, holistic = (
        scores["geometric_score"].to_numpy(float),
        scores["attractiveness_score"].to_numpy(float),
    )
    chosen = (
        (scores["split"] == "val").to_numpy()
        & ratings.notna().to_numpy()
        & np.isfinite(geometric)
        & np.isfinite(holistic)
    )
    if scores["out_of_fold"].any():
        chosen &= scores["out_of_fold"].to_numpy(bool)
    n = int(chosen.sum())
    if n < MIN_FACES:
        return BlendWeights(
            learned=True,
            n_val=n,
            why=f"{number_of(n, 'rated val face')} {'has' if n == 1 else 'have'} both scores, "
            f"{MIN_FACES} are needed to learn the weights",
        )
    apart = geometric[chosen] - holistic[chosen]
    assert scale is not None  # or there would be no rated faces
    missed = to_score(ratings.to_numpy(float)[chosen], scale) - holistic[chosen]
    spread = float(apart @ apart)
    if not spread:
        return BlendWeights(
            learned=True,
            n_val=n,
            why="both scores of each val face are the same; any weights would do",
        )
    weight = float(np.clip(apart @ missed / spread, 0, 1))
    return BlendWeights(weight, 1 - weight, learned=True, n_val=n)


def _lacking(scores: pd.DataFrame, missing: str | None = None) -> str | None:
    """Why no face can have a combined score."""
    if "score_withheld" in scores and len(scores) and scores["score_withheld"].notna().all():
        return NO_ADULT
    if scores["attractiveness_score"].isna().all():
        return NO_HOLISTIC
    if scores["geometric_score"].isna().all():
        return f"{NO_GEOMETRIC}: {missing}" if missing else NO_GEOMETRIC
    return None


def save_blend(
    path: Path,
    weights: BlendWeights,
    scale: tuple[float, float] | None,
    verdicts: Mapping[str, Verdict] | None = None,
) -> None:
    """Write `models/blend.json`.

    The weights, the ends of the raters' scale, which the geometric model's ratings are on, and what
    each score is worth.
    """
    write_json(
        path,
        {
            **asdict(weights),
            "scale": scale,
            "verdicts": {name: asdict(verdict) for name, verdict in (verdicts or {}).items()},
        },
    )


def load_blend(path: Path) -> tuple[BlendWeights, tuple[float, float] | None]:
    """Weights and scale out of `models/blend.json`.

    Raises
    ------
    ModelError
        The file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scale = content.pop("scale")
        del content["verdicts"]
        weights = BlendWeights(**content)
        if not weights.why and abs((weights.geometric or 0) + (weights.holistic or 0) - 1) > 1e-9:
            raise ValueError("the weights do not add up to 1")
        if scale is not None:
            low, high = map(float, scale)
            scale = low, high
        return weights, scale
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; `dvc repro score` makes it") from None
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        raise ModelError(
            f"{path} does not hold the weights of the scores; `dvc repro -f score` makes it anew"
        ) from None


def load_verdicts(path: Path) -> dict[str, dict]:
    """What each score is worth, by its name, as `Verdict` has it, out of `models/blend.json`.

    Raises
    ------
    ModelError
        The file is missing or damaged.
    """
    load_blend(path)
    return json.loads(path.read_text(encoding="utf-8"))["verdicts"]
