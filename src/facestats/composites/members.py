"""The members' folder of a composite: all that drawing it needs, and nothing that changes without it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from facestats import tables
from facestats.composites.filters import Selection
from facestats.errors import InputError
from facestats.files import write_json, write_text


def write_members(selection: Selection, name: str, wanted: dict, landmarks: pd.DataFrame, preproc: Path, out: Path) -> None:
    """Write `members.csv`, `selection.json`, `faces/` (links) and `faces/landmarks.parquet` into `out`.

    What an earlier run left in `faces/` goes. Too few members: `members.csv` has no row, and `faces/` holds an empty table of landmarks alone.

    Parameters
    ----------
    wanted : the filter as the user wrote it.
    landmarks : `filename`, `landmarks`, `yaw` of all faces.
    preproc : folder of the face crops.
    """
    members = selection.rows["filename"] if selection.enough else selection.rows["filename"].iloc[:0]
    shutil.rmtree(out / "faces", ignore_errors=True)
    write_text(out / "members.csv", members.to_csv(index=False))
    write_json(out / "selection.json", {
        "name": name, "filter": wanted, "built": selection.enough, "n": len(members),
        "found": len(selection.rows), "min_results": selection.min_results,
        "matched": selection.matched, "relaxed": selection.relaxed,
    })
    tables.write(landmarks[landmarks["filename"].isin(members)], out / "faces" / tables.MEMBER_LANDMARKS.name,
                 tables.MEMBER_LANDMARKS)
    for member in members:
        link(preproc / member, out / "faces" / member)


def link(source: Path, target: Path) -> None:
    """A hard link where the file system can, else a copy; `source` may itself be a link into DVC's cache."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # it may be a link to the face, or into DVC's cache: never write through it
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def read_members(members: Path, faces: Path) -> pd.DataFrame:
    """Members in order: `filename`, `path` of the crop, `landmarks` (468, 3) in 0–1 or None.

    Raises
    ------
    InputError
        The folder is not one that `select` wrote.
    """
    try:
        names = pd.read_csv(members, dtype="str", keep_default_na=False)["filename"]
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise InputError(f"{members} is not a list of members ({error}); `dvc repro` writes it") from None
    known = tables.read(faces / tables.MEMBER_LANDMARKS.name, tables.MEMBER_LANDMARKS).set_index("filename")["landmarks"]
    strangers = [n for n in names if n not in known.index]
    if strangers:
        raise InputError(f"{members} names {strangers[0]}, which {faces} does not know; `dvc repro` writes both")
    shapes = [None if known[n] is None else np.asarray(known[n]).reshape(-1, 3) for n in names]
    return pd.DataFrame({"filename": names, "path": [faces / n for n in names],
                         "landmarks": pd.Series(shapes, index=names.index, dtype=object)})
