"""The scores of every trait on test faces, beside ridge regression, over all and by gender."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.core import tables
from facestats.core.files import read_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.crossvalidation.classes import by_class
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.evaluate_project import SCORED_BY, ProjectTables, counted_labels
from facestats.evaluation.params import Evaluate
from facestats.evaluation.rater_groups import evaluate_groups
from facestats.labels.tables import RATER_GROUPS
from facestats.labels.traits import PREFIX, read_traits
from facestats.scores.blending import load_blend, load_verdicts
from facestats.traits.tables import MAIN, TRAIT_SCORES, of_trait

GROUPS = "gender"


@dataclass(frozen=True)
class TraitFigures:
    """What is measured of each trait; see `evaluate_traits`.

    Attributes
    ----------
    metrics : dict
        By trait, the main one first; empty without `score.traits`.
    of_main : dict
        `rater_groups` of the main score; empty without groups of raters.
    points : dict of str to DataFrame
        `actual` and `predicted` rating of faces that the holistic model had not seen, by trait.
    """

    metrics: dict[str, Any]
    of_main: dict[str, Any]
    points: dict[str, pd.DataFrame] = field(default_factory=dict)

    def headlines(self) -> dict[str, Any]:
        """`traits.<trait>.<model>`: r of each model; empty without `score.traits`."""
        rows = {
            trait: {name: best_figures(measured)[name]["pearson"]["value"] for name in SCORED_BY}
            for trait, measured in self.metrics.items()
        }
        return {"traits": rows} if rows else {}

    def summary(self) -> str:
        """Say r of the scores of each further trait, one a line."""
        lines = []
        for trait, measured in [*self.metrics.items()][1:]:
            values = {name: best_figures(measured)[name]["pearson"]["value"] for name in SCORED_BY}
            known = [f"{name}: r={r:.3f}" for name, r in values.items() if r is not None]
            lines.append(f"\n  {trait}: " + (" ".join(known) or str(measured["why"])))
        return "".join(lines)


def best_figures(measured: dict[str, Any]) -> dict[str, Any]:
    """The figures of a trait to lead with: cross-validated ones, else those on test faces."""
    return measured["test"] if measured["crossvalidated"]["why"] else measured["crossvalidated"]


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
        By trait the metrics of `Attractiveness`; `crossvalidated`, as `metrics/crossvalidated.json`
        has it of the main trait; `gender.<class>`, n and r of each model by cross-validation, else
        on at least `evaluate.min_group` test faces; and `rater_groups`.
    """
    metadata, models, metrics = folders
    means = tables.read(metadata / RATER_GROUPS.name, RATER_GROUPS)
    traits = read_traits(models / "traits")
    scores = tables.read_for(embeddings.names, metadata / TRAIT_SCORES.name, TRAIT_SCORES)
    known = read_json(metrics / "labels.json")
    crossvalidated = read_json(metrics / "crossvalidated.json")
    predicted = tables.read(metadata / CROSSVALIDATED.name, CROSSVALIDATED)
    report: dict[str, Any] = {}
    points: dict[str, pd.DataFrame] = {}
    of_main = _Trait("", data, data.scores, "rating").rater_groups(options, means, predicted)
    for place, name in enumerate(traits):
        own = data.scores.copy()
        own[[*MAIN.values()]] = of_trait(scores, name)
        if not place:
            trait = _Trait("", data, own, "rating", models / "blend.json", known["reliability"])
            measured = main | of_main
        else:
            folder = models / "traits" / name
            untrained = read_json(folder / "training.json")["why"]
            blend, agreement = folder / "blend.json", _reliability(known, name)
            trait = _Trait(name, data, own, PREFIX + name, blend, agreement, untrained)
            measured = trait.measure(options, embeddings) | trait.rater_groups(
                options, means, predicted
            )
        held_out = crossvalidated[trait.column]
        if held_out["why"]:
            by_gender, points[name] = trait.by_gender(options, embeddings), trait.points()
        else:
            rows = predicted[predicted["target"] == trait.column]
            by_gender = by_class(rows, data.labels[GROUPS], Plan.of(options))
            rows = rows[rows["model"] == "mlp"].groupby("filename")
            points[name] = rows[["actual", "predicted"]].mean()
        report[name] = measured | {"crossvalidated": held_out, GROUPS: by_gender}
    return TraitFigures(report, of_main, points)


