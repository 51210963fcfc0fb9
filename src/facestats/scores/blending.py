"""The weights of the geometric and the holistic score in the combined one."""

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
# Where two scores miss ratings by 12 points and differ by 6, the standard error of the learned
# weight is 0.5 with 20 faces and 0.2 with 70 (simulated).
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
        Whether they are fitted on val faces; else `score.weights` gives them.
    n_val : int
        Faces that they were fitted on; 0 if they are not learned.
    why : str, optional
        Why there is no combined score.
    """

    geometric: float | None = None
    holistic: float | None = None
    learned: bool = False
    n_val: int = 0
    why: str | None = None

    def __call__(self, geometric: np.ndarray, holistic: np.ndarray) -> np.ndarray:
        """Combine scores (0–100, float64); NaN where either is, or without weights."""
        if self.why or self.geometric is None or self.holistic is None:
            return np.full(np.shape(geometric), np.nan)
        return blend(geometric, holistic, {"geometric": self.geometric, "holistic": self.holistic})


def blend_weights(
    weights: Mapping[str, float] | str,
    scores: pd.DataFrame,
    ratings: pd.Series,
    scale: tuple[float, float] | None,
    missing: str | None = None,
) -> BlendWeights:
    """Take the weights from `score.weights`, or learn them.

    Parameters
    ----------
    weights : mapping or str
        Shares of `geometric` and `holistic`, or `learned`.
    scores : DataFrame
        The table of scores, `combined_score` not needed.
    ratings : Series
        Mean human rating of the same rows, null where nobody rated.
    scale : (float, float), optional
        Ends of the raters' scale.
    missing : str, optional
        Why there are no geometric scores, where it is known.

    Returns
    -------
    BlendWeights
    """
    if why := _why_none(scores, missing):
        return BlendWeights(learned=weights == LEARNED, why=why)
    if weights == LEARNED:
        return learn_weights(scores, ratings, scale)
    assert not isinstance(weights, str)
    return BlendWeights(weights["geometric"], weights["holistic"])


def learn_weights(
    scores: pd.DataFrame, ratings: pd.Series, scale: tuple[float, float] | None
) -> BlendWeights:
    """Fit the weights, in [0, 1] and adding up to 1, to ratings of val faces by least squares.

    Both scores of a val face come from models that did not learn from its rating, so a face whose
    fold could not be trained does not count. Where `mlp.folds` is 0, holistic scores are those of
    the main model, which val faces stopped and calibrated.

    Parameters
    ----------
    scores, ratings, scale
        See `blend_weights`.

    Returns
    -------
    BlendWeights
    """
    if why := _why_none(scores):
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
    assert scale is not None  # there are rated faces
    residuals = to_score(ratings.to_numpy(float)[chosen], scale) - holistic[chosen]
    spread = float(apart @ apart)
    if not spread:
        return BlendWeights(
            learned=True,
            n_val=n,
            why="both scores of each val face are the same; any weights would do",
        )
    weight = float(np.clip(apart @ residuals / spread, 0, 1))
    return BlendWeights(weight, 1 - weight, learned=True, n_val=n)


def _why_none(scores: pd.DataFrame, missing: str | None = None) -> str | None:
    """Say why no face can have a combined score; None where one can."""
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
    """Write the weights, the raters' scale, and the verdicts on the scores: `models/blend.json`.

    Parameters
    ----------
    path : Path
        Of the file.
    weights : BlendWeights
        Of the combined score.
    scale : (float, float), optional
        Ends of the raters' scale, in which the geometric model predicts.
    verdicts : mapping, optional
        By score.
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
    """Read weights and scale from `models/blend.json`.

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
    """Read the verdict on each score, with the fields of `Verdict`, from `models/blend.json`.

    Raises
    ------
    ModelError
        The file is missing or damaged.
    """
    load_blend(path)
    return json.loads(path.read_text(encoding="utf-8"))["verdicts"]
