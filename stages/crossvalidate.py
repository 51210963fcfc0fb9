"""Stage `crossvalidate`: scores and attributes of labelled faces, by models of other folds.

Reads   embeddings_clip.parquet, crossvalidated_geometry.parquet, faces.parquet, labels.parquet,
        splits.parquet, age_check.parquet, zeroshot.parquet, metrics/labels.json; params `mlp`,
        `score` (weights, traits), `attributes` (targets, min_per_class), `evaluate` (but min_group)
Writes  crossvalidated.parquet (each prediction), metrics/crossvalidated.json
Alone   dvc repro -sf crossvalidate
"""

from facestats.run.stage import run_stage, warn

from facestats.core import tables
from facestats.core.files import read_json, write_metrics
from facestats.crossvalidation.dataset import Project
from facestats.crossvalidation.geometric_folds import load_geometric
from facestats.crossvalidation.plan import Plan
from facestats.crossvalidation.project import Options, cross_validate
from facestats.crossvalidation.tables import CROSSVALIDATED
from facestats.prompts.tables import ZEROSHOT


def main(params, embeddings, metadata, geometric, label_metrics, predictions, metrics):
    data = Project.read(embeddings, metadata)
    crossvalidated = cross_validate(
        data,
        Plan.of(params.evaluate),
        Options(
            params.mlp,
            params.score.model_dump()["weights"],
            params.score.traits,
            params.attributes.targets,
            params.attributes.min_per_class,
        ),
        load_geometric(geometric),
        tables.read_for(data.embeddings.names, metadata / ZEROSHOT.name, ZEROSHOT),
        read_json(label_metrics)["reliability"]["ceiling"],
    )
    warn(*crossvalidated.warnings)
    tables.write(crossvalidated.table, predictions, CROSSVALIDATED)
    write_metrics(metrics, crossvalidated.metrics)
    return crossvalidated.summary()


if __name__ == "__main__":
    run_stage(main)
