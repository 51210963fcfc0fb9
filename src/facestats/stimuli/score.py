"""The direction in shape and colour that the geometric score prefers, kept off some attributes.

A model's gradient leads to faces that nobody has. The direction here is that in which faces differ
whose scores differ: in principal components of unit variance, the model's slopes; in pixels and
landmarks, their covariance with the score. Attributes are kept constant as far as ridge regressions
on the same components tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from facestats.errors import InputError
from facestats.geometry.regressor import GeometryModel, features
from facestats.geometry.training import MIN_TRAIN, PENALTIES
from facestats.pairs.built import Built
from facestats.stimuli.changes import Change, shape_step
from facestats.stimuli.photo import FacePhoto

UNIT = 2.0  # standard deviations that 1 stands for
_LEFT = 1e-6  # share of the direction's length that has to remain


@dataclass(frozen=True)
class ScoreDirection:
    """What a face gains in shape and colour on the way to a higher score.

    Attributes
    ----------
    shapes : pair of ndarray (468, 2)
        The mean shape with half of the change in shape, and without as much.
    pictures : pair of Built, optional
        The same in colour; None for a model of the shape alone.
    by_shape, by_colour : float
        Predicted change of the rating, in the raters' unit, of 1 in shape and 1 in colour.
    """

    shapes: tuple[np.ndarray, np.ndarray]
    pictures: tuple[Built, Built] | None
    by_shape: float
    by_colour: float

    def change(self, face: FacePhoto, shape: float, colour: float) -> Change:
        """Move a face along the direction."""
        target = face.landmarks + shape * shape_step(face.landmarks, *self.shapes)
        if not colour or self.pictures is None:
            return Change(target)
        return Change(target, [(self.pictures[0], colour), (self.pictures[1], -colour)])


def score_direction(
    model: GeometryModel,
    landmarks: np.ndarray,
    faces: Iterable[Any],
    attributes: pd.DataFrame | None = None,
) -> ScoreDirection:
    """Find the direction that a trained geometric model prefers.

    Parameters
    ----------
    model : GeometryModel
        Trained.
    landmarks : ndarray (n, 468, 3)
        Of n faces of the population.
    faces : iterable of n images
        Their crops; not read for a model of the shape alone.
    attributes : DataFrame of float (n rows), optional
        What is to stay constant; NaN where unknown.

    Returns
    -------
    ScoreDirection

    Raises
    ------
    InputError
        The attributes leave nothing of the direction.
    """
    pipeline: Any = model.pipeline
    parts = (
        {"shape": pipeline["features"].shape, "colour": pipeline["features"].appearance}
        if model.sampler
        else {"shape": pipeline[:-1]}
    )
    deviations = np.concatenate(
        [
            np.sqrt(part["components"].explained_variance_) * part["scale"].factor_
            for part in parts.values()
        ]
    )
    slopes = np.asarray(pipeline["ridge"].coef_, dtype=np.float64).ravel()
    wanted = slopes * deviations
    if attributes is not None and len(attributes.columns):
        rows = features(landmarks, model.sampler, list(faces) if model.sampler else None)
        for step in dict(pipeline.steps[:-1]).values():
            rows = step.transform(rows)
        wanted = _orthogonal(wanted, rows, deviations, attributes)
    step = UNIT * deviations * wanted / np.linalg.norm(wanted)
    moves, gains, start = {}, {}, 0
    for name, part in parts.items():
        end = start + len(part["components"].explained_variance_)
        moves[name] = part["components"].components_.T @ (step[start:end] / part["scale"].factor_)
        gains[name] = float(slopes[start:end] @ step[start:end])
        start = end
    mean = parts["shape"]["procrustes"].consensus_[:, :2]
    half = moves["shape"].reshape(-1, 3)[:, :2] / 2
    pictures = None
    if model.sampler:
        plain, away = parts["colour"]["components"].mean_, moves["colour"] / 2
        pictures = (
            Built("higher", *model.sampler.picture(plain + away)),
            Built("lower", *model.sampler.picture(plain - away)),
        )
    return ScoreDirection(
        (mean + half, mean - half), pictures, gains["shape"], gains.get("colour", 0.0)
    )


def _orthogonal(
    wanted: np.ndarray, rows: np.ndarray, deviations: np.ndarray, attributes: pd.DataFrame
) -> np.ndarray:
    """The part of a direction along which ridge regressions of the attributes do not change."""
    columns = []
    for name in attributes.columns:
        values = attributes[name].to_numpy(np.float64)
        known = np.isfinite(values)
        if known.sum() < MIN_TRAIN or np.ptp(values[known]) == 0:
            raise InputError(
                f"orthogonal: {name} is not known of {MIN_TRAIN} faces, or the same of all; leave "
                "it out"
            )
        with threadpool_limits(1):
            ridge = RidgeCV(PENALTIES).fit(rows[known], values[known])
        columns.append(ridge.coef_ * deviations)
    basis = np.linalg.svd(np.column_stack(columns), full_matrices=False)[0]
    rest = wanted - basis @ (basis.T @ wanted)
    if np.linalg.norm(rest) < _LEFT * np.linalg.norm(wanted):
        raise InputError(
            "orthogonal leaves nothing of the score's direction; name fewer attributes"
        )
    return rest
