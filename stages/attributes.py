"""Stage `attributes`: all attributes of all faces, their sources, and the faces to check or label.

Reads   embeddings_clip.parquet, models/attributes/, data/interim/out_of_fold/, models/zeroshot.npz,
        labels.parquet, faces.parquet; params `attributes.propose`, names in `attributes.targets`
Writes  attributes.parquet, attributes_with_predictions.parquet, attributes_with_manual.parquet,
        attributes_clean.parquet, attributes_flags.parquet, fairface_label_structure.parquet,
        labels_template.csv, models/attributes.json (models in use, share of drawings)
Alone   dvc repro -sf attributes
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

from facestats.attributes import tables as schemas
from facestats.attributes.answers import FACE_COLUMNS, answer_attributes
from facestats.attributes.fairface import label_structure
from facestats.attributes.model import load_models
from facestats.core import tables
from facestats.core.files import write_csv, write_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS
from facestats.prompts.zeroshot import load_classifiers


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
    vectors, targets = EmbeddingTable(embeddings), sorted(params.attributes.targets)
    own_names = [name + end for name in targets for end in ("", "_source")]
    unseen = schemas.PREDICTIONS_OUT_OF_FOLD
    answers = answer_attributes(
        vectors,
        load_models(classifiers, targets),
        load_classifiers(prompts, vectors.metadata["weights_sha256"]),
        tables.called_as(tables.read_all(labels, LABELS), own_names),
        tables.read(faces, FACES, FACE_COLUMNS).dropna(subset="filename"),
        {name: tables.read_all(out_of_fold / f"{name}.parquet", unseen) for name in targets},
        params.attributes.propose,
    )
    for message in answers.warnings:
        warn(message)
    doubts = tables.doubts_metadata(answers.doubts)
    for table, schema, file_metadata in (
        (answers.attributes, schemas.ATTRIBUTES, None),
        (answers.predictions, schemas.PREDICTIONS, doubts),
        (answers.with_manual, schemas.WITH_MANUAL, None),
        (answers.clean, schemas.CLEAN, doubts),
        (answers.flags, schemas.FLAGS, None),
        (label_structure(), schemas.FAIRFACE, None),
    ):
        tables.write(table, metadata / schema.name, schema, file_metadata)
    write_json(serving, answers.serving)
    # Excel takes the file for Latin-1 without the mark.
    write_csv(metadata / "labels_template.csv", answers.template, "utf-8-sig")
    return answers.summary()


if __name__ == "__main__":
    run_stage(main)
