"""Stage `crossvalidate`: scores and attributes on all labelled faces, by models of other folds.

Reads   embeddings_clip.parquet, the face crops, faces.parquet, labels.parquet, splits.parquet,
        age_check.parquet, zeroshot.parquet, metrics/labels.json; params `mlp`, `score.weights`,
        `geometry.appearance`, `attributes` (targets, min_per_class), `evaluate`
Writes  crossvalidated.parquet (each prediction), metrics/crossvalidated.json
Alone   dvc repro -sf crossvalidate
"""

from facestats.run.stage import run_stage, warn

from facestats.core import tables
from facestats.core.files import write_metrics
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.project import cross_validate, read_project
from facestats.crossvalidation.tables import CROSSVALIDATED


def main(params, embeddings, metadata, crops, label_metrics, predictions, metrics):
    options = params.evaluate
    found = cross_validate(
        read_project(embeddings, metadata, crops, label_metrics),
        Plan(
            options.folds,
            options.repeats,
            options.permutations,
            options.most,
            options.bootstrap,
            options.seed,
        ),
        params.mlp,
        params.geometry.appearance,
        params.score.model_dump()["weights"],
        params.attributes.targets,
        params.attributes.min_per_class,
    )
    warn(*found.warnings)
    tables.write(found.table, predictions, CROSSVALIDATED)
    write_metrics(metrics, found.metrics)
    return found.summary()


if __name__ == "__main__":
    run_stage(main)
