"""Filters and average faces for people: pandas and polars frames, lists of photos."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from facestats.composites.averaging import Average, average_faces, averaging_options
from facestats.composites.folder import composite_facts, finish
from facestats.composites.params import Render
from facestats.core import tables
from facestats.core.layout import METADATA
from facestats.core.photo_files import face_filename
from facestats.core.stats.verdict import SCORES
from facestats.errors import InputError
from facestats.groups.conditions import check_flags
from facestats.groups.filters import column_doubts, select_faces
from facestats.groups.members import PERSON, mean_scores
from facestats.groups.params import COPIES, KEEP, Filter
from facestats.groups.tables import FINAL
from facestats.params.errors import checked_options
from facestats.serving.checks import one_of, whole_number
from facestats.serving.composite_members import known_faces, new_faces
from facestats.serving.crops import check_crops
from facestats.serving.frames import is_polars_frame, to_pandas
from facestats.serving.loading import load
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
    drawn = average_group(models, df_or_paths, options, n, seed, flags, copies)
    for doubt in drawn.doubts:
        warnings.warn(doubt, stacklevel=3)
    image = Image.fromarray(drawn.codes)
    image.info[FACTS] = drawn.facts
    return image


@dataclass(frozen=True)
class Drawn:
    """An average face with its facts.

    Attributes
    ----------
    codes : ndarray of uint8 (size, size, 3 or 4)
        sRGB, with its mask.
    shape : ndarray of float32 (468, 2), optional
        Mean landmarks as shares of the side; None where no member has any.
    facts : CompositeFacts
    doubts : list of str
        What is doubtful about the columns that the frame was filtered by.
    """

    codes: np.ndarray
    shape: np.ndarray | None
    facts: CompositeFacts
    doubts: list[str]


def average_group(
    models: Models | None,
    df_or_paths: Any,
    options: dict[str, Any],
    n: int | None = None,
    seed: int = WHO.seed,
    flags: str | None = None,
    copies: str = WHO.copies,
) -> Drawn:
    """The average of a group with its mean shape; arguments and errors as of `make_composite`.

    Parameters
    ----------
    models : Models, optional
        None: those of `load()`.
    df_or_paths : frame or list of images
    options : dict
        Fields of `Render`.
    n, seed, flags, copies
        Who of them.

    Returns
    -------
    Drawn
    """
    transparent = options.get("background") == "transparent"
    render = checked_options(Render, options | ({"format": "png"} if transparent else {}))
    n, seed = None if n is None else whole_number("n", n, 1), whole_number("seed", seed, 0)
    table, photos = _table_or_photos(df_or_paths)
    single, models = one_of("copies", copies, COPIES) == "best", models or load()
    table, photos = _with_faces(table, models), [models.photo(photo) for photo in photos]
    left_out: dict[str, list[str]] = {}
    selection = dict(table.attrs.get(FACTS, {})) if table is not None else {}
    if flags is not None:
        check_flags(flags)
    used_flags: str = flags or selection.get("filter", {}).get("flags", WHO.flags)
    with tempfile.TemporaryDirectory() as folder:
        if table is not None:
            members, flagged, n_copies = known_faces(
                models, table, n, seed, used_flags, copies, Path(folder)
            )
        else:
            members, left_out, flagged, n_copies = new_faces(
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
    facts = _facts_of(average, render, selection, table)
    codes = finish(average, render.model_dump())
    return Drawn(codes, average.shape, facts, selection["doubts"])


def _table_or_photos(df_or_paths: Any) -> tuple[pd.DataFrame | None, list]:
    if isinstance(df_or_paths, pd.DataFrame):
        return df_or_paths, []
    if is_polars_frame(df_or_paths):
        return to_pandas(df_or_paths), []
    return None, _listed(df_or_paths)


def _listed(photos: Any) -> list:
    single = isinstance(photos, (str, bytes, bytearray, memoryview, Path, Image.Image)) or (
        isinstance(photos, np.ndarray) and photos.ndim in (2, 3)
    )
    if single or isinstance(photos, Mapping) or not isinstance(photos, Iterable):
        hint = "put a single one into a list" if single else f"found {type(photos).__name__}"
        raise InputError(f"make_composite takes a table or a list of photos; {hint}")
    return list(photos)


def _facts_of(
    average: Average, render: Render, selection: dict[str, Any], table: pd.DataFrame | None
) -> CompositeFacts:
    """The facts of an average; raises `InputError` where there is no picture."""
    composite = composite_facts(
        average, render.used(), selection, _by_name(table, "rating"), _by_name(table, PERSON)
    )
    if average.image is None:
        raise InputError(_why_none(composite))
    if table is not None and set(SCORES.values()) <= set(table.columns):
        composite["scores"] = mean_scores(table.set_index("filename").loc[composite["members"]])
    names = {field.name for field in fields(CompositeFacts)}
    return CompositeFacts(**{key: composite[key] for key in composite.keys() & names})


def _why_none(composite: dict[str, Any]) -> str:
    hint = "".join(f", {n} left out as {reason}" for reason, n in composite["flagged"].items())
    return f"no face to average: {composite['why']}{hint}" + (
        "; flags='keep' takes doubtful pictures, too" if hint else ""
    )


def _doubts(
    models: Models, table: pd.DataFrame | None, names: pd.Series, conditions: dict[str, Any]
) -> list[str]:
    """What is doubtful about the columns that a frame was filtered by."""
    final = models.root / METADATA / FINAL.name
    if table is None or not conditions or not final.exists():
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
    if column == "image" or (models.images.index.get_indexer(names) < 0).any():
        table = table.assign(filename=names.map(models.faces(names)))
    return table


def _by_name(table: pd.DataFrame | None, column: str) -> pd.Series:
    """A column of numbers by the face's name; empty where the table lacks it."""
    if table is None or column not in table.columns:
        return pd.Series(dtype=float)
    values = table.set_index("filename")[column]
    return values[~values.index.duplicated()]
