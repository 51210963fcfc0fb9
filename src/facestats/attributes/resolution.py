"""The value of each attribute that counts, and its source: predictions and labels resolved.

Sources in order: `manual` (by hand) > `label` (the user's files) > `model` or `pretrained` >
`zeroshot` > `unknown`. Zero-shot answers where no model was trained, never where a trained one
abstains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.zeroshot import Model
from facestats.core.tables import UNKNOWN
from facestats.core.tables.embeddings import Embeddings, in_batches

STANDARD = {"gender": "classification", "ethnicity": "classification", "age": "regression"}


def predict_attributes(
    filenames: pd.Index,
    embeddings: Embeddings,
    models: dict[str, Model],
    photographs: np.ndarray | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict every target for every face.

    Parameters
    ----------
    filenames : Index
        N names, the rows of `embeddings` (n, d), which may stay on disk.
    models : dict
        By target, trained or zero-shot; untrained ones and standard targets without a model give
        `unknown` (age: null).
    photographs : ndarray of bool (n,), optional
        Which faces are photographs; some prompts answer less often about these. None: there are
        none.

    Returns
    -------
    attributes
        `filename` and one column a target; `unknown` where a classifier abstains.
    predictions
        The same with one column `<target>_prob_<class>` a class.
    """
    parts = predict_batches(filenames, embeddings, models, photographs)
    attributes, predictions = zip(*parts, strict=True)
    return pd.concat(attributes, ignore_index=True), pd.concat(predictions, ignore_index=True)


def predict_batches(
    filenames: pd.Index,
    embeddings: Embeddings,
    models: dict[str, Model],
    photographs: np.ndarray | None = None,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The tables of `predict_attributes`, some consecutive faces at a time."""
    if photographs is None:
        photographs = np.zeros(len(filenames), dtype=bool)
    start = 0
    for batch in in_batches(embeddings):
        x = batch.astype(np.float64)  # once for all models
        rows = slice(start, start + len(batch))
        start += len(batch)
        answers: dict[str, Any] = {"filename": filenames[rows].array}
        probabilities = {}
        for target, kind in target_kinds(models).items():
            answers[target], shares = _predict(models.get(target), kind, x, photographs[rows])
            if shares is not None:
                probabilities |= {
                    f"{target}_prob_{name}": shares[:, i]
                    for i, name in enumerate(models[target].classes)
                }
        attributes = pd.DataFrame(answers)
        yield attributes, pd.concat([attributes, pd.DataFrame(probabilities)], axis=1)


def _predict(
    model: Model | None, kind: str, x: np.ndarray, photographs: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Answers of one model about some faces, and its probabilities where it has classes."""
    if model is None or not model.trained:
        if kind == "regression":
            return np.full(len(x), np.nan), None
        return np.full(len(x), UNKNOWN, dtype=object), None
    if not model.classes:
        return model.predict(x), None
    shares = model.predict_proba(x)
    answer = model.decide(shares)
    answer[model.silent(shares, photographs)] = np.nan if kind == "regression" else UNKNOWN
    return answer, shares


def target_kinds(models: Mapping[str, Model]) -> dict[str, str]:
    """Kind of every target: the standard ones first, then the user's own, by name."""
    return STANDARD | {name: models[name].kind for name in sorted(models)}


def resolve(
    attributes: pd.DataFrame,
    labels: pd.DataFrame,
    kinds: dict[str, str],
    sources: Mapping[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join predictions and labels, and choose the value that counts.

    Parameters
    ----------
    attributes : DataFrame
        As `predict_attributes` gives them.
    labels : DataFrame
        The table of labels, indexed by filename.
    kinds : dict
        `classification` or `regression` by target.
    sources : mapping, optional
        Source of the predictions by target: `model` (the default), `pretrained` or `zeroshot`.

    Returns
    -------
    with_manual
        `attributes` with `<target>_said`, the label (null where there is none).
    clean
        `<target>_final` and `<target>_source` for each target.
    """
    names = attributes["filename"]
    with_manual, clean = attributes.copy(), pd.DataFrame({"filename": names})
    for target, kind in kinds.items():
        label = _labels(labels, target, kind, names)
        source = _column(labels, f"{target}_source", names)
        predicted = attributes[target]
        answered = predicted.notna() if kind == "regression" else predicted != UNKNOWN
        nothing = np.nan if kind == "regression" else UNKNOWN
        with_manual[f"{target}_said"] = label.to_numpy()
        clean[f"{target}_final"] = label.where(
            label.notna(), predicted.where(answered, nothing)
        ).to_numpy()
        clean[f"{target}_source"] = np.where(
            label.notna(),
            source,
            np.where(answered, (sources or {}).get(target, "model"), UNKNOWN),
        )
    return with_manual, clean


def _labels(labels: pd.DataFrame, target: str, kind: str, names: pd.Series) -> pd.Series:
    """Labels of one target by row; the word `unknown` is none."""
    column = _column(labels, target, names)
    if kind == "regression":
        return pd.to_numeric(column, errors="coerce").astype("float64")
    return column.astype("str").mask(column == UNKNOWN)


def _column(labels: pd.DataFrame, name: str, index: pd.Series) -> pd.Series:
    column = labels[name] if name in labels.columns else pd.Series(dtype="str")
    return column.reindex(index).reset_index(drop=True)
