"""Cross-validation of the scores: every model that predicts a rating, on all rated faces.

Whatever is fitted or chosen is fitted and chosen anew in each outer fold, on the faces outside of
it: penalties, the perceptrons and when to stop them, the calibration, the mean shape, the
components of shape and pixels, and learned weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.folds import dealt_share
from facestats.core.stats.regression import is_constant
from facestats.core.stats.scale import blend, to_score
from facestats.crossvalidation.baselines import (
    PENALTIES,
    SIXTY_FORTY,
    ZSCORE,
    baseline_predictions,
)
from facestats.crossvalidation.chance import ridge_predictions
from facestats.crossvalidation.measures import fold_correlations
from facestats.crossvalidation.plan import Plan
from facestats.errors import InputError, number_of
from facestats.geometry import training as geometry
from facestats.geometry.measurements import fit_zscore, measure
from facestats.geometry.regressor import features
from facestats.machine.threads import in_threads, one_thread
from facestats.scores import folds
from facestats.scores.blending import LEARNED, learn_weights
from facestats.scores.params import Mlp
from facestats.scores.training import train_regressor

_STOP = 2  # what a seed is for; `Plan` has others
# Perceptrons are trained on one in ten permutations, and for few faces only: a training takes 0.2 s
# of a processor for 40 faces, 1 s for 250. 19 is the least number that can give p = 0.05.
SHARE_OF_NETWORKS, LEAST_PERMUTATIONS, FEW_FACES = 10, 19, 100
MEMORY, BYTES = 3e9, 64  # bytes for all folds side by side, and for each number of the features


@dataclass(frozen=True)
class Faces:
    """What the scores are learned from, n rows.

    Attributes
    ----------
    embeddings : ndarray of float32 (n, d)
    groups : Series of str (n,)
        By filename, whose face it is, as `identity.same_faces` gives it.
    landmarks : ndarray of float32 (n, 468, 3)
        NaN for a face without.
    crops : list of ndarray, optional
        The faces' pixels; None: the geometric score sees shapes alone.
    """

    embeddings: np.ndarray
    groups: pd.Series
    landmarks: np.ndarray
    crops: list[Any] | None = None

    def take(self, rows: np.ndarray) -> Faces:
        """The faces of some rows (bool, n)."""
        crops = self.crops
        if crops is not None:
            crops = [crops[i] for i in np.flatnonzero(rows)]
        return Faces(self.embeddings[rows], self.groups[rows], self.landmarks[rows], crops)


@dataclass(frozen=True)
class Scoring:
    """The choices that scores follow.

    Attributes
    ----------
    mlp : Mlp
        The section `mlp` of `params.yaml`.
    weights : mapping or str
        Of `geometric` and `holistic`, or `learned`.
    scale : (float, float)
        Ends of the raters' scale.
    stop_share : float
        Share of the faces outside a fold that stop, calibrate and choose, as val does.
    """

    mlp: Mlp
    weights: Mapping[str, float] | str
    scale: tuple[float, float]
    stop_share: float


@dataclass
class Predictions:
    """Cross-validated predictions of one target.

    Attributes
    ----------
    actual : Series (n,)
        Label of each measured face, by filename.
    groups : Series of str (n,)
        Whose face each is.
    divisions : ndarray of int (repeats, n)
        Fold of each face.
    predicted : dict of ndarray (repeats, n)
        By model; NaN where it has none.
    chance : dict of ndarray (permutations,)
        By model, mean r of the folds on permuted labels.
    observed : dict of float
        By model, what to compare `chance` with.
    problems : dict of str
        By model that is missing, why.
    """

    actual: pd.Series
    groups: pd.Series
    divisions: np.ndarray
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    chance: dict[str, np.ndarray] = field(default_factory=dict)
    observed: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def cross_validate_rating(
    faces: Faces, ratings: pd.Series, measured: pd.Series, scoring: Scoring, plan: Plan
) -> Predictions:
    """Predict each rated face by models that have not seen its person.

    Parameters
    ----------
    faces : Faces
        With a rating, n of them.
    ratings : Series (n,)
        Mean rating of each.
    measured : Series of bool (n,)
        Which of them count; the others teach only: worse copies of a picture, and faces that get no
        score.
    scoring : Scoring
    plan : Plan

    Returns
    -------
    Predictions

    Raises
    ------
    InputError
        There are too few faces or persons, or too many, or all ratings are the same.
    """
    counts = measured.to_numpy(bool)
    if why := plan.why_not(faces.groups[counts]):
        raise InputError(why)
    y = ratings.to_numpy(float)
    if is_constant(y[counts]):
        raise InputError(f"all {number_of(len(y), 'rated face')} have the same rating, {y[0]:g}")
    groups = pd.factorize(faces.groups)[0]
    divisions = plan.divisions(groups, plan.repeats_of(int(counts.sum())))
    permuted = plan.permuted(y, groups)
    fold = partial(_predict_fold, faces, y, permuted, groups, divisions, scoring, plan.seed)
    jobs = [(repeat, int(k)) for repeat, row in enumerate(divisions) for k in np.unique(row)]
    size = faces.embeddings.size + (
        len(y) * 20_000 if faces.crops is not None else faces.landmarks.size
    )
    most = max(1, int(MEMORY / (BYTES * size)))
    with one_thread():
        results = in_threads(fold, jobs, most)
        networks = _chance_of_networks(
            faces, y, permuted, groups, divisions[0], scoring, plan, most
        )
    out = Predictions(ratings[counts], faces.groups[counts], divisions[:, counts])
    for result in results:
        out.problems |= {
            name: why for name, why in result.problems.items() if name not in out.problems
        }
    models = [name for name in results[0].predicted if name not in out.problems]
    for name in models:
        predicted = np.full(divisions.shape, np.nan)
        for (repeat, k), result in zip(jobs, results, strict=True):
            predicted[repeat, divisions[repeat] == k] = result.predicted[name]
        out.predicted[name] = predicted[:, counts]
    for name in ("ridge", "geometric"):
        if name in models:
            _compare(out, name, _gathered(jobs, results, divisions, name), permuted, counts)
    if networks is not None and "mlp" in models:
        _compare(out, "mlp", networks[None], permuted[:, : networks.shape[1]], counts)
    return out


def _compare(
    out: Predictions, name: str, predicted: np.ndarray, permuted: np.ndarray, counts: np.ndarray
) -> None:
    """Note the r of permuted ratings: predictions (repeats, n, permutations)."""
    repeats = len(predicted)
    known = np.isfinite(predicted[0, :, 0]) & counts
    drawn = [
        fold_correlations(permuted[known], rows[known], division)
        for rows, division in zip(
            predicted, (row[known[counts]] for row in out.divisions), strict=False
        )
    ]
    own = known[counts]
    actual = out.actual.to_numpy(float)[own, None]
    observed = [
        fold_correlations(
            actual, out.predicted[name][repeat, own, None], out.divisions[repeat, own]
        )
        for repeat in range(repeats)
    ]
    out.chance[name] = np.nan_to_num(np.stack(drawn)).mean(axis=0)
    out.observed[name] = float(np.nan_to_num(np.stack(observed)).mean())


@dataclass
class _Fold:
    """Predictions of one fold by model; of permuted ratings, too; why a model is missing."""

    predicted: dict[str, np.ndarray]
    permuted: dict[str, np.ndarray]
    problems: dict[str, str]


def _gathered(
    jobs: list[tuple[int, int]], results: list[_Fold], divisions: np.ndarray, name: str
) -> np.ndarray:
    width = results[0].permuted[name].shape[1]
    gathered = np.full((*divisions.shape, width), np.nan)
    for (repeat, k), result in zip(jobs, results, strict=True):
        gathered[repeat, divisions[repeat] == k] = result.permuted[name]
    return gathered


def _stops(groups: np.ndarray, outside: np.ndarray, share: float, seed: tuple) -> np.ndarray:
    """The faces outside a fold that stop and choose: bool (n,)."""
    stops = np.zeros(len(groups), dtype=bool)
    stops[outside] = dealt_share(groups[outside], share, seed)
    return stops


def _predict_fold(
    faces: Faces,
    y: np.ndarray,
    permuted: np.ndarray,
    groups: np.ndarray,
    divisions: np.ndarray,
    scoring: Scoring,
    seed: int,
    job: tuple[int, int],
) -> _Fold:
    """Fit all models outside a fold, and predict the faces inside."""
    repeat, k = job
    inside = divisions[repeat] == k
    stops = _stops(groups, ~inside, scoring.stop_share, (seed, _STOP, repeat, k))
    train = ~inside & ~stops
    x = faces.embeddings
    predicted = baseline_predictions(x[train], y[train], x[inside])
    permuted_too = {
        "ridge": ridge_predictions(x[train], permuted[train], x[inside], PENALTIES, True)
    }
    problems: dict[str, str] = {}
    try:
        predicted["mlp"] = _holistic(x, y, faces.groups, train, stops, inside, scoring.mlp)
    except InputError as error:
        problems["mlp"] = str(error)
    others = inside | stops
    geometric, of_permuted, why = _geometric(faces, y, permuted, train, others)
    if why is None:
        predicted["geometric"] = geometric[inside]
        permuted_too["geometric"] = of_permuted[inside[others]]
    else:
        problems["geometric"] = why
    measured = measure(faces.landmarks)
    predicted[ZSCORE] = fit_zscore(measured[~inside])(measured[inside])
    for name, weights in _weights(faces, y, geometric, stops, ~inside, scoring).items():
        missing = [score for score in ("mlp", "geometric") if score in problems]
        if missing or weights is None:
            problems[name] = "; ".join(problems[score] for score in missing) or (
                "the weights can't be learned"
            )
            continue
        low, high = scoring.scale
        points = blend(
            to_score(predicted["geometric"], scoring.scale),
            to_score(predicted["mlp"], scoring.scale),
            dict(weights),
        )
        predicted[name] = low + (high - low) * points / 100
    return _Fold(predicted, permuted_too, problems)


def _holistic(
    x: np.ndarray,
    y: np.ndarray,
    groups: pd.Series,
    train: np.ndarray,
    stops: np.ndarray,
    inside: np.ndarray,
    options: Mlp,
) -> np.ndarray:
    model = train_regressor(
        x[train],
        y[train],
        x[stops],
        y[stops],
        persons=(groups[train].tolist(), groups[stops].tolist()),
        **options.model_dump(),
    )
    return model.predict(x[inside])


def _geometric(
    faces: Faces, y: np.ndarray, permuted: np.ndarray, train: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Fit the geometric score, and predict other faces.

    Returns
    -------
    predicted : ndarray (n,)
        NaN but for the other faces with landmarks.
    permuted : ndarray (others, permutations)
        Predictions of the same faces from permuted ratings.
    why : str, optional
        Why there are none.
    """
    predicted = np.full(len(y), np.nan)
    of_permuted = np.full((int(others.sum()), permuted.shape[1]), np.nan)
    has_shape = np.isfinite(faces.landmarks.reshape(len(y), -1)).all(axis=1)
    train, seen = train & has_shape, others & has_shape
    own, sampler = faces.take(train), None
    if own.crops is not None and train.sum() >= geometry.MIN_TRAIN:
        sampler = geometry.sampler_for(own.landmarks)
    x = features(own.landmarks, sampler, own.crops)
    pipeline, why = geometry.train_pipeline(x, y[train])
    if pipeline is None or not seen.any():
        return predicted, of_permuted, why or "no face of a fold has landmarks"
    other = faces.take(seen)
    x_other = features(other.landmarks, sampler, other.crops)
    predicted[seen] = pipeline.predict(x_other)
    for _, step in pipeline.steps[:-1]:
        x, x_other = step.transform(x), step.transform(x_other)
    of_permuted[has_shape[others]] = ridge_predictions(
        x,
        permuted[train],
        x_other,
        geometry.PENALTIES,
        False,
    )
    return predicted, of_permuted, None


