"""Stage `geometry`: measurements of each face's landmarks, and the score that was learned from its shape.

Reads   faces.parquet, labels.parquet, splits.parquet, attributes_clean.parquet; params `geometry`
Writes  models/geometry_regressor.joblib, geometry.parquet, attributes_with_meta.parquet
Alone   python stages/geometry.py data/processed/preproc data/processed/metadata/faces.parquet \\
            data/processed/metadata/labels.parquet data/processed/metadata/splits.parquet \\
            data/processed/metadata/attributes_clean.parquet models/geometry_regressor.joblib \\
            data/processed/metadata/geometry.parquet data/processed/metadata/attributes_with_meta.parquet
"""

from pathlib import Path

import numpy as np
import pandas as pd

from facestats import tables
from facestats.data.splits import same_faces
from facestats.geometry.measurements import NAMES, measure
from facestats.geometry.pose import is_frontal
from facestats.geometry.regressor import GeometryModel
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.training import out_of_fold, train_pipeline
from facestats.geometry.zscore import fit_zscore
from facestats.stage import run_stage, warn


def main(params, crops: Path, faces: Path, labels: Path, splits: Path, attributes: Path, out: Path, table: Path,
         with_meta: Path) -> str:
    shapes = LandmarkTable(faces)
    said = tables.read(labels, tables.LABELS, ["filename", "person", "rating"]).set_index("filename")
    rating = shapes.in_order_of(said["rating"])
    train = shapes.in_order_of(tables.read(splits, tables.SPLITS).set_index("filename")["split"]) == "train"
    rows = shapes.rows[["filename", "yaw", "pitch", "roll"]].copy()
    measured = pd.concat([measure(batch) for batch in shapes.batches()], ignore_index=True)
    rows[list(NAMES)] = measured
    rows["frontal"] = is_frontal(rows["yaw"], rows["pitch"])
    there = measured[NAMES[0]].notna().to_numpy()
    zscore = fit_zscore(measured[train])

    chosen = train & there & ~np.isnan(rating)
    x = shapes.take(chosen).reshape(chosen.sum(), -1)
    pipeline, why = train_pipeline(x, rating[chosen])
    model = GeometryModel(pipeline, why, zscore, int(chosen.sum()))
    model.save(out)
    raw = np.concatenate([model.predict(batch) for batch in shapes.batches()])
    honest = np.full(len(rows), np.nan)
    if model.trained and params.geometry.folds:
        groups = same_faces(shapes.rows, said["person"]).reindex(shapes.rows["filename"])[chosen]
        honest[chosen], problems = out_of_fold(x, rating[chosen], groups, params.geometry.folds, params.geometry.seed)
        for problem in problems:
            warn(f"geometry.folds: {problem}; its faces are scored by the main model")
    if not model.trained:
        warn(f"the geometric score is not trained: {why}")
    rows["geometry_zscore"] = zscore(measured)
    rows["geometric_raw"] = np.where(np.isnan(honest), raw, honest)
    rows["geometric_out_of_fold"] = ~np.isnan(honest)
    tables.write(rows.drop(columns=["yaw", "pitch", "roll"]), table, tables.GEOMETRY, {"why": why} if why else None)
    meta = tables.read_all(attributes, tables.CLEAN).merge(rows[["filename", "yaw", "pitch", "roll", *NAMES, "frontal"]], on="filename", how="left")
    tables.write(meta, with_meta, tables.WITH_META)
    return f"faces={len(rows)} landmarks={there.sum()} trained_on={model.n_train} out_of_fold={rows['geometric_out_of_fold'].sum()}"


if __name__ == "__main__":
    run_stage(main)
