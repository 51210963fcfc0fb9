"""Faces to look at, and why, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, class_shares
from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.names import in_order, look_up, numbered, positions

# Probability of another class than the label's from which the label may be wrong. With 5 % of the
# train labels replaced (4 draws), 0.8 found 88, 59, 53 and 18 % of these on the sample's genders
# and ethnicities and on OMI's; 95, 57, 48 and 29 % of what it flagged was replaced. 0.9 found 71,
# 34, 32 and 4 %: a calibrated model is no surer than the labels are right.
SURE = 0.8
EVEN = 0.5  # probability below which an answer is more likely wrong than right
# Standard deviations, estimated from the median absolute error, from which a regression's answer is
# far from the label.
FAR = 4.0
SD_OF_MAD = 1.4826  # standard deviation of normal errors whose median absolute value is 1


def flag_faces(
    faces: pd.DataFrame,
    doubts: Iterable[tuple[str, pd.Series, bool]],
    predictions: pd.DataFrame,
    with_manual: pd.DataFrame,
    models: Mapping[str, AttributeModel],
    out_of_fold: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """List the faces to look at: the most serious reason first, within a reason the worst face.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces of `faces.parquet`, with the columns about copies.
    doubts : iterable
        Doubts about the pictures, by filename; see `core.doubts.doubtful_faces`.
    predictions : DataFrame
        `<target>` and `<target>_prob_<class>`.
    with_manual : DataFrame
        With `<target>_said`; same rows as `predictions`.
    models : mapping
        By target; those without training raise no flag.
    out_of_fold : mapping, optional
        By target, out-of-fold predictions of train faces, by `filename`, in the same columns. They
        replace the model's own: a model that was trained on a wrong label agrees with it.

    Returns
    -------
    DataFrame
        `filename`, `reason` (categories), `value`, in this order of reasons; within a reason, equal
        values are sorted by name.

        - `contradicts_<target>`: probability of another class than the label, or distance of the
          answer from a number; greatest first.
        - Doubts about the picture, in the order of `facestats.core.doubts`. `drawing` is one where
          most faces are photographs, and the other way round.
        - `duplicate` and `near_duplicate`; the value is null.
        - `low_confidence_<target>`: probability of an answer that became `unknown`, lowest first;
          below 0.5 for a model that never or always answers. One face of each group of copies, and
          none where one of the copies has a label.
    """
    copy_group = faces.set_index("filename")["copy_group"]
    group = numbered(look_up(predictions["filename"], copy_group))
    contradicted, uncertain = [], []
    for target, model in models.items():
        if not model.trained:
            continue
        labelled = with_manual[f"{target}_said"].notna().to_numpy()
        labels = with_manual[f"{target}_said"][labelled]
        unseen = _unseen(predictions[labelled], (out_of_fold or {}).get(target))
        if model.kind == "regression":
            contradicted.append(_far_numbers(target, unseen, labels))
            continue
        contradicted.append(_other_classes(model, unseen, labels))
        has_label = np.isin(group, group[labelled])
        reason, rows = _uncertain(model, predictions, ~has_label)
        uncertain.append((reason, rows[~look_up(rows["filename"], copy_group).duplicated()]))
    parts = [
        *contradicted,
        *(_doubted(reason, values, rising) for reason, values, rising in doubts),
        _rows(faces, "duplicate", faces["duplicate_of"].notna()),
        _rows(faces, "near_duplicate", faces["near_duplicate_of"].notna()),
        *uncertain,
    ]
    flags = pd.concat([rows for _, rows in parts if len(rows)] or [parts[0][1]], ignore_index=True)
    numbers = np.repeat(np.arange(len(parts)), [len(rows) for _, rows in parts])
    reasons = pd.Categorical.from_codes(numbers, [reason for reason, _ in parts])
    flags.insert(1, "reason", reasons)
    return flags


def _unseen(predictions: pd.DataFrame, out_of_fold: pd.DataFrame | None) -> pd.DataFrame:
    """The predictions, with out-of-fold ones in place of those of train faces."""
    if out_of_fold is None or not len(out_of_fold):
        return predictions
    rows = positions(out_of_fold["filename"], predictions["filename"])
    unseen = predictions.copy()
    for column in out_of_fold.columns.drop("filename"):
        values = unseen[column].to_numpy(dtype=float, copy=True)
        values[rows[rows >= 0]] = out_of_fold[column].to_numpy()[rows >= 0]
        unseen[column] = values
    return unseen


def _uncertain(
    model: AttributeModel, predictions: pd.DataFrame, asked: np.ndarray
) -> tuple[str, pd.DataFrame]:
    """Of the faces `asked` (bool, n), those whose answer is too unsure to count."""
    sure = np.empty(len(predictions))
    for start in range(0, len(predictions), BLOCK):
        rows = slice(start, start + BLOCK)
        shares = class_shares(predictions[rows], model.target, model.classes)
        sure[rows] = shares[np.arange(len(shares)), model.choose(shares)]
    chosen = (sure < _uncertain_below(model)) & asked
    return _rows(predictions, f"low_confidence_{model.target}", chosen, sure, "rising")


def _uncertain_below(model: AttributeModel) -> float:
    return model.abstain_below if 0 < model.abstain_below < np.inf else EVEN


def _other_classes(
    model: AttributeModel, unseen: pd.DataFrame, labels: pd.Series
) -> tuple[str, pd.DataFrame]:
    """Faces for which another class than the label is likely."""
    is_label = labels.to_numpy(dtype=object)[:, None] == np.asarray(model.classes, dtype=object)
    other = np.where(is_label, 0, class_shares(unseen, model.target, model.classes)).max(axis=1)
    chosen = labels.notna().to_numpy() & (other >= SURE)
    return _rows(unseen, f"contradicts_{model.target}", chosen, other, "falling")


def _far_numbers(target: str, unseen: pd.DataFrame, labels: pd.Series) -> tuple[str, pd.DataFrame]:
    """Faces whose label is much farther from the model's number than labels usually are."""
    error = (unseen[target] - labels).abs().to_numpy()
    usual = np.nanmedian(error) if np.isfinite(error).any() else np.nan
    return _rows(unseen, f"contradicts_{target}", error > FAR * SD_OF_MAD * usual, error, "falling")


def _doubted(reason: str, values: pd.Series, rising: bool) -> tuple[str, pd.DataFrame]:
    faces, every = pd.DataFrame({"filename": values.index.array}), np.ones(len(values), dtype=bool)
    return _rows(faces, reason, every, values, "rising" if rising else "falling")


def _rows(
    table: pd.DataFrame, reason: str, chosen, values=None, worst_first: str = "rising"
) -> tuple[str, pd.DataFrame]:
    """The reason, and `filename` and `value` of the chosen faces, worst first."""
    chosen = np.asarray(chosen, dtype=bool)
    value = (
        np.full(int(chosen.sum()), np.nan)
        if values is None
        else np.asarray(values, dtype=float)[chosen]
    )
    rows = pd.DataFrame({"filename": table["filename"].array[chosen], "value": value})
    if not in_order(rows["filename"]):
        rows = rows.sort_values("filename")
    by_value = rows["value"].to_numpy() * (1 if worst_first == "rising" else -1)
    order = np.argsort(by_value, kind="stable")  # pandas makes an object of each name
    return reason, rows.iloc[order].reset_index(drop=True)
