"""Whether a score says anything of faces that it was not learned from.

One rule, and one wording, for all who show scores.

A regressor that found nothing gives every face the mean rating. Percentiles, deciles and composites
of its scores look like those of any other, and r of predictions that hardly vary may be anything,
so each of them has to say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import (
    interval_text,
    percentile_interval,
    person_groups,
    resampled_rows,
)
from facestats.core.stats.scale import to_score
from facestats.errors import number_of

MIN_PERSONS = 10  # of fewer, no interval tells what others would show
# Predictions whose standard deviation is a smaller share of the ratings' hardly vary: with r = 1
# between them, R² would be below 0.1.
FLAT = 0.05
RESAMPLES, SEED = 1000, 0
SAYS_SOMETHING, NOT_SHOWN, SAYS_NOTHING, NOT_MEASURED = (
    "says something",
    "not shown",
    "says nothing",
    "not measured",
)
WORST_FIRST = (SAYS_NOTHING, NOT_SHOWN, NOT_MEASURED, SAYS_SOMETHING)
SCORES = {
    "holistic": "attractiveness_score",
    "geometric": "geometric_score",
    "combined": "combined_score",
}
LEFT_OUT, TEST = "held-out face", "test face"


@dataclass(frozen=True)
class Evidence:
    """How near predictions of some faces came to their ratings.

    Attributes
    ----------
    faces : str
        What one of them is called.
    n, n_persons : int
        How many.
    r2, low, high : float
        R² with its 95 % bootstrap interval over persons: 0 is the mean rating of these faces,
        always. NaN: not defined.
    spread : float
        Standard deviation of the predictions, as a share of the ratings'.
    """

    faces: str
    n: int
    n_persons: int
    r2: float
    low: float
    high: float
    spread: float

    def doubt(self) -> tuple[str, str] | None:
        """What speaks against the score, as a verdict and the end of a sentence; None.

        Nothing does.
        """
        on = f"on {number_of(self.n, self.faces)}"
        if self.spread < FLAT:
            return (
                SAYS_NOTHING,
                f"{on} its predictions hardly vary, by {self.spread:.1%} of what ratings do",
            )
        if self.n_persons < MIN_PERSONS:
            return NOT_SHOWN, f"{on}, too few to tell"
        if self.low > 0:
            return None
        if self.r2 > 0:
            return (
                NOT_SHOWN,
                f"{on} it may be no closer to the ratings than their mean is: {self.figure()}",
            )
        return (
            SAYS_NOTHING,
            f"{on} it is no closer to the ratings than their mean is: {self.figure()}",
        )

    def figure(self) -> str:
        """R² with its interval."""
        r2 = {"value": self.r2, "low": self.low, "high": self.high}
        return f"R² {interval_text(r2, named=True)}"


@dataclass(frozen=True)
class Verdict:
    """What a score is worth: `word` is one of the four above.

    `text` a whole sentence without its full stop, None where it says something.
    """

    word: str
    text: str | None
    evidence: tuple[Evidence, ...] = ()


def weigh(actual: np.ndarray, predicted: np.ndarray, persons: np.ndarray, faces: str) -> Evidence:
    """Hold predictions against ratings.

    Parameters
    ----------
    actual, predicted : ndarray (n,)
        In one unit, n ≥ 1.
    persons : ndarray of int (n,)
        Whose face each is.
    faces : str
        What one of them is called.
    """
    n, spread = len(actual), float(np.std(actual))
    drawn = [
        _r2(actual[rows], predicted[rows])
        for rows in resampled_rows(n, RESAMPLES, SEED, np.unique(persons, return_inverse=True)[1])
    ]
    return Evidence(
        faces,
        n,
        len(np.unique(persons)),
        _r2(actual, predicted),
        **percentile_interval(drawn),
        spread=float(np.std(predicted)) / spread if spread else float("nan"),
    )


def judge(name: str, evidence: tuple[Evidence, ...]) -> Verdict:
    """The verdict on the score called `name`: all evidence has to speak for it."""
    if not evidence:
        return Verdict(
            NOT_MEASURED,
            f"whether the {name} score says anything is not measured: nobody rated a face that it "
            "was not trained on",
        )
    against = [doubt for one in evidence if (doubt := one.doubt())]
    if not against:
        return Verdict(SAYS_SOMETHING, None, evidence)
    speak_for = [
        f"on {number_of(one.n, one.faces)} it is closer: {one.figure()}"
        for one in evidence
        if not one.doubt()
    ]
    word = (
        SAYS_NOTHING
        if not speak_for and SAYS_NOTHING in [word for word, _ in against]
        else NOT_SHOWN
    )
    claim = "says nothing" if word == SAYS_NOTHING else "is not shown to say anything"
    return Verdict(
        word,
        f"the {name} score {claim}: {'; '.join([*(text for _, text in against), *speak_for])}",
        evidence,
    )


def judge_scores(
    scores: pd.DataFrame, ratings: pd.Series, persons: pd.Series, scale: tuple[float, float] | None
) -> dict[str, Verdict]:
    """A verdict on each score that some face has.

    By test faces, and by rated train and val faces that its models had not seen.

    Parameters
    ----------
    scores : DataFrame
        The table of scores.
    ratings, persons : Series
        Of the same rows, null where nobody rated and where a face is a person of its own.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.
    """
    groups = person_groups(persons.reset_index(drop=True))
    rated = ratings.notna().to_numpy()
    actual = to_score(ratings.to_numpy(float), scale) if scale else np.full(len(scores), np.nan)
    verdicts = {}
    for name, column in SCORES.items():
        predicted = scores[column].to_numpy(float)
        if np.isfinite(predicted).any():
            there = rated & np.isfinite(predicted)
            verdicts[name] = judge(
                name,
                tuple(
                    weigh(actual[rows], predicted[rows], groups[rows], faces)
                    for faces, rows in (
                        (faces, there & rows) for faces, rows in _unseen(name, scores)
                    )
                    if rows.any()
                ),
            )
    return verdicts


def doubts_of_scores(attractiveness: dict) -> list[str]:
    """A sentence, without its full stop, on each score that says nothing, or is not shown to."""
    return [verdict["text"] for verdict in attractiveness["verdicts"].values() if verdict["text"]]


def _unseen(name: str, scores: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Rows whose score comes from models that had not seen their rating."""
    split = scores["split"].to_numpy()
    val, folds = split == "val", scores["out_of_fold"].to_numpy(bool)
    holistic = folds if folds.any() else val  # val stops and calibrates the main model, no more
    geometric = scores["geometric_out_of_fold"].to_numpy(bool) & (split != "test") | val
    yield (
        LEFT_OUT,
        {"holistic": holistic, "geometric": geometric, "combined": holistic & geometric}[name],
    )
    yield TEST, split == "test"


def _r2(actual: np.ndarray, predicted: np.ndarray) -> float:
    spread = float(((actual - actual.mean()) ** 2).sum())
    return 1 - float(((predicted - actual) ** 2).sum()) / spread if spread > 1e-9 else float("nan")
