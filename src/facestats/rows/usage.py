"""How big the row store is, how much of it the current outs use, and removing the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from facestats.errors import InputError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.segments import (
    KEY,
    DamagedSegmentError,
    list_segments,
    read_any_segment,
    remove,
    write_segment,
)
from facestats.rows.store import FILES, lock_path, select_rows


@dataclass
class Usage:
    """What one stage keeps in the store.

    Attributes
    ----------
    recipes : parameters, weights and code that rows were computed with
    rows, used : rows, and those that the current outs hold
    size, used_size : bytes on disk; a segment counts as used by its share of used rows
    """

    recipes: int = 0
    rows: int = 0
    used: int = 0
    size: int = 0
    used_size: int = 0


def used_keys(cache: DvcCache | None, stage: str) -> pa.Array:
    """Keys of the rows in a stage's current outs: those in the workspace and those that dvc.lock names."""
    keys = [pa.array([], pa.string())]
    for path in cache.tables(stage) if cache else ():
        try:
            keys.append(pq.read_table(path, columns=[KEY], use_threads=False)[KEY].combine_chunks().cast(pa.string()))
        except (pa.ArrowInvalid, KeyError, OSError):  # no table of rows
            continue
    return pc.unique(pa.concat_arrays(keys)).drop_null()


def measure(store: Path, cache: DvcCache | None) -> dict[str, Usage]:
    """Usage of each stage that has rows."""
    found: dict[str, Usage] = {}
    for recipe in recipes(store):
        usage = found.setdefault(recipe.parent.name, Usage())
        usage.recipes += 1
        keys = used_keys(cache, recipe.parent.name)
        files: set[str] = set()
        for path, table in _tables(recipe):
            used, size = len(select_rows(table, keys)), path.stat().st_size
            usage.rows, usage.used = usage.rows + len(table), usage.used + used
            usage.size, usage.used_size = usage.size + size, usage.used_size + size * used // max(1, len(table))
            files |= files_of(select_rows(table, keys))
        for path in (recipe / FILES).glob("*"):
            size = path.stat().st_size
            usage.size, usage.used_size = usage.size + size, usage.used_size + size * (path.name in files)
    return found


def prune(store: Path, cache: DvcCache | None) -> list[Path]:
    """Remove the rows that no current out holds; returns the recipes that were left because a run uses them.

    Raises
    ------
    InputError
        What the current outs are can't be told: every row would look unused.
    """
    if cache is None or not cache.has_outs():
        raise InputError(f"{cache.root / 'dvc.lock' if cache else 'dvc.lock'} is missing or damaged, or this is no DVC project: which rows "
                         "are in use can't be told; run this in the project after `dvc repro`, or remove the folder yourself")
    busy: list[Path] = []
    for recipe in idle_recipes(store, busy):
        _prune_recipe(recipe, used_keys(cache, recipe.parent.name))
    return busy


def idle_recipes(store: Path, busy: list[Path]) -> Iterator[Path]:
    """The recipes that no run uses, each locked while it is looked at; the others are added to `busy`."""
    for recipe in recipes(store):
        lock = FileLock(lock_path(recipe), mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            busy.append(recipe)
            continue
        try:
            yield recipe
        finally:
            lock.release()


def _prune_recipe(recipe: Path, keys: pa.Array) -> None:
    files: set[str] = set()
    for path in list_segments(recipe):
        try:
            table = read_any_segment(path)
        except DamagedSegmentError:
            remove(path)
            continue
        except FileNotFoundError:
            continue
        kept = select_rows(table, keys)
        files |= files_of(kept)
        if len(kept) < len(table):
            if len(kept):
                write_segment(recipe, kept)
            remove(path)
    for path in (*recipe.glob(".*"), *recipe.glob(f"{FILES}/*")):
        if path.name not in files:
            remove(path)
    for folder in (recipe / FILES, recipe):  # the lock stays: another run may be waiting for it
        with suppress(OSError):  # not empty
            folder.rmdir()


def recipes(store: Path) -> list[Path]:
    """The folders that `RowStore` made: in a folder that is none of its own there are none."""
    return sorted(path for path in store.glob("*/*") if re.fullmatch("[0-9a-f]{32}", path.name) and path.is_dir())


def _tables(recipe: Path) -> Iterator[tuple[Path, pa.Table]]:
    for path in list_segments(recipe):
        try:
            yield path, read_any_segment(path)
        except (DamagedSegmentError, FileNotFoundError):
            continue


def files_of(table: pa.Table) -> set[str]:
    """MD5 of the files that belong to rows."""
    names = [name for name in table.column_names if name == "crop"]
    return {md5 for name in names for md5 in table[name].to_pylist() if md5}
