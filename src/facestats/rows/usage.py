"""Size of the row store, how much of it the current outs use, and removal of the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facestats.errors import InputError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.folder import Folder, open_below
from facestats.rows.lock import HeldError, using
from facestats.rows.segments import (
    KEY,
    MD5,
    DamagedSegmentError,
    files_of,
    list_segments,
    read_any_segment,
    write_segments,
)
from facestats.rows.store import recipes, select_rows, sharing_of


@dataclass
class Usage:
    """What one stage keeps in the store.

    Attributes
    ----------
    recipes : int, default 0
        Number of combinations of parameters, weights and code.
    rows, used : int, default 0
        Number of rows, and of those in the current outs.
    size, used_size : int, default 0
        Bytes on disk, and those in use: of a segment, the share of its used rows.
    """

    recipes: int = 0
    rows: int = 0
    used: int = 0
    size: int = 0
    used_size: int = 0


def used_keys(cache: DvcCache | None, stage: str) -> pa.Array:
    """Keys of the rows in a stage's current outs, in the workspace and by dvc.lock."""
    keys = [pa.array([], pa.string())]
    for path in cache.tables(stage) if cache else ():
        with suppress(pa.ArrowException, KeyError, OSError):  # not a table of rows
            column = pq.read_table(path, columns=[KEY], use_threads=False)[KEY]
            keys.append(column.combine_chunks().cast(pa.string()))
    return pc.unique(pa.concat_arrays(keys)).drop_null()


def measure(store: Path, cache: DvcCache | None) -> dict[str, Usage]:
    """Usage of each stage that has rows."""
    by_stage: dict[str, Usage] = {}
    for recipe in recipes(store):
        with suppress(OSError), open_below(store, recipe.parent.name, recipe.name) as folder:
            usage = by_stage.setdefault(recipe.parent.name, Usage())
            usage.recipes += 1
            _measure(folder, used_keys(cache, recipe.parent.name), usage)
    return by_stage


def _measure(folder: Folder, keys: pa.Array, usage: Usage) -> None:
    """Add what a recipe's folder holds."""
    files: set[str] = set()
    for name in list_segments(folder):
        with suppress(DamagedSegmentError, OSError):
            table = read_any_segment(folder, name)
            kept, size = select_rows(table, keys), folder.size(name)
            usage.rows += len(table)
            usage.used += len(kept)
            usage.size += size
            usage.used_size += size * len(kept) // max(1, len(table))
            files |= files_of(kept)
    with suppress(OSError), folder.below(FILES) as below:
        for name in below.names(MD5):
            with suppress(OSError):
                size = below.size(name)
                usage.size += size
                usage.used_size += size * (name in files)


def prune(store: Path, cache: DvcCache | None) -> dict[Path, str]:
    """Remove the rows that are in no current out.

    Returns
    -------
    dict of Path to str
        Recipes that were left alone, each with the reason.

    Raises
    ------
    InputError
        The current outs are unknown: every row would look unused.
    """
    if cache is None or not cache.has_outs():
        raise InputError(
            f"{cache.root / 'dvc.lock' if cache else 'dvc.lock'} is missing or damaged, or this is "
            "not a DVC project, so it is unknown which rows are in use; run this in the project "
            "after `dvc repro`, or remove the folder yourself"
        )
    left: dict[Path, str] = {}
    for folder in idle_recipes(store, cache, left):
        _prune_recipe(folder, used_keys(cache, folder.path.parent.name))
    return left


def idle_recipes(store: Path, cache: DvcCache | None, left: dict[Path, str]) -> Iterator[Folder]:
    """Yield the recipes that no run uses, each locked meanwhile.

    The others are added to `left` with the reason.
    """
    for recipe in recipes(store):
        try:
            with using(recipe, sharing_of(cache)) as folder:
                folder.check_writable()
                yield folder
        except FileNotFoundError:  # removed meanwhile
            continue
        except HeldError as error:
            left[recipe] = f"is in use by a run ({error})"
        except OSError as error:
            left[recipe] = f"can't be written ({error.strerror})"


def _prune_recipe(folder: Folder, keys: pa.Array) -> None:
    files: set[str] = set()
    for name in list_segments(folder):
        try:
            table = read_any_segment(folder, name)
        except FileNotFoundError:
            continue
        except DamagedSegmentError:
            folder.remove(name)
            continue
        kept = select_rows(table, keys)
        files |= files_of(kept)
        if len(kept) < len(table):
            if len(kept):
                write_segments(folder, kept)
            folder.remove(name)
    folder.remove_temporary()
    remove_files(folder, files)
    folder.remove_folder(FILES)


def remove_files(folder: Folder, kept: Collection[str]) -> None:
    """Remove the files that are not in `kept`, and temporary ones."""
    with suppress(OSError), folder.below(FILES) as below:
        below.remove_temporary()
        for name in below.names(MD5):
            if name not in kept:
                below.remove(name)
