"""Which faces to label next.

Those from which the models would learn most about all faces that nobody has labelled.

A label makes a linear model surer of every face that is like the labelled one, and it does so the
more, the less the answer was known. So each proposal is the face whose label would lower the
variance of the models' answers most, summed over the faces without a label: sequential experimental
design (Yu, Bi and Tresp 2006, ICML), with Fisher information as Ash et al. 2021 (NeurIPS) use it.
That is uncertainty and spread in one measure: what a face near a labelled or an already chosen one
could teach is known by then, and a lone outlier teaches nothing about others (its distance is cut,
or it would count as a crowd of its own). `docs/methods/labelling.md` says what it is worth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min
from threadpoolctl import threadpool_limits

from facestats.attributes.resolution import STANDARD
from facestats.attributes.zeroshot import Model
from facestats.core.tables.embeddings import BATCH, Embeddings, in_batches, sample_rows, take

COLUMNS = [
    "id",
    "image",
    "filename",
    *(f"{when}_{t}" for when in ("current", "proposed") for t in ("age", "gender", "ethnicity")),
    "notes",
]
COMPONENTS = 64  # principal components of the standardised embeddings that the design sees
PENALTY = 10.0  # of the models' weights: 1 / C of the classifiers in params.yaml
FISHER = 0.25  # Fisher information of a yes or no at even odds
LEAST_DOUBT = 0.01  # of an answer that a model takes for certain
# Share of the faces nearest to the middle; one farther out counts as if it lay at their edge.
EDGE = 0.9
# Faces that are weighed against each other, drawn at random where there are more; all faces say
# what there is to learn.
CANDIDATES = 20_000
AT_ONCE = 32  # candidates that are compared with all settled faces at a time
# Of the typical distance of two faces; on OMI a re-coded copy lies at 0.05 at most, another face
# from 0.20 on.
TWIN = 0.15


def propose_labels(
    embeddings: Embeddings,
    predictions: pd.DataFrame,
    clean: pd.DataFrame,
    copies: pd.DataFrame,
    models: dict[str, Model],
    n: int,
) -> pd.DataFrame:
    """A template to fill in, the most instructive face first.

    A face is a candidate where a standard attribute has not been said by a person, where nobody has
    labelled it by hand (whoever left a cell empty has seen the face), and where it is the best of
    its copies; what is said of one of them is said of all. Twins in the embedding space, of a
    labelled face or of one that is proposed already, are passed over; so there may be fewer than
    `n`.

    The attributes count alike. An attribute with probabilities, of a trained model or zero-shot,
    counts the more for a face, the less its answer is known: by their Gini impurity, as a share of
    its greatest value. One without (a regression such as age, or nothing trained yet) counts fully
    for each face, so that spread alone decides.

    Parameters
    ----------
    embeddings : Embeddings
        (rows, d), the rows of `predictions` and `clean`; may stay on disk.
    predictions : DataFrame
        With `<target>_prob_<class>`.
    copies : DataFrame
        `copy_group` and `copy_rank` by row.
    models : dict
        By target; their `classes` name the columns of `predictions`.
    n : int
        Faces to propose.

    Returns
    -------
    DataFrame
        With `COLUMNS`; `image` is that of `clean`, empty where it has none.
    """

    def of_all_copies(chosen: np.ndarray) -> np.ndarray:
        return (
            pd.Series(chosen).groupby(copies["copy_group"].to_numpy()).transform("any").to_numpy()
        )

    settled_by_label = {
        t: of_all_copies(clean[f"{t}_source"].isin(["manual", "label"]).to_numpy())
        for t in STANDARD
    }
    by_hand = of_all_copies(np.any([clean[f"{t}_source"] == "manual" for t in STANDARD], axis=0))
    settled = by_hand | np.all(list(settled_by_label.values()), axis=0)
    information = {t: FISHER * _doubt(t, predictions, models) for t in STANDARD}
    with threadpool_limits(1):  # sums in another order with more threads could choose another face
        chosen = _design(
            _coordinates(embeddings),
            information,
            settled_by_label,
            settled,
            (copies["copy_rank"] > 1).to_numpy(),
            n,
        )
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


def _doubt(target: str, predictions: pd.DataFrame, models: dict[str, Model]) -> np.ndarray:
    """How open each answer is.

    1 where all classes are equally likely or nothing is known, near 0 where it is certain.
    """
    classes = models[target].classes if target in models else []
    if len(classes) < 2:
        return np.ones(len(predictions))
    shares = predictions[[f"{target}_prob_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return np.maximum((1 - (shares**2).sum(axis=1)) / (1 - 1 / len(classes)), LEAST_DOUBT)


def _coordinates(embeddings: Embeddings) -> np.ndarray:
    """Leading principal components of the embeddings, standardised as the models see them.

    Float64 (rows, up to 64).
    """
    x = take(embeddings, sample_rows(len(embeddings), CANDIDATES)).astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    x = (x - mean) / spread
    axes = np.linalg.eigh(x.T @ x)[1][:, -COMPONENTS:]
    return np.concatenate(
        [(batch.astype(np.float64) - mean) / spread @ axes for batch in in_batches(embeddings)]
    )


def _moments(x: np.ndarray, weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum of weight · xx' over the rows where `rows` is true, without a weighted copy of all."""
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), BATCH):
        some = rows[start : start + BATCH]
        part = x[start : start + BATCH][some]
        total += (weights[start : start + BATCH][some, None] * part).T @ part
    return total


