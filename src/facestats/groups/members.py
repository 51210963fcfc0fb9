"""The members' folder of a composite: all that drawing it needs, and nothing that changes without it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.files import without_apostrophe, write_csv, write_json
from facestats.core.tables.parquet import opened, read_batches
from facestats.errors import InputError
from facestats.groups.means import mean_rating, mean_scores
from facestats.groups.tables import MEMBER_LANDMARKS

if TYPE_CHECKING:
    from facestats.groups.filters import Selection


def write_members(
    selection: Selection,
    name: str,
    wanted: dict,
    landmarks: pd.DataFrame,
    preproc: Path,
    out: Path,
    doubts: list[str] | None = None,
) -> None:
    """Write `members.csv`, `selection.json`, `scores.json`, `faces/` (links) and `faces/landmarks.parquet` into `out`.

    Scores move with every training, so they stand apart: a composite reads the rest, and is not drawn again. What an earlier run left in `faces/` goes. Too few members: `members.csv` has no row, and `faces/` holds an empty table of landmarks alone.

    Parameters
    ----------
    wanted : the filter as the user wrote it.
    landmarks : `filename`, `landmarks`, `yaw` of all faces.
    preproc : folder of the face crops.
    doubts : about the columns that the filter stands on.
    """
    rows = selection.rows if selection.enough else selection.rows.iloc[:0]
    members = rows["filename"]
    shutil.rmtree(out / "faces", ignore_errors=True)
    write_csv(out / "members.csv", rows[["image", "filename", "rating"]])
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
            "rating": mean_rating(rows["rating"]),
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
    """A hard link where the file system can, else a copy; `source` may itself be a link into DVC's cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(
        missing_ok=True
    )  # it may be a link to the face, or into DVC's cache: never write through it
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


class Member(NamedTuple):
    """One face of a composite: its name, the path of its crop, its landmarks (468, 3) in 0–1 or None, and its yaw (degrees)."""

    filename: str
    path: Path
    landmarks: np.ndarray | None
    yaw: float | None = None


class Members:
    """The members of a composite in the order of their names; iterated as `Member`, as often as one likes.

    Landmarks are read as they are asked for: those of 2,500 faces took 80 MB otherwise.

    Parameters
    ----------
    members : `members.csv`.
    faces : the folder of their crops and landmarks.

    Attributes
    ----------
    ratings : mean human rating by name, NaN where nobody rated.

    Raises
    ------
    InputError
        The folder is not one that `select` wrote.
    """

    def __init__(self, members: Path, faces: Path):
        try:
            table = pd.read_csv(
                members,
                dtype={"filename": "str", "rating": "float64"},
                na_values={"rating": ""},
                keep_default_na=False,
            )
            table["filename"] = table["filename"].map(without_apostrophe)
            names, self.ratings = table["filename"], table.set_index("filename")["rating"]
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
                f"{members} names {strangers.iloc[0]}, which {faces} does not know; `dvc repro` writes both"
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
