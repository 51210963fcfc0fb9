"""Size of the row store, how much of it the current outs use, and removal of the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facestats.errors import InputError
from facestats.machine.faults import fault, is_fault, patiently
from facestats.rows.bucket import BucketError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.folder import is_absent, unless_absent
from facestats.rows.interface import StoreFolder, StorePath
from facestats.rows.lock import using
from facestats.rows.manifests import read_manifest
from facestats.rows.place import open_below, sharing_of
from facestats.rows.recipes import recipes
from facestats.rows.rewriting import rewrite
from facestats.rows.segments import (
    KEY,
    MD5,
    DamagedSegmentError,
    files_of,
    list_segments,
    manifest_of,
    read_any_segment,
    remove_lone_manifests,
    remove_segment,
    select_rows,
)


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
    unread : int, default 0
        Folders and files of other users that we may not read; nothing above counts them.
    """

    recipes: int = 0
    rows: int = 0
    used: int = 0
    size: int = 0
    used_size: int = 0
    unread: int = 0


def current_tables(
    cache: DvcCache | None, stage: str, columns: Collection[str]
) -> tuple[list[pa.Table], list[Path]]:
    """Columns of a stage's current outs, in the workspace and by dvc.lock.

    Parameters
    ----------
    cache : DvcCache or None
        The project's DVC cache; without one, there are no outs.
    stage : str
        The stage.
    columns : collection of str
        Names of columns of text; an out that lacks one has no rows of the store.

    Returns
    -------
    tables : list of pa.Table
        The columns, of each copy that can be read.
    lost : list of Path
        Outs without any copy that is there and undamaged.

    Raises
    ------
    FaultError
        The machine fails, so that nobody knows which rows are in use.
    """
    tables, lost = [], []
    for out, copies in cache.copies(stage).items() if cache else ():
        whole = False
        for paths in copies:
            parts = [part for path in paths if (part := _read_columns(path, columns)) is not None]
            tables += [part for part in parts if part.num_columns == len(columns)]
            whole = whole or len(parts) == len(paths)
        lost += [] if whole else [out]
    return tables, lost


def _read_columns(path: Path, columns: Collection[str]) -> pa.Table | None:
    """The columns that a parquet file has as text; None if it is missing or damaged."""

    def read() -> pa.Table:
        with pq.ParquetFile(path) as file:
            names = [name for name in columns if name in file.schema_arrow.names]
            return file.read(columns=names, use_threads=False)

    try:
        table = patiently(read)
        return table.cast(pa.schema([(name, pa.string()) for name in table.column_names]))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if is_fault(error) and not (isinstance(error, OSError) and is_absent(error)):
            raise fault(path, error) from None
        return None


def used_keys(cache: DvcCache | None, stage: str) -> pa.Array:
    """Keys of the rows in those of a stage's current outs that are there; see `current_tables`."""
    return _keys(current_tables(cache, stage, [KEY])[0])


def _keys(tables: list[pa.Table]) -> pa.Array:
    keys = [pa.array([], pa.string()), *(table[KEY].combine_chunks() for table in tables)]
    return pc.unique(pa.concat_arrays(keys)).drop_null()


def measure(store: StorePath, cache: DvcCache | None) -> dict[str, Usage]:
    """Usage of each stage that has rows.

    Raises
    ------
    BucketError
        The bucket does not answer, or refuses.
    """
    by_stage: dict[str, Usage] = {}
    for recipe in recipes(store):
        usage = by_stage.get(recipe.parent.name, Usage())
        with (
            _counting_unread(usage),
            unless_absent(),
            open_below(store, recipe.parent.name, recipe.name) as folder,
        ):
            usage.recipes += 1
            _measure(folder, used_keys(cache, recipe.parent.name), usage)
        if usage.recipes or usage.unread:
            by_stage[recipe.parent.name] = usage
    return by_stage


@contextmanager
def _counting_unread(usage: Usage) -> Iterator[None]:
    """Count what another user keeps to themselves; a bucket that refuses stays an error."""
    try:
        yield
    except BucketError:
        raise
    except PermissionError:
        usage.unread += 1


