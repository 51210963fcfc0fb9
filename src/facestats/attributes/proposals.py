"""Which faces to label next: those the models are unsure of, spread over the embedding space."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.attributes.resolution import STANDARD
from facestats.attributes.training import AttributeModel

COLUMNS = ["id", "filename", *(f"{when}_{t}" for when in ("current", "proposed") for t in ("age", "gender", "ethnicity")), "notes"]
POOL = 5  # the spread is sought among this many times as many faces as are proposed


def propose_labels(embeddings: np.ndarray, predictions: pd.DataFrame, clean: pd.DataFrame, duplicates: pd.Series,
                   models: dict[str, AttributeModel], n: int) -> pd.DataFrame:
    """A template to fill in.

    A face is a candidate where a standard attribute has not been said by a person and where it repeats no other face.
    The most uncertain ones (1 − best probability, averaged over the classifiers) are thinned to `n` by
    farthest-first traversal of the embeddings, so that no two of them say the same.

    Parameters
    ----------
    embeddings : (rows, d), the rows of `predictions` and `clean`.
    duplicates : bool, by row: repeats another face, exactly or nearly.
    n : faces to propose.
    """
    unsaid = np.column_stack([~clean[f"{t}_source"].isin(["manual", "label"]) for t in STANDARD]).any(axis=1)
    candidates = np.flatnonzero(unsaid & ~duplicates.to_numpy(dtype=bool))
    doubt = _doubt(predictions, models)[candidates]
    pool = candidates[np.argsort(-doubt, kind="stable")[: POOL * n]]
    chosen = pool[_farthest_first(embeddings[pool], n)]
    template = pd.DataFrame({"id": np.arange(1, len(chosen) + 1), "filename": clean["filename"].to_numpy()[chosen]})
    for target, kind in STANDARD.items():
        current = clean[f"{target}_final"].iloc[chosen]
        template[f"current_{target}"] = (current.round(1) if kind == "regression" else current).to_numpy()
    return template.reindex(columns=COLUMNS)


def _doubt(predictions: pd.DataFrame, models: dict[str, AttributeModel]) -> np.ndarray:
    """1 − best probability, averaged over the trained classifiers; 0 without any."""
    doubts = [1 - predictions[[f"{t}_prob_{c}" for c in m.classes]].to_numpy().max(axis=1)
              for t, m in models.items() if m.kind == "classification" and m.trained]
    return np.mean(doubts, axis=0) if doubts else np.zeros(len(predictions))


def _farthest_first(points: np.ndarray, n: int) -> list[int]:
    """Indices of up to `n` points: the first, then always the one farthest from all chosen."""
    if not len(points) or not n:
        return []
    chosen, distance = [0], np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(n, len(points)):
        distance[chosen] = -1  # never twice, even where all that is left lies on a chosen point
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
