"""Cross-validation of the geometric score: mean shape, components and regression of each fold.

It is apart from that of the other scores, so that a change of theirs reads no picture, and runs
where the pictures are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.crops import Crops
from facestats.core.stats.regression import is_constant
from facestats.crossvalidation.chance import ridge_predictions
from facestats.crossvalidation.dataset import Project, rated_columns
from facestats.crossvalidation.geometric_folds import GeometricFolds
from facestats.crossvalidation.measures import fold_correlations
from facestats.crossvalidation.plan import Division, Plan
from facestats.crossvalidation.tables import GEOMETRIC
from facestats.errors import FaultError, InputError, number_of
from facestats.geometry import training
from facestats.geometry.appearance import reduced_crop
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import features
from facestats.geometry.shapes import LandmarkTable
from facestats.machine.threads import in_threads, one_thread

MEMORY, BYTES = 3e9, 1_500_000  # bytes for all folds side by side, and of a face in one


@dataclass(frozen=True)
class Shapes:
    """Faces as the geometric score sees them, n rows.

    Attributes
    ----------
    landmarks : ndarray of float32 (n, 468, 3)
        NaN for a face without.
    crops : list of ndarray, optional
        The faces' pixels; None: shapes alone count.
    """

    landmarks: np.ndarray
    crops: list[Any] | None = None

    def take(self, rows: np.ndarray) -> Shapes:
        """Those of some rows (bool, n)."""
        crops = self.crops
        if crops is not None:
            crops = [crops[i] for i in np.flatnonzero(rows)]
        return Shapes(self.landmarks[rows], crops)


def cross_validate_geometry(
    shapes: Shapes,
    groups: pd.Series,
    ratings: pd.Series,
    measured: pd.Series,
    stop_share: float,
    plan: Plan,
) -> GeometricFolds:
    """Predict each rated face by models that have not seen its person.

    Parameters
    ----------
    shapes : Shapes
        Of n rated faces.
    groups, ratings, measured, stop_share, plan
        As for `ratings.cross_validate_rating`.

    Returns
    -------
    GeometricFolds

    Raises
    ------
    InputError
        There are too few faces or persons, or too many, or all ratings are the same.
    """
    division = Division.of(groups, measured, stop_share, plan)
    y = ratings.to_numpy(float)
    if is_constant(y):
        raise InputError(f"all {number_of(len(y), 'rated face')} have the same rating, {y[0]:g}")
    permuted = plan.permuted(y, division.groups)
    has_shape: Any = np.isfinite(shapes.landmarks.reshape(len(y), -1)).all(axis=1)
    lengths = measure(shapes.landmarks)

    def predict(job: tuple[int, int]) -> tuple[pd.DataFrame, np.ndarray, str | None]:
        inside, stops, train = division.parts(*job)
        others = inside | stops
        rows = pd.DataFrame(
            {
                "repeat": job[0],
                "fold": job[1],
                "filename": groups.index[others],
                "geometric_raw": np.nan,
                "geometry_zscore": fit_zscore(lengths[~inside])(lengths[others]),
            }
        )
        learned, seen = train & has_shape, others & has_shape
        own, other = shapes.take(learned), shapes.take(seen)
        of_permuted = np.full((int(inside.sum()), plan.permutations), np.nan)
        sampler = None
        if own.crops is not None and learned.sum() >= training.MIN_TRAIN:
            sampler = training.sampler_for(own.landmarks)
        x = features(own.landmarks, sampler, own.crops)
        pipeline, why = training.train_pipeline(x, y[learned])
        if pipeline is None or not seen.any():
            return rows, of_permuted, why or f"fold {job[1]} has no face with landmarks"
        x_other = features(other.landmarks, sampler, other.crops)
        rows.loc[has_shape[others], "geometric_raw"] = pipeline.predict(x_other)
        for _, step in pipeline.steps[:-1]:
            x, x_other = step.transform(x), step.transform(x_other)
        of_permuted[has_shape[inside]] = ridge_predictions(
            x, permuted[learned], x_other[inside[seen]], training.PENALTIES, False
        )
        return rows, of_permuted, None

    with one_thread():
        most = max(1, int(MEMORY / (BYTES * max(len(y), 1))))
        results = in_threads(predict, division.jobs, most)
    table = pd.concat([rows for rows, _, _ in results], ignore_index=True)
    if why := next((why for _, _, why in results if why), None):
        return GeometricFolds(table.assign(geometric_raw=np.nan), why=why)
    counts = measured.to_numpy(bool) & has_shape
    drawn, observed = [], []
    for (repeat, fold), (rows, of_permuted, _) in zip(division.jobs, results, strict=True):
        inside = division.folds[repeat] == fold
        kept, one_fold = counts[inside], np.zeros(int(counts[inside].sum()))
        own = rows.set_index("filename")["geometric_raw"].reindex(groups.index[inside])
        observed.append(
            fold_correlations(y[inside][kept, None], own.to_numpy()[kept, None], one_fold)
        )
        drawn.append(fold_correlations(permuted[inside][kept], of_permuted[kept], one_fold))
    return GeometricFolds(
        table,
        np.nan_to_num(np.stack(drawn)).mean(axis=0).tolist(),
        float(np.nan_to_num(np.stack(observed)).mean()),
    )


def cross_validate_shapes(
    data: Project,
    shapes: LandmarkTable,
    crops: Path | None,
    traits: Sequence[str],
    plan: Plan,
) -> dict[str, GeometricFolds]:
    """Cross-validate the geometric score on every rating.

    Parameters
    ----------
    data : Project
    shapes : LandmarkTable
        Of the same faces.
    crops : Path, optional
        Folder of the face crops; None: shapes alone count.
    traits : sequence of str
        `score.traits`.
    plan : Plan

    Returns
    -------
    dict of GeometricFolds
        By column of the rating.
    """
    folds, pixels = {}, {}
    order = pd.Index(shapes.rows["filename"])
    for column in rated_columns(traits):
        rated = data.rated(column)
        try:
            if why := plan.why_not(rated.groups[rated.measured]):  # before any crop is read
                raise InputError(why)
            names = rated.ratings.index
            if crops:
                files = Crops.of(crops)
                new = [name for name in names if name not in pixels]
                pixels |= {name: reduced_crop(files.source(name)) for name in new}
            landmarks = shapes.take(order.isin(names))
            own = landmarks[order[order.isin(names)].get_indexer(names)]
            folds[column] = cross_validate_geometry(
                Shapes(own, [pixels[name] for name in names] if crops else None),
                rated.groups,
                rated.ratings,
                rated.measured,
                rated.stop_share,
                plan,
            )
        except FaultError:
            raise
        except InputError as error:
            folds[column] = GeometricFolds(
                pd.DataFrame(columns=list(GEOMETRIC.columns)).drop(columns="target"),
                why=str(error),
            )
    return folds
