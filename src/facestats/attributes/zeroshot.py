"""Zero-shot answers beside those of trained models: the same questions, asked in words.

`tiny` was trained on drawings. What its prompts say of photographs is wrong more often than people
expect: on OMI and 3DSK (`../shared`) it found babies' ages in adults, beards on nobody, and
freckles on nearly everybody. So its prompts answer about a photograph only where they were right at
least four times of five: gender from a probability of 0.98 on, and anything else only where labels
of this project show it. docs/methods/attributes.md has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel
from facestats.core.ranges import in_range, range_middles
from facestats.core.tables import UNKNOWN
from facestats.core.tables.embeddings import Embeddings, take
from facestats.errors import number_of
from facestats.prompts.zeroshot import PromptClassifier

# On photographs, for prompts of `tiny`. From 0.98 on each answer, female and male, was right in
# 0.82 to 0.84 of 745 OMI faces (those judged clearly one or the other: 0.92 and 0.89) and in 0.90
# to 0.95 of 100 of 3DSK, and 55 and 66 % of the faces got one; of all answers 0.72 and 0.86 are
# right.
MEASURED = {"gender": 0.98}
LEAST_RIGHT = 0.8
CANDIDATES = 200  # thresholds that are looked at
MIN_LABELLED, MIN_ANSWERED = (
    20,
    10,
)  # labelled photographs that can tell, and how many of them the threshold has to leave an answer
# Prompts that take their own answer for wrong rather than right say `unknown`; no labels, so
# nothing to choose it by.
ABSTAIN_BELOW = 0.5


@dataclass
class ZeroShotModel:
    """What prompts say about one target; answers as `AttributeModel` does.

    Attributes
    ----------
    target : str
        Such as `glasses`.
    kind : str
        `classification`, or `regression` where the classes are ranges of numbers.
    prompts : PromptClassifier
        The classes in words.
    abstain_below : float
        A best probability below this makes the answer of a classification `unknown`.
    on_photographs : float, optional
        The same of photographs, and of numbers too; infinite: never an answer; None: as of
        drawings.
    """

    target: str
    kind: str
    prompts: PromptClassifier
    abstain_below: float = ABSTAIN_BELOW
    on_photographs: float | None = None
    source: ClassVar[str] = "zeroshot"
    trained: ClassVar[bool] = True  # on captions, with the text tower

    @property
    def classes(self) -> list[str]:
        return self.prompts.classes

    def predict_proba(self, embeddings: np.ndarray) -> np.ndarray:
        """Probability of each class: float64 array (n, classes)."""
        return self.prompts.predict_proba(embeddings)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """The likeliest class, never abstaining (text), or the value of a regression (float64)."""
        return self.decide(self.predict_proba(embeddings))

    def silent(self, shares: np.ndarray, photographs: np.ndarray | bool) -> np.ndarray:
        """Which rows of probabilities (n, classes) get no answer: bool (n,).

        `photographs` says which of them are of photographs.
        """
        sure = shares[np.arange(len(shares)), self.choose(shares)]
        drawn = (
            sure < self.abstain_below
            if self.kind == "classification"
            else np.zeros(len(shares), dtype=bool)
        )
        return (
            drawn
            if self.on_photographs is None
            else np.where(photographs, sure < self.on_photographs, drawn)
        )

    def choose(self, shares: np.ndarray) -> np.ndarray:
        """Number of the likeliest class of each row of probabilities (n, classes)."""
        return shares.argmax(axis=1)

    def decide(self, shares: np.ndarray) -> np.ndarray:
        """What `predict` makes of probabilities (n, classes).

        A number is the ranges' middles, weighted by them.
        """
        if self.kind == "regression":
            return shares @ np.asarray(range_middles(self.classes))
        return np.asarray(self.classes, dtype=object)[self.choose(shares)]


Model = AttributeModel | ZeroShotModel


def zeroshot_models(
    classifiers: Mapping[str, PromptClassifier],
    kinds: Mapping[str, str],
    abstain_below: float = ABSTAIN_BELOW,
    on_photographs: Mapping[str, float] | None = None,
) -> dict[str, ZeroShotModel]:
    """One model an attribute, by name, sorted.

    Parameters
    ----------
    kinds : mapping
        Of the targets that there are; any other attribute is a classification.
    on_photographs : mapping, optional
        Of prompts of `tiny`, `thresholds_on_photographs`; None: photographs are as drawings.
    """
    return {
        name: ZeroShotModel(
            name,
            kinds.get(name, "classification"),
            classifiers[name],
            abstain_below,
            None if on_photographs is None else on_photographs.get(name, np.inf),
        )
        for name in sorted(classifiers)
    }


def thresholds_on_photographs(
    models: Mapping[str, ZeroShotModel],
    embeddings: Embeddings,
    labels: pd.DataFrame,
    photographs: np.ndarray,
) -> dict[str, float]:
    """Of prompts of `tiny`, the probability from which on they answer about a photograph.

    Infinite where they never do.

    Where enough photographs have labels, it is chosen by these: the lowest from which on each
    answer is right at least `LEAST_RIGHT` of the time. Without them it is what was measured
    elsewhere.

    Parameters
    ----------
    embeddings : Embeddings
        (n, d), which may stay on disk: labelled photographs are read.
    labels : DataFrame
        By face, same rows; columns that are missing or null say nothing.
    photographs : ndarray of bool (n,)
        Which faces are photographs, and no copies of others.
    """
    thresholds = {}
    for name, model in models.items():
        column = labels[name] if name in labels else pd.Series(np.nan, index=labels.index)
        known = column.notna().to_numpy() & (column != UNKNOWN).to_numpy() & photographs
        if known.sum() < MIN_LABELLED:
            thresholds[name] = MEASURED.get(name, np.inf)
            continue
        probabilities = model.predict_proba(take(embeddings, known))
        answer = np.asarray(model.classes, dtype=object)[model.choose(probabilities)]
        actual = column[known].to_numpy()
        right = (
            in_range(pd.to_numeric(actual, errors="coerce"), answer.tolist())
            if model.kind == "regression"
            else answer == actual
        )
        thresholds[name] = _lowest_right(probabilities.max(axis=1), answer, right)
    return thresholds


def doubts_on_photographs(thresholds: Mapping[str, float], n: int) -> dict[str, str]:
    """What is doubtful about prompts of `tiny`.

    A text by attribute, and below `zeroshot` one about all of them.

    Parameters
    ----------
    n : int
        Photographs among the faces.
    """
    telling, silent = (
        [name for name, t in thresholds.items() if t < np.inf],
        [name for name, t in thresholds.items() if t == np.inf],
    )
    if not (thresholds and n):
        return {}
    parts = (
        [f"{', '.join(telling)}: said where it was right at least four times of five, else unknown"]
        if telling
        else []
    )
    parts += [f"{', '.join(silent)}: unknown"] if silent else []
    way_out = "label some faces, or set clip.variant to a CLIP that was trained on photographs"
    return {
        "zeroshot": "prompts of tiny, which was trained on drawings, say little about "
        f"{number_of(n, 'photograph')} ({'; '.join(parts)}); {way_out}",
        **dict.fromkeys(telling, "prompts of tiny, right about four times of five on photographs"),
        **dict.fromkeys(silent, f"prompts of tiny say nothing about photographs; {way_out}"),
    }


def _lowest_right(sure: np.ndarray, answer: np.ndarray, right: np.ndarray) -> float:
    """The lowest probability from which on every answer that is given at all is right often enough,
    one mistake more being granted to chance.
    """
    for threshold in np.unique(np.quantile(sure, np.linspace(0, 1, CANDIDATES), method="lower")):
        given = sure >= threshold
        if given.sum() < MIN_ANSWERED:
            break
        if all(
            right[given & (answer == a)].sum() >= LEAST_RIGHT * ((given & (answer == a)).sum() + 1)
            for a in np.unique(answer[given])
        ):
            return float(threshold)
    return np.inf


def fill_gaps(
    trained: Mapping[str, AttributeModel], zeroshot: Mapping[str, ZeroShotModel]
) -> dict[str, Model]:
    """The trained model of each target.

    Zero-shot where none was trained, and for attributes that are no target.
    """
    return {
        **trained,
        **{
            name: model
            for name, model in zeroshot.items()
            if name not in trained or not trained[name].trained
        },
    }
