"""Which faces to label next: those whose labels would teach the models most.

A label lowers a linear model's variance for all faces like the labelled one, the more so the less
certain the answer was. Each proposal is the face whose label would lower the variance of the
models' answers most, summed over the faces without a label: sequential experimental design (Yu, Bi
and Tresp 2006, ICML), with Fisher information as in Ash et al. 2021 (NeurIPS). This weighs
uncertainty and diversity in one measure: a face near a labelled or a chosen one has little left to
teach, and an outlier teaches nothing about others. (The distance of outliers is cut; uncut, one
would weigh as much as many faces.) `docs/methods/labelling.md` has the measurements.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from facestats.attributes.resolution import STANDARD
from facestats.attributes.zeroshot import Model
from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.embeddings import BATCH, Embeddings, in_batches, sample_rows, take
from facestats.core.tables.names import numbered

COLUMNS = [
    "id",
    "image",
    "filename",
    *(f"{when}_{t}" for when in ("current", "proposed") for t in ("age", "gender", "ethnicity")),
    "notes",
]
COMPONENTS = 64  # principal components of the standardised embeddings that the design uses
PENALTY = 10.0  # on the models' weights: 1 / C of the classifiers in params.yaml
FISHER = 0.25  # Fisher information of a yes or no at even odds
LEAST_UNCERTAINTY = 0.01  # of an answer that a model takes for certain
# Quantile of the distances from the mean; a face farther out counts as if it lay there.
EDGE = 0.9
MOST = 1_000_000  # faces up to which the design weighs all
DRAWN = 200_000  # faces that it weighs where there are more
# Faces that may be proposed, drawn at random where there are more.
CANDIDATES = 20_000
AT_ONCE = 32  # candidates that are compared with all settled faces at a time
# Share of the typical distance of two faces, up to which two are twins: on OMI a re-encoded copy
# lies at 0.05 at most, another face at 0.20 at least.
TWIN = 0.15


def propose_labels(
    embeddings: Embeddings,
    predictions: pd.DataFrame,
    clean: pd.DataFrame,
    copies: pd.DataFrame,
    models: dict[str, Model],
    n: int,
) -> pd.DataFrame:
    """Make a template to fill in, the most instructive face first.

    A face is a candidate if it lacks a label of a standard attribute, nobody has labelled it by
    hand (whoever left a cell empty has seen the face), and it is the best of its copies; a label of
    one copy is one of all. Faces that are twins, in the embedding space, of a labelled or a
    proposed face are passed over, so there may be fewer than `n`.

    All attributes have the same weight. An attribute with probabilities, of a trained model or
    zero-shot, weighs each face by their Gini impurity, as a share of its maximum. One without (a
    regression such as age, or no model yet) weighs all faces alike, so that diversity alone
    decides.

    Parameters
    ----------
    embeddings : Embeddings
        (rows, d), the rows of `predictions` and `clean`; may stay on disk.
    predictions : DataFrame
        With `<target>_prob_<class>`.
    clean : DataFrame
        With `<target>_final` and `<target>_source`.
    copies : DataFrame
        `copy_group` and `copy_rank` by row.
    models : dict
        By target; their `classes` name the columns of `predictions`.
    n : int
        Faces to propose.

    Notes
    -----
    Of more than `MOST` faces, `DRAWN` are weighed, drawn at random.

    Returns
    -------
    DataFrame
        With `COLUMNS`; `image` is that of `clean`, empty where it has none.
    """

    groups = numbered(copies["copy_group"])

    def any_copy(rows: np.ndarray) -> np.ndarray:
        return (np.bincount(groups, rows) > 0)[groups] if len(rows) else rows

    labelled = {
        target: any_copy(clean[f"{target}_source"].isin(["manual", "label"]).to_numpy())
        for target in STANDARD
    }
    by_hand = any_copy(np.any([clean[f"{name}_source"] == "manual" for name in STANDARD], axis=0))
    settled = by_hand | np.all(list(labelled.values()), axis=0)
    information = {
        target: FISHER * _uncertainty(target, predictions, models) for target in STANDARD
    }
    weighed = _weighed(np.any([*labelled.values(), settled], axis=0))
    with threadpool_limits(1):  # more threads sum in another order, which could choose another face
        chosen = _design(
            _coordinates(embeddings, weighed),
            {target: values[weighed] for target, values in information.items()},
            {target: rows[weighed] for target, rows in labelled.items()},
            settled[weighed],
            (copies["copy_rank"] > 1).to_numpy()[weighed],
            n,
        )
    chosen = np.flatnonzero(weighed)[chosen]
    template = pd.DataFrame(
        {"id": np.arange(1, len(chosen) + 1)}
        | {name: clean[name].to_numpy()[chosen] for name in ("image", "filename") if name in clean}
    )
    for target, kind in STANDARD.items():
        current = clean[f"{target}_final"].iloc[chosen]
        template[f"current_{target}"] = (
            current.round(1) if kind == "regression" else current
        ).to_numpy()
    return template.reindex(columns=COLUMNS)


def _uncertainty(target: str, predictions: pd.DataFrame, models: dict[str, Model]) -> np.ndarray:
    """Uncertainty of each answer: 1 where all classes are equally likely, or there is no model."""
    classes = models[target].classes if target in models else []
    if len(classes) < 2:
        return np.ones(len(predictions))
    columns, parts = [f"{target}_prob_{name}" for name in classes], []
    for start in range(0, max(len(predictions), 1), BLOCK):
        shares = predictions[start : start + BLOCK][columns].to_numpy(dtype=np.float64)
        impurity = (1 - (shares**2).sum(axis=1)) / (1 - 1 / len(classes))
        parts.append(np.maximum(impurity, LEAST_UNCERTAINTY))
    return np.concatenate(parts)


def _weighed(known: np.ndarray) -> np.ndarray:
    """The faces that the design weighs: all up to `MOST`, else `DRAWN`, with a label or without.

    Up to half of the drawn ones are of the faces that somebody labelled (`known`).
    """
    if len(known) <= MOST:
        return np.ones(len(known), dtype=bool)
    weighed = np.zeros(len(known), dtype=bool)
    with_label, without = np.flatnonzero(known), np.flatnonzero(~known)
    weighed[with_label[sample_rows(len(with_label), DRAWN // 2)]] = True
    weighed[without[sample_rows(len(without), DRAWN - int(weighed.sum()))]] = True
    return weighed


def _coordinates(embeddings: Embeddings, weighed: np.ndarray) -> np.ndarray:
    """Project embeddings, standardised as for the models, on their leading principal components.

    Those of the faces where `weighed` (bool, n) is true: float64 (rows, components).
    """
    x = take(embeddings, sample_rows(len(embeddings), CANDIDATES)).astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    x = (x - mean) / spread
    axes = np.linalg.eigh(x.T @ x)[1][:, -COMPONENTS:]
    points, start, filled = np.empty((np.count_nonzero(weighed), axes.shape[1])), 0, 0
    for batch in in_batches(embeddings):
        some = weighed[start : start + len(batch)]
        projected = ((batch.astype(np.float64) - mean) / spread @ axes)[some]
        points[filled : filled + len(projected)] = projected
        start, filled = start + len(batch), filled + len(projected)
    return points


def _moments(x: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum weight · xx' over the rows where `rows` is true, without a weighted copy of all."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), BATCH):
        block = slice(start, start + BATCH)
        part = x[block][rows[block]]
        total += (weights[block][rows[block], None] * part).T @ part
    return total


class _LinearModel:
    """The variance of one attribute's linear model, and how a label would lower it.

    The variance at x is x' S x, with S the inverse of (penalty + sum of information · xx' over the
    labelled faces); one more label changes S by rank one.

    Parameters
    ----------
    x : ndarray (rows, d)
        Coordinates, with a column of ones for the intercept.
    information : ndarray (rows,)
        Fisher information of a label.
    labelled, unlabelled : ndarray of bool (rows,)
        Faces with a label, and faces that the model is to answer about.
    candidates : ndarray of int
        Numbers of the rows that may be chosen. `gain` and `learn` number the faces among these.
    """

    def __init__(
        self,
        x: np.ndarray,
        information: np.ndarray,
        labelled: np.ndarray,
        unlabelled: np.ndarray,
        candidates: np.ndarray,
    ):
        self.x, self.information = x[candidates], information[candidates]
        self.unlabelled = unlabelled[candidates]
        self.moments = _moments(x, information, unlabelled)
        self.covariance = np.linalg.inv(
            PENALTY * np.eye(x.shape[1]) + _moments(x, information, labelled)
        )
        self.variance = np.vdot(self.covariance, self.moments)  # summed over unlabelled faces

    def gain(self) -> np.ndarray:
        """Share of the initial variance that each candidate's label would remove."""
        moved = self.x @ self.covariance
        removed = ((moved @ self.moments) * moved).sum(axis=1) / (
            1 / self.information + (moved * self.x).sum(axis=1)
        )
        return np.where(self.unlabelled, removed, 0) / self.variance

    def learn(self, row: int) -> None:
        """Update the covariance as if one candidate had a label."""
        moved = self.covariance @ self.x[row]
        self.covariance -= np.outer(moved, moved) / (
            1 / self.information[row] + moved @ self.x[row]
        )


