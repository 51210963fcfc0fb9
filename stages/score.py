"""Stage `score`: every face's score, percentile and decile.

Reads   embeddings_clip.parquet, attractiveness_regressor.pt, out_of_fold.parquet, splits.parquet,
        attributes_clean.parquet; params `score`
Writes  attractiveness_scores.parquet, attractiveness_with_attributes.parquet, feature_index.json,
        data/processed/attractiveness_scores.npy
Alone   python stages/score.py data/processed/embeddings/embeddings_clip.parquet \\
            models/attractiveness_regressor.pt data/processed/metadata/out_of_fold.parquet \\
            data/processed/metadata/splits.parquet data/processed/metadata/attributes_clean.parquet \\
            data/processed/metadata \\
            data/processed/attractiveness_scores.npy
"""

import io
from pathlib import Path

import numpy as np
import torch

from facestats import tables
from facestats.attractiveness.mlp import load_regressor
from facestats.attractiveness.table import index_text, score_table
from facestats.embeddings import EmbeddingTable
from facestats.files import write_bytes, write_text
from facestats.stage import run_stage


def main(params, embeddings: Path, model: Path, folds: Path, splits: Path, attributes: Path, folder: Path, array: Path) -> str:
    torch.set_num_threads(1)
    vectors = EmbeddingTable(embeddings)
    split = tables.read(splits, tables.SPLITS).set_index("filename")["split"].reindex(vectors.names)
    honest = tables.read(folds, tables.SCORES_OUT_OF_FOLD).set_index("filename")["attractiveness_raw"]
    scores = score_table(vectors.names, vectors, load_regressor(model), split, params.score.weights.model_dump(), honest)
    tables.write(scores, folder / tables.SCORES.name, tables.SCORES)
    with_attributes = scores.merge(tables.read_all(attributes, tables.CLEAN), on="filename", how="left")
    tables.write(with_attributes, folder / tables.SCORES_WITH_ATTRIBUTES.name, tables.SCORES_WITH_ATTRIBUTES)
    write_text(folder / "feature_index.json", index_text(scores["filename"]))
    buffer = io.BytesIO()
    np.save(buffer, scores["attractiveness_score"].to_numpy(dtype=np.float32))
    write_bytes(array, buffer.getvalue())
    scored = int(scores["attractiveness_score"].notna().sum())
    return f"rows={len(scores)} scored={scored} out_of_fold={int(scores['out_of_fold'].sum())}"


if __name__ == "__main__":
    run_stage(main)
