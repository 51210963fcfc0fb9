"""The members of a composite, as they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from facestats.core import tables
from facestats.core.files import without_apostrophe
from facestats.core.tables.parquet import opened, read_batches
from facestats.errors import InputError
from facestats.groups.tables import MEMBER_LANDMARKS

_COLUMNS = {"image": "str", "filename": "str", "rating": "float64", "person": "int64"}
_COLUMNS |= {"sha256": "str"}  # where the composite is drawn from photos


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
    pixels : callable, optional
        Gives the face's pixels, uint8 (side, side, 3), in place of the crop.
    inside : callable, optional
        Gives how far within its photo each pixel lies, float32 (side, side): 0 beyond it, else
        shares of the side.
    """

    filename: str
    path: Path
    landmarks: np.ndarray | None
    yaw: float | None = None
    pixels: Callable[[], np.ndarray] | None = None
    inside: Callable[[], np.ndarray] | None = None


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
    photos : DataFrame
        `image` and, where the composite is drawn from photos, `sha256`, by name.

    Raises
    ------
    InputError
        The folder is not one that the stage `select` wrote.
    """

    def __init__(self, members: Path, faces: Path):
        try:
            table = pd.read_csv(
                members,
                dtype=_COLUMNS,
                na_values={"rating": ""},
                keep_default_na=False,
            )
            table["filename"] = table["filename"].map(without_apostrophe)
            names, by_name = table["filename"], table.set_index("filename")
            self.ratings, self.persons = by_name["rating"], by_name["person"]
            self.photos = by_name.filter(["image", "sha256"])
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
