"""Stage `age_check`: which faces may be too young for a score, and how a single photo is checked.

Reads   embeddings_clip.parquet, models/attributes/, data/interim/out_of_fold/, faces.parquet,
        labels.parquet, splits.parquet; params `score.min_age`, `score.require_age_check`, the names
        in `attributes.targets`
Writes  age_check.parquet, models/age_check.json (for single photos), metrics/age_check.json (who
        was checked by what, and the adults and minors that the age model gets wrong)
Alone   dvc repro -sf age_check
"""

from facestats.run.stage import run_stage, warn

from facestats.age.check import save_check
from facestats.age.checking import COLUMNS, check_ages
from facestats.age.tables import AGE_CHECK
from facestats.attributes.model import load_models
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS


def main(
    params, embeddings, classifiers, out_of_fold, faces, labels, splits, age_check, serving, metrics
):
    vectors, model, unseen = EmbeddingTable(embeddings), None, None
    if "age" in params.attributes.targets:
        model = load_models(classifiers, ["age"])["age"]
    if model is not None and model.trained:
        predictions = tables.read_all(out_of_fold / "age.parquet", PREDICTIONS_OUT_OF_FOLD)
        unseen = predictions.set_index("filename")["age"]
    checked = check_ages(
        params.score.min_age,
        params.score.require_age_check,
        vectors,
        model,
        tables.read_for(vectors.names, labels, LABELS, ["age", "age_source", "person"]),
        tables.read_for(vectors.names, splits, SPLITS)["split"],
        tables.read(faces, FACES, COLUMNS).dropna(subset="filename"),
        unseen,
    )
    for message in checked.warnings:
        warn(message)
    tables.write(checked.table, age_check, AGE_CHECK)
    save_check(serving, checked.check)
    write_metrics(metrics, checked.metrics)
    return checked.summary()


if __name__ == "__main__":
    run_stage(main)
