"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, attractiveness_scores.parquet, zeroshot.parquet,
        attributes_with_predictions.parquet, faces.parquet, geometry.parquet, trait_scores.parquet,
        models/ (attributes.json, attributes/, zeroshot.npz, blend.json, traits/, serving.json),
        metrics/ (labels.json, crossvalidated.json, train_attractiveness/); params `evaluate`
Writes  metrics/attractiveness.json, attributes, fairness, traits, summary, run (.json), and plots/:
        predicted_vs_actual, reliability_curve, error_by_group (.csv, .png), learning_curve.png
Alone   dvc repro -sf evaluate
"""

from facestats.run.stage import run_stage

from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.manifests import write_run_manifest
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.evaluation import evaluate_project
from facestats.evaluation.fairness_figures import error_by_group, error_points
from facestats.evaluation.score_figures import draw_scores
from facestats.evaluation.trait_figures import draw_traits
from facestats.evaluation.traits import evaluate_traits


def main(params, embeddings, metadata, models, metrics):
    vectors = EmbeddingTable(embeddings)
    data = evaluate_project.read_tables(vectors.names, metadata)
    used = evaluate_project.read_models(models, metrics, vectors.metadata["weights_sha256"])
    evaluation = evaluate_project.evaluate_project(params.evaluate, vectors, data, used)
    scores, plots = evaluation.attractiveness, metrics / "plots"
    folders = metadata, models, metrics
    traits = evaluate_traits(params.evaluate, vectors, data, folders, scores.metrics)
    written = {"attractiveness": scores.metrics | traits.of_main, "traits": traits.metrics}
    written |= {"attributes": evaluation.attributes, "fairness": evaluation.fairness}
    written["summary"] = evaluation.headlines() | traits.headlines()
    for name, content in written.items():
        write_metrics(metrics / f"{name}.json", content)
    files = [metrics / f"{name}.json" for name in (*written, "crossvalidated")]
    write_run_manifest(metrics / "run.json", models / "serving.json", files)
    write_plot_csv(plots / "predicted_vs_actual.csv", scores.points)
    write_plot_csv(plots / "reliability_curve.csv", scores.curve)
    write_plot_csv(plots / "error_by_group.csv", error_points(evaluation.fairness))
    draw_scores(scores, metrics / "train_attractiveness", plots)
    draw_traits(traits.points, plots / "traits.png")
    error_by_group(evaluation.fairness, plots / "error_by_group.png")
    return evaluate_project.summary_line(scores.metrics) + traits.summary()


if __name__ == "__main__":
    run_stage(main)
