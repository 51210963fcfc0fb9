"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, attractiveness_scores.parquet, zeroshot.parquet,
        attributes_with_predictions.parquet, faces.parquet, models/attributes/, models/zeroshot.npz,
        models/blend.json, metrics/labels.json, metrics/train_attractiveness/; params `evaluate`,
        the names in `attributes.targets`
Writes  metrics/attractiveness.json, attributes.json, fairness.json, summary.json, and plots/:
        predicted_vs_actual, reliability_curve, error_by_group (.csv, .png), learning_curve.png
Alone   dvc repro -sf evaluate
"""

from facestats.run.stage import run_stage

from pathlib import Path

from facestats.attributes.model import load_models
from facestats.attributes.tables import PREDICTIONS
from facestats.core import tables
from facestats.core.files import read_json, write_metrics, write_plot_csv
from facestats.core.stats.identity import IDENTITY
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation import project
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.score_figures import draw_scores
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS
from facestats.prompts.tables import ZEROSHOT
from facestats.prompts.zeroshot import load_classifiers
from facestats.scores.blending import load_blend, load_verdicts
from facestats.scores.tables import SCORES

BY_FACE = (LABELS, SCORES, PREDICTIONS, ZEROSHOT)


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
    data = project.ProjectTables(
        *(tables.read_for(vectors.names, metadata / one.name, one) for one in BY_FACE),
        faces=tables.read(metadata / FACES.name, FACES, IDENTITY).dropna(subset="filename"),
        scale=tables.rating_scale(metadata / LABELS.name),
        doubts=tables.read_doubts(metadata / PREDICTIONS.name),
    )
    models = project.ProjectModels(
        trained=load_models(classifiers, params.attributes.targets),
        prompts=load_classifiers(prompts, vectors.metadata["weights_sha256"]),
        weights=load_blend(blend)[0],
        verdicts=load_verdicts(blend),
        reliability=read_json(label_metrics)["reliability"],
        untrained=read_json(training / "metrics.json")["why"],
    )
    evaluation = project.evaluate_project(params.evaluate, vectors, data, models)
    scores = evaluation.attractiveness
    write_metrics(attractiveness, scores.metrics)
    write_metrics(attributes, evaluation.attributes)
    write_metrics(fairness, evaluation.fairness)
    write_metrics(summary, project.headlines(scores.metrics, evaluation.attributes))
    write_plot_csv(plots / "predicted_vs_actual.csv", scores.points)
    write_plot_csv(plots / "reliability_curve.csv", scores.curve)
    write_plot_csv(plots / "error_by_group.csv", error_points(evaluation.fairness))
    draw_scores(scores, training, plots)
    error_by_group(evaluation.fairness, plots / "error_by_group.png")
    return project.summary_line(scores.metrics)


if __name__ == "__main__":
    run_stage(main)
