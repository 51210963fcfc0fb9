"""The members of a composite: their folder, and their mean scores and ratings.

The folder holds all that drawing the composite needs, and nothing that changes without it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.files import without_apostrophe, write_csv, write_json
from facestats.core.stats.intervals import interval_text, mean_with_interval, person_groups
from facestats.core.stats.verdict import SCORES
from facestats.core.tables.parquet import opened, read_batches
from facestats.errors import InputError
from facestats.groups.tables import MEMBER_LANDMARKS

if TYPE_CHECKING:
    from facestats.groups.filters import Selection


PERSON = "person_group"  # column of `attributes_final.parquet`: whose face it is, as a number
_RESAMPLES, _SEED = 1000, 0


def mean_interval(values: pd.Series, what: str, persons: pd.Series | None = None) -> dict[str, Any]:
    """Average values of faces, with a 95 % bootstrap interval over persons.

    Parameters
    ----------
    values : Series (n,)
        One value a face, NaN where it has none.
    what : str
        What one of them is called, such as `human rating`.
    persons : Series (n,), optional
        Whose face each is, null where it is a person of its own. By default each face is somebody
        else's.

    Returns
    -------
    dict
        `value`, `low`, `high`, `n` (faces that have a value) and, where something is null, `why`.
    """
    has_value = values.notna().to_numpy()
    known = values.to_numpy(dtype=np.float64)[has_value]
    if len(known) == 0:
        return {"value": None, "low": None, "high": None, "n": 0, "why": f"no member has a {what}"}
    groups = None if persons is None else person_groups(persons[has_value])
    if len(known) == 1 or (groups is not None and groups.max() == 0):
        who = "one member has" if len(known) == 1 else f"{len(known)} members of one person have"
        return {
            "value": float(known.mean()),
            "low": None,
            "high": None,
            "n": len(known),
            "why": f"{who} a {what}: an interval needs two persons",
        }
    return {**mean_with_interval(known, _RESAMPLES, _SEED, groups), "n": len(known)}


def mean_rating(ratings: pd.Series, persons: pd.Series | None = None) -> dict[str, Any]:
    """Mean human rating of faces, in the raters' unit; see `mean_interval`."""
    return mean_interval(ratings, "human rating", persons)


