"""The folder of a composite's members, as the stage `select` writes it; and their mean scores.

The folder holds all that drawing the composite needs, and nothing that changes without it;
`composites.members` reads it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.files import write_bytes, write_csv, write_json
from facestats.core.stats.intervals import interval_text, person_groups
from facestats.core.stats.means import mean_interval, mean_rating
from facestats.core.stats.verdict import SCORES
from facestats.groups.tables import MEMBER_LANDMARKS

if TYPE_CHECKING:
    from facestats.groups.filters import Selection


PERSON = "person_group"  # column of `attributes_final.parquet`: whose face it is, as a number


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
        `filename`, `landmarks` and `yaw` of all faces. With `sha256`, of the photos, `members.csv`
        has it too: a composite that is drawn from photos is stale when one of them changes.
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
    if "sha256" in landmarks:
        table["sha256"] = members.map(landmarks.set_index("filename")["sha256"])
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
            **({"ranges": selection.ranges} if selection.ranges else {}),
            **({"doubts": doubts} if doubts else {}),
            "rating": mean_rating(rows["rating"], rows[PERSON]),
        },
    )
    write_json(out / "scores.json", {"name": name, "n": len(rows), **mean_scores(rows)})
    tables.write(
        landmarks.loc[landmarks["filename"].isin(members), [*MEMBER_LANDMARKS.fields]],
        out / "faces" / MEMBER_LANDMARKS.name,
        MEMBER_LANDMARKS,
    )
    crops = Crops.of(preproc)
    for member in members:
        if crops.packed:
            write_bytes(out / "faces" / member, crops.read(member))
        else:
            link(crops.file(member), out / "faces" / member)


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
