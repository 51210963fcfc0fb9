"""Stage `train_attribute@<target>`: train one attribute, and measure it on held-out faces.

Reads   embeddings_clip.parquet, faces.parquet, labels.parquet, splits.parquet;
        params `attributes.targets.<target>`, `attributes.min_per_class`
Writes  models/attributes/<target>_clf.safetensors, data/interim/out_of_fold/<target>.parquet
        (predictions of the train faces by models that had not seen them),
        metrics/attributes/<target>.json, …/<target>_confusion.csv and .png
Alone   dvc repro -sf train_attribute@gender
"""

from facestats.run.stage import StageItem, run_stage, warn

from facestats.attributes.confusion import confusion_picture
from facestats.attributes.model import model_path
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.attributes.targets import train_target
from facestats.core import tables
from facestats.core.files import write_metrics, write_plot_csv
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
    out_of_fold.mkdir(parents=True, exist_ok=True)
    tables.write(unseen, out_of_fold / f"{target}.parquet", PREDICTIONS_OUT_OF_FOLD)
    write_metrics(metrics / f"{target}.json", held_out.metrics)
    plot = metrics / f"{target}_confusion"
    write_plot_csv(plot.with_suffix(".csv"), held_out.pairs)
    confusion_picture(held_out.pairs, held_out.order, target, model.why, plot.with_suffix(".png"))
    for message in trained.warnings:
        warn(message)
    return trained.summary


if __name__ == "__main__":
    run_stage(main)
