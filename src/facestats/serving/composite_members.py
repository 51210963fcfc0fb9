"""Who is in a composite: faces of the pipeline, or faces that are cut out of photos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.composites.folder import WITHOUT_FACE
from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.doubts import PICTURE
from facestats.core.layout import CROPS
from facestats.core.stats.verdict import SCORES
from facestats.errors import InputError, number_of
from facestats.faces.tables import FACES
from facestats.groups.conditions import check_table
from facestats.groups.filters import select_faces
from facestats.groups.members import PERSON
from facestats.groups.params import KEEP
from facestats.serving.copies import best_of_copies, look_of
from facestats.serving.manifest import faces_table
from facestats.serving.models import Models


def known_faces(
    models: Models,
    df: pd.DataFrame,
    n: int | None,
    seed: int,
    flags: str,
    copies: str,
    folder: Path,
) -> tuple[pd.DataFrame, dict[str, int], int]:
    """Select members among the pipeline's faces.

    Returns the members, whose crops may be put into `folder`, how many were left out for each
    doubt, and how many as copies.
    """
    check_table(df)
    for column in ("rating", PERSON, *SCORES.values()):
        if (
            column in df.columns
            and not pd.api.types.is_numeric_dtype(df[column])
            and df[column].notna().any()
        ):
            raise InputError(f"the column {column} must hold numbers")
    twice = df.loc[df["filename"].duplicated(), "filename"]
    if len(twice):
        raise InputError(
            f"{twice.iloc[0]} stands twice in the table and would count twice ({len(twice)} rows "
            "too many)"
        )
    selection = select_faces(df, {}, n, seed, flags=flags, copies=copies)
    names = selection.rows["filename"]
    faces = tables.read(faces_table(models), FACES, ["filename", "landmarks", "yaw"], set(names))
    faces = faces.dropna(subset="filename").set_index("filename")
    absent = [name for name in names if name not in faces.index]
    if absent:
        raise InputError(
            f"{number_of(len(absent), 'name')} not among the faces of {models.root}, for example "
            f"{absent[0]}"
        )
    crops = Crops.of(models.root / CROPS)
    members = _members(
        [
            (
                name,
                crops.unpacked(name, folder / f"{i}.jpg"),
                faces.at[name, "landmarks"],
                faces.at[name, "yaw"],
            )
            for i, name in enumerate(names)
        ]
    )
    return members, selection.flagged, selection.copies


def new_faces(
    models: Models, photos: list, n: int | None, seed: int, folder: Path, flags: str, single: bool
) -> tuple[pd.DataFrame, dict[str, list[str]], dict[str, int], int]:
    """Crop the members from photos.

    Returns the members, the names of those left out by the first reason, how many were left out for
    each doubt, and how many as copies.
    """
    from facestats.faces.crop import NoFaceError

    rows: list[tuple] = []
    looks: list[dict[str, Any]] = []
    left_out: dict[str, list[str]] = {}
    flagged: Counter[str] = Counter()
    for i in range(len(photos)) if single else _drawn(len(photos), n, seed):
        name = str(photos[i]) if isinstance(photos[i], (str, Path)) else f"image {i}"
        try:
            crop = models.crop(photos[i])
        except NoFaceError:
            left_out.setdefault(WITHOUT_FACE, []).append(name)
            continue
        doubts = (
            [doubt.reason for doubt in models.doubts(crop) if doubt.reason in PICTURE]
            if flags != KEEP
            else []
        )
        if doubts:
            flagged.update(doubts)
            left_out.setdefault(doubts[0], []).append(name)
            continue
        path = folder / f"{i}.jpg"
        path.write_bytes(models.jpeg(crop))
        rows.append((name, path, crop.landmarks, crop.pose.yaw if crop.pose else None))
        if single:
            looks.append(look_of(crop, photos[i], i))
    if not single:
        return _members(rows), left_out, dict(sorted(flagged.items())), 0
    best = best_of_copies(looks) if looks else []
    chosen = [best[k] for k in _drawn(len(best), n, seed)]
    return (
        _members([rows[k] for k in chosen]),
        left_out,
        dict(sorted(flagged.items())),
        len(rows) - len(best),
    )


def _drawn(photos: int, n: int | None, seed: int) -> list[int]:
    if n is None or n >= photos:
        return list(range(photos))
    return sorted(np.random.default_rng(seed).choice(photos, n, replace=False).tolist())


def _members(rows: list[tuple]) -> pd.DataFrame:
    shapes = [
        None if shape is None else np.asarray(shape).reshape(-1, 3) for _, _, shape, _ in rows
    ]
    return pd.DataFrame(
        {
            "filename": [r[0] for r in rows],
            "path": [r[1] for r in rows],
            "landmarks": pd.Series(shapes, dtype=object),
            "yaw": [r[3] for r in rows],
        }
    )
