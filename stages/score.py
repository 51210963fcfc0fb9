"""Stage `score`: every face's scores (holistic, geometric, combined), percentile and decile.

Reads   embeddings_clip.parquet, attractiveness_regressor.pt, out_of_fold.parquet, geometry.parquet, splits.parquet,
        labels.parquet (the raters' scale; ratings, where weights are learned and to judge the scores by), attributes_clean.parquet,
        age_check.parquet (who gets no score); params `score.weights`
Writes  attractiveness_scores.parquet, attractiveness_with_attributes.parquet, feature_index.json,
        data/processed/attractiveness_scores.npy, models/blend.json (the weights and what the scores are worth, for single photos)
Alone   dvc repro -sf score
"""

from facestats.run.stage import run_stage, warn

import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.files import write_bytes, write_text
from facestats.core.stats.verdict import judge_scores
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.geometry.tables import GEOMETRY
from facestats.labels.tables import LABELS, SPLITS
from facestats.scores.blending import LEARNED, BlendWeights, blend_weights, save_blend
from facestats.scores.regressor import load_regressor
from facestats.scores.table import index_text, score_table
from facestats.scores.tables import SCORES, SCORES_OUT_OF_FOLD, SCORES_WITH_ATTRIBUTES

OF_GEOMETRY = ["filename", "geometric_raw", "geometry_zscore", "geometric_out_of_fold"]


def main(
    params,
    embeddings: Path,
    regressor: Path,
    out_of_fold: Path,
    geometry: Path,
    splits: Path,
    labels: Path,
    attributes: Path,
    age_check: Path,
    metadata: Path,
    array: Path,
    blend: Path,
) -> str:
    torch.set_num_threads(1)
    vectors = EmbeddingTable(embeddings)
    split = tables.read(splits, SPLITS).set_index("filename")["split"].reindex(vectors.names)
    honest = tables.read(out_of_fold, SCORES_OUT_OF_FOLD).set_index("filename")[
        "attractiveness_raw"
    ]
    shapes = tables.read(geometry, GEOMETRY, OF_GEOMETRY).set_index("filename")
    scale = tables.rating_scale(labels)
    scores = score_table(
        vectors.names,
        vectors,
        load_regressor(regressor),
        split,
        honest,
        shapes,
        scale,
        tables.read(age_check, AGE_CHECK).set_index("filename"),
    )
    said = (
        tables.read(labels, LABELS, ["filename", "rating", "person"])
        .set_index("filename")
        .reindex(vectors.names)
    )
    weighting = _weights(
        params.score.weights,
        scores,
        said["rating"],
        scale,
        tables.file_metadata(geometry).get("why"),
    )
    scores["combined_score"] = weighting(scores["geometric_score"], scores["attractiveness_score"])
    verdicts = judge_scores(scores, said["rating"], said["person"], scale)
    for verdict in verdicts.values():
        if verdict.text:
            warn(verdict.text)
    save_blend(blend, weighting, scale, verdicts)
    doubt = verdicts["holistic"].text if "holistic" in verdicts else None
    with_attributes = scores.merge(tables.read_all(attributes, CLEAN), on="filename", how="left")
    scores.insert(1, "image", with_attributes["image"])
    tables.write(
        scores,
        metadata / SCORES.name,
        SCORES,
        tables.doubts_metadata({"attractiveness": doubt} if doubt else {}),
    )
    tables.write(
        with_attributes,
        metadata / SCORES_WITH_ATTRIBUTES.name,
        SCORES_WITH_ATTRIBUTES,
    )
    write_text(metadata / "feature_index.json", index_text(scores["filename"]))
    buffer = io.BytesIO()
    np.save(buffer, scores["attractiveness_score"].to_numpy(dtype=np.float32))
    write_bytes(array, buffer.getvalue())
    counts = {
        name: int(scores[column].notna().sum())
        for name, column in (
            ("scored", "attractiveness_score"),
            ("geometric", "geometric_score"),
            ("combined", "combined_score"),
        )
    }
    shown = " ".join(
        f"{name}={n}"
        for name, n in (counts | {"withheld": int(scores["score_withheld"].notna().sum())}).items()
    )
    summary = f"rows={len(scores)} {shown} out_of_fold={int(scores['out_of_fold'].sum())}"
    if weighting.learned and not weighting.why:
        summary += f"\n  weights learned from {weighting.n_val} val faces: geometric {weighting.geometric:.3f}, holistic {weighting.holistic:.3f}"
    return summary


def _weights(
    wanted,
    scores: pd.DataFrame,
    ratings: pd.Series,
    scale: tuple[float, float] | None,
    missing: str | None,
) -> BlendWeights:
    wanted = wanted if wanted == LEARNED else wanted.model_dump()
    found = blend_weights(wanted, scores, ratings, scale, missing)
    if found.why:
        warn(f"there is no combined score: {found.why}")
    return found


if __name__ == "__main__":
    run_stage(main)
