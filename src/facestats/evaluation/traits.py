"""The scores of every trait on test faces, beside ridge regression, over all and by gender."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.core import tables
from facestats.core.files import read_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.params import Evaluate
from facestats.evaluation.project import ProjectTables, counted_labels
from facestats.labels.traits import PREFIX, read_traits
from facestats.scores.blending import load_blend, load_verdicts
from facestats.traits.tables import MAIN, TRAIT_SCORES, of_trait

MODELS = ("mlp", "ridge", "geometric", "combined")
GROUPS = "gender"


@dataclass(frozen=True)
class TraitFigures:
    """What is measured of each trait; see `evaluate_traits`.

    Attributes
    ----------
    metrics : dict
        By trait, the main one first; empty without `score.traits`.
    """

    metrics: dict[str, Any]

    def headlines(self) -> dict[str, Any]:
        """`traits.<trait>.<model>`: r of each model; empty without `score.traits`."""
        rows = {
            trait: {name: facts["test"][name]["pearson"]["value"] for name in MODELS}
            for trait, facts in self.metrics.items()
        }
        return {"traits": rows} if rows else {}

    def summary(self) -> str:
        """Say r of the scores of each further trait, one a line."""
        lines = []
        for trait, facts in [*self.metrics.items()][1:]:
            values = {name: facts["test"][name]["pearson"]["value"] for name in MODELS}
            known = [f"{name}: r={r:.3f}" for name, r in values.items() if r is not None]
            lines.append(f"\n  {trait}: " + (" ".join(known) or str(facts["why"])))
        return "".join(lines)


def evaluate_traits(
    options: Evaluate,
    embeddings: EmbeddingTable,
    data: ProjectTables,
    folders: tuple[Path, Path, Path],
    main: dict[str, Any],
) -> TraitFigures:
    """Measure the scores of each trait as `evaluate_attractiveness` does those of the main one.

    Parameters
    ----------
    options : Evaluate
        The section `evaluate` of `params.yaml`.
    embeddings : EmbeddingTable
        Of all faces.
    data : ProjectTables
        Of the project.
    folders : (Path, Path, Path)
        Of the tables, of the models, of the metrics.
    main : dict
        The metrics of the main trait.

    Returns
    -------
    TraitFigures
        By trait the metrics of `Attractiveness` and, for each gender with at least
        `evaluate.min_group` rated test faces, `gender.<class>`: `n` and r of each model.
    """
    metadata, models, metrics = folders
    traits = read_traits(models / "traits")
    if not traits:
        return TraitFigures({})
    scores = tables.read_for(embeddings.names, metadata / TRAIT_SCORES.name, TRAIT_SCORES)
    known = read_json(metrics / "labels.json")
    report: dict[str, Any] = {}
    for place, trait in enumerate(traits):
        folder = models / "traits" / trait
        blend = folder / "blend.json" if place else models / "blend.json"
        column = PREFIX + trait if place else "rating"
        reliability = known["reliability"] if not place else _reliability(known, trait)
        untrained = read_json(folder / "training.json")["why"] if place else None
        labels = counted_labels(data.labels.assign(rating=data.labels[column]), data.faces)
        ratings = labels["rating"].mask(data.scores["score_withheld"].notna())

        def measured(ratings: pd.Series, trait=trait, blend=blend, labels=labels, **facts) -> dict:
            own = data.scores.copy()
            own[[*MAIN.values()]] = of_trait(scores, trait)
            return evaluate_attractiveness(
                embeddings,
                ratings,
                own["attractiveness_raw"],
                own["split"],
                options.bootstrap,
                options.seed,
                person=labels["person"],
                scale=data.scale,
                scores=own,
                weights=load_blend(blend)[0],
                verdicts=load_verdicts(blend),
                **facts,
            ).metrics

        facts = {"reliability": reliability, "untrained": untrained}
        report[trait] = measured(ratings, **facts) if place else dict(main)
        report[trait][GROUPS] = _by_gender(
            measured, ratings, data.scores["split"] == "test", labels[GROUPS], options, facts
        )
    return TraitFigures(report)


def _by_gender(measured, ratings, test, classes, options: Evaluate, facts: dict) -> dict[str, Any]:
    """R of each model on the test faces of each class, trained on all train faces."""
    rows: dict[str, Any] = {}
    counts = classes[test & ratings.notna()].value_counts()
    for name in sorted(counts.index[counts >= options.min_group]):
        own = measured(ratings.mask(test & (classes != name)), **facts)["test"]
        rows[str(name)] = {
            "n": own["n"],
            **{model: {"pearson": own[model]["pearson"]} for model in MODELS},
        }
    return rows


def _reliability(known: dict, trait: str) -> dict:
    """How well raters agree about a further trait, as `metrics/labels.json` has it."""
    if trait in known.get("traits", {}):
        return known["traits"][trait]["reliability"]
    nothing = {"value": None, "low": None, "high": None}
    return {
        "why": f"ratings.csv has no judgement of {trait}",
        "n_faces": 0,
        "n_raters": 0,
        "ratings_per_face": None,
        "split_half": nothing,
        "icc": {"kind": None, **nothing},
        "ceiling": nothing,
    }
