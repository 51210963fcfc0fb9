"""Zero-shot answers by prompts, in the place of trained models.

`tiny` was trained on drawings, and its prompts are often wrong about photographs: on OMI and 3DSK
(`../shared`) it took adults for babies, saw no beards, and saw freckles on nearly everybody. So its
prompts answer about a photograph only where they were right at least four times out of five: gender
from a probability of 0.98, anything else only where labels of this project show it.
docs/methods/attributes.md has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel
from facestats.core.ranges import in_range, range_middles
from facestats.core.tables import is_known
from facestats.core.tables.embeddings import Embeddings, take
from facestats.errors import number_of
from facestats.prompts.zeroshot import PromptClassifier

# Thresholds of `tiny` on photographs. From 0.98, answers (female, male) were right for 0.82 to 0.84
# of 745 OMI faces (0.92 and 0.89 of those whose gender raters agreed on) and for 0.90 to 0.95 of
# 100 faces of 3DSK; 55 and 66 % of the faces got an answer. Without a threshold 0.72 and 0.86 of
# the answers were right.
MEASURED = {"gender": 0.98}
LEAST_RIGHT = 0.8  # share of right answers that a threshold has to reach
CANDIDATES = 200  # thresholds that are tried
MIN_LABELLED = 20  # labelled photographs that a threshold is chosen on
MIN_ANSWERED = 10  # of these, how many the threshold has to leave with an answer
# Prompts have no labels to choose a threshold by: they abstain where they are more likely wrong
# than right.
ABSTAIN_BELOW = 0.5


@dataclass
class ZeroShotModel:
    """Prompts that answer one target, with the methods of `AttributeModel`.

    Attributes
    ----------
    target : str
        Such as `glasses`.
    kind : str
        `classification`, or `regression` where the classes are ranges of numbers.
    prompts : PromptClassifier
        The classes in words.
    abstain_below : float
        The answer of a classification whose probability is below this becomes `unknown`.
    on_photographs : float, optional
        The same threshold for photographs, of regressions too. Infinite: never an answer. None: as
        for drawings.
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
        """Predict classes (text), without abstaining, or the values of a regression (float64)."""
        return self.decide(self.predict_proba(embeddings))

    def silent(self, shares: np.ndarray, photographs: np.ndarray | bool) -> np.ndarray:
        """Whether they abstain, for each row of probabilities (n, classes): bool (n,).

        `photographs` says which rows are of photographs.
        """
        sure = shares[np.arange(len(shares)), self.choose(shares)]
        silent = np.zeros(len(shares), dtype=bool)
        if self.kind == "classification":
            silent = sure < self.abstain_below
        if self.on_photographs is None:
            return silent
        return np.where(photographs, sure < self.on_photographs, silent)

    def choose(self, shares: np.ndarray) -> np.ndarray:
        """Number of the likeliest class of each row of probabilities (n, classes)."""
        return shares.argmax(axis=1)

    def decide(self, shares: np.ndarray) -> np.ndarray:
        """Answer each row of probabilities (n, classes); a number is the ranges' weighted mean."""
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
    """Make one model per attribute, by name, sorted.

    Parameters
    ----------
    classifiers : mapping
        Prompts by attribute.
    kinds : mapping
        `classification` or `regression` by target; other attributes are classifications.
    abstain_below : float
        See `ZeroShotModel`.
    on_photographs : mapping, optional
        For prompts of `tiny`, what `thresholds_on_photographs` gives; None: photographs count as
        drawings do.

    Returns
    -------
    dict of ZeroShotModel
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
    """Find the probability from which prompts of `tiny` answer about a photograph.

    Where enough photographs have labels, it is the lowest from which every answer is right at least
    `LEAST_RIGHT` of the time; elsewhere the one in `MEASURED`.

    Parameters
    ----------
    models : mapping
        By attribute.
    embeddings : Embeddings
        (n, d), which may stay on disk: only labelled photographs are read.
    labels : DataFrame (n rows)
        By face; null, or without the column, where there is no label.
    photographs : ndarray of bool (n,)
        Which faces are photographs, and no copies of others.

    Returns
    -------
    dict of float
        By attribute; infinite where prompts never answer.
    """
    thresholds = {}
    for name, model in models.items():
        column = labels[name] if name in labels else pd.Series(np.nan, index=labels.index)
        known = is_known(column).to_numpy() & photographs
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
    """Say what is doubtful about prompts of `tiny`.

    Parameters
    ----------
    thresholds : mapping
        As `thresholds_on_photographs` gives them.
    n : int
        Photographs among the faces.

    Returns
    -------
    dict of str
        A text by attribute, and as `zeroshot` one about all of them; empty where nothing is
        doubtful.
    """
    if not (thresholds and n):
        return {}
    answering = [name for name, threshold in thresholds.items() if threshold < np.inf]
    silent = [name for name, threshold in thresholds.items() if threshold == np.inf]
    parts = []
    if answering:
        parts.append(
            f"{', '.join(answering)}: answered where it was right at least four times out of five, "
            "else unknown"
        )
    if silent:
        parts.append(f"{', '.join(silent)}: unknown")
    way_out = "label some faces, or set clip.variant to a CLIP that was trained on photographs"
    return {
        "zeroshot": "prompts of tiny, which was trained on drawings, say little about "
        f"{number_of(n, 'photograph')} ({'; '.join(parts)}); {way_out}",
        **dict.fromkeys(
            answering, "prompts of tiny, right about four times out of five on photographs"
        ),
        **dict.fromkeys(silent, f"prompts of tiny say nothing about photographs; {way_out}"),
    }


def _lowest_right(sure: np.ndarray, answer: np.ndarray, right: np.ndarray) -> float:
    """Find the lowest threshold above which each class is right often enough.

    One more mistake per class is allowed for chance.
    """
    for threshold in np.unique(np.quantile(sure, np.linspace(0, 1, CANDIDATES), method="lower")):
        answered = sure >= threshold
        if answered.sum() < MIN_ANSWERED:
            break
        by_class = [answered & (answer == name) for name in np.unique(answer[answered])]
        if all(right[rows].sum() >= LEAST_RIGHT * (rows.sum() + 1) for rows in by_class):
            return float(threshold)
    return np.inf


def fill_gaps(
    trained: Mapping[str, AttributeModel], zeroshot: Mapping[str, ZeroShotModel]
) -> dict[str, Model]:
    """Take the trained model of each target, and prompts where none was trained."""
    return {
        **trained,
        **{
            name: model
            for name, model in zeroshot.items()
            if name not in trained or not trained[name].trained
        },
    }