def _design(
    points: np.ndarray,
    information: dict[str, np.ndarray],
    labelled: dict[str, np.ndarray],
    settled: np.ndarray,
    duplicates: np.ndarray,
    n: int,
) -> list[int]:
    """Choose up to `n` rows, each the one whose label lowers the remaining variance most."""
    length = np.linalg.norm(points, axis=1)
    edge = np.quantile(length, EDGE)
    x = np.column_stack(
        [
            points * (edge / np.maximum(length, edge))[:, None] if edge else points,
            np.ones(len(points)),
        ]
    )
    near = TWIN * np.sqrt(2 * points.var(axis=0).sum())  # the root: typical distance of two faces
    eligible = ~settled & ~duplicates
    candidates = np.flatnonzero(eligible)
    candidates = candidates[sample_rows(len(candidates), CANDIDATES)]
    models = [
        _LinearModel(
            x,
            information[target],
            has_label & ~duplicates,
            ~has_label & ~duplicates,
            candidates,
        )
        for target, has_label in labelled.items()
        if (eligible & ~has_label).any()
    ]
    pool = _Pool(points[candidates], points[settled], near)
    chosen: list[int] = []
    while len(chosen) < n:
        best = pool.best(np.asarray(sum(model.gain() for model in models)))
        if best is None:
            break
        chosen.append(best)
        for model in models:
            if model.unlabelled[best]:
                model.learn(best)
        pool.close_near(best)
    return candidates[chosen].tolist()


