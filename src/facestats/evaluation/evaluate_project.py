"""Evaluation of all models of a project on its test faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facestats.attributes.model import AttributeModel, load_models
from facestats.attributes.resolution import target_kinds
from facestats.attributes.tables import PREDICTIONS
from facestats.attributes.zeroshot import zeroshot_models
from facestats.core import tables
from facestats.core.files import read_json
from facestats.core.stats.identity import IDENTITY, count_once, shared_faces
from facestats.core.stats.verdict import WORST_FIRST, doubts_of_scores
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation.attractiveness import Attractiveness, evaluate_attractiveness
from facestats.evaluation.attributes import evaluate_attributes
from facestats.evaluation.fairness import evaluate_fairness
from facestats.evaluation.params import Evaluate
from facestats.faces.tables import FACES
from facestats.geometry.tables import GEOMETRY, SKIN_CLASS
from facestats.labels.tables import LABELS
from facestats.prompts.tables import ZEROSHOT
from facestats.prompts.zeroshot import PromptClassifier, load_classifiers
from facestats.scores.blending import BlendWeights, load_blend, load_verdicts
from facestats.scores.tables import SCORES

SCORED_BY = ("mlp", "ridge", "geometric", "combined")  # the models that figures lead with
RATING = "rating"
BY_FACE = (LABELS, SCORES, PREDICTIONS, ZEROSHOT)  # tables of all faces


@dataclass
class ProjectTables:
    """The tables of a project, rows in the order of its embeddings, by filename.

    Attributes
    ----------
    labels, scores, predictions, zeroshot : DataFrame (n rows)
        With all columns.
    faces : DataFrame
        Accepted faces with the columns `identity.IDENTITY`, in any order.
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.
    doubts : dict of str
        What is doubtful about prompts, by attribute.
    skin : Series, optional
        Class of skin colour of each face, by filename.
    """

    labels: pd.DataFrame
    scores: pd.DataFrame
    predictions: pd.DataFrame
    zeroshot: pd.DataFrame
    faces: pd.DataFrame
    scale: tuple[float, float] | None
    doubts: dict[str, str]
    skin: pd.Series | None = None


@dataclass
class ProjectModels:
    """The models that are measured, besides the scores in the tables.

    Attributes
    ----------
    trained : dict of AttributeModel
        By target.
    prompts : mapping of PromptClassifier
        By attribute.
    weights : BlendWeights
        Of the combined score.
    verdicts : dict
        By score, as `models/blend.json` has them.
    reliability : dict
        Of the mean rating, as `metrics/labels.json` has it.
    training : dict
        `metrics/train_attractiveness/metrics.json`.
    crossvalidated : dict
        `metrics/crossvalidated.json`.
    """

    trained: dict[str, AttributeModel]
    prompts: Mapping[str, PromptClassifier]
    weights: BlendWeights
    verdicts: dict[str, dict]
    reliability: dict
    training: dict
    crossvalidated: dict


@dataclass
class Evaluation:
    """The metrics of a project.

    See `Attractiveness`, `evaluate_attributes`, `evaluate_fairness`.
    """

    attractiveness: Attractiveness
    attributes: dict
    fairness: dict
    crossvalidated: dict
    training: dict

    def headlines(self) -> dict[str, Any]:
        """Pick one metric per model; see the function `headlines`."""
        return headlines(
            self.attractiveness.metrics, self.attributes, self.crossvalidated, self.training
        )


def read_tables(names: pd.Index, metadata: Path) -> ProjectTables:
    """Read the tables of a project.

    Parameters
    ----------
    names : Index
        Filenames, in the order of the embeddings.
    metadata : Path
        Folder of the tables.

    Returns
    -------
    ProjectTables
    """
    by_face = (tables.read_for(names, metadata / schema.name, schema) for schema in BY_FACE)
    return ProjectTables(
        *by_face,
        faces=tables.read(metadata / FACES.name, FACES, IDENTITY).dropna(subset="filename"),
        scale=tables.rating_scale(metadata / LABELS.name),
        doubts=tables.read_doubts(metadata / PREDICTIONS.name),
        skin=tables.read_optional_column(metadata / GEOMETRY.name, GEOMETRY, SKIN_CLASS),
    )


def read_models(models: Path, metrics: Path, weights_sha256: str) -> ProjectModels:
    """Read the models of a project, and what else is known of them.

    Parameters
    ----------
    models : Path
        Folder of the models.
    metrics : Path
        Folder of the metrics of earlier stages.
    weights_sha256 : str
        Of the CLIP model behind the embeddings.

    Returns
    -------
    ProjectModels
    """
    targets = read_json(models / "attributes.json")["targets"]
    blend = models / "blend.json"
    return ProjectModels(
        load_models(models / "attributes", targets),
        load_classifiers(models / "zeroshot.npz", weights_sha256),
        weights=load_blend(blend)[0],
        verdicts=load_verdicts(blend),
        reliability=read_json(metrics / "labels.json")["reliability"],
        training=read_json(metrics / "train_attractiveness/metrics.json"),
        crossvalidated=read_json(metrics / "crossvalidated.json"),
    )


def evaluate_project(
    options: Evaluate, embeddings: EmbeddingTable, data: ProjectTables, models: ProjectModels
) -> Evaluation:
    """Measure scores and attributes on test faces, over all and by group.

    Parameters
    ----------
    options : Evaluate
        The section `evaluate` of `params.yaml`.
    embeddings : EmbeddingTable
        Of all faces.
    data : ProjectTables
        A picture counts once: its best copy with a label. Ratings of faces that get no score do not
        count.
    models : ProjectModels
        Of the project.

    Returns
    -------
    Evaluation
    """
    scores, resampling = data.scores, (options.bootstrap, options.seed)
    test = scores["split"] == "test"
    n_rated = int((data.labels["rating"].notna() & test).sum())
    labels = counted_labels(data.labels, data.faces)
    labels = tables.called_as(labels, models.trained)
    counted = labels["rating"].notna() & test
    labels["rating"] = labels["rating"].mask(scores["score_withheld"].notna())
    attractiveness = evaluate_attractiveness(
        embeddings,
        labels["rating"],
        scores["attractiveness_raw"],
        scores["split"],
        *resampling,
        person=labels["person"],
        scale=data.scale,
        reliability=models.reliability,
        n_copies=n_rated - int(counted.sum()),
        n_withheld=int((counted & labels["rating"].isna()).sum()),
        untrained=models.training["why"],
        scores=scores,
        weights=models.weights,
        verdicts=models.verdicts,
    )
    attributes = evaluate_attributes(
        models.trained,
        data.predictions,
        labels,
        scores["split"],
        *resampling,
        zeroshot_models(models.prompts, target_kinds(models.trained)),
        data.zeroshot,
        data.doubts,
    )
    grouped = labels if data.skin is None else labels.assign(**{SKIN_CLASS: data.skin})
    fairness = evaluate_fairness(
        grouped,
        scores,
        data.predictions,
        models.trained,
        data.scale,
        options.min_group,
        *resampling,
    )
    return Evaluation(attractiveness, attributes, fairness, models.crossvalidated, models.training)


def counted_labels(labels: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Labels that count, with `person` null where a face is alone in its group."""
    groups = shared_faces(faces, labels["person"])
    once = count_once(labels.drop(columns=["image", "person"]), faces)
    return labels.assign(**once, person=groups.reindex(labels.index))


