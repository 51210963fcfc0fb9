"""Stage `attributes`: all attributes of all faces, their sources, and the faces to check or label.

Reads   embeddings_clip.parquet, models/attributes/, data/interim/out_of_fold/, models/zeroshot.npz,
        labels.parquet, faces.parquet; params `attributes.propose`, names in `attributes.targets`
Writes  attributes.parquet, attributes_with_predictions.parquet, attributes_with_manual.parquet,
        attributes_clean.parquet, attributes_flags.parquet, fairface_label_structure.parquet,
        labels_template.csv, models/attributes.json (models in use, share of drawings)
Alone   dvc repro -sf attributes
"""

from facestats.run.stage import run_stage, warn

from facestats.attributes.answers import FACE_COLUMNS, answer_attributes
from facestats.attributes.doubtful import find_doubtful
from facestats.attributes.model import load_models
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.core import tables
from facestats.core.files import write_csv, write_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.known import read_known
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS
from facestats.prompts.zeroshot import load_classifiers


def main(params, embeddings, classifiers, out_of_fold, prompts, labels, faces, metadata, serving):
    vectors, targets = EmbeddingTable(embeddings), sorted(params.attributes.targets)
    own_names = [name + end for name in targets for end in ("", "_source")]
    unseen = {name: out_of_fold / f"{name}.parquet" for name in targets}
    answers = answer_attributes(
        vectors,
        load_models(classifiers, targets),
        load_classifiers(prompts, vectors.metadata["weights_sha256"]),
        read_known(labels, LABELS, own_names),
        tables.read(faces, FACES, FACE_COLUMNS).dropna(subset="filename"),
        find_doubtful(faces),
        {name: tables.read_all(path, PREDICTIONS_OUT_OF_FOLD) for name, path in unseen.items()},
        params.attributes.propose,
        metadata,
    )
    warn(*answers.warnings)
    write_json(serving, answers.serving)
    # Excel takes the file for Latin-1 without the mark.
    write_csv(metadata / "labels_template.csv", answers.template, "utf-8-sig")
    return answers.summary()


if __name__ == "__main__":
    run_stage(main)
