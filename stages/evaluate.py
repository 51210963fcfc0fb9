"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, splits.parquet, attractiveness_scores.parquet,
        attributes_with_predictions.parquet, zeroshot.parquet, models/attributes/, models/zeroshot.npz, models/blend.json,
        metrics/labels.json (reliability), metrics/train_attractiveness/ (losses, why nothing was trained); params `evaluate`,
        the names in `attributes.targets`
Writes  metrics/attractiveness.json, metrics/attributes.json, metrics/fairness.json, metrics/summary.json (the few values that DVC's
        tables of metrics show); in metrics/plots/: predicted_vs_actual,
        reliability_curve and error_by_group (.csv, .png), learning_curve.png
Alone   dvc repro -sf evaluate
"""

from facestats.run.stage import run_stage

from pathlib import Path

import pandas as pd

from facestats.attributes.model import load_models
from facestats.attributes.resolution import target_kinds
from facestats.attributes.tables import PREDICTIONS
from facestats.attributes.zeroshot import zeroshot_models
from facestats.core import tables
from facestats.core.files import read_json, write_metrics, write_plot_csv
from facestats.core.stats.identity import IDENTITY, count_once, same_faces, several_faces
from facestats.core.stats.verdict import doubts_of_scores
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation import score_figures as figures
from facestats.evaluation.attractiveness import Attractiveness, evaluate_attractiveness
from facestats.evaluation.attributes import evaluate_attributes
from facestats.evaluation.fairness import evaluate_fairness
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.headlines import headlines
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS
from facestats.prompts.tables import ZEROSHOT
from facestats.prompts.zeroshot import load_classifiers
from facestats.scores.blending import load_blend, load_verdicts
from facestats.scores.tables import SCORES


def main(
    params,
    embeddings: Path,
    metadata: Path,
    classifiers: Path,
    prompts: Path,
    blend: Path,
    label_metrics: Path,
    training: Path,
    attractiveness: Path,
    attributes: Path,
    fairness: Path,
    summary: Path,
    plots: Path,
) -> str:
    vectors = EmbeddingTable(embeddings)

    def read(schema: tables.Schema) -> pd.DataFrame:
        return (
            tables.read_all(metadata / schema.name, schema)
            .set_index("filename")
            .reindex(vectors.names)
        )

    labels, scores, predictions = read(LABELS), read(SCORES), read(PREDICTIONS)
    faces = tables.read(metadata / FACES.name, FACES, IDENTITY).dropna(subset="filename")
    test = scores["split"] == "test"
    n_rated = int((labels["rating"].notna() & test).sum())
    groups = several_faces(same_faces(faces, labels["person"]))
    labels = labels.assign(
        **count_once(labels.drop(columns=["image", "person"]), faces),
        person=groups.reindex(vectors.names),
    )
    labels = tables.called_as(labels, params.attributes.targets)
    counted = labels["rating"].notna() & test
    labels["rating"] = labels["rating"].mask(scores["score_withheld"].notna())
    scale = tables.rating_scale(metadata / LABELS.name)
    options = params.evaluate
    said_of_training = read_json(training / "metrics.json")
    measured = evaluate_attractiveness(
        vectors,
        labels["rating"],
        scores["attractiveness_raw"],
        scores["split"],
        options.bootstrap,
        options.seed,
        person=labels["person"],
        scale=scale,
        reliability=read_json(label_metrics)["reliability"],
        n_copies=n_rated - int(counted.sum()),
        n_withheld=int((counted & labels["rating"].isna()).sum()),
        untrained=said_of_training["why"],
        scores=scores,
        weights=load_blend(blend)[0],
        verdicts=load_verdicts(blend),
    )
    write_metrics(attractiveness, measured.metrics)
    _draw_attractiveness(measured, training, plots)
    trained = load_models(classifiers, params.attributes.targets)
    zeroshot = zeroshot_models(
        load_classifiers(prompts, vectors.metadata["weights_sha256"]), target_kinds(trained)
    )
    of_attributes = evaluate_attributes(
        trained,
        predictions,
        labels,
        scores["split"],
        options.bootstrap,
        options.seed,
        zeroshot,
        read(ZEROSHOT),
        tables.read_doubts(metadata / PREDICTIONS.name),
    )
    write_metrics(attributes, of_attributes)
    write_metrics(summary, headlines(measured.metrics, of_attributes))
    by_group = evaluate_fairness(
        labels,
        scores,
        predictions,
        trained,
        scale,
        options.min_group,
        options.bootstrap,
        options.seed,
    )
    write_metrics(fairness, by_group)
    write_plot_csv(plots / "error_by_group.csv", error_points(by_group))
    error_by_group(by_group, plots / "error_by_group.png")
    return _summary(measured.metrics)


def _summary(rated: dict) -> str:
    shown = {
        name: rated["test"][name]["pearson"]["value"]
        for name in ("mlp", "ridge", "geometric", "combined")
    }
    known = [f"{name}: r={r:.3f}" for name, r in shown.items() if r is not None]
    copies = (
        f" ({rated['test']['n_copies']} rated copies of these left out)"
        if rated["test"]["n_copies"]
        else ""
    )
    line = "\n  ".join(
        [" ".join([f"test faces={rated['test']['n']}{copies}", *known]), *doubts_of_scores(rated)]
    )
    if not rated["why"]:
        return line
    return (
        f"the holistic score is not measured: {rated['why']}; {line}"
        if known
        else f"attractiveness is not measured: {rated['why']}"
    )


def _draw_attractiveness(measured: Attractiveness, training: Path, plots: Path) -> None:
    write_plot_csv(plots / "predicted_vs_actual.csv", measured.points)
    write_plot_csv(plots / "reliability_curve.csv", measured.curve)
    figures.predicted_vs_actual(
        measured.points, measured.metrics, plots / "predicted_vs_actual.png"
    )
    figures.reliability_curve(measured.curve, measured.metrics, plots / "reliability_curve.png")
    figures.learning_curve(training, plots / "learning_curve.png")


if __name__ == "__main__":
    run_stage(main)
