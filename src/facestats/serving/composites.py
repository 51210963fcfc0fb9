"""Filters and average faces for people: pandas and polars frames, lists of photos."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from facestats.composites.averaging import average_faces, averaging_options
from facestats.composites.folder import WITHOUT_FACE, composite_facts, finish
from facestats.composites.params import Render
from facestats.core import tables
from facestats.core.doubts import PICTURE
from facestats.core.layout import CROPS, METADATA
from facestats.core.photo_files import face_filename
from facestats.core.stats.verdict import SCORES
from facestats.errors import InputError, number_of
from facestats.faces.tables import FACES
from facestats.groups.conditions import check_flags, check_table
from facestats.groups.filters import column_doubts, select_faces
from facestats.groups.members import PERSON, mean_scores
from facestats.groups.params import COPIES, KEEP, Filter
from facestats.groups.tables import FINAL
from facestats.params.errors import checked_options
from facestats.serving.checks import one_of, whole_number
from facestats.serving.copies import best_of_copies, look_of
from facestats.serving.crops import check_crops
from facestats.serving.frames import is_polars_frame, to_pandas
from facestats.serving.loading import load
from facestats.serving.manifest import faces_table
from facestats.serving.models import Models
from facestats.serving.types import CompositeFacts

if TYPE_CHECKING:
    import polars as pl

DRAW, WHO = Render(), Filter()  # the defaults of `params.yaml`
FACTS = "facestats"  # their key in a frame's `attrs` and an image's `info`


def filter_images(
    df: pd.DataFrame | pl.DataFrame,
    gender: str | list[str] | None = None,
    ethnicity: str | list[str] | None = None,
    age_range: tuple[float, float] | None = None,
    attractiveness: tuple[int, int] | None = None,
    min_results: int = 0,
    attributes: dict[str, str | list[str]] | None = None,
    cluster: int | list[int] | None = None,
    flags: str = WHO.flags,
    copies: str = WHO.copies,
    score: dict[str, tuple[int, int]] | None = None,
    rating: tuple[float | str, float | str] | None = None,
    columns: dict[str, Any] | None = None,
) -> pd.DataFrame | pl.DataFrame:
    """Select the rows that match all conditions, sorted by filename.

    Parameters
    ----------
    df : pandas or polars frame
        `attributes_final.parquet`, a part of it, or a table with `filename` or `image`.
    gender, ethnicity : str or list of str, optional
        A class or a list of classes, as the labels call them.
    age_range : (low, high), optional
        Years, both ends included. Faces of unknown age never match.
    attractiveness : (low, high), optional
        Deciles of the holistic score, 1 to 10, both ends included.
    min_results : int, default 0
        Fewer matches (of copies of a picture one) are an error; nothing is ever widened.
    attributes : dict, optional
        Class or list of classes of any other attribute: `{"glasses": "with"}`.
    cluster : int or list of int, optional
        Number of a cluster, or a list of them.
    flags : {'leave_out', 'keep'}
        `leave_out`: no face whose picture is doubtful, by the column `doubts`; `keep`: these too.
    copies : {'best', 'keep'}
        `best`: of copies of a picture the best one, by `copy_group` and `copy_rank`; `keep`: all.
    score : dict, optional
        Deciles by trait of `score.traits`: `{"trustworthy": (8, 10)}`.
    rating : (low, high), optional
        Mean human rating, in the raters' unit; quantiles of the frame's: `("q0.8", "q1")`.
    columns : dict, optional
        Range, quantiles, class or list of classes of any other column: `{"yaw": (-5, 5)}`.

    Returns
    -------
    frame of the same kind
        A pandas frame has `.attrs["facestats"]`: `filter` (the conditions), `matched` (faces left
        after each), `ranges` (quantiles in numbers), `flagged` (faces left out by doubt) and
        `copies_left_out`; `make_composite` passes them on. A polars frame has no place for them.

    Warns
    -----
    UserWarning
        A class that no face has, with those that there are.

    Raises
    ------
    InputError
        Fewer than `min_results`, with the number left after each condition; no frame, a missing
        column, or a condition that is no class, range or number.
    """
    conditions = {
        "gender": gender,
        "ethnicity": ethnicity,
        "age_range": age_range,
        "attributes": attributes,
        "cluster": cluster,
        "rating": rating,
        "columns": columns,
        "score": score,
        "attractiveness": attractiveness,
    }
    table: Any = (
        df
        if isinstance(df, pd.DataFrame)
        else to_pandas(df, {*(columns or {}), *(attributes or {})})
    )
    if "filename" not in table.columns and "image" in table.columns:  # the user's own table
        names = [face_filename(name) if isinstance(name, str) else name for name in table["image"]]
        table = table.assign(filename=names)
    min_results = whole_number("min_results", min_results, 0)
    selection = select_faces(
        table,
        conditions,
        min_results=min_results,
        flags=flags,
        copies=one_of("copies", copies, COPIES),
    )
    if not selection.enough:
        raise InputError(f"too few: {selection}")
    for hint in selection.hints:
        warnings.warn(hint, stacklevel=2)
    if not isinstance(df, pd.DataFrame):
        return df[selection.rows.index.to_list()]
    conditions_used = {name: value for name, value in conditions.items() if value is not None}
    asked = ({"flags": flags} if flags == KEEP else {}) | (
        {"copies": copies} if copies != WHO.copies else {}
    )
    selection.rows.attrs[FACTS] = {  # a plain dict, since pandas writes `attrs` as JSON
        "filter": {**conditions_used, "min_results": min_results} | asked,
        "matched": selection.matched,
        **({"ranges": selection.ranges} if selection.ranges else {}),
        "flagged": selection.flagged,
        "copies_left_out": selection.copies,
    }
    return selection.rows


def make_composite(
    df_or_paths: pd.DataFrame | pl.DataFrame | list,
    n: int | None = None,
    seed: int = WHO.seed,
    align: str = DRAW.align,
    space: str = DRAW.space,
    symmetric: bool = DRAW.symmetric,
    max_yaw: float = DRAW.max_yaw,
    flags: str | None = None,
    copies: str = WHO.copies,
    texture: bool = DRAW.texture,
    mask: str = DRAW.mask,
    background: str = DRAW.background,
) -> Image.Image:
    """Draw a composite, the average face of a group.

    Of faces of the pipeline it has the same pixels as the stage `composite` draws of these members.

    Parameters
    ----------
    df_or_paths : pandas or polars frame, or list of images
        A frame with `filename` or `image` (faces of the pipeline), or images, whose faces are cut
        out.
    n : int, optional
        At most this many, drawn at random; None: all.
    seed : int, default 0
        Of the drawing.
    align : {'warp', 'eyes', 'none'}
        `warp`: every triangle of a face to the mean landmarks; `eyes`: eyes upon eyes; `none`:
        plain mean.
    space : {'linear', 'gamma'}
        Whether light is averaged, or the codes of the files.
    symmetric : bool, default False
        Average every face with its mirror image.
    max_yaw : float, default 25
        Degrees, above 0 and up to 90; `warp` leaves out faces turned further.
    flags : {'leave_out', 'keep'}, optional
        `leave_out`: no face whose picture is doubtful; `keep`: these too; None: as `filter_images`
        was told, else `leave_out`.
    copies : {'best', 'keep'}
        `best`: of copies of a picture the best one; `keep`: all.
    texture : bool, default False
        With `warp`: detail inside the face is as strong as in the faces on average.
    mask : {'none', 'oval', 'face'}
        What is shown: all, an ellipse around the face, or what lies within its outline.
    background : {'keep', 'grey', 'transparent'}
        Around the mask.

    Returns
    -------
    PIL image
        RGB, or RGBA with a transparent background, in the size of the crops. `info["facestats"]` is
        a `CompositeFacts`.

    Warns
    -----
    UserWarning
        What is doubtful about the columns that the frame was filtered by; `note` has it too.

    Raises
    ------
    InputError
        No face to average, an option that does not exist, a face that stands twice, a missing
        photo.
    ImageError
        A photo that can't be read.
    """
    return draw_composite(
        None,
        df_or_paths,
        n,
        seed,
        align,
        space,
        symmetric,
        max_yaw,
        flags,
        copies,
        texture,
        mask,
        background,
    )


def draw_composite(
    models: Models | None,
    df_or_paths: Any,
    n: int | None = None,
    seed: int = WHO.seed,
    align: str = DRAW.align,
    space: str = DRAW.space,
    symmetric: bool = DRAW.symmetric,
    max_yaw: float = DRAW.max_yaw,
    flags: str | None = None,
    copies: str = WHO.copies,
    texture: bool = DRAW.texture,
    mask: str = DRAW.mask,
    background: str = DRAW.background,
) -> Image.Image:
    """`make_composite` with given models; None: those of `load()`."""
    options = {"align": align, "space": space, "symmetric": symmetric, "max_yaw": max_yaw}
    options |= {"texture": texture, "mask": mask, "background": background}
    render = checked_options(
        Render, options | ({"format": "png"} if background == "transparent" else {})
    )
    n, seed = None if n is None else whole_number("n", n, 1), whole_number("seed", seed, 0)
    table = (
        df_or_paths
        if isinstance(df_or_paths, pd.DataFrame)
        else to_pandas(df_or_paths)
        if is_polars_frame(df_or_paths)
        else None
    )
    photos = _listed(df_or_paths) if table is None else []
    single, models = one_of("copies", copies, COPIES) == "best", models or load()
    table, photos = _with_faces(table, models), [models.photo(photo) for photo in photos]
    left_out: dict[str, list[str]] = {}
    selection = dict(table.attrs.get(FACTS, {})) if table is not None else {}
    if flags is not None:
        check_flags(flags)
    used_flags: str = flags or selection.get("filter", {}).get("flags", WHO.flags)
    with tempfile.TemporaryDirectory() as folder:
        if table is not None:
            members, flagged, n_copies = _known_faces(models, table, n, seed, used_flags, copies)
        else:
            members, left_out, flagged, n_copies = _new_faces(
                models, photos, n, seed, Path(folder), used_flags, single
            )
        average = average_faces(members, **averaging_options(render, {}))
    if table is not None:  # are table and crops still those of the run?
        check_crops(models, members["filename"])
    average.left_out = left_out | average.left_out
    if flagged:
        selection["flagged"] = flagged
    selection["copies_left_out"] = selection.get("copies_left_out", 0) + n_copies
    if n is not None:
        selection["filter"] = {**selection.get("filter", {}), "n": n, "seed": seed}
    selection["doubts"] = _doubts(models, table, members["filename"], selection.get("filter", {}))
    composite = composite_facts(
        average, render.used(), selection, _by_name(table, "rating"), _by_name(table, PERSON)
    )
    if average.image is None:
        hint = "".join(f", {n} left out as {reason}" for reason, n in composite["flagged"].items())
        raise InputError(
            f"no face to average: {composite['why']}{hint}"
            + ("; flags='keep' takes doubtful pictures, too" if hint else "")
        )
    for doubt in selection["doubts"]:
        warnings.warn(doubt, stacklevel=3)
    if table is not None and set(SCORES.values()) <= set(table.columns):
        composite["scores"] = mean_scores(table.set_index("filename").loc[composite["members"]])
    image = Image.fromarray(finish(average, render.model_dump()))
    names = {field.name for field in fields(CompositeFacts)}
    image.info[FACTS] = CompositeFacts(**{key: composite[key] for key in composite.keys() & names})
    return image


def _listed(photos: Any) -> list:
    single = isinstance(photos, (str, bytes, bytearray, memoryview, Path, Image.Image)) or (
        isinstance(photos, np.ndarray) and photos.ndim in (2, 3)
    )
    if single or isinstance(photos, Mapping) or not isinstance(photos, Iterable):
        hint = "put a single one into a list" if single else f"found {type(photos).__name__}"
        raise InputError(f"make_composite takes a table or a list of photos; {hint}")
    return list(photos)


def _doubts(
    models: Models, table: pd.DataFrame | None, names: pd.Series, conditions: dict[str, Any]
) -> list[str]:
    """What is doubtful about the columns that a frame was filtered by."""
    final = models.root / METADATA / FINAL.name
    if table is None or not conditions or not final.is_file():
        return []
    return column_doubts(
        table[table["filename"].isin(names)], conditions, tables.read_doubts(final)
    )


def _with_faces(table: pd.DataFrame | None, models: Models) -> pd.DataFrame | None:
    """Put the names of faces into `filename`, from photos or faces in `filename` or `image`."""
    column = next(
        (name for name in ("filename", "image") if table is not None and name in table.columns),
        None,
    )
    if table is None or column is None or not all(isinstance(name, str) for name in table[column]):
        return table
    names = table[column]
    if column == "image" or not names.isin(models.images.index).all():
        table = table.assign(filename=names.map(models.faces(names)))
    return table


def _by_name(table: pd.DataFrame | None, column: str) -> pd.Series:
    """A column of numbers by the face's name; empty where the table lacks it."""
    if table is None or column not in table.columns:
        return pd.Series(dtype=float)
    values = table.set_index("filename")[column]
    return values[~values.index.duplicated()]


def _known_faces(
    models: Models, df: pd.DataFrame, n: int | None, seed: int, flags: str, copies: str
) -> tuple[pd.DataFrame, dict[str, int], int]:
    """Select members among the pipeline's faces.

    Returns the members, how many were left out for each doubt, and how many as copies.
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
    faces = tables.read(faces_table(models), FACES, ["filename", "landmarks", "yaw"])
    faces = faces.dropna(subset="filename").set_index("filename")
    absent = [name for name in names if name not in faces.index]
    if absent:
        raise InputError(
            f"{number_of(len(absent), 'name')} not among the faces of {models.root}, for example "
            f"{absent[0]}"
        )
    folder = models.root / CROPS
    members = _members(
        [
            (name, folder / name, faces.at[name, "landmarks"], faces.at[name, "yaw"])
            for name in names
        ]
    )
    return members, selection.flagged, selection.copies


def _new_faces(
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
