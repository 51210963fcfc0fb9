"""Stage `train_attribute@<target>`: one attribute, trained on the train faces, measured on held-out ones.

Reads   embeddings_clip.parquet, faces.parquet, labels.parquet, splits.parquet; params `attributes.targets.<target>`,
        `attributes.min_per_class`
Writes  models/attributes/<target>_clf.safetensors, data/interim/out_of_fold/<target>.parquet (what models that had not seen
        them say of the train faces), metrics/attributes/<target>.json, …/<target>_confusion.csv and .png
Alone   dvc repro -sf train_attribute@gender
"""

from facestats.run.stage import StageItem, run_stage, warn

from pathlib import Path

from facestats.attributes.confusion import confusion_picture
from facestats.attributes.heldout import measure_held_out
from facestats.attributes.model import AttributeModel, model_path
from facestats.attributes.pretrained import load_pretrained, use_pretrained
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.attributes.training import (
    Training,
    set_threshold,
    train_classifier,
    train_regression,
)
from facestats.core import tables
from facestats.core.files import write_metrics, write_plot_csv
from facestats.core.stats.identity import IDENTITY, count_once, same_faces
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS


def main(
    params,
    target: StageItem,
    embeddings: Path,
    faces: Path,
    labels: Path,
    splits: Path,
    classifiers: Path,
    out_of_fold: Path,
    metrics: Path,
) -> str:
    options, minimum = target.of(params.attributes.targets), params.attributes.min_per_class
    vectors = EmbeddingTable(embeddings)
    said = tables.read_optional_column(labels, LABELS, target).reindex(vectors.names)
    found = tables.read(faces, FACES, IDENTITY).dropna(subset="filename")
    who = same_faces(
        found,
        tables.read(labels, LABELS, ["filename", "person"]).set_index("filename")["person"],
    ).reindex(vectors.names)
    split = tables.read(splits, SPLITS).set_index("filename")["split"].reindex(vectors.names)
    said = said.where(split == "train", count_once(said.to_frame(), found)[said.name])
    labelled = said.notna().to_numpy()
    matrix, said, split, who = (
        vectors.take(labelled),
        said[labelled],
        split[labelled],
        who[labelled],
    )
    train, val = (split == "train").to_numpy(), (split == "val").to_numpy()
    if options.pretrained is not None:
        model = load_pretrained(Path(options.pretrained), target, options.kind, vectors.dimension)
        trained = use_pretrained(model, matrix[train], said[train])
    elif options.kind == "classification":
        trained = train_classifier(
            target, matrix[train], said[train], minimum, options.C, options.class_weight, who[train]
        )
    else:
        trained = train_regression(
            target, matrix[train], said[train], minimum, options.alpha, who[train]
        )
    if options.kind == "classification":
        set_threshold(trained, options.precision, said[train], matrix[val], said[val])
    trained.model.save(model_path(classifiers, target))
    out_of_fold.mkdir(parents=True, exist_ok=True)
    tables.write(
        trained.out_of_fold.rename_axis("filename").reset_index(),
        out_of_fold / f"{target}.parquet",
        PREDICTIONS_OUT_OF_FOLD,
    )
    held_out = measure_held_out(trained.model, matrix, said, split)
    write_metrics(metrics / f"{target}.json", held_out.metrics)
    write_plot_csv(metrics / f"{target}_confusion.csv", held_out.pairs)
    confusion_picture(
        held_out.pairs,
        held_out.order,
        target,
        trained.model.why,
        metrics / f"{target}_confusion.png",
    )
    return _summary(trained, held_out.metrics["test"]["n"], minimum)


def _summary(trained: Training, n_test: int, minimum: int) -> str:
    model: AttributeModel = trained.model
    if not model.trained:
        warn(f"{model.target} is not trained: {model.why}")
        return "trained=false"
    if model.left_out:
        warn(
            f"{model.target}: classes with fewer than {minimum} train faces are left out: {model.left_out}"
        )
    if model.abstain_below == float("inf"):
        warn(
            f"{model.target} never answers: at no threshold are {model.wanted_precision:.0%} of the answers right "
            f"({model.threshold_from}); a lower attributes.targets.{model.target}.precision lets it answer"
        )
    if model.pretrained:
        return f"pretrained, calibrated on {len(trained.out_of_fold)} train faces, measured on {n_test} test faces"
    return f"trained on {model.n_train} faces, measured on {n_test} test faces, penalty={model.penalty:g} ({model.penalty_from})"


if __name__ == "__main__":
    run_stage(main)
