"""Which faces are the same person's, and which of a picture's copies count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facestats.core.tables.blocks import BLOCK
from facestats.core.tables.names import among, in_order, look_up, repeats

# Columns of `faces.parquet` that tell who is who.
IDENTITY = ["filename", "sha256", "copy_group", "copy_rank"]
BY_MODEL = "model"  # in `age_checked`: the age is a guess


def same_faces(faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """Group the faces that folds and resamples must keep together: those of a person, and copies.

    Parameters
    ----------
    faces : DataFrame
        Accepted faces with the columns `IDENTITY`.
    persons : Series of str
        Person by filename, null if unknown.

    Returns
    -------
    Series of str
        Name of the group by filename: the first of its identities in order. Groups that share a
        face are one.
    """
    faces, tied = _tied_faces(faces, persons)
    names = ("bytes " + faces["sha256"].astype("str")).set_axis(pd.Index(faces["filename"]))
    if len(tied):
        names.iloc[tied.index.to_numpy()] = tied.to_numpy()
    return names.rename("group")


def groups_of(names: pd.Series, faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """The groups of `same_faces` (its further arguments) of some faces: text by filename.

    Texts about ten million faces take gigabytes; a model learns from few of them.
    """
    faces, tied = _tied_faces(faces, persons)
    faces = faces[among(faces["filename"], names)]
    groups = tied.reindex(faces.index).fillna("bytes " + faces["sha256"].astype("str"))
    return groups.set_axis(pd.Index(faces["filename"])).rename("group")


def shared_faces(faces: pd.DataFrame, persons: pd.Series) -> pd.Series:
    """The groups of `same_faces` (its arguments); null for a face that is alone in its own."""
    faces, tied = _tied_faces(faces, persons)
    names = pd.Series(None, index=pd.Index(faces["filename"]), name="group", dtype="str")
    shared = tied[tied.duplicated(keep=False)]
    if len(shared):
        names.iloc[shared.index.to_numpy()] = shared.to_numpy()
    return names


def number_groups(n: int, tied: pd.Series) -> np.ndarray:
    """Number the groups of n faces in their order, from 0: int32 (n,).

    Parameters
    ----------
    n : int
    tied : Series of str
        Name of the group by row; each other face is a group by itself.
    """
    first = np.arange(n)  # the row of the group's first face
    codes = pd.factorize(tied)[0]
    rows = tied.index.to_numpy()
    first[rows] = rows[np.unique(codes, return_index=True)[1]][codes]
    numbers = np.cumsum(first == np.arange(n), dtype=np.int32) - 1
    return numbers[first]


def _tied_faces(faces: pd.DataFrame, persons: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """The faces in the order of their names; and the groups of those that may share one, by row.

    The others, whom nobody named and whose picture is there once, are a group each. Of ten million
    faces these are most, and texts about them would take gigabytes.
    """
    if not in_order(faces["filename"]):
        faces = faces.sort_values("filename")
    faces = faces.reset_index(drop=True)
    persons = persons.dropna()
    faces_of_some = faces[_may_share(faces, persons.index)]
    person = look_up(faces_of_some["filename"], persons).astype("str")
    return faces, _groups(faces_of_some, person)


def _may_share(faces: pd.DataFrame, named: pd.Index) -> np.ndarray:
    """Which faces may be in one group with others: bool (n,). `named`: whose person is known."""
    # The hash's end is enough to tell which faces must be looked at.
    ends = faces["sha256"].astype("str").str.slice(-16)
    named_too = among(faces["filename"], named)
    return named_too | repeats(ends) | repeats(faces["copy_group"])


def _groups(faces: pd.DataFrame, person: pd.Series) -> pd.Series:
    """The name of each face's group; see `same_faces`."""
    identity = ("person " + person).where(person.notna(), "bytes " + faces["sha256"])
    (identities, names), (pictures, _) = pd.factorize(identity), pd.factorize(faces["copy_group"])
    links = coo_array(
        (np.ones(len(faces)), (identities, pictures)),
        shape=(len(names), pictures.max(initial=-1) + 1),
    )
    _, group = connected_components(links @ links.T, directed=False)
    first = pd.Series(names, dtype="str").groupby(group).transform("min").to_numpy()
    return pd.Series(first[identities], index=faces.index, dtype="str")


