"""Stage `attributes`: what every face is taken for, from which source, and which faces to look at or label.

Reads   embeddings_clip.parquet, models/attributes/, data/interim/out_of_fold/, models/zeroshot.npz, labels.parquet,
        faces.parquet; params `attributes.propose`, the names in `attributes.targets`
Writes  attributes.parquet, attributes_with_predictions.parquet, attributes_with_manual.parquet, attributes_clean.parquet,
        attributes_flags.parquet, fairface_label_structure.parquet, labels_template.csv, models/attributes.json (which models are
        in use, and the share of drawings among the faces)
Alone   dvc repro -sf attributes
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

import pandas as pd

from facestats.attributes.fairface import label_structure
from facestats.attributes.flags import flag_faces
from facestats.attributes.model import load_models
from facestats.attributes.proposals import propose_labels
from facestats.attributes.resolution import predict_attributes, resolve, target_kinds
from facestats.attributes.tables import (
    ATTRIBUTES,
    CLEAN,
    FAIRFACE,
    FLAGS,
    PREDICTIONS,
    PREDICTIONS_OUT_OF_FOLD,
    WITH_MANUAL,
)
from facestats.attributes.zeroshot import (
    doubts_on_photographs,
    fill_gaps,
    thresholds_on_photographs,
    zeroshot_models,
)
from facestats.core import tables
from facestats.core.doubts import FACTS, are_photographs, drawn_share, mostly_drawn
from facestats.core.files import write_csv, write_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS
from facestats.prompts.zeroshot import find_strange_classes, is_tiny, load_classifiers

LOOKED_AT = [
    "filename",
    *FACTS,
    "image",
    "duplicate_of",
    "near_duplicate_of",
    "copy_group",
    "copy_rank",
]


def main(
    params,
    embeddings: Path,
    classifiers: Path,
    out_of_fold: Path,
    prompts: Path,
    labels: Path,
    faces: Path,
    metadata: Path,
    serving: Path,
) -> str:
    vectors = EmbeddingTable(embeddings)
    trained = load_models(classifiers, params.attributes.targets)
    questions = load_classifiers(prompts, vectors.metadata["weights_sha256"])
    people = tables.called_as(
        tables.read_all(labels, LABELS),
        [name + end for name in params.attributes.targets for end in ("", "_source")],
    )
    for message in find_strange_classes({name: c.classes for name, c in questions.items()}, people):
        warn(message)
    quality = tables.read(faces, FACES, LOOKED_AT).dropna(subset="filename")
    drawn = mostly_drawn(quality)
    photographs = (
        are_photographs(quality.set_index("filename"), drawn).reindex(vectors.names).to_numpy()
    )
    copies = quality.set_index("filename")[["copy_group", "copy_rank"]].reindex(vectors.names)
    prompted, thresholds = zeroshot_models(questions, target_kinds(trained)), None
    if is_tiny(vectors.metadata["weights_sha256"]):
        thresholds = thresholds_on_photographs(
            prompted,
            vectors,
            people.set_index("filename").reindex(vectors.names),
            photographs & (copies["copy_rank"] == 1).to_numpy(),
        )
        prompted = zeroshot_models(questions, target_kinds(trained), on_photographs=thresholds)
    answering = fill_gaps(trained, prompted)
    doubts = doubts_on_photographs(
        {name: t for name, t in (thresholds or {}).items() if answering[name] is prompted[name]},
        int(photographs.sum()),
    )
    if doubts:
        warn(doubts["zeroshot"])
    attributes, predictions = predict_attributes(vectors.names, vectors, answering, photographs)
    said, clean = resolve(
        attributes,
        people.set_index("filename"),
        target_kinds(answering),
        {target: model.source for target, model in answering.items()},
    )
    unseen = {
        target: tables.read_all(out_of_fold / f"{target}.parquet", PREDICTIONS_OUT_OF_FOLD)
        for target in trained
    }
    images = quality.set_index("filename")["image"]
    flags = flag_faces(quality, predictions, said, trained, unseen)
    for table in (attributes, predictions, said, clean, flags):
        table.insert(1, "image", images.reindex(table["filename"]).to_numpy())
    template = propose_labels(
        vectors, predictions, clean, copies, answering, params.attributes.propose
    )
    for table, schema in (
        (attributes, ATTRIBUTES),
        (predictions, PREDICTIONS),
        (said, WITH_MANUAL),
        (clean, CLEAN),
        (flags, FLAGS),
        (label_structure(), FAIRFACE),
    ):
        tables.write(
            table,
            metadata / schema.name,
            schema,
            tables.doubts_metadata(doubts) if schema in (PREDICTIONS, CLEAN) else None,
        )
    write_json(
        serving,
        {
            "targets": sorted(trained),
            "drawn": drawn_share(quality),
            "mostly_drawn": drawn,
            "on_photographs": thresholds,
            "doubts": doubts,
        },
    )
    write_csv(
        metadata / "labels_template.csv", template, "utf-8-sig"
    )  # Excel takes it for Latin-1 without the mark
    sources = (
        pd.concat([clean[c] for c in clean if c.endswith("_source")]).value_counts().sort_index()
    )
    return (
        f"faces={len(clean)} "
        + " ".join(f"{name}={n}" for name, n in sources.items())
        + f" flags={len(flags)}"
    )


if __name__ == "__main__":
    run_stage(main)
