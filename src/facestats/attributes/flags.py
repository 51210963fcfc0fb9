"""Faces that somebody should look at, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.attributes.training import AttributeModel

MAX_TURN = 30.0  # degrees of yaw or pitch beyond which half the face is hardly seen
DARK, BRIGHT = 0.15, 0.85  # mean luma
BLURRED_SHARE = 0.02  # the least sharp faces of the folder; sharpness has no absolute scale
SURE = 0.9  # a model this sure that contradicts a person may have found a mistake


def flag_faces(faces: pd.DataFrame, predictions: pd.DataFrame, said: pd.DataFrame,
               models: dict[str, AttributeModel]) -> pd.DataFrame:
    """One row a face and reason.

    Parameters
    ----------
    faces : accepted faces of `faces.parquet`.
    predictions : with `<target>_prob_<class>`.
    said : with `<target>_said`.

    Returns
    -------
    DataFrame `filename`, `reason`, `value`: `several_faces` (number of faces), `extreme_pose` (degrees), `blurred`
    (sharpness), `dark` and `bright` (mean luma), `duplicate` and `near_duplicate` (null), `low_confidence_<target>`
    (best probability), `contradicts_<target>` (the model's probability for another class than people said).
    """
    turn = faces[["yaw", "pitch"]].abs().max(axis=1)
    blurred = faces["sharpness"] < faces["sharpness"].quantile(BLURRED_SHARE)
    found = [
        _rows(faces, "several_faces", faces["face_count"] > 1, faces["face_count"]),
        _rows(faces, "extreme_pose", turn > MAX_TURN, turn),
        _rows(faces, "blurred", blurred, faces["sharpness"]),
        _rows(faces, "dark", faces["brightness"] < DARK, faces["brightness"]),
        _rows(faces, "bright", faces["brightness"] > BRIGHT, faces["brightness"]),
        _rows(faces, "duplicate", faces["duplicate_of"].notna(), None),
        _rows(faces, "near_duplicate", faces["near_duplicate_of"].notna(), None),
    ]
    for target, model in models.items():
        if model.kind != "classification" or not model.trained:
            continue
        share = predictions[[f"{target}_prob_{name}" for name in model.classes]].to_numpy()
        best, guess = share.max(axis=1), np.asarray(model.classes, dtype=object)[share.argmax(axis=1)]
        people = said[f"{target}_said"]
        found.append(_rows(predictions, f"low_confidence_{target}", best < model.abstain_below, best))
        contradicts = people.notna() & (people != guess) & (best >= SURE)
        found.append(_rows(predictions, f"contradicts_{target}", contradicts, best))
    return pd.concat([rows for rows in found if len(rows)] or found[:1], ignore_index=True)


def _rows(table: pd.DataFrame, reason: str, chosen, values) -> pd.DataFrame:
    chosen = np.asarray(chosen, dtype=bool)
    value = np.full(int(chosen.sum()), np.nan) if values is None else np.asarray(values, dtype=float)[chosen]
    return pd.DataFrame({"filename": table["filename"].to_numpy()[chosen], "reason": reason, "value": value})
