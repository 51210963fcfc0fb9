"""Stage `score`: every face's scores (holistic, geometric, combined), percentile and decile.

Reads   embeddings_clip.parquet, faces.parquet, attractiveness_regressor.pt, geometry.parquet,
        out_of_fold.parquet, splits.parquet, labels.parquet (to judge scores by),
        attributes_clean.parquet, age_check.parquet; params `score.weights`
Writes  attractiveness_scores.parquet, attractiveness_with_attributes.parquet, feature_index.json,
        attractiveness_scores.npy, models/blend.json (weights and verdicts, for single photos)
Alone   dvc repro -sf score
"""

from facestats.run.stage import run_stage, warn

import torch

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.files import write_bytes, write_text
from facestats.core.stats.identity import IDENTITY, same_faces, several_faces
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.faces.tables import FACES
from facestats.geometry.tables import GEOMETRY
from facestats.labels.tables import LABELS, SPLITS
from facestats.scores.blending import save_blend
from facestats.scores.regressor import load_regressor
from facestats.scores.table import array_bytes, index_text, score_faces
from facestats.scores.tables import SCORES, SCORES_OUT_OF_FOLD, SCORES_WITH_ATTRIBUTES


def main(params, embeddings, metadata, regressor, array, blend):
    torch.set_num_threads(1)
    vectors, scale = EmbeddingTable(embeddings), tables.rating_scale(metadata / LABELS.name)

    def read(schema, *columns):
        return tables.read_for(vectors.names, metadata / schema.name, schema, [*columns])

    rows = read(LABELS, "rating", "person")
    accepted = tables.read(metadata / FACES.name, FACES, IDENTITY).dropna(subset="filename")
    rows["person"] = several_faces(same_faces(accepted, rows["person"])).reindex(vectors.names)
    rows["split"] = read(SPLITS)["split"]
    scored = score_faces(
        vectors,
        load_regressor(regressor),
        params.score.model_dump()["weights"],
        rows,
        read(SCORES_OUT_OF_FOLD)["attractiveness_raw"],
        read(GEOMETRY, *list(GEOMETRY.fields)[1:]),
        read(AGE_CHECK),
        scale,
        tables.file_metadata(metadata / GEOMETRY.name).get("why"),
    )
    for message in scored.warnings:
        warn(message)
    save_blend(blend, scored.weights, scale, scored.verdicts)
    scores = scored.table
    attributes = tables.read_all(metadata / CLEAN.name, CLEAN)
    with_attributes = scores.merge(attributes, on="filename", how="left")
    scores.insert(1, "image", with_attributes["image"])
    doubts = tables.doubts_metadata(scored.doubts())
    tables.write(scores, metadata / SCORES.name, SCORES, doubts)
    joined = metadata / SCORES_WITH_ATTRIBUTES.name
    tables.write(with_attributes, joined, SCORES_WITH_ATTRIBUTES)
    write_text(metadata / "feature_index.json", index_text(scores["filename"]))
    write_bytes(array, array_bytes(scores["attractiveness_score"]))
    return scored.summary()


if __name__ == "__main__":
    run_stage(main)
