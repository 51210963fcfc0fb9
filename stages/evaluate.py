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

from facestats.attributes.model import load_models
from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation import project
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.score_figures import draw_scores
from facestats.prompts.zeroshot import load_classifiers


def main(params, embeddings, metadata, classifiers, prompts, blend, metrics):
    vectors = EmbeddingTable(embeddings)
    evaluation = project.evaluate_project(
        params.evaluate,
        vectors,
        project.read_tables(vectors.names, metadata),
        project.read_models(
            load_models(classifiers, params.attributes.targets),
            load_classifiers(prompts, vectors.metadata["weights_sha256"]),
            blend,
            metrics,
        ),
    )
    scores, plots = evaluation.attractiveness, metrics / "plots"
    write_metrics(metrics / "attractiveness.json", scores.metrics)
    write_metrics(metrics / "attributes.json", evaluation.attributes)
    write_metrics(metrics / "fairness.json", evaluation.fairness)
    headlines = project.headlines(scores.metrics, evaluation.attributes)
    write_metrics(metrics / "summary.json", headlines)
    write_plot_csv(plots / "predicted_vs_actual.csv", scores.points)
    write_plot_csv(plots / "reliability_curve.csv", scores.curve)
    write_plot_csv(plots / "error_by_group.csv", error_points(evaluation.fairness))
    draw_scores(scores, metrics / "train_attractiveness", plots)
    error_by_group(evaluation.fairness, plots / "error_by_group.png")
    return project.summary_line(scores.metrics)


if __name__ == "__main__":
    run_stage(main)
