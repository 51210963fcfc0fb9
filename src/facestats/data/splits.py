"""Train, val and test: by hash of the person, so that adding images moves no one; and what a picture and its copies count for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TRAIN, VAL, TEST, EXCLUDED = "train", "val", "test", "excluded"


IDENTITY = ["filename", "sha256", "copy_group", "copy_rank"]  # columns of `faces.parquet` that say who is who


def split_faces(faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series, val: float, test: float, seed: int) -> pd.DataFrame:
    """Deal faces out to train, val and test.

    A group of copies is one unit. Who somebody is: the `person` of the labels, of the face or of a copy of it; else the bytes of an image,
    of a group of copies those of its best labelled member, or of its best one where none is labelled: copies that are added move no one who
    is labelled, unless they are labelled, too, and better; where a person is known, none moves anyone. The hash of seed and person is a number in [0, 1); below `test` it is test, below `test + val` val, else train: no
    stratification, no dependence on who else is there.

    Parameters
    ----------
    faces : accepted faces with the columns `IDENTITY`.
    persons : person by filename, null where unknown.
    labelled : whether people said anything about a face, by filename.
    val, test : shares.
    seed : another seed deals anew.

    Returns
    -------
    DataFrame `filename`, `split`. Copies whom the labels give to persons in different splits are `excluded` from val and test.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    codes, identities = pd.factorize(_identities(faces, persons, labelled))
    place = uniform(seed, identities)[codes]
    split = pd.Series(np.select([place < test, place < test + val], [TEST, VAL], TRAIN), index=faces.index)
    group = faces["copy_group"]
    together = group.duplicated(keep=False)
    straddles = split[together].groupby(group[together]).transform("nunique") > 1
    split = split.mask(straddles.reindex(split.index, fill_value=False) & split.isin([VAL, TEST]), EXCLUDED)
    return pd.DataFrame({"filename": faces["filename"], "split": split})


def same_faces(faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """Which faces must stay together, for folds that nothing straddles and for intervals: one person, and copies.

    Parameters
    ----------
    faces, persons : as for `split_faces`.

    Returns
    -------
    By filename, the name of the group: the first of its identities in order; groups that share a face are one.
    """
    faces = faces.sort_values("filename").reset_index(drop=True)
    person = faces["filename"].map(persons).astype("str")
    identity = ("person " + person).where(person.notna(), "bytes " + faces["sha256"])
    (one, names), (other, _) = pd.factorize(identity), pd.factorize(faces["copy_group"])
    links = coo_array((np.ones(len(faces)), (one, other)), shape=(len(names), other.max(initial=-1) + 1))
    _, group = connected_components(links @ links.T, directed=False)
    first = pd.Series(names).groupby(group).transform("min").to_numpy()
    return pd.Series(first[one], index=pd.Index(faces["filename"]), name="group")


def several_faces(groups: pd.Series) -> pd.Series:
    """The groups of `same_faces`, null where a face is alone in its own."""
    return groups.where(groups.duplicated(keep=False))


def count_once(labels: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """The labels without those of a face that has a better copy with a label of the same kind: a picture counts once.

    Parameters
    ----------
    labels : by filename, one column a kind of label.
    faces : with the columns `IDENTITY`.
    """
    copies = faces[faces["copy_group"].duplicated(keep=False)].sort_values(["copy_rank", "filename"]).set_index("filename")["copy_group"]
    copies = copies[copies.index.isin(labels.index)]
    labels = labels.copy()
    for name in labels.columns:
        known = copies[labels.loc[copies.index, name].notna()]
        labels.loc[known.index[known.duplicated()], name] = None
    return labels


def _identities(faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series) -> pd.Series:
    """Who somebody is, as `split_faces` says it, of faces sorted by name."""
    order = pd.DataFrame({"group": faces["copy_group"], "bytes": "bytes " + faces["sha256"], "rank": faces["copy_rank"],
                          "person": "person " + faces["filename"].map(persons).astype("str"),
                          "silent": ~faces["filename"].isin(labelled.index[labelled.to_numpy(dtype=bool)])}).sort_values(["silent", "rank"], kind="stable")
    by_group = order.groupby("group")[["person", "bytes"]].first()  # the first that is known
    return order["person"].reindex(faces.index).fillna(faces["copy_group"].map(by_group["person"])).fillna(
        faces["copy_group"].map(by_group["bytes"]))


def uniform(seed: int, identities: Iterable[str]) -> np.ndarray:
    """A number in [0, 1) for each: the first 64 bits of its SHA-256, which only hashlib computes, about 1 µs each."""
    digests = b"".join([hashlib.sha256(f"{seed}\0{identity}".encode()).digest()[:8] for identity in identities])
    return np.frombuffer(digests, dtype=">u8").astype(np.float64) / 2**64