class _Pool:
    """The candidates that are still open: no twins of a settled or a chosen face.

    Parameters
    ----------
    points : ndarray (candidates, components)
        Of the candidates.
    settled : ndarray (faces, components)
        Of the faces that need no label.
    near : float
        Distance up to which two faces are twins.
    """

    def __init__(self, points: np.ndarray, settled: np.ndarray, near: float):
        self.points, self.settled, self.near = points, settled, near
        self.open = np.ones(len(points), dtype=bool)
        self.compared = np.full(len(points), len(settled) == 0)

    def best(self, gain: np.ndarray) -> int | None:
        """Find the open candidate with the greatest gain; None where none is open."""
        while self.open.any():
            best = int(np.where(self.open, gain, -1).argmax())
            if self.compared[best]:
                return best
            # Only likely candidates are compared with the settled faces: comparing all took 38 s
            # for 30,000 faces.
            likely = np.argsort(-np.where(self.open & ~self.compared, gain, -1), kind="stable")[
                :AT_ONCE
            ]
            self.open[likely] &= (
                pairwise_distances_argmin_min(self.points[likely], self.settled)[1] > self.near
            )
            self.compared[likely] = True
        return None

    def close_near(self, chosen: int) -> None:
        """Close the chosen candidate and its twins."""
        self.open &= np.linalg.norm(self.points - self.points[chosen], axis=1) > self.near
