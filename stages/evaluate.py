"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, attractiveness_scores.parquet, zeroshot.parquet,
        attributes_with_predictions.parquet, faces.parquet, models/ (attributes.json, attributes/,
        zeroshot.npz, blend.json), metrics/ (labels.json, train_attractiveness/); params `evaluate`
Writes  metrics/attractiveness.json, attributes.json, fairness.json, summary.json, and plots/:
        predicted_vs_actual, reliability_curve, error_by_group (.csv, .png), learning_curve.png
Alone   dvc repro -sf evaluate
"""

from facestats.run.stage import run_stage

from facestats.attributes.model import load_models
from facestats.core.files import read_json, write_metrics, write_plot_csv
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation import project
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.score_figures import draw_scores
from facestats.prompts.zeroshot import load_classifiers


def main(params, embeddings, metadata, models, metrics):
    vectors = EmbeddingTable(embeddings)
    evaluation = project.evaluate_project(
        params.evaluate,
        vectors,
        project.read_tables(vectors.names, metadata),
        project.read_models(
            load_models(models / "attributes", read_json(models / "attributes.json")["targets"]),
            load_classifiers(models / "zeroshot.npz", vectors.metadata["weights_sha256"]),
            models / "blend.json",
            metrics,
        ),
    )
    scores, plots = evaluation.attractiveness, metrics / "plots"
    write_metrics(metrics / "attractiveness.json", scores.metrics)
    write_metrics(metrics / "attributes.json", evaluation.attributes)
    write_metrics(metrics / "fairness.json", evaluation.fairness)
    write_metrics(metrics / "summary.json", evaluation.headlines())
    write_plot_csv(plots / "predicted_vs_actual.csv", scores.points)
    write_plot_csv(plots / "reliability_curve.csv", scores.curve)
    write_plot_csv(plots / "error_by_group.csv", error_points(evaluation.fairness))
    draw_scores(scores, metrics / "train_attractiveness", plots)
    error_by_group(evaluation.fairness, plots / "error_by_group.png")
    return project.summary_line(scores.metrics)


if __name__ == "__main__":
    run_stage(main)