class _Question:
    """What is known of one attribute: the variance of a linear model's answers, and how a label
    would lower it.

    The variance at x is x' S x, with S the inverse of (penalty + sum of information · xx' over the
    labelled faces); one more label changes S by rank one.

    Parameters
    ----------
    x : ndarray
        (rows, d), a column of ones for the intercept among them.
    information : ndarray
        (rows,), Fisher information of a label.
    labelled, wanted : ndarray
        Bool by row, which faces are labelled and which are to be answered.
    candidates : ndarray
        Numbers of the rows that may be chosen; `gain` and `learn` count these.
    """

    def __init__(
        self,
        x: np.ndarray,
        information: np.ndarray,
        labelled: np.ndarray,
        wanted: np.ndarray,
        candidates: np.ndarray,
    ):
        self.x, self.information, self.wanted = (
            x[candidates],
            information[candidates],
            wanted[candidates],
        )
        self.aim = _moments(x, information, wanted)
        self.covariance = np.linalg.inv(
            PENALTY * np.eye(x.shape[1]) + _moments(x, information, labelled)
        )
        self.open = np.vdot(self.covariance, self.aim)  # all that could be learned

    def gain(self) -> np.ndarray:
        """By how much each candidate's label would lower the sum of the variances, as a share of
        the sum at the start.
        """
        moved = self.x @ self.covariance
        taught = ((moved @ self.aim) * moved).sum(axis=1) / (
            1 / self.information + (moved * self.x).sum(axis=1)
        )
        return np.where(self.wanted, taught, 0) / self.open

    def learn(self, row: int) -> None:
        """Take the label of one candidate as given."""
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
    """Up to `n` rows, each the one whose label lowers the models' remaining variance most."""
    length = np.linalg.norm(points, axis=1)
    edge = np.quantile(length, EDGE)
    x = np.column_stack(
        [
            points * (edge / np.maximum(length, edge))[:, None] if edge else points,
            np.ones(len(points)),
        ]
    )
    near = TWIN * np.sqrt(2 * points.var(axis=0).sum())  # the root: typical distance of two faces
    free = ~settled & ~duplicates
    candidates = np.flatnonzero(free)
    candidates = candidates[sample_rows(len(candidates), CANDIDATES)]
    questions = [
        _Question(
            x, information[t], labelled[t] & ~duplicates, ~labelled[t] & ~duplicates, candidates
        )
        for t in labelled
        if (free & ~labelled[t]).any()
    ]
    pool = _Pool(points[candidates], points[settled], near)
    chosen: list[int] = []
    while len(chosen) < n:
        best = pool.best(np.asarray(sum(question.gain() for question in questions)))
        if best is None:
            break
        chosen.append(best)
        for question in questions:
            if question.wanted[best]:
                question.learn(best)
        pool.close_near(best)
    return candidates[chosen].tolist()


class _Pool:
    """The candidates that are still open: no twins of a settled face or of one chosen already.

    Parameters
    ----------
    points : ndarray
        (candidates, components); settled : (faces, components).
    near : float
        Distance up to which two faces are twins.
    """

    def __init__(self, points: np.ndarray, settled: np.ndarray, near: float):
        self.points, self.settled, self.near = points, settled, near
        self.open = np.ones(len(points), dtype=bool)
        self.compared = np.full(len(points), len(settled) == 0)

    def best(self, gain: np.ndarray) -> int | None:
        """The open candidate of the greatest gain; None where none is open."""
        while self.open.any():
            best = int(np.where(self.open, gain, -1).argmax())
            if self.compared[best]:
                return best
            # Only what might be chosen is compared with the settled faces: all with all took 38 s
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
