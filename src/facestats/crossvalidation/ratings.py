"""Cross-validation of the scores: every model that predicts a rating, on all rated faces.

Whatever is fitted or chosen is fitted and chosen anew in each outer fold, on the faces outside of
it: penalties, the perceptrons and when to stop them, the calibration, and learned weights.
`crossvalidation.geometric` does the same for the geometric score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facestats.core.stats.regression import is_constant
from facestats.core.stats.scale import blend, to_score
from facestats.crossvalidation.baselines import (
    PENALTIES,
    SIXTY_FORTY,
    ZSCORE,
    baseline_predictions,
)
from facestats.crossvalidation.chance import ridge_predictions
from facestats.crossvalidation.geometric_folds import GeometricFolds
from facestats.crossvalidation.measures import fold_correlations
from facestats.crossvalidation.plan import Division, Plan
from facestats.errors import InputError, number_of
from facestats.machine.threads import in_threads, one_thread
from facestats.scores import folds
from facestats.scores.blending import learn_weights
from facestats.scores.params import Mlp
from facestats.scores.training import train_regressor

# Perceptrons are trained on one in ten permutations, and for few faces only: a training takes 0.2 s
# of a processor for 40 faces, 1 s for 250. 19 is the least number that can give p = 0.05.
SHARE_OF_NETWORKS, LEAST_PERMUTATIONS, FEW_FACES = 10, 19, 100
MEMORY, BYTES = 3e9, 64  # bytes for all folds side by side, and for each number of the features


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
    folds : ndarray of int (repeats, n)
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
    folds: np.ndarray
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    chance: dict[str, np.ndarray] = field(default_factory=dict)
    observed: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def cross_validate_rating(
    embeddings: np.ndarray,
    groups: pd.Series,
    ratings: pd.Series,
    measured: pd.Series,
    scoring: Scoring,
    plan: Plan,
    geometric: GeometricFolds | None = None,
) -> Predictions:
    """Predict each rated face by models that have not seen its person.

    Parameters
    ----------
    embeddings : ndarray of float32 (n, d)
        Of the rated faces.
    groups : Series of str (n,)
        By filename, whose face it is, as `identity.same_faces` gives it.
    ratings : Series (n,)
        Mean rating of each.
    measured : Series of bool (n,)
        Which of them count; the others teach only: worse copies of a picture, and faces that get no
        score.
    scoring : Scoring
    plan : Plan
    geometric : GeometricFolds, optional
        The geometric score in the same folds.

    Returns
    -------
    Predictions

    Raises
    ------
    InputError
        There are too few faces or persons, or too many, or all ratings are the same.
    """
    division = Division.of(groups, measured, scoring.stop_share, plan)
    counts, y = measured.to_numpy(bool), ratings.to_numpy(float)
    if is_constant(y):
        raise InputError(f"all {number_of(len(y), 'rated face')} have the same rating, {y[0]:g}")
    data = _Data(embeddings, groups, y, division, scoring)
    permuted = plan.permuted(y, division.groups)
    most = max(1, int(MEMORY / (BYTES * max(embeddings.size, 1))))
    few = len(y) <= FEW_FACES and scoring.mlp.pretrained is None
    with one_thread():
        results = in_threads(
            lambda job: _predict_fold(data, job, permuted, geometric), division.jobs, most
        )
        number = plan.permutations // SHARE_OF_NETWORKS if few else 0
        networks = (
            _networks_by_chance(data, permuted[:, :number], most)
            if number >= LEAST_PERMUTATIONS
            else None
        )
    out = Predictions(ratings[counts], groups[counts], division.folds[:, counts])
    for result in results:
        out.problems |= result.problems
    for name in results[0].predicted:
        if name in out.problems:
            continue
        predicted = np.full(division.folds.shape, np.nan)
        for (repeat, k), result in zip(division.jobs, results, strict=True):
            predicted[repeat, division.folds[repeat] == k] = result.predicted[name]
        out.predicted[name] = predicted[:, counts]
    by_chance = np.full((*division.folds.shape, plan.permutations), np.nan)
    for (repeat, k), result in zip(division.jobs, results, strict=True):
        by_chance[repeat, division.folds[repeat] == k] = result.permuted
    _compare(out, "ridge", by_chance, permuted, counts)
    if networks is not None and "mlp" in out.predicted:
        _compare(out, "mlp", networks[None], permuted[:, :number], counts)
    if geometric and geometric.observed is not None and "geometric" in out.predicted:
        out.chance["geometric"] = np.array(geometric.chance)
        out.observed["geometric"] = geometric.observed
    return out


def _compare(
    out: Predictions, name: str, predicted: np.ndarray, permuted: np.ndarray, counts: np.ndarray
) -> None:
    """Note r on permuted ratings: predictions (repeats, n, permutations)."""
    actual, drawn, observed = out.actual.to_numpy(float)[:, None], [], []
    for rows, own, fold in zip(predicted, out.predicted[name], out.folds, strict=False):
        drawn.append(fold_correlations(permuted[counts], rows[counts], fold))
        observed.append(fold_correlations(actual, own[:, None], fold))
    out.chance[name] = np.nan_to_num(np.stack(drawn)).mean(axis=0)
    out.observed[name] = float(np.nan_to_num(np.stack(observed)).mean())


@dataclass(frozen=True)
class _Data:
    """The rated faces, and what is done with them."""

    x: np.ndarray
    groups: pd.Series
    y: np.ndarray
    division: Division
    scoring: Scoring


@dataclass
class _Fold:
    """Predictions of one fold by model, those of permuted ratings, and why a model is missing."""

    predicted: dict[str, np.ndarray]
    permuted: np.ndarray
    problems: dict[str, str]


def _predict_fold(
    data: _Data, job: tuple[int, int], permuted: np.ndarray, geometric: GeometricFolds | None
) -> _Fold:
    """Fit all models outside a fold, and predict the faces inside."""
    inside, stops, train = data.division.parts(*job)
    x, y = data.x, data.y
    predicted = baseline_predictions(x[train], y[train], x[inside])
    by_chance = ridge_predictions(x[train], permuted[train], x[inside], PENALTIES, True)
    problems: dict[str, str] = {}
    try:
        predicted["mlp"] = _holistic(data, y, inside, stops, train)
    except InputError as error:
        problems["mlp"] = str(error)
    if geometric is None:
        return _Fold(predicted, by_chance, problems)
    own = geometric.of(*job, data.groups.index)
    raw = own["geometric_raw"].to_numpy(float)
    predicted[ZSCORE] = own["geometry_zscore"].to_numpy(float)[inside]
    if geometric.why:
        problems["geometric"] = geometric.why
    else:
        predicted["geometric"] = raw[inside]
    missing = "; ".join(problems[name] for name in ("mlp", "geometric") if name in problems)
    if missing:
        return _Fold(
            predicted, by_chance, problems | {"combined": missing, "combined_60_40": missing}
        )
    weights = data.scoring.weights
    learned = _learned(data, raw, inside, stops, train) if isinstance(weights, str) else weights
    points = {
        name: to_score(predicted[model], data.scoring.scale)
        for name, model in (("geometric", "geometric"), ("holistic", "mlp"))
    }
    low, high = data.scoring.scale
    for name, shares in (("combined", learned), ("combined_60_40", SIXTY_FORTY)):
        if isinstance(shares, str):
            problems[name] = shares
        else:
            predicted[name] = low + (high - low) * blend(**points, weights=dict(shares)) / 100
    return _Fold(predicted, by_chance, problems)


def _holistic(
    data: _Data, y: np.ndarray, inside: np.ndarray, stops: np.ndarray, train: np.ndarray
) -> np.ndarray:
    """Train the regressor on ratings `y`, and predict the faces inside."""
    model = train_regressor(
        data.x[train],
        y[train],
        data.x[stops],
        y[stops],
        persons=(data.groups[train].tolist(), data.groups[stops].tolist()),
        **data.scoring.mlp.model_dump(),
    )
    return model.predict(data.x[inside])


def _learned(
    data: _Data, geometric: np.ndarray, inside: np.ndarray, stops: np.ndarray, train: np.ndarray
) -> Mapping[str, float] | str:
    """Learn the weights as the stage `score` does, outside of the fold; or say why not."""
    options = data.scoring.mlp.model_dump()
    own = pd.Series(np.nan, index=data.groups.index)
    if options["folds"]:
        table, _ = folds.out_of_fold(
            data.x[~inside],
            data.y[~inside],
            data.groups[~inside],
            stop_share=data.scoring.stop_share,
            **options,
        )
        own.update(table.set_index("filename")["attractiveness_raw"])
    else:
        own[stops] = _holistic(data, data.y, stops, stops, train)
    scores = pd.DataFrame(
        {
            "geometric_score": to_score(geometric, data.scoring.scale),
            "attractiveness_score": to_score(own.to_numpy(float), data.scoring.scale),
            "split": np.where(stops, "val", "train"),
            "out_of_fold": own.notna().to_numpy(),
        }
    )
    learned = learn_weights(scores[~inside], pd.Series(data.y[~inside]), data.scoring.scale)
    if learned.geometric is None or learned.holistic is None:
        return learned.why or "the weights can't be learned"
    return {"geometric": learned.geometric, "holistic": learned.holistic}


def _networks_by_chance(data: _Data, permuted: np.ndarray, most: int) -> np.ndarray:
    """Predict permuted ratings (n, p) by the holistic score, in the first division."""
    predicted = np.full(permuted.shape, np.nan)

    def train(job: tuple[int, int]) -> None:
        number, k = job
        parts = data.division.parts(0, k)
        try:
            predicted[parts[0], number] = _holistic(data, permuted[:, number], *parts)
        except InputError:  # as for permuted ratings that are all the same
            return

    jobs = [
        (number, int(k))
        for number in range(permuted.shape[1])
        for k in np.unique(data.division.folds[0])
    ]
    in_threads(train, jobs, most)
    return predicted
