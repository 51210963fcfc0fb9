"""Stage `train_attribute@<target>`: train one attribute, and measure it on held-out faces.

Reads   embeddings_clip.parquet, faces.parquet, labels.parquet, splits.parquet; params
        `attributes.targets.<target>`, `attributes.min_per_class`
Writes  models/attributes/<target>_clf.safetensors, data/interim/out_of_fold/<target>.parquet
        (of unseen train faces), metrics/attributes/<target> (.json, _confusion.csv and .png)
Alone   dvc repro -sf train_attribute@gender
"""

from facestats.run.stage import StageItem, run_stage, warn

from facestats.attributes.confusion import write_confusion
from facestats.attributes.model import model_path
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.attributes.targets import train_target
from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.core.stats.identity import IDENTITY
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS


def main(
    params, target: StageItem, embeddings, faces, labels, splits, classifiers, out_of_fold, metrics
):
    vectors = EmbeddingTable(embeddings)
    trained = train_target(
        target,
        target.of(params.attributes.targets),
        params.attributes.min_per_class,
        vectors,
        tables.read_optional_column(labels, LABELS, target).reindex(vectors.names),
        tables.read_for(vectors.names, splits, SPLITS)["split"],
        tables.read(faces, FACES, IDENTITY).dropna(subset="filename"),
        tables.read_for(vectors.names, labels, LABELS, ["person"])["person"],
    )
    model, held_out = trained.training.model, trained.held_out
    model.save(model_path(classifiers, target))
    unseen = trained.training.out_of_fold.rename_axis("filename").reset_index()
    tables.write(unseen, out_of_fold / f"{target}.parquet", PREDICTIONS_OUT_OF_FOLD)
    write_metrics(metrics / f"{target}.json", held_out.metrics)
    write_confusion(held_out, target, model.why, metrics / f"{target}_confusion")
    warn(*trained.warnings)
    return trained.summary


if __name__ == "__main__":
    run_stage(main)
