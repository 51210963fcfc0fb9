"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, splits.parquet, attractiveness_scores.parquet,
        attributes_with_predictions.parquet, models/attributes/; params `evaluate`,
        the names in `attributes.targets`
Writes  metrics/attractiveness.json, metrics/attributes.json, metrics/plots/predicted_vs_actual.csv
Alone   python stages/evaluate.py data/processed/embeddings/embeddings_clip.parquet data/processed/metadata \\
            models/attributes metrics/attractiveness.json metrics/attributes.json \\
            metrics/plots/predicted_vs_actual.csv
"""

from pathlib import Path

from facestats import tables
from facestats.attributes.training import load_models
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.attributes import evaluate_attributes
from facestats.files import write_json, write_text
from facestats.stage import run_stage


def main(params, embeddings: Path, folder: Path, models: Path, attractiveness: Path, attributes: Path,
         plot: Path) -> str:
    filenames, matrix, _ = tables.read_embeddings(embeddings)
    labels = tables.read_all(folder / tables.LABELS.name, tables.LABELS).set_index("filename").reindex(filenames)
    scores = tables.read(folder / tables.SCORES.name, tables.SCORES).set_index("filename").reindex(filenames)
    predictions = tables.read_all(folder / tables.PREDICTIONS.name, tables.PREDICTIONS).set_index("filename").reindex(filenames)
    options = params.evaluate
    rated, points = evaluate_attractiveness(matrix, labels["rating"], scores["attractiveness_raw"], scores["split"],
                                            options.bootstrap, options.seed)
    write_json(attractiveness, rated)
    write_text(plot, points.to_csv(index=False))
    write_json(attributes, evaluate_attributes(load_models(models, params.attributes.targets), predictions, labels, scores["split"],
                                               options.bootstrap, options.seed))
    if rated["why"]:
        return f"attractiveness is not measured: {rated['why']}"
    shown = {name: rated["test"][name]["pearson"]["value"] for name in ("mlp", "ridge")}
    return f"test faces={rated['test']['n']} " + " ".join(f"{name}: r={r:.3f}" for name, r in shown.items() if r is not None)


if __name__ == "__main__":
    run_stage(main)
