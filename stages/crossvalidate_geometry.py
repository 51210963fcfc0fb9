"""Stage `crossvalidate_geometry`: the geometric score of rated faces, by models of other folds.

Reads   embeddings_clip.parquet (whose faces there are), the face crops (only with
        `geometry.appearance`), faces.parquet, labels.parquet, splits.parquet, age_check.parquet;
        params `geometry.appearance`, `score.traits`, `evaluate` (folds, repeats, permutations,
        most, seed)
Writes  crossvalidated_geometry.parquet
Alone   dvc repro -sf crossvalidate_geometry
"""

from facestats.run.stage import run_stage

from facestats.crossvalidation.dataset import Project
from facestats.crossvalidation.geometric import cross_validate_shapes
from facestats.crossvalidation.geometric_folds import save_geometric
from facestats.crossvalidation.plan import Plan
from facestats.faces.tables import FACES
from facestats.geometry.shapes import LandmarkTable


def main(params, embeddings, metadata, crops, predictions):
    folds = cross_validate_shapes(
        Project.read(embeddings, metadata),
        LandmarkTable(metadata / FACES.name),
        crops if params.geometry.appearance else None,
        params.score.traits,
        Plan.of(params.evaluate),
    )
    save_geometric(predictions, folds)
    return " ".join(f"{column}={len(one.table)}" for column, one in folds.items())


if __name__ == "__main__":
    run_stage(main)
