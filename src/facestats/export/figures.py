"""Held-out figures of the models, by the column that a model fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facestats.labels.tables import PREFIX
from facestats.serving.run_manifest import Parts, read_metrics
from facestats.traits.tables import MAIN

# The models of `metrics/attractiveness.json`, by what they fill in `traits.tables.MAIN`.
MODELS = {
    "raw": "mlp",
    "score": "mlp",
    "pct": "mlp",
    "decile": "mlp",
    "geometric": "geometric",
    "combined": "combined",
}
NAMES = ("attractiveness", "traits", "attributes", "crossvalidated")  # of files in metrics/
RATING, ZSCORE = "rating", "geometry_zscore"
METRIC_NAMES = {
    "pearson": "Pearson r",
    "spearman": "Spearman r",
    "mae": "mean absolute error",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "coverage": "share answered",
    "accuracy_answered": "accuracy of answers",
}


@dataclass(frozen=True)
class Figure:
    """One held-out figure, with its 95 % interval where there is one."""

    metric: str
    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        interval = "" if self.low is None else f" (95 % {self.low:.3g} to {self.high:.3g})"
        return f"{METRIC_NAMES[self.metric]} {self.value:.3g}{interval}"


@dataclass(frozen=True)
class HeldOut:
    """Figures of one model, and the faces that they stand on, or why there are none, in words."""

    figures: tuple[Figure, ...] = ()
    faces: str = ""
    n: int = 0
    why: str = ""

    def __str__(self) -> str:
        if not self.figures:
            return self.why
        return f"{'; '.join(map(str, self.figures))}, on {self.faces}"


@dataclass(frozen=True)
class Figures:
    """What `metrics/` says of the models: cross-validated where that was done, else on test faces.

    Attributes
    ----------
    scores : dict of str to mapping
        Metrics of the scores by trait; the main one is the empty text, and then by its name.
    attributes : mapping
        Metrics of the attributes.
    crossvalidated : mapping
        The content of `metrics/crossvalidated.json`.
    why : str or None
        Why there are none.
    """

    scores: Mapping[str, Any]
    attributes: Mapping[str, Any]
    crossvalidated: Mapping[str, Any]
    why: str | None = None

    def of(self, column: str) -> HeldOut:
        """The figures of the model that fills a column."""
        if column == ZSCORE:
            return self.of_score("", ZSCORE)
        for trait in self.scores:
            for part, model in MODELS.items():
                if column == (f"{trait}_{part}" if trait else MAIN[part]):
                    return self.of_score(trait, model)
        target = column.removesuffix("_final")
        return self.of_attribute(target) if column != target else HeldOut()

    def of_score(self, trait: str, model: str) -> HeldOut:
        """The figures of a model of `metrics/attractiveness.json`; `` is the main trait."""
        if self.why is not None:
            return HeldOut(why=self.why)
        first = next((name for name in self.scores if name), "")  # the main trait's own name
        column = RATING if trait in ("", first) else PREFIX + trait
        everywhere = self.crossvalidated.get(column) or {}
        if everywhere.get("why") is None and everywhere.get(model):
            return _held_out(everywhere[model], everywhere["n"], "rated faces, cross-validated")
        test = self.scores.get(trait, {}).get("test") or {}
        return _held_out(test.get(model) or {}, test.get("n", 0), "test faces")

    def of_attribute(self, target: str) -> HeldOut:
        if self.why is not None:
            return HeldOut(why=self.why)
        everywhere = self.crossvalidated.get(target) or {}
        if everywhere.get("why") is None and everywhere.get("trained"):
            n = everywhere["n"]
            return _held_out(everywhere["trained"], n, "labelled faces, cross-validated")
        facts = self.attributes.get(target) or {}
        if not facts.get("trained"):
            return HeldOut()
        return _held_out(facts, facts["n"], "test faces")


def _held_out(facts: Mapping[str, Any], n: int, faces: str) -> HeldOut:
    found = []
    for metric in METRIC_NAMES:
        figure = facts.get(metric)
        if isinstance(figure, Mapping) and figure.get("value") is not None:
            found.append(Figure(metric, figure["value"], figure.get("low"), figure.get("high")))
    return HeldOut(tuple(found), f"{n} {faces}", n)


def read_figures(root: Path, parts: Parts) -> Figures:
    """Read the metrics of a project and its models, `Manifest.parts`; see `read_metrics`."""
    metrics = read_metrics(root, parts, NAMES)
    main, traits, attributes, crossvalidated = (metrics.content.get(name, {}) for name in NAMES)
    return Figures({"": main, **traits}, attributes, crossvalidated, metrics.why)