def mean_scores(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Mean holistic, geometric and combined score of faces, 0–100.

    Parameters
    ----------
    rows : DataFrame
        Rows of `attributes_final.parquet`. Without the column `person_group`, each face is somebody
        else's.

    Returns
    -------
    dict
        What `mean_interval` returns, by score.
    """
    persons = rows.get(PERSON)
    return {
        name: mean_interval(rows[column], f"{name} score", persons)
        for name, column in SCORES.items()
    }


def scores_text(scores: dict[str, dict[str, Any]]) -> str:
    """Write mean scores on one line: `holistic 61.2 (58.9 to 63.5)`; without an interval of one."""
    parts = [
        f"{name} {interval_text(score, '.1f')}"
        for name, score in scores.items()
        if score["value"] is not None
    ]
    return ", ".join(parts) or "none"


def write_members(
    selection: Selection,
    name: str,
    wanted: dict,
    landmarks: pd.DataFrame,
    preproc: Path,
    out: Path,
    doubts: list[str] | None = None,
) -> None:
    """Write a members' folder.

    It holds `members.csv`, `selection.json`, `scores.json`, `faces/` (links) and
    `faces/landmarks.parquet`. The scores change with every training. They have a file of their own,
    which the composite does not read, so that it is not drawn again. Files of an earlier run are
    removed from `faces/`. With too few members, `members.csv` has no row, and the table of
    landmarks is empty.

    Parameters
    ----------
    selection : Selection
    name : str
        Of the composite.
    wanted : dict
        The filter as the user wrote it.
    landmarks : DataFrame
        `filename`, `landmarks` and `yaw` of all faces.
    preproc : Path
        Folder of the face crops.
    out : Path
        The folder to write.
    doubts : list of str, optional
        About the columns that the filter uses.
    """
    rows = selection.rows if selection.enough else selection.rows.iloc[:0]
    members = rows["filename"]
    shutil.rmtree(out / "faces", ignore_errors=True)
    # Numbers of this composite's own: those of the table change when other faces are added.
    table = rows[["image", "filename", "rating"]].assign(person=person_groups(rows[PERSON]))
    write_csv(out / "members.csv", table)
    write_json(
        out / "selection.json",
        {
            "name": name,
            "filter": wanted,
            "built": selection.enough,
            "n": len(members),
            "found": len(selection.rows),
            "min_results": selection.min_results,
            "matched": selection.matched,
            "flagged": selection.flagged,
            "copies_left_out": selection.copies,
            "relaxed": selection.relaxed,
            **({"doubts": doubts} if doubts else {}),
            "rating": mean_rating(rows["rating"], rows[PERSON]),
        },
    )
    write_json(out / "scores.json", {"name": name, "n": len(rows), **mean_scores(rows)})
    tables.write(
        landmarks[landmarks["filename"].isin(members)],
        out / "faces" / MEMBER_LANDMARKS.name,
        MEMBER_LANDMARKS,
    )
    for member in members:
        link(preproc / member, out / "faces" / member)


def link(source: Path, target: Path) -> None:
    """Make a hard link where the file system can, else a copy.

    Parameters
    ----------
    source : Path
        A file; it may itself be a link into DVC's cache.
    target : Path
        What is there already is replaced, never written to: it may be a link into DVC's cache.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


class Member(NamedTuple):
    """One face of a composite.

    Attributes
    ----------
    filename : str
    path : Path
        Of its crop.
    landmarks : ndarray (468, 3), optional
        0–1 of the crop.
    yaw : float, optional
        Degrees.
    """

    filename: str
    path: Path
    landmarks: np.ndarray | None
    yaw: float | None = None


class Members:
    """The members of a composite in the order of their names.

    They may be iterated, as `Member`, any number of times. Landmarks are read batch by batch; at
    once, those of 2,500 faces took 80 MB.

    Parameters
    ----------
    members : Path
        `members.csv`.
    faces : Path
        The folder of their crops and landmarks.

    Attributes
    ----------
    ratings : Series
        Mean human rating by name, NaN where nobody rated.
    persons : Series of int
        Number of the person by name.

    Raises
    ------
    InputError
        The folder is not one that the stage `select` wrote.
    """

    def __init__(self, members: Path, faces: Path):
        try:
            table = pd.read_csv(
                members,
                dtype={"filename": "str", "rating": "float64", "person": "int64"},
                na_values={"rating": ""},
                keep_default_na=False,
            )
            table["filename"] = table["filename"].map(without_apostrophe)
            names, by_name = table["filename"], table.set_index("filename")
            self.ratings, self.persons = by_name["rating"], by_name["person"]
        except (FileNotFoundError, KeyError, ValueError) as error:
            raise InputError(
                f"{members} is not a list of members ({error}); `dvc repro` writes it"
            ) from None
        self.faces, self.table = faces, faces / MEMBER_LANDMARKS.name
        strangers = names[
            ~names.isin(tables.read(self.table, MEMBER_LANDMARKS, ["filename"])["filename"])
        ]
        if len(strangers):
            raise InputError(
                f"{members} names {strangers.iloc[0]}, which {faces} does not know; "
                "`dvc repro` writes both"
            )
        self.names = frozenset(names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Member]:
        with opened(self.table) as file:
            for batch in read_batches(file, ["filename", "landmarks", "yaw"]):
                names, yaws = (batch.column(column).to_pylist() for column in ("filename", "yaw"))
                for name, shape, yaw in zip(
                    names, batch.column("landmarks").to_pandas(), yaws, strict=True
                ):
                    if name in self.names:
                        yield Member(
                            name,
                            self.faces / name,
                            None if shape is None else shape.reshape(-1, 3),
                            yaw,
                        )
