"""The age check of all faces of a project: fitting it, applying it, and what it leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.age.check import (
    OTHER_KIND,
    AgeCheck,
    check_faces,
    fit_check,
    measure_check,
    summarise_check,
)
from facestats.attributes.doubtful import find_doubtful
from facestats.attributes.model import AttributeModel
from facestats.attributes.tables import PREDICTIONS_OUT_OF_FOLD
from facestats.core import tables
from facestats.core.stats.identity import count_once, shared_faces
from facestats.core.tables.embeddings import EmbeddingTable, in_batches
from facestats.core.tables.names import among, look_up
from facestats.errors import InputError, number_of

_AGES = ["age", "age_source"]
WAY_OUT = (
    "label the ages of some faces (`age` in labels.csv), and of those under {min_age} too, so that "
    "an age model can be trained"
)


@dataclass
class CheckedAges:
    """The outcome of an age check.

    Attributes
    ----------
    check : AgeCheck
        How single photos are checked.
    table : DataFrame
        How each face was checked, and who gets no score; see `age.tables.AGE_CHECK`.
    metrics : dict
        Counts, and the shares of adults and minors that the age model gets wrong.
    warnings : list of str
        What the user should know.
    """

    check: AgeCheck
    table: pd.DataFrame
    metrics: dict[str, Any]
    warnings: list[str]

    def summary(self) -> str:
        """Count the faces that were checked, in one line."""
        checked = self.metrics["checked"]
        return (
            f"faces={len(self.table)} withheld={self.table['score_withheld'].notna().sum()} "
            f"not_checked={checked['nothing']} "
            f"model={'used' if self.check.by_model else 'not used'}"
        )


def check_ages(
    min_age: int | None,
    required: bool,
    embeddings: EmbeddingTable,
    model: AttributeModel | None,
    labels: pd.DataFrame,
    split: pd.Series,
    faces: pd.DataFrame,
    strange: pd.Index,
    out_of_fold: pd.Series | None,
) -> CheckedAges:
    """Check the age of every face.

    Parameters
    ----------
    min_age : int, optional
        Years; faces that may be younger get no score. None: nobody's age is checked.
    required : bool
        Whether a face whose age can't be checked is an error.
    embeddings : EmbeddingTable
        Of n faces.
    model : AttributeModel, optional
        Of ages, trained or not; None where `attributes.targets` has no age.
    labels : DataFrame
        `age`, `age_source` and `person` of labelled faces, by filename, null where unknown.
    split : Series
        Split of each face, by filename.
    faces : DataFrame
        Accepted faces with the columns `identity.IDENTITY`.
    strange : Index
        See `faces_of_another_kind`.
    out_of_fold : Series, optional
        By filename, out-of-fold predicted ages of train faces.

    Returns
    -------
    CheckedAges

    Raises
    ------
    InputError
        The age of a face can't be checked, and `score.require_age_check` is true.
    """
    names = embeddings.names
    rows = np.flatnonzero(among(names, labels.index))  # of labelled faces
    labels = labels.reindex(names[rows])
    split = split[among(split.index, labels.index)].reindex(labels.index)
    predicted, missing = np.full(len(names), np.nan), None
    left_out = pd.DataFrame({"age": [], "predicted": []}, dtype=float)
    if model is None:
        missing = "attributes.targets has no age, so that no age model is trained"
    elif not model.trained:
        missing = f"no age model was trained: {model.why}"
    else:
        predicted = np.concatenate([model.predict(batch) for batch in in_batches(embeddings)])
        of_labelled = pd.Series(predicted[rows], labels.index)
        left_out = _left_out(labels["age"], split, of_labelled, out_of_fold, faces)
    persons = shared_faces(faces, labels["person"])
    persons = persons[among(persons.index, left_out.index)]
    copies = faces.set_index("filename")["copy_group"]
    del faces  # the hashes of ten million are 0.7 GB
    is_test = split[left_out.index] == "test"
    parts = {"left_out": left_out[~is_test], "test": left_out[is_test]}
    check = fit_check(min_age, required, parts["left_out"], missing)
    predicted[among(names, strange)] = np.nan
    usable = pd.Series(predicted, names)
    ages = pd.DataFrame({name: look_up(usable.index.to_series(), labels[name]) for name in _AGES})
    table = check_faces(check, ages, usable, copies)
    metrics = summarise_check(check, table) | {
        name: measure_check(check, part, persons[part.index]) for name, part in parts.items()
    }
    return CheckedAges(check, table, metrics, _open_questions(check, table))


def faces_of_another_kind(faces: str | Path) -> pd.Index:
    """Names of the faces in `faces.parquet` that are no pictures of the kind a model learns from.

    The model of ages can't judge them.
    """
    doubtful = find_doubtful(faces)
    names = [values.index for reason, values, _ in doubtful if reason in OTHER_KIND]
    return names[0].append(names[1:]) if names else pd.Index([])


def read_unseen(folder: Path, model: AttributeModel | None) -> pd.Series | None:
    """Read the out-of-fold ages of train faces, by filename; None without a trained model.

    Parameters
    ----------
    folder : Path
        `data/interim/out_of_fold`.
    model : AttributeModel, optional
        Of ages.

    Returns
    -------
    Series or None
    """
    if model is None or not model.trained:
        return None
    predictions = tables.read_all(folder / "age.parquet", PREDICTIONS_OUT_OF_FOLD)
    return predictions.set_index("filename")["age"]


def _left_out(
    ages: pd.Series,
    split: pd.Series,
    predicted: pd.Series,
    out_of_fold: pd.Series,
    faces: pd.DataFrame,
) -> pd.DataFrame:
    """Label and prediction of labelled faces; for train faces, out of fold."""
    ages = ages.where(split == "train", count_once(ages.to_frame(), faces)["age"])
    unseen = out_of_fold.reindex(ages.index).where(
        split == "train", predicted.where(split.isin(["val", "test"]))
    )
    return pd.DataFrame({"age": ages, "predicted": unseen}).dropna()


def _open_questions(check: AgeCheck, table: pd.DataFrame) -> list[str]:
    """Warn of faces that can't be checked; raises `InputError` where a check is required."""
    unchecked = table["filename"][table["age_checked"].isna()]
    if check.min_age is None:
        return ["score.min_age is null: nobody's age is checked, and children get scores, too"]
    if unchecked.empty:
        return []
    why = check.why or "these are no pictures of the kind that the age model learned from"
    message = (
        f"the age of {len(unchecked)} of {number_of(len(table), 'face')} can't be checked "
        f"(the first is {unchecked.iloc[0]}): {why}"
    )
    way_out = WAY_OUT.format(min_age=check.min_age)
    if check.required:
        raise InputError(
            f"{message}, and score.require_age_check is true; {way_out}, leave these photos out, "
            "or set it to false"
        )
    return [f"{message}; {way_out}"]
