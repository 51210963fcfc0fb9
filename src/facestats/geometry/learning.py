"""Which faces the geometric score learns from, and which get it.

The tables are read in step, block by block, and texts are kept of rated faces alone.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facestats.core import tables
from facestats.core.stats.identity import groups_of, known_minors
from facestats.core.tables.names import in_order, look_up
from facestats.core.tables.steps import Source, in_step
from facestats.faces.tables import FACES
from facestats.labels.tables import LABELS, SPLITS


def read_rows(
    names: pd.Series, labels: Path, splits: Path, faces: Path, ages: Source
) -> pd.DataFrame:
    """Read what decides which faces the score learns from.

    Parameters
    ----------
    names : Series of str (n,)
        Filenames of the faces.
    labels, splits, faces : Path
        The tables.
    ages : Source
        `age_check.parquet`, all columns.

    Returns
    -------
    DataFrame (n rows)
        In the order of `names`: `rating` (null where nobody rated, and of known minors), `split`,
        `group` (see `identity.same_faces`; null but of rated faces in train) and `scored` (whether
        the face gets a score).

    Raises
    ------
    TableError
        A table is missing, not what the schema says, or not sorted.
    """
    ordered = names if in_order(names) else names.sort_values()
    parts, persons = [], []
    for read in in_step(
        faces=ordered.to_frame("filename"),
        labels=Source(labels, LABELS, ["person", "rating"]),
        splits=Source(splits, SPLITS),
        ages=ages,
    ):
        parts.append(_decide(read))
        persons.append(read["labels"].set_index("filename")["person"].dropna())
    rows = pd.concat(parts, ignore_index=True)
    if ordered is not names:
        rows = rows.set_axis(ordered.index).sort_index()
    rated = rows["rating"].notna() & (rows["split"] == "train")
    identity = tables.read(faces, FACES, ["filename", "sha256", "copy_group"])
    groups = groups_of(names[rated], identity.dropna(subset="filename"), pd.concat(persons))
    rows["group"] = look_up(names[rated], groups).reindex(rows.index)
    return rows


def _decide(read: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The columns of some faces, without their groups."""
    names = read["faces"]["filename"]
    labels, splits, ages = (
        read[name].set_index("filename") for name in ("labels", "splits", "ages")
    )
    minor = look_up(names, known_minors(read["ages"])).eq(True)
    return pd.DataFrame(
        {
            "rating": look_up(names, labels["rating"]).astype(float).mask(minor),
            "split": look_up(names, splits["split"]),
            "scored": look_up(names, ages["score_withheld"]).isna(),
        }
    )
