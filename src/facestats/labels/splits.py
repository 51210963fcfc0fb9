"""Train, val and test: by hash of the person, so that adding images moves no one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.stats.identity import split_identities, uniform
from facestats.errors import LabelError, number_of

TRAIN, VAL, TEST, EXCLUDED = "train", "val", "test", "excluded"
OFFICIAL = "split_official"
WORDS = {
    TRAIN: ("train", "training"),
    VAL: ("val", "valid", "validation", "dev"),
    TEST: ("test", "testing"),
}


def split_faces(
    faces: pd.DataFrame,
    persons: pd.Series,
    labelled: pd.Series,
    val: float,
    test: float,
    seed: int,
    official: pd.Series | None = None,
) -> pd.DataFrame:
    """Assign faces to train, val and test.

    A group of copies is one unit. Its identity is the `person` that the labels give for one of
    them; else the bytes of its best labelled image, or of its best image if none is labelled. So
    further copies move nobody who is labelled, unless they are labelled, too, and better; they move
    no known person at all. The hash of seed and identity is a number in [0, 1): below `test` it is
    test, below `test + val` val, else train. There is no stratification, and nobody's split depends
    on who else is in the collection.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces with the columns `IDENTITY`.
    persons : Series of str
        Person by filename, null if unknown.
    labelled : Series of bool
        Whether a face has any label, by filename.
    val, test : float
        Shares.
    seed : int
        Another seed assigns everybody anew.
    official : Series of str, optional
        Split that a dataset's authors give, by filename, null where there is none; it counts before
        the hash. See `official_splits`.

    Returns
    -------
    DataFrame
        `filename`, `split`. Copies that the labels give to persons in different splits are
        `excluded` from val and test.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    codes, identities = pd.factorize(split_identities(faces, persons, labelled))
    place = uniform(seed, identities)[codes]
    split = pd.Series(
        np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index
    )
    if official is not None:
        split = _use_official(split, faces["filename"].map(official), codes)
    group = faces["copy_group"]
    together = group.duplicated(keep=False)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(
        straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED
    )
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def _use_official(split: pd.Series, official: pd.Series, identity: np.ndarray) -> pd.Series:
    """The official split where there is one; else that of the person's other faces, or `split`.

    Without an official test set, that for validation is the test set. Without one for validation,
    faces of the training set are dealt into it as usual.
    """
    if not (official == TEST).any():
        official = official.replace(VAL, TEST)
    known = official.dropna().groupby(identity[official.notna()])
    alone = known.first()[known.nunique() == 1]
    official = official.fillna(pd.Series(identity, split.index).map(alone).astype("str"))
    if not (official == VAL).any():
        official = official.mask((official == TRAIN) & (split == VAL), VAL)
    return official.fillna(split)


def official_splits(labels: pd.DataFrame) -> pd.Series:
    """The column `split_official` in the words of this module.

    Parameters
    ----------
    labels : DataFrame
        `labels.parquet` by filename.

    Returns
    -------
    Series of str
        By filename; null where a dataset says nothing.

    Raises
    ------
    LabelError
        There is no such column, or a word in it is no split.
    """
    if OFFICIAL not in labels:
        raise LabelError(
            f"split.official is true, and labels.csv has no column {OFFICIAL}; set it to false"
        )
    words = labels[OFFICIAL].str.strip().str.casefold()
    known = words.map({word: name for name, all_ in WORDS.items() for word in all_})
    wrong = words[words.notna() & known.isna()]
    if len(wrong):
        raise LabelError(
            f"labels.csv, column {OFFICIAL}: {labels.loc[wrong.index[0], OFFICIAL]!r} of "
            f"{wrong.index[0]} is no split; expected train, val or test"
        )
    return known


def labelled_faces(labels: pd.DataFrame) -> pd.Series:
    """Whether a face has any label.

    Parameters
    ----------
    labels : DataFrame
        `labels.parquet` by filename.

    Returns
    -------
    Series of bool
        By filename.
    """
    columns = [
        name
        for name in labels
        if not name.endswith("_source") and name not in ("image", "rating_n", "rating_sd", OFFICIAL)
    ]
    return labels[columns].notna().any(axis=1)


def exclusion_warning(
    splits: pd.DataFrame, faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series
) -> str | None:
    """Warn about copies that labels give to persons in different splits; None if there are none.

    The arguments are the result of `split_faces`, and what it takes.
    """
    excluded = splits.loc[splits["split"] == EXCLUDED, "filename"]
    if excluded.empty:
        return None
    group = faces.set_index("filename")["copy_group"]
    same = group.index[group == group[excluded.iloc[0]]]
    names = sorted(set(persons.reindex(same).dropna()))
    return (
        f"{number_of(len(excluded), 'face')} ({labelled.reindex(excluded).sum()} labelled) left "
        "out of val and test: copies of one picture that the labels give to several persons, such "
        f"as {excluded.iloc[0]} ({', '.join(names)}); one person for all of them puts that right"
    )


def straddling_warning(splits: pd.DataFrame, persons: pd.Series) -> str | None:
    """Warn about persons whom an official split puts into several splits; None without any."""
    known = splits.set_index("filename")["split"]
    several = known.groupby(persons.reindex(known.index)).nunique()
    names = several.index[several > 1]
    if names.empty:
        return None
    return (
        f"split.official: {number_of(len(names), 'person')} in several splits, such as {names[0]}; "
        "figures of the test set are then too good"
    )


def split_report(splits: pd.DataFrame, faces: pd.DataFrame) -> str:
    """One line with the faces in each split, and one on copies if there are any."""
    counts = sorted(splits["split"].value_counts().items())
    line = " ".join(f"{name}={n}" for name, n in counts)
    copies = faces["copy_group"].duplicated(keep=False)
    if not copies.any():
        return line
    pictures = number_of(faces.loc[copies, "copy_group"].nunique(), "picture")
    return (
        f"{line}\n  {copies.sum()} faces are copies of {pictures}; each picture stays in one split "
        "as a whole"
    )
