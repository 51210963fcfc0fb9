"""Train, val and test: by hash of the person, so that adding images moves no one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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
    identity = _identities(faces, persons)
    codes, identities = pd.factorize(identity)
    place = uniform(seed, identities)[codes]
    split = pd.Series(np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index)

    group = _originals(faces)
    together = group.duplicated(keep=False)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED)
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def same_faces(faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """Which faces must stay together, for folds that nothing straddles: one person, exact duplicates, near duplicates.

    Parameters
    ----------
    faces, persons : as for `split_faces`.

    Returns
    -------
    By filename, the name of the group: the first of its identities in order; groups that share a face are one.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    (one, names), (other, _) = pd.factorize(_identities(faces, persons)), pd.factorize(_originals(faces))
    links = coo_array((np.ones(len(faces)), (one, other)), shape=(len(names), other.max(initial=-1) + 1))
    _, group = connected_components(links @ links.T, directed=False)
    first = pd.Series(names).groupby(group).transform("min").to_numpy()
    return pd.Series(first[one], index=pd.Index(faces["filename"]), name="group")


def _identities(faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """Who somebody is, as `split_faces` says it, of faces sorted by name."""
    person = faces["filename"].map(persons).astype("str")
    copies = faces["sha256"].duplicated(keep=False)
    person[copies] = person[copies].groupby(faces["sha256"][copies]).transform("min")
    return ("person " + person).where(person.notna(), "bytes " + faces["sha256"])


def _originals(faces: pd.DataFrame) -> pd.Series:
    """The face that each repeats, exactly or nearly; its own name where it repeats none."""
    original = faces["duplicate_of"].fillna(faces["filename"])
    return original.map(faces.set_index("filename")["near_duplicate_of"]).fillna(original)


def uniform(seed: int, identities: Iterable[str]) -> np.ndarray:
    """A number in [0, 1) for each: the first 64 bits of its SHA-256, which only hashlib computes, about 1 µs each."""
    digests = b"".join([hashlib.sha256(f"{seed}\0{identity}".encode()).digest()[:8] for identity in identities])
    return np.frombuffer(digests, dtype=">u8").astype(np.float64) / 2**64
