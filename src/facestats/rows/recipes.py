"""The recipes of a store, all rows of one, and what DVC's cache makes superfluous in them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.files import release
from facestats.rows.folder import unless_absent
from facestats.rows.interface import StorePath
from facestats.rows.place import open_below, open_store
from facestats.rows.segments import (
    MD5,
    DamagedSegmentError,
    list_segments,
    read_segment,
    row_schema,
)

_STAGE = re.compile("[a-z_]{1,40}")


def recipes(store: StorePath) -> list[StorePath]:
    """The folders of recipes; none with other names, and none behind links.

    Raises OSError where a folder can't be read: nobody knows what is in it.
    """
    folders = []
    with unless_absent(), open_store(store) as top:
        for stage in top.names(_STAGE):
            with unless_absent(), top.below(stage) as folder:
                folders += [
                    folder.path / name for name in folder.names(MD5) if folder.is_folder(name)
                ]
    return folders


def read_rows(
    store: StorePath, stage: str, recipe: str, columns: dict[str, pa.DataType]
) -> pa.Table:
    """All undamaged rows of a recipe, also several with the same key.

    Raises OSError if the disk fails.
    """
    schema = row_schema(stage, recipe, columns)
    parts = [schema.empty_table()]
    with unless_absent(), open_below(store, stage, recipe[:32]) as folder:
        for name in list_segments(folder):
            with suppress(FileNotFoundError, DamagedSegmentError):
                parts.append(read_segment(folder, name, schema))
    return pa.concat_tables(parts)


def release_all(store: StorePath, cache: DvcCache) -> None:
    """Remove the files of all recipes that DVC's cache has by now, also while runs use them.

    Those in a bucket stay: whoever shares one has another cache.
    """
    if not isinstance(store, Path):
        return
    with suppress(OSError):  # what can't be read now is removed by a later run
        for recipe in recipes(store):
            names = (recipe.parent.name, recipe.name, FILES)
            with unless_absent(), open_below(store, *names) as folder:
                release(folder, cache)
