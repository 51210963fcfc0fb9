"""Stage `geometry`: measurements of each face's landmarks, and the score that was learned from its shape and pixels.

Reads   the face crops (only with `geometry.appearance`), faces.parquet, labels.parquet, splits.parquet,
        attributes_clean.parquet, age_check.parquet (ratings of children teach nothing, and get no score); params `geometry`
Writes  models/geometry_regressor.safetensors, geometry.parquet, attributes_with_meta.parquet
Alone   dvc repro -sf geometry
"""

from facestats.run.stage import run_stage, warn

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facestats.age.tables import AGE_CHECK
from facestats.attributes.tables import CLEAN
from facestats.core import tables
from facestats.core.stats.identity import known_minors, same_faces
from facestats.core.tables.embeddings import sample_rows
from facestats.geometry.measurements import measure
from facestats.geometry.pose import is_frontal
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.tables import GEOMETRY, WITH_META
from facestats.geometry.training import MIN_TRAIN, out_of_fold, sampler_for, train_pipeline
from facestats.geometry.zscore import ZScore, fit_zscore
from facestats.labels.tables import LABELS, SPLITS

MOST_TRAINED = (
    10_000  # faces, drawn at random where more are rated: 0.5 GB, and 350 slopes need no more
)


def main(
    params,
    crops: Path,
    faces: Path,
    labels: Path,
    splits: Path,
    attributes: Path,
    age_check: Path,
    regressor: Path,
    geometry: Path,
    with_meta: Path,
) -> str:
    shapes = LandmarkTable(faces)
    said = tables.read(labels, LABELS, ["filename", "person", "rating"]).set_index("filename")
    groups = same_faces(shapes.rows, said["person"])
    said = said.reindex(shapes.rows["filename"])
    checked = tables.read(age_check, AGE_CHECK)
    said["rating"] = said["rating"].mask(known_minors(checked).reindex(said.index))
    scored = checked.set_index("filename")["score_withheld"].isna().reindex(said.index).to_numpy()
    train = (
        tables.read(splits, SPLITS).set_index("filename")["split"].reindex(said.index).to_numpy()
        == "train"
    )
    measured = pd.concat([measure(batch) for batch in shapes.batches()], ignore_index=True)
    there = measured.notna().any(axis=1).to_numpy()
    zscore = fit_zscore(measured[train])

    learned = np.flatnonzero(train & there & said["rating"].notna().to_numpy())
    learned = learned[sample_rows(len(learned), MOST_TRAINED)]
    chosen = np.zeros(len(said), dtype=bool)
    chosen[learned] = True
    model, honest = _train(
        params.geometry,
        shapes,
        crops,
        chosen,
        said["rating"].to_numpy()[chosen],
        groups.reindex(said.index)[chosen],
        zscore,
    )
    model.save(regressor)
    raw = np.full(len(said), np.nan)
    raw[chosen] = honest
    raw[~scored] = np.nan
    missing = there & scored & np.isnan(raw)
    if model.trained:
        raw[missing] = _predict(model, shapes, crops, missing)
    else:
        warn(f"the geometric score is not trained: {model.why}")

    rows = shapes.rows[["filename", "yaw", "pitch", "roll"]].join(measured)
    rows["frontal"] = is_frontal(rows["yaw"], rows["pitch"])
    meta = tables.read_all(attributes, CLEAN).merge(rows, on="filename", how="left")
    tables.write(meta, with_meta, WITH_META, tables.doubts_metadata(tables.read_doubts(attributes)))
    rows = rows.drop(columns=["yaw", "pitch", "roll"])
    rows["geometry_zscore"], rows["geometric_raw"], rows["geometric_out_of_fold"] = (
        np.where(scored, zscore(measured), np.nan),
        raw,
        ~missing & ~np.isnan(raw),
    )
    tables.write(rows, geometry, GEOMETRY, {"why": model.why} if model.why else None)
    return f"faces={len(rows)} landmarks={there.sum()} trained_on={model.n_train} out_of_fold={rows['geometric_out_of_fold'].sum()}"


def _train(
    options,
    shapes: LandmarkTable,
    crops: Path,
    chosen: np.ndarray,
    ratings: np.ndarray,
    groups: pd.Series,
    zscore: ZScore,
) -> tuple[GeometryModel, np.ndarray]:
    """The model, and the honest predictions of the faces that it learned from, NaN where there are none."""
    landmarks = shapes.take(chosen)
    sampler = sampler_for(landmarks) if options.appearance and len(ratings) >= MIN_TRAIN else None
    x = features(landmarks, sampler, _paths(crops, shapes, chosen))
    pipeline, why = train_pipeline(x, ratings)
    honest = np.full(len(ratings), np.nan)
    if pipeline is not None and options.folds:
        honest, problems = out_of_fold(x, ratings, groups, options.folds, options.seed)
        for problem in problems:
            warn(f"geometry.folds: {problem}; its faces are scored by the main model")
    return GeometryModel(
        pipeline, why, zscore, sampler if pipeline else None, len(ratings) if pipeline else 0
    ), honest


def _predict(
    model: GeometryModel, shapes: LandmarkTable, crops: Path, wanted: np.ndarray
) -> np.ndarray:
    """The model's ratings of some faces, batch by batch."""
    found, at = [], 0
    with tqdm(total=int(wanted.sum()), unit="face", disable=None) as bar:
        for batch in shapes.batches():
            here = np.zeros(len(wanted), dtype=bool)
            here[at : at + len(batch)] = wanted[at : at + len(batch)]
            found.append(
                model.predict(batch[here[at : at + len(batch)]], _paths(crops, shapes, here))
            )
            at += len(batch)
            bar.update(len(found[-1]))
    return np.concatenate(found)


def _paths(crops: Path, shapes: LandmarkTable, chosen: np.ndarray) -> list[Path]:
    return [crops / name for name in shapes.rows["filename"][chosen]]


if __name__ == "__main__":
    run_stage(main)