def _measure(folder: StoreFolder, keys: pa.Array, usage: Usage) -> None:
    """Add what a recipe's folder holds."""
    files: set[str] = set()
    for name in list_segments(folder):
        with suppress(DamagedSegmentError), _counting_unread(usage), unless_absent():
            stored = read_manifest(folder, name) or manifest_of(read_any_segment(folder, name))
            used, size = pc.is_in(stored.keys, keys), folder.size(name)
            count = pc.sum(used).as_py() or 0
            usage.rows += len(stored.keys)
            usage.used += count
            usage.size += size
            usage.used_size += size * count // max(1, len(stored.keys))
            if stored.files:
                files |= {*pc.filter(pa.array(stored.files, pa.string()), used).to_pylist()}
    with _counting_unread(usage), unless_absent(), folder.below(FILES) as below:
        for name in below.names(MD5):
            with unless_absent():
                size = below.size(name)
                usage.size += size
                usage.used_size += size * (name in files)


def prune(store: StorePath, cache: DvcCache | None) -> dict[StorePath, str]:
    """Remove the rows that are in no current out.

    Returns
    -------
    dict of StorePath to str
        Recipes that were left alone, each with the reason.

    Raises
    ------
    InputError
        The current outs are unknown, or one of them is lost: every row would look unused.
    FaultError
        One of them can't be read.
    """
    if cache is None or not cache.has_outs():
        raise InputError(
            f"{cache.root / 'dvc.lock' if cache else 'dvc.lock'} is missing or damaged, or this is "
            "not a DVC project, so it is unknown which rows are in use; run this in the project "
            "after `dvc repro`, or remove the folder yourself"
        )
    left: dict[StorePath, str] = {}
    for folder in recipes_to_change(store, cache, left):
        tables, lost = current_tables(cache, folder.path.parent.name, [KEY])
        if lost:
            raise InputError(
                f"{lost[0]} is missing or damaged, also in DVC's cache, so it is unknown which "
                "rows are in use; `dvc pull` or `dvc repro`, then prune"
            )
        _prune_recipe(folder, _keys(tables))
    return left


def recipes_to_change(
    store: StorePath, cache: DvcCache | None, left: dict[StorePath, str], held: bool = False
) -> Iterator[StoreFolder]:
    """Yield the recipes that no run uses, each locked meanwhile; with `held`, also those in use.

    Those in use, and what somebody else alone may write, are added to `left` with the reason.
    """
    try:
        stored = recipes(store)
    except PermissionError as error:
        left[store] = f"can't be read ({error.strerror})"
        return
    for recipe in stored:
        try:
            with using(recipe, sharing_of(cache)) as (folder, holder):
                folder.check_writable()
                if holder:
                    left[recipe] = f"is in use by a run ({holder})"
                if held or not holder:
                    yield folder
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError as error:
            left[recipe] = f"can't be written ({error.strerror})"


def _prune_recipe(folder: StoreFolder, keys: pa.Array) -> None:
    files: set[str] = set()
    for name in list_segments(folder):
        try:
            table = read_any_segment(folder, name)
            kept = select_rows(table, keys)
            if len(kept) < len(table):
                rewrite(folder, [name], lambda rows: select_rows(rows, keys))
        except FileNotFoundError:
            continue
        except DamagedSegmentError:  # at once, or when it was read again
            remove_segment(folder, name)
            continue
        files |= files_of(kept)
    folder.remove_temporary(everyones=True)
    remove_lone_manifests(folder)
    remove_files(folder, files)
    folder.remove_folder(FILES)


def remove_files(folder: StoreFolder, kept: Collection[str]) -> None:
    """Remove the files that are not in `kept`, and temporary ones."""
    with unless_absent(), folder.below(FILES) as below:
        below.remove_temporary(everyones=True)
        for name in below.names(MD5):
            if name not in kept:
                below.remove(name)
