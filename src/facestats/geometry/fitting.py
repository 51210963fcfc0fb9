"""The geometric score of a project: its train faces, and what it predicts for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facestats.core.crops import Crops, Source
from facestats.core.tables.embeddings import sample_rows
from facestats.geometry.measurements import SIGNS, ZScore, fit_zscore, measure
from facestats.geometry.params import Geometry
from facestats.geometry.pose import is_frontal
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.shapes import LandmarkTable
from facestats.geometry.training import MIN_TRAIN, out_of_fold, sampler_for, train_pipeline

# Train faces, drawn at random where more are rated: they take 0.5 GB, and suffice for 350 slopes.
MOST_TRAINED = 10_000


@dataclass
class FittedGeometry:
    """The geometric model of a project, and its predictions for every face.

    Attributes
    ----------
    model : GeometryModel
        Trained, or with the reason why not.
    rows : DataFrame
        By face: `filename`, `yaw`, `pitch`, `roll`, `frontal`, `geometry_zscore`, `geometric_raw`,
        `geometric_out_of_fold`.
    n_landmarks : int
        Faces with landmarks.
    warnings : list of str
        What the user should know.
    """

    model: GeometryModel
    rows: pd.DataFrame
    n_landmarks: int
    warnings: list[str]

    def summary(self) -> str:
        """Count the faces, in one line."""
        return (
            f"faces={len(self.rows)} landmarks={self.n_landmarks} "
            f"trained_on={self.model.n_train} "
            f"out_of_fold={self.rows['geometric_out_of_fold'].sum()}"
        )


def fit_geometry(
    options: Geometry, shapes: LandmarkTable, crops: Path, faces: pd.DataFrame
) -> FittedGeometry:
    """Train the geometric score on rated train faces, and predict all.

    Parameters
    ----------
    options : Geometry
        The section `geometry` of `params.yaml`.
    shapes : LandmarkTable
        Of n faces.
    crops : Path
        Folder of the face crops; read only with `options.appearance`.
    faces : DataFrame (n rows)
        In the order of `shapes`: `rating` (null where nobody rated, or where it must not be used),
        `split`, `group` (whose face it is, as `identity.same_faces` gives it; of rated train faces)
        and `scored` (whether it gets a score).

    Returns
    -------
    FittedGeometry
    """
    scored, train = faces["scored"].to_numpy(bool), (faces["split"] == "train").to_numpy()
    measured = pd.concat(
        [measure(batch, only=SIGNS) for batch in shapes.batches()], ignore_index=True
    )
    has_landmarks = measured.notna().any(axis=1).to_numpy()
    zscore = fit_zscore(measured[train])
    candidates = np.flatnonzero(train & has_landmarks & faces["rating"].notna().to_numpy())
    chosen = np.zeros(len(faces), dtype=bool)
    chosen[candidates[sample_rows(len(candidates), MOST_TRAINED)]] = True
    model, unseen, warnings = _train(options, shapes, crops, chosen, faces[chosen], zscore)
    raw = np.full(len(faces), np.nan)
    raw[chosen] = unseen
    raw[~scored] = np.nan
    missing = has_landmarks & scored & np.isnan(raw)
    if model.trained:
        raw[missing] = _predict(model, shapes, crops, missing)
    else:
        warnings.append(f"the geometric score is not trained: {model.why}")
    rows = shapes.rows[["filename", "yaw", "pitch", "roll"]].copy()
    rows["frontal"] = is_frontal(rows["yaw"], rows["pitch"])
    rows["geometry_zscore"] = np.where(scored, zscore(measured), np.nan)
    rows["geometric_raw"] = raw
    rows["geometric_out_of_fold"] = ~missing & ~np.isnan(raw)
    return FittedGeometry(model, rows, int(has_landmarks.sum()), warnings)


def _train(
    options: Geometry,
    shapes: LandmarkTable,
    crops: Path,
    chosen: np.ndarray,
    faces: pd.DataFrame,
    zscore: ZScore,
) -> tuple[GeometryModel, np.ndarray, list[str]]:
    """The model, out-of-fold predictions of its train faces (NaN: there are none), warnings."""
    landmarks, ratings = shapes.take(chosen), faces["rating"].to_numpy()
    enough = options.appearance and len(ratings) >= MIN_TRAIN
    sampler = sampler_for(landmarks) if enough else None
    x = features(landmarks, sampler, _files(crops, shapes.rows["filename"][chosen]))
    pipeline, why = train_pipeline(x, ratings)
    predicted, problems = np.full(len(ratings), np.nan), []
    if pipeline is None:
        return GeometryModel(None, why, zscore), predicted, []
    if options.folds:
        predicted, problems = out_of_fold(x, ratings, faces["group"], options.folds, options.seed)
    warnings = [
        f"geometry.folds: {text}; its faces are scored by the main model" for text in problems
    ]
    return GeometryModel(pipeline, None, zscore, sampler, len(ratings)), predicted, warnings


def _predict(
    model: GeometryModel, shapes: LandmarkTable, crops: Path, chosen: np.ndarray
) -> np.ndarray:
    """Predict ratings of the chosen faces, batch by batch."""
    predicted, start = [], 0
    with tqdm(total=int(chosen.sum()), unit="face", disable=None) as bar:
        for batch in shapes.batches():
            rows = slice(start, start + len(batch))
            landmarks, names = batch[chosen[rows]], shapes.rows["filename"].iloc[rows]
            predicted.append(model.predict(landmarks, _files(crops, names[chosen[rows]])))
            start += len(batch)
            bar.update(len(landmarks))
    return np.concatenate(predicted)


def _files(crops: Path, names: pd.Series) -> Sequence[Source]:
    return Crops.of(crops).sources(names)
