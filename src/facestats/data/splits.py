"""Train, val and test: by hash of the person, so that adding images moves no one."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

TRAIN, VAL, TEST, EXCLUDED = "train", "val", "test", "excluded"


def split_faces(faces: pd.DataFrame, persons: pd.Series, val: float, test: float, seed: int) -> pd.DataFrame:
    """Deal faces out to train, val and test.

    Who somebody is: the `person` of the labels, else the bytes of the image. Exact duplicates are one person
    (the first name in order where the labels give several). The hash of seed and person is a number in [0, 1);
    below `test` it is test, below `test + val` val, else train: no stratification, no dependence on who else is there.

    Parameters
    ----------
    faces : accepted faces with `filename`, `sha256`, `duplicate_of`, `near_duplicate_of`.
    persons : person by filename, null where unknown.
    val, test : shares.
    seed : another seed deals anew.

    Returns
    -------
    DataFrame `filename`, `split`; faces of val and test that nearly repeat a face in another split are `excluded`.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    person = faces["filename"].map(persons).astype("str")
    named = person.groupby(faces["sha256"]).transform("min")
    identity = ("person " + named).where(named.notna(), "bytes " + faces["sha256"])
    place = identity.map({i: _uniform(seed, i) for i in identity.unique()})
    split = pd.Series(np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index)

    original = faces["duplicate_of"].fillna(faces["filename"])
    near = faces.set_index("filename")["near_duplicate_of"]
    group = original.map(near).fillna(original)
    straddles = split.groupby(group).transform("nunique") > 1
    split = split.mask(straddles & split.isin([VAL, TEST]), EXCLUDED)
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def _uniform(seed: int, identity: str) -> float:
    digest = hashlib.sha256(f"{seed}\0{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
