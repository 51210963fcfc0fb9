"""Zero-shot answers beside those of trained models: the same questions, asked in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from facestats.attributes.model import AttributeModel
from facestats.attributes.ranges import range_middles
from facestats.clip.zeroshot import PromptClassifier

ABSTAIN_BELOW = 0.5  # prompts that take their own answer for wrong rather than right say `unknown`; no labels, so nothing to choose it by


@dataclass
class ZeroShotModel:
    """What prompts say about one target; answers as `AttributeModel` does.

    Attributes
    ----------
    target : such as `glasses`.
    kind : `classification`, or `regression` where the classes are ranges of numbers.
    prompts : the classes in words.
    abstain_below : a best probability below this makes the answer of a classification `unknown`.
    """

    target: str
    kind: str
    prompts: PromptClassifier
    abstain_below: float = ABSTAIN_BELOW
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

    def choose(self, shares: np.ndarray) -> np.ndarray:
        """Number of the likeliest class of each row of probabilities (n, classes)."""
        return shares.argmax(axis=1)

    def decide(self, shares: np.ndarray) -> np.ndarray:
        """What `predict` makes of probabilities (n, classes): a number is the ranges' middles, weighted by them."""
        if self.kind == "regression":
            return shares @ np.asarray(range_middles(self.classes))
        return np.asarray(self.classes, dtype=object)[self.choose(shares)]


Model = AttributeModel | ZeroShotModel


def zeroshot_models(classifiers: Mapping[str, PromptClassifier], kinds: Mapping[str, str],
                    abstain_below: float = ABSTAIN_BELOW) -> dict[str, ZeroShotModel]:
    """One model an attribute, by name, sorted.

    Parameters
    ----------
    kinds : of the targets that there are; any other attribute is a classification.
    """
    return {name: ZeroShotModel(name, kinds.get(name, "classification"), classifiers[name], abstain_below)
            for name in sorted(classifiers)}


def fill_gaps(trained: Mapping[str, AttributeModel], zeroshot: Mapping[str, ZeroShotModel]) -> dict[str, Model]:
    """The trained model of each target; zero-shot where none was trained, and for attributes that are no target."""
    return {**trained, **{name: model for name, model in zeroshot.items()
                          if name not in trained or not trained[name].trained}}
