"""Stage `age_check`: which faces may be too young for a score, and how a single photo is checked.

Reads   embeddings_clip.parquet, models/attributes.json, models/attributes/, faces.parquet,
        labels.parquet, splits.parquet, data/interim/out_of_fold/; params `score.min_age`,
        `score.require_age_check`
Writes  age_check.parquet, models/age_check.json (for single photos), metrics/age_check.json (who
        was checked by what, and the adults and minors that the age model gets wrong)
Alone   dvc repro -sf age_check
"""

from facestats.run.stage import run_stage, warn

from facestats.age.check import save_check
from facestats.age.project import check_ages, faces_of_another_kind, read_unseen
from facestats.age.tables import AGE_CHECK
from facestats.attributes.model import load_models
from facestats.core import tables
from facestats.core.files import read_json, write_metrics
from facestats.core.stats.identity import IDENTITY
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.known import read_known
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS


def main(params, embeddings, models, out_of_fold, faces, labels, splits, ages, serving, metrics):
    vectors = EmbeddingTable(embeddings)
    targets = read_json(models / "attributes.json")["targets"]
    model = load_models(models / "attributes", targets).get("age")
    known = read_known(labels, LABELS)
    checked = check_ages(
        params.score.min_age,
        params.score.require_age_check,
        vectors,
        model,
        known,
        tables.read(splits, SPLITS, only=known.index).set_index("filename")["split"],
        tables.read(faces, FACES, IDENTITY).dropna(subset="filename"),
        faces_of_another_kind(faces),
        read_unseen(out_of_fold, model),
    )
    warn(*checked.warnings)
    tables.write(checked.table, ages, AGE_CHECK)
    save_check(serving, checked.check)
    write_metrics(metrics, checked.metrics)
    return checked.summary()


if __name__ == "__main__":
    run_stage(main)
