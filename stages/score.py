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
from facestats.scores.scoring import read_rated, read_texts, score_faces
from facestats.scores.tables import SCORES_OUT_OF_FOLD

_OF_GEOMETRY = ["geometric_raw", "geometry_zscore", "geometric_out_of_fold"]


def main(params, embeddings, metadata, crossvalidated, regressor, array, blend):
    torch.set_num_threads(1)
    vectors, scale = EmbeddingTable(embeddings), tables.rating_scale(metadata / LABELS.name)
    out_of_fold = tables.read(metadata / SCORES_OUT_OF_FOLD.name, SCORES_OUT_OF_FOLD)
    scored = score_faces(
        vectors,
        load_regressor(regressor),
        params.score.model_dump()["weights"],
        read_rated(vectors.names, metadata),
        out_of_fold.set_index("filename")["attractiveness_raw"],
        tables.read_for(vectors.names, metadata / GEOMETRY.name, GEOMETRY, _OF_GEOMETRY),
        read_texts(vectors.names, metadata / AGE_CHECK.name, AGE_CHECK, [*tables.AGE_COLUMNS]),
        scale,
        tables.file_metadata(metadata / GEOMETRY.name).get("why"),
        read_json(crossvalidated)["rating"],
    )
    warn(*scored.warnings)
    scored.write(metadata, array, blend)
    return scored.summary()


if __name__ == "__main__":
    run_stage(main)
