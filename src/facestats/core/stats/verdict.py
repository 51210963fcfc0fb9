"""The verdict on a score: whether it says anything about faces that it was not trained on.

A regressor that learned nothing gives every face about the mean rating. Percentiles, deciles and
composites of its scores look like any others, and r of predictions that hardly vary may be
anything. So the report, the model card and the commands that show scores show this verdict, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from facestats.core.stats.intervals import (
    RESAMPLES,
    SEED,
    interval_text,
    percentile_interval,
    person_numbers,
    resampled_rows,
)
from facestats.core.stats.scale import to_score
from facestats.errors import number_of

MIN_PERSONS = 10  # fewer are too few for an interval
# Least standard deviation of predictions that vary, as a share of the ratings': below, R² could not
# reach 0.1 even with r = 1.
FLAT = 0.05
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
LEFT_OUT, TEST, CROSSVALIDATED = "held-out face", "test face", "cross-validated face"
MODELS = {"holistic": "mlp", "geometric": "geometric", "combined": "combined"}  # in metrics
LEVEL = 0.05  # of the permutation test
ENOUGH = 100  # persons of test faces, from which on these count beside cross-validation


@dataclass(frozen=True)
class Evidence:
    """How near predictions for some faces come to their ratings.

    Attributes
    ----------
    faces : str
        What one of them is called.
    n, n_persons : int
        Number of faces and of persons.
    r2, low, high : float
        R² with its 95 % bootstrap interval over persons. Predicting these faces' mean rating has
        R² = 0. NaN if undefined.
    spread : float
        Standard deviation of the predictions, as a share of the ratings'.
    p : float, optional
        Share of permutations of the ratings that give as high an r.
    """

    faces: str
    n: int
    n_persons: int
    r2: float
    low: float
    high: float
    spread: float
    p: float | None = None

    def doubt(self) -> tuple[str, str] | None:
        """What speaks against the score: a verdict and the end of a sentence; None if nothing."""
        on = f"on {number_of(self.n, self.faces)}"
        if self.spread < FLAT:
            return (
                SAYS_NOTHING,
                f"{on} its predictions hardly vary, by {self.spread:.1%} of what ratings do",
            )
        if self.n_persons < MIN_PERSONS:
            return NOT_SHOWN, f"{on}, too few to tell"
        by_permutations = self.p is not None and self.p <= LEVEL and self.r2 > 0
        if self.low > 0 or by_permutations:
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
    """What a score is worth.

    Attributes
    ----------
    word : str
        One of `WORST_FIRST`.
    text : str or None
        A sentence without its full stop; None if the score says something.
    evidence : tuple of Evidence
        What the verdict rests on.
    """

    word: str
    text: str | None
    evidence: tuple[Evidence, ...] = ()


def weigh(actual: np.ndarray, predicted: np.ndarray, persons: np.ndarray, faces: str) -> Evidence:
    """Compare predictions with ratings.

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
    """The verdict on the score called `name`: it says something if all evidence speaks for it."""
    if not evidence:
        return Verdict(
            NOT_MEASURED,
            f"whether the {name} score says anything is not measured: nobody rated a face that it "
            "was not trained on",
        )
    against = [doubt for part in evidence if (doubt := part.doubt())]
    if not against:
        return Verdict(SAYS_SOMETHING, None, evidence)
    in_favour = [
        f"on {number_of(part.n, part.faces)} it is closer: {part.figure()}"
        for part in evidence
        if not part.doubt()
    ]
    word = (
        SAYS_NOTHING
        if not in_favour and SAYS_NOTHING in [word for word, _ in against]
        else NOT_SHOWN
    )
    claim = "says nothing" if word == SAYS_NOTHING else "is not shown to say anything"
    return Verdict(
        word,
        f"the {name} score {claim}: {'; '.join([*(text for _, text in against), *in_favour])}",
        evidence,
    )


def crossvalidated_evidence(metrics: Mapping) -> dict[str, Evidence]:
    """Evidence by score.

    Parameters
    ----------
    metrics : mapping
        `rating` of `metrics/crossvalidated.json`.
    """
    evidence = {}
    for name, model in MODELS.items():
        figures = metrics.get(model, {})
        if metrics["why"] or not figures or figures["r2"]["value"] is None:
            continue
        r2 = figures["r2"]
        evidence[name] = Evidence(
            CROSSVALIDATED,
            metrics["n"],
            metrics["n_persons"],
            r2["value"],
            r2["low"],
            r2["high"],
            figures["spread"],
            figures["by_chance"]["p"],
        )
    return evidence


def judge_scores(
    scores: pd.DataFrame,
    ratings: pd.Series,
    persons: pd.Series,
    scale: tuple[float, float] | None,
    crossvalidated: Mapping[str, Evidence] | None = None,
) -> dict[str, Verdict]:
    """A verdict on each score that some face has.

    It rests on cross-validation, and on test faces if these are of `ENOUGH` persons. Without
    cross-validation, it rests on test faces, and on rated train and val faces that its models had
    not seen.

    Parameters
    ----------
    scores : DataFrame
        The table of scores.
    ratings : Series (n,)
        Mean ratings of its rows, null without ratings.
    persons : Series (n,)
        Groups of its rows, null for a face that is a person of its own.
    scale : (float, float) or None
        Ends of the raters' scale; None if nobody rated.
    crossvalidated : mapping of Evidence, optional
        By score.
    """
    groups = person_numbers(persons)
    rated = ratings.notna().to_numpy()
    actual = to_score(ratings.to_numpy(float), scale) if scale else np.full(len(scores), np.nan)
    verdicts = {}
    for name, column in SCORES.items():
        predicted = scores[column].to_numpy(float)
        if np.isfinite(predicted).any():
            both = rated & np.isfinite(predicted)
            unseen = [(faces, both & rows) for faces, rows in _unseen(name, scores)]
            known = (crossvalidated or {}).get(name)
            if known:
                unseen = [
                    (faces, rows)
                    for faces, rows in unseen
                    if faces == TEST and len(np.unique(groups[rows])) >= ENOUGH
                ]
            weighed = (
                weigh(actual[rows], predicted[rows], groups[rows], faces)
                for faces, rows in unseen
                if rows.any()
            )
            verdicts[name] = judge(name, (*([known] if known else []), *weighed))
    return verdicts


def doubts_of_scores(attractiveness: dict) -> list[str]:
    """A sentence, without its full stop, on each score that is not shown to say something."""
    return [verdict["text"] for verdict in attractiveness["verdicts"].values() if verdict["text"]]


def _unseen(name: str, scores: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Rows whose score comes from models that had not seen their rating."""
    val, test = ((scores["split"] == part).to_numpy() for part in ("val", "test"))
    folds = scores["out_of_fold"].to_numpy(bool)
    holistic = folds if folds.any() else val  # val stops and calibrates the main model, no more
    geometric = scores["geometric_out_of_fold"].to_numpy(bool) & ~test | val
    yield (
        LEFT_OUT,
        {"holistic": holistic, "geometric": geometric, "combined": holistic & geometric}[name],
    )
    yield TEST, test


def _r2(actual: np.ndarray, predicted: np.ndarray) -> float:
    spread = float(((actual - actual.mean()) ** 2).sum())
    return 1 - float(((predicted - actual) ** 2).sum()) / spread if spread > 1e-9 else float("nan")
