"""Faces that somebody should look at, and why, worst first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel
from facestats.core.doubts import doubtful_faces, drawn_share

# Probability from which on another answer than a person's may have found a mistake. Of planted
# errors (5 % of the train labels, 4 draws) on the sample's genders, its ethnicities, and those of
# OMI 0.8 found 88, 59, 53 and 18 %, and 95, 57, 48 and 29 % of what it flagged was planted; 0.9
# found 71, 34, 32 and 4 %: where labels are wrong, no calibrated model is surer than they are
# right.
SURE = 0.8
EVEN = 0.5  # probability below which an answer is wrong rather than right
# So many standard deviations (from the median absolute error) lie between what people said and a
# regression's answer.
FAR = 4.0
SD_OF_MAD = 1.4826  # standard deviation of normal errors whose median absolute value is 1


def flag_faces(
    faces: pd.DataFrame,
    predictions: pd.DataFrame,
    with_manual: pd.DataFrame,
    models: Mapping[str, AttributeModel],
    out_of_fold: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """One row a face and reason, the most serious reason first, within a reason the worst face
    first, then by name.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces of `faces.parquet`.
    predictions : DataFrame
        `<target>` and `<target>_prob_<class>`.
    with_manual : DataFrame
        With `<target>_said`; same rows as `predictions`.
    models : mapping
        The trained ones by target.
    out_of_fold : mapping, optional
        By target the same columns of train faces by `filename`: a model that was trained on a wrong
        label agrees with it, so that here one answers that was not.

    Returns
    -------
    DataFrame
        `filename`, `reason`, `value`, in this order of reasons: `contradicts_<target>` (probability
        of another class than people said, or by how much the number that they said differs;
        greatest first), the doubts about the picture in their own order (`facestats.core.doubts`; a
        drawing is one where most faces are none, and the other way round), `duplicate` and
        `near_duplicate` (null), `low_confidence_<target>` (probability of an answer that became
        `unknown`, lowest first; of a model that never or always answers below 0.5; only of one face
        of each group of copies, and only where nobody said of any of them what it is).
    """
    copy_group = faces.set_index("filename")["copy_group"]
    group = predictions["filename"].map(copy_group).to_numpy()
    contradicted, doubtful = [], []
    for target, model in models.items():
        if not model.trained:
            continue
        people = with_manual[f"{target}_said"]
        unseen = _unseen(predictions, (out_of_fold or {}).get(target))
        if model.kind == "regression":
            contradicted.append(_far_numbers(target, unseen, people))
            continue
        shares, known = _shares(model, unseen), people.notna().to_numpy()
        other = np.where(
            people.to_numpy(dtype=object)[:, None] == np.asarray(model.classes, dtype=object),
            0,
            shares,
        ).max(axis=1)
        contradicted.append(
            _rows(predictions, f"contradicts_{target}", known & (other >= SURE), other, "falling")
        )
        shares = _shares(model, predictions)
        sure = shares[np.arange(len(shares)), model.choose(shares)]
        open_question = (sure < _doubtful_below(model)) & ~np.isin(group, group[known])
        rows = _rows(predictions, f"low_confidence_{target}", open_question, sure, "rising")
        doubtful.append(rows[~rows["filename"].map(copy_group).duplicated()])
    parts = [
        *contradicted,
        *(
            _doubted(faces, reason, values, rising)
            for reason, values, rising in doubtful_faces(faces, drawn_share(faces))
        ),
        _rows(faces, "duplicate", faces["duplicate_of"].notna()),
        _rows(faces, "near_duplicate", faces["near_duplicate_of"].notna()),
        *doubtful,
    ]
    return pd.concat([rows for rows in parts if len(rows)] or parts[:1], ignore_index=True)


def _unseen(predictions: pd.DataFrame, out_of_fold: pd.DataFrame | None) -> pd.DataFrame:
    """Predictions by models that were not trained on the face."""
    if out_of_fold is None or not len(out_of_fold):
        return predictions
    rows = pd.Index(predictions["filename"]).get_indexer(out_of_fold["filename"])
    unseen = predictions.copy()
    for column in out_of_fold.columns.drop("filename"):
        values = unseen[column].to_numpy(dtype=float, copy=True)
        values[rows[rows >= 0]] = out_of_fold[column].to_numpy()[rows >= 0]
        unseen[column] = values
    return unseen


def _shares(model: AttributeModel, table: pd.DataFrame) -> np.ndarray:
    return table[[f"{model.target}_prob_{name}" for name in model.classes]].to_numpy()


def _doubtful_below(model: AttributeModel) -> float:
    return model.abstain_below if 0 < model.abstain_below < np.inf else EVEN


def _far_numbers(target: str, unseen: pd.DataFrame, people: pd.Series) -> pd.DataFrame:
    """Numbers that are much farther from the model's than they usually are."""
    error = (unseen[target] - people).abs().to_numpy()
    usual = np.nanmedian(error) if np.isfinite(error).any() else np.nan
    return _rows(unseen, f"contradicts_{target}", error > FAR * SD_OF_MAD * usual, error, "falling")


def _doubted(faces: pd.DataFrame, reason: str, values: pd.Series, rising: bool) -> pd.DataFrame:
    chosen = faces.index.isin(values.index)
    return _rows(
        faces, reason, chosen, values.reindex(faces.index), "rising" if rising else "falling"
    )


def _rows(
    table: pd.DataFrame, reason: str, chosen, values=None, worst_first: str = "rising"
) -> pd.DataFrame:
    chosen = np.asarray(chosen, dtype=bool)
    value = (
        np.full(int(chosen.sum()), np.nan)
        if values is None
        else np.asarray(values, dtype=float)[chosen]
    )
    rows = pd.DataFrame(
        {"filename": table["filename"].to_numpy()[chosen], "reason": reason, "value": value}
    )
    return rows.sort_values(
        ["value", "filename"], ascending=[worst_first == "rising", True], ignore_index=True
    )
