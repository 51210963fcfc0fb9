"""Stage `evaluate`: every model on the test faces, beside its baselines, with intervals.

Reads   embeddings_clip.parquet, labels.parquet, splits.parquet, attractiveness_scores.parquet,
        attributes_with_predictions.parquet, zeroshot.parquet, models/attributes/, models/zeroshot.npz;
        params `evaluate`, the names in `attributes.targets`
Writes  metrics/attractiveness.json, metrics/attributes.json, metrics/plots/predicted_vs_actual.csv
Alone   python stages/evaluate.py data/processed/embeddings/embeddings_clip.parquet data/processed/metadata \\
            models/attributes models/zeroshot.npz metrics/attractiveness.json metrics/attributes.json \\
            metrics/plots/predicted_vs_actual.csv
"""

from pathlib import Path

from facestats import tables
from facestats.attributes.model import load_models
from facestats.attributes.resolution import target_kinds
from facestats.attributes.zeroshot import zeroshot_models
from facestats.clip.zeroshot import load_classifiers
from facestats.embeddings import EmbeddingTable
from facestats.evaluation.attractiveness import evaluate_attractiveness
from facestats.evaluation.attributes import evaluate_attributes
from facestats.files import write_json, write_text
from facestats.stage import run_stage


def main(params, embeddings: Path, folder: Path, models: Path, prompts: Path, attractiveness: Path, attributes: Path,
         plot: Path) -> str:
    vectors = EmbeddingTable(embeddings)

    def read(schema: tables.Schema):
        return tables.read_all(folder / schema.name, schema).set_index("filename").reindex(vectors.names)

    labels, scores = read(tables.LABELS), read(tables.SCORES)
    options = params.evaluate
    rated, points = evaluate_attractiveness(vectors, labels["rating"], scores["attractiveness_raw"], scores["split"],
                                            options.bootstrap, options.seed)
    write_json(attractiveness, rated)
    write_text(plot, points.to_csv(index=False))
    trained = load_models(models, params.attributes.targets)
    zeroshot = zeroshot_models(load_classifiers(prompts, vectors.metadata["weights_sha256"]), target_kinds(trained))
    write_json(attributes, evaluate_attributes(trained, read(tables.PREDICTIONS), labels, scores["split"],
                                               options.bootstrap, options.seed, zeroshot, read(tables.ZEROSHOT)))
    if rated["why"]:
        return f"attractiveness is not measured: {rated['why']}"
    shown = {name: rated["test"][name]["pearson"]["value"] for name in ("mlp", "ridge")}
    return f"test faces={rated['test']['n']} " + " ".join(f"{name}: r={r:.3f}" for name, r in shown.items() if r is not None)


if __name__ == "__main__":
    run_stage(main)
