"""Train, val and test: by hash of the person, so that adding images moves no one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from facestats.core.stats.identity import split_identities, uniform

TRAIN, VAL, TEST, EXCLUDED = "train", "val", "test", "excluded"


def split_faces(
    faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series, val: float, test: float, seed: int
) -> pd.DataFrame:
    """Deal faces out to train, val and test.

    A group of copies is one unit. Who somebody is: the `person` of the labels, of the face or of a
    copy of it; else the bytes of an image, of a group of copies those of its best labelled member,
    or of its best one where none is labelled: copies that are added move no one who is labelled,
    unless they are labelled, too, and better; where a person is known, none moves anyone. The hash
    of seed and person is a number in [0, 1); below `test` it is test, below `test + val` val, else
    train: no stratification, no dependence on who else is there.

    Parameters
    ----------
    faces : accepted faces with the columns `IDENTITY`.
    persons : person by filename, null where unknown.
    labelled : whether people said anything about a face, by filename.
    val, test : shares.
    seed : another seed deals anew.

    Returns
    -------
    DataFrame `filename`, `split`. Copies whom the labels give to persons in different splits are
    `excluded` from val and test.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    codes, identities = pd.factorize(split_identities(faces, persons, labelled))
    place = uniform(seed, identities)[codes]
    split = pd.Series(
        np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index
    )
    group = faces["copy_group"]
    together = group.duplicated(keep=False)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(
        straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED
    )
    return pd.DataFrame({"filename": faces["filename"], "split": split})