def split_units(
    faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The unit of each face for the split, and the place of each unit.

    Parameters
    ----------
    faces : DataFrame (n,)
        With the columns `IDENTITY`, sorted by name, numbered from 0.
    persons, labelled
        See `split_identities`, which tells who is one unit.
    seed : int

    Returns
    -------
    units : ndarray of int (n,)
        From 0, in the order of the faces.
    places : ndarray of float (units,)
        In [0, 1): `uniform` of the unit's identity.
    """
    some = _may_share(faces, persons.dropna().index)
    rows, tied = np.flatnonzero(some), split_identities(faces[some], persons, labelled)
    codes, _ = pd.factorize(tied)
    first = np.arange(len(faces))  # the row of the unit's first face
    first[rows] = rows[np.unique(codes, return_index=True)[1]][codes]
    is_first = first == np.arange(len(faces))
    heads, places = np.flatnonzero(is_first), np.empty(is_first.sum())
    for start in range(0, len(heads), BLOCK):
        part = slice(start, start + BLOCK)
        texts = ("bytes " + faces["sha256"].iloc[heads[part]].astype("str")).to_numpy(object)
        of_tied = some[heads[part]]
        texts[of_tied] = tied.loc[heads[part][of_tied]]
        places[part] = uniform(seed, texts)
    return (np.cumsum(is_first) - 1)[first], places


def split_identities(faces: pd.DataFrame, persons: pd.Series, labelled: pd.Series) -> pd.Series:
    """Identity of faces for the split, which must move no one when copies are added.

    The groups of `same_faces` grow with the faces, and their names change. Here, the identity is
    the `person` that the labels give for the face or a copy of it; else the bytes of the best
    labelled image in its group of copies, or of the best image if none is labelled.

    Parameters
    ----------
    faces : DataFrame (n,)
        With the columns `IDENTITY`, sorted by name.
    persons : Series of str
        Person by filename, null if unknown.
    labelled : Series of bool
        Whether a face has any label, by filename.

    Returns
    -------
    Series of str (n,)
        In the order of `faces`.
    """
    order = pd.DataFrame(
        {
            "group": faces["copy_group"],
            "bytes": "bytes " + faces["sha256"],
            "rank": faces["copy_rank"],
            "person": "person " + faces["filename"].map(persons).astype("str"),
            "unlabelled": ~faces["filename"].isin(labelled.index[labelled.to_numpy(dtype=bool)]),
        }
    ).sort_values(["unlabelled", "rank"], kind="stable")
    by_group = order.groupby("group")[["person", "bytes"]].first()  # the first that is known
    return (
        order["person"]
        .reindex(faces.index)
        .fillna(faces["copy_group"].map(by_group["person"]))
        .fillna(faces["copy_group"].map(by_group["bytes"]))
    )


def several_faces(groups: pd.Series) -> pd.Series:
    """The groups of `same_faces`; null for a face that is alone in its own."""
    return groups.where(groups.duplicated(keep=False))


def count_once(labels: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Drop labels of faces with a better copy that has a label of the same kind.

    Parameters
    ----------
    labels : DataFrame
        By filename, one column a kind of label.
    faces : DataFrame
        With the columns `IDENTITY`.
    """
    copies = (
        faces[repeats(faces["copy_group"])]
        .sort_values(["copy_rank", "filename"])
        .set_index("filename")["copy_group"]
    )
    copies = copies[among(copies.index, labels.index)]
    labels = labels.copy()
    for name in labels.columns:
        known = copies[labels.loc[copies.index, name].notna()]
        labels.loc[known.index[known.duplicated()], name] = None
    return labels


def uniform(seed: int, identities: Iterable[str]) -> np.ndarray:
    """A number in [0, 1) for each identity: the first 64 bits of its SHA-256."""
    digests = (hashlib.sha256(f"{seed}\0{identity}".encode()).digest() for identity in identities)
    bits = np.fromiter((int.from_bytes(digest[:8]) for digest in digests), np.uint64)
    return bits.astype(np.float64) / 2**64


def training_rows(
    labels: pd.DataFrame, split: pd.Series, faces: pd.DataFrame, age_check: pd.DataFrame
) -> pd.DataFrame:
    """Collect what decides which faces a score learns from.

    Parameters
    ----------
    labels : DataFrame (n rows)
        `rating` and `person` by filename.
    split : Series (n rows)
        The split by filename.
    faces : DataFrame
        Accepted faces with the columns `IDENTITY`.
    age_check : DataFrame
        `age_check.parquet`.

    Returns
    -------
    DataFrame (n rows)
        `labels` with `split`, `group` (see `same_faces`), `minor` (see `known_minors`) and `scored`
        (whether the face gets a score).
    """
    names, withheld = labels.index, age_check.set_index("filename")["score_withheld"]
    return labels.assign(
        split=split,
        group=same_faces(faces, labels["person"]).reindex(names),
        minor=known_minors(age_check).reindex(names),
        scored=withheld.isna().reindex(names),
    )


def known_minors(age_check: pd.DataFrame) -> pd.Series:
    """Who is too young for a score by a label, not by a model's guess: bool by filename.

    Models are not trained on their ratings.

    Parameters
    ----------
    age_check : DataFrame
        `age_check.parquet`.
    """
    rows = age_check.set_index("filename")
    return rows["score_withheld"].notna() & (rows["age_checked"] != BY_MODEL)