@dataclass(frozen=True)
class _Trait:
    """A trait that is measured: its name in `rater_groups.parquet`, ratings and scores."""

    name: str
    data: ProjectTables
    scores: pd.DataFrame
    column: str
    blend: Path = Path()
    reliability: dict = field(default_factory=dict)
    untrained: str | None = None

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Labels that count, `rating` that of the trait."""
        labels = self.data.labels.assign(rating=self.data.labels[self.column])
        labels = counted_labels(labels, self.data.faces)
        withheld = self.data.scores["score_withheld"].notna()
        return labels.assign(rating=labels["rating"].mask(withheld))

    def measure(
        self, options: Evaluate, embeddings: EmbeddingTable, ratings: pd.Series | None = None
    ) -> dict[str, Any]:
        """The metrics of `evaluate_attractiveness`, on some ratings or all."""
        return evaluate_attractiveness(
            embeddings,
            self.labels["rating"] if ratings is None else ratings,
            self.scores["attractiveness_raw"],
            self.scores["split"],
            options.bootstrap,
            options.seed,
            person=self.labels["person"],
            scale=self.data.scale,
            reliability=self.reliability,
            untrained=self.untrained,
            scores=self.scores,
            weights=load_blend(self.blend)[0],
            verdicts=load_verdicts(self.blend),
        ).metrics

    def by_gender(self, options: Evaluate, embeddings: EmbeddingTable) -> dict[str, Any]:
        """R of each model on the test faces of each class, trained on all train faces."""
        ratings, classes = self.labels["rating"], self.labels[GROUPS]
        test, rows = self.scores["split"] == "test", {}
        counts = classes[test & ratings.notna()].value_counts()
        for name in sorted(counts.index[counts >= options.min_group]):
            of_class = ratings.mask(test & (classes != name))
            own = self.measure(options, embeddings, of_class)["test"]
            rows[str(name)] = {
                "n": own["n"],
                **{model: {"pearson": own[model]["pearson"]} for model in SCORED_BY},
            }
        return rows

    def points(self) -> pd.DataFrame:
        """`actual` and `predicted` rating of test faces."""
        predicted = self.scores["attractiveness_raw"]
        both = pd.DataFrame({"actual": self.labels["rating"], "predicted": predicted})
        return both[self.scores["split"] == "test"].dropna()

    def rater_groups(
        self, options: Evaluate, means: pd.DataFrame, predicted: pd.DataFrame
    ) -> dict[str, Any]:
        """`rater_groups`, see `evaluate_groups`; empty without groups of raters."""
        own = means[means["trait"] == self.name]
        if own.empty:
            return {}
        rows = predicted[predicted["target"] == self.column]
        rows = self.of_test() if rows.empty else rows
        return {"rater_groups": evaluate_groups(options, own, rows)}

    def of_test(self) -> pd.DataFrame:
        """The scores of rated test faces, as the rows of one fold."""
        test = (self.scores["split"] == "test") & self.labels["rating"].notna()
        names = self.scores.index[test]
        who = self.labels["person"][test]
        rows = {"repeat": 0, "filename": names, "fold": 0}
        rows["person_group"] = who.where(who.notna(), names).to_numpy()
        columns = {"mlp": "attractiveness_score", "combined": "combined_score"}
        parts = [
            pd.DataFrame(rows | {"model": model, "predicted": self.scores[column][test].to_numpy()})
            for model, column in columns.items()
        ]
        return pd.concat(parts, ignore_index=True).dropna(subset="predicted")


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
