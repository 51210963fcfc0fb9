"""Stage `score`: every face's scores (holistic, geometric, combined), percentile and decile.

Reads   tables embeddings_clip, faces, geometry, out_of_fold, splits, attributes_clean, age_check,
        labels and metrics/crossvalidated.json (to judge scores by), the regressor; `score.weights`
Writes  attractiveness_scores (.parquet, .npy), attractiveness_with_attributes.parquet,
        feature_index.json, models/blend.json (weights, verdicts)
Alone   dvc repro -sf score
"""

from facestats.run.stage import run_stage, warn

import torch

from facestats.age.tables import AGE_CHECK
from facestats.core import tables
from facestats.core.files import read_json
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.geometry.tables import GEOMETRY
from facestats.labels.tables import LABELS
from facestats.scores.regressor import load_regressor
from facestats.scores.scoring import read_rated, score_faces
from facestats.scores.tables import SCORES_OUT_OF_FOLD


def main(params, embeddings, metadata, crossvalidated, regressor, array, blend):
    torch.set_num_threads(1)
    vectors, scale = EmbeddingTable(embeddings), tables.rating_scale(metadata / LABELS.name)

    def read(schema, columns):
        return tables.read_for(vectors.names, metadata / schema.name, schema, columns)

    scored = score_faces(
        vectors,
        load_regressor(regressor),
        params.score.model_dump()["weights"],
        read_rated(vectors.names, metadata),
        read(SCORES_OUT_OF_FOLD, ["attractiveness_raw"])["attractiveness_raw"],
        read(GEOMETRY, ["geometric_raw", "geometry_zscore", "geometric_out_of_fold"]),
        read(AGE_CHECK, ["score_withheld", "age_checked"]),
        scale,
        tables.file_metadata(metadata / GEOMETRY.name).get("why"),
        read_json(crossvalidated)["rating"],
    )
    warn(*scored.warnings)
    scored.write(metadata, array, blend)
    return scored.summary()


if __name__ == "__main__":
    run_stage(main)
