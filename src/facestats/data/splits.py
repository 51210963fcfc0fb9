"""Train, val and test: by hash of the person, so that adding images moves no one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

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
    copies = faces["sha256"].duplicated(keep=False)
    person[copies] = person[copies].groupby(faces["sha256"][copies]).transform("min")
    identity = ("person " + person).where(person.notna(), "bytes " + faces["sha256"])
    codes, identities = pd.factorize(identity)
    place = _uniform(seed, identities)[codes]
    split = pd.Series(np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index)

    original = faces["duplicate_of"].fillna(faces["filename"])
    near = faces.set_index("filename")["near_duplicate_of"]
    group = original.map(near).fillna(original)
    together = group.duplicated(keep=False)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED)
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def _uniform(seed: int, identities: Iterable[str]) -> np.ndarray:
    """A number in [0, 1) for each: the first 64 bits of its SHA-256, which only hashlib computes, about 1 µs each."""
    digests = b"".join([hashlib.sha256(f"{seed}\0{identity}".encode()).digest()[:8] for identity in identities])
    return np.frombuffer(digests, dtype=">u8").astype(np.float64) / 2**64
