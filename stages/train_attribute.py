"""Stage `train_attribute@<target>`: one attribute, trained on the train faces, measured on held-out ones.

Reads   embeddings_clip.parquet, labels.parquet, splits.parquet; params `attributes.targets.<target>`,
        `attributes.min_per_class`, `attributes.abstain_below`
Writes  models/attributes/<target>_clf.joblib, metrics/attributes/<target>.json, …/<target>_confusion.csv
Alone   python stages/train_attribute.py gender data/processed/embeddings/embeddings_clip.parquet \\
            data/processed/metadata/labels.parquet data/processed/metadata/splits.parquet \\
            models/attributes/gender_clf.joblib metrics/attributes/gender.json metrics/attributes/gender_confusion.csv
"""

from pathlib import Path

from facestats import tables
from facestats.attributes.training import train_classifier, train_regression
from facestats.embeddings import EmbeddingTable
from facestats.evaluation.heldout import measure_held_out
from facestats.files import write_json, write_text
from facestats.stage import run_stage, warn


def main(params, target: str, embeddings: Path, labels: Path, splits: Path, out: Path, metrics: Path,
         confusion: Path) -> str:
    vectors = EmbeddingTable(embeddings)
    said = tables.read_optional_column(labels, tables.LABELS, target).reindex(vectors.names)
    split = tables.read(splits, tables.SPLITS).set_index("filename")["split"].reindex(vectors.names)
    labelled = said.notna().to_numpy()
    matrix, said, split = vectors.take(labelled), said[labelled], split[labelled]
    train = (split == "train").to_numpy()
    options = params.attributes.targets[target]
    minimum = params.attributes.min_per_class
    if options.kind == "classification":
        model = train_classifier(target, matrix[train], said[train], options.C, options.class_weight, minimum,
                                 params.attributes.abstain_below)
    else:
        model = train_regression(target, matrix[train], said[train], options.alpha, minimum)
    model.save(out)
    held_out = measure_held_out(model, matrix, said, split)
    write_json(metrics, held_out.metrics)
    write_text(confusion, held_out.pairs.to_csv(index=False))
    if not model.trained:
        warn(f"{target} is not trained: {model.why}")
        return "trained=false"
    if model.left_out:
        warn(f"{target}: classes with fewer than {minimum} train faces are left out: {model.left_out}")
    return f"trained on {model.n_train} faces, measured on {held_out.metrics['test']['n']} test faces"


if __name__ == "__main__":
    run_stage(main)