def _weights(
    faces: Faces,
    y: np.ndarray,
    geometric: np.ndarray,
    stops: np.ndarray,
    outside: np.ndarray,
    scoring: Scoring,
) -> dict[str, Mapping[str, float] | None]:
    """Shares of both scores by combined model; None where they can't be learned."""
    if not isinstance(scoring.weights, str):
        return {"combined": scoring.weights, "combined_60_40": SIXTY_FORTY}
    assert scoring.weights == LEARNED
    return {
        "combined": _learned(faces, y, geometric, stops, outside, scoring),
        "combined_60_40": SIXTY_FORTY,
    }


def _learned(
    faces: Faces,
    y: np.ndarray,
    geometric: np.ndarray,
    stops: np.ndarray,
    outside: np.ndarray,
    scoring: Scoring,
) -> Mapping[str, float] | None:
    """Learn the weights as the stage `score` does, on faces outside of the fold."""
    options = scoring.mlp.model_dump()
    own = pd.Series(np.nan, index=faces.groups.index)
    if options["folds"]:
        table, _ = folds.out_of_fold(
            faces.embeddings[outside],
            y[outside],
            faces.groups[outside],
            stop_share=scoring.stop_share,
            **options,
        )
        own.update(table.set_index("filename")["attractiveness_raw"])
    scores = pd.DataFrame(
        {
            "geometric_score": to_score(geometric, scoring.scale),
            "attractiveness_score": to_score(own.to_numpy(float), scoring.scale),
            "split": np.where(stops, "val", "train"),
            "out_of_fold": own.notna().to_numpy(),
        }
    )
    learned = learn_weights(scores[outside], pd.Series(y[outside]), scoring.scale)
    if learned.geometric is None or learned.holistic is None:
        return None
    return {"geometric": learned.geometric, "holistic": learned.holistic}


def _chance_of_networks(
    faces: Faces,
    y: np.ndarray,
    permuted: np.ndarray,
    groups: np.ndarray,
    division: np.ndarray,
    scoring: Scoring,
    plan: Plan,
    most: int,
) -> np.ndarray | None:
    """Predictions of the holistic score from permuted ratings, in one division: (n, permutations).

    None where there are too many faces for it.
    """
    count = plan.permutations // SHARE_OF_NETWORKS
    if len(y) > FEW_FACES or scoring.mlp.pretrained or count < LEAST_PERMUTATIONS:
        return None
    predicted = np.full((len(y), count), np.nan)

    def train(job: tuple[int, int]) -> None:
        number, k = job
        inside = division == k
        stops = _stops(groups, ~inside, scoring.stop_share, (plan.seed, _STOP, 0, k))
        try:
            predicted[inside, number] = _holistic(
                faces.embeddings,
                permuted[:, number],
                faces.groups,
                ~inside & ~stops,
                stops,
                inside,
                scoring.mlp,
            )
        except InputError:
            return

    jobs = [(number, int(k)) for number in range(count) for k in np.unique(division)]
    in_threads(train, jobs, most)
    return predicted