def headlines(
    attractiveness: dict, attributes: dict, crossvalidated: dict, training: dict
) -> dict[str, Any]:
    """Pick one metric per model; null where it is not trained or not measured.

    Parameters
    ----------
    attractiveness, attributes : dict
        What `evaluate_attractiveness` and `evaluate_attributes` give.
    crossvalidated, training : dict
        `metrics/crossvalidated.json` and `metrics/train_attractiveness/metrics.json`.

    Returns
    -------
    dict
        `pearson` by score, `balanced_accuracy` by target with classes, `mae` by target with
        numbers: cross-validated over all labelled faces, or on test faces where there is no
        cross-validation. `faces`: rated faces behind `pearson`. `verdict`: the worst one on a
        score, in two words (`metrics/attractiveness.json` says which score that is, and why).
        `best.val_loss`: of the regressor's training.
    """
    rating = crossvalidated[RATING]
    figures, n = (
        (attractiveness["test"], attractiveness["test"]["n"])
        if rating["why"]
        else (rating, rating["n"])
    )
    values: dict[str, dict[str, float | None]] = {
        "pearson": {name: figures[name]["pearson"]["value"] for name in SCORED_BY}
    }
    for target, facts in attributes.items():
        metric = "balanced_accuracy" if "balanced_accuracy" in facts else "mae"
        held_out = crossvalidated.get(target, {"why": "no model of it is trained"})
        of_all = {} if held_out["why"] else held_out["trained"]
        values.setdefault(metric, {})[target] = of_all.get(metric, facts[metric])["value"]
    words = [verdict["word"] for verdict in attractiveness["verdicts"].values()]
    return {
        **values,
        "faces": n,
        "verdict": min(words, key=WORST_FIRST.index, default=None),
        "best": {"val_loss": training.get("best", {}).get("val_loss")},
    }


def summary_line(attractiveness: dict) -> str:
    """Write the correlations of the scores on test faces in a line, and the doubts about them.

    Parameters
    ----------
    attractiveness : dict
        The metrics that `evaluate_attractiveness` gives.

    Returns
    -------
    str
    """
    test = attractiveness["test"]
    correlations = {name: test[name]["pearson"]["value"] for name in SCORED_BY}
    known = [f"{name}: r={r:.3f}" for name, r in correlations.items() if r is not None]
    copies = f" ({test['n_copies']} rated copies of these left out)" if test["n_copies"] else ""
    line = " ".join([f"test faces={test['n']}{copies}", *known])
    line = "\n  ".join([line, *doubts_of_scores(attractiveness)])
    if not attractiveness["why"]:
        return line
    if known:
        return f"the holistic score is not measured: {attractiveness['why']}; {line}"
    return f"attractiveness is not measured: {attractiveness['why']}"
