"""The store of finished rows, by what they were computed from: none is computed twice.

    <store>/<stage>/<recipe>.lock              held by the one run that reads and writes these rows
    <store>/<stage>/<recipe>/<sha256>.parquet  rows, see `segments`
    <store>/<stage>/<recipe>/files/<md5>       files of rows, see `files`

`<recipe>` hashes the parameters, the weights, the code and the library versions; a row's key hashes
the recipe and the bytes of the image. Rows are saved every few seconds, by temporary file and
rename.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facestats.errors import FULL_DISK
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.files import RowFiles, release
from facestats.rows.folder import ALONE, Sharing, open_below, open_store, unless_absent
from facestats.rows.lock import PATIENCE, HeldError, wait
from facestats.rows.segments import (
    FULL,
    KEY,
    MD5,
    DamagedSegmentError,
    list_segments,
    read_segment,
    write_segments,
)

PLACE = "FACESTATS_ROWS"  # environment: another folder for the store
NO_REUSE = "FACESTATS_NO_REUSE"  # environment: 1 computes every row anew
FOLDER = "facestats-rows"  # beside DVC's cache

_SAVE_EVERY = 2.0  # seconds of work that a kill may cost
_MANY = 16  # more segments that are not full are merged
_STAGE = re.compile("[a-z_]{1,40}")


def find_store(cache: DvcCache | None) -> Path | None:
    """The folder of the store; None outside of a DVC project.

    It is FACESTATS_ROWS, else beside DVC's cache, or inside it if a shared cache lies in a folder
    that we can't write.
    """
    if place := os.environ.get(PLACE):
        return Path(place).expanduser().absolute()
    if cache is None:
        return None
    beside, inside = cache.folder.parent / FOLDER, cache.folder / FOLDER
    # One that exists counts, whoever made it: people who share a cache have different rights.
    existing = next((place for place in (beside, inside) if place.is_dir()), None)
    return existing or (beside if os.access(beside.parent, os.W_OK) else inside)


def sharing_of(cache: DvcCache | None) -> Sharing:
    """Who may write the store: with `cache.shared group`, the group of DVC's cache."""
    if cache is None or not cache.shared:
        return ALONE
    group = None
    with suppress(OSError):  # not there yet
        group = cache.folder.stat().st_gid
    return Sharing(0o664, 0o2775, group)


def open_rows(
    stage: str,
    recipe: str,
    columns: dict[str, pa.DataType],
    cache: DvcCache | None,
    warn: Callable[[str], None],
    check: Callable[[pa.Table], str | None] = lambda _: None,
) -> RowStore:
    """The project's store, by the environment variables above; see `RowStore`."""
    reuse = os.environ.get(NO_REUSE, "").lower() in ("", "0", "false", "no")
    return RowStore(
        find_store(cache), stage, recipe, columns, cache=cache, reuse=reuse, warn=warn, check=check
    )


class RowStore:
    """The rows of one recipe during one run; a context manager.

    A second run with the same recipe waits until the first one ends, and then finds its rows. If
    the store can't be written, there is one warning, and no further row is kept; a full disk is an
    error.

    Parameters
    ----------
    store : Path or None
        Folder of the store; with None, nothing is found or kept.
    stage, recipe : str
        Whose rows they are.
    columns : dict of str to pa.DataType
        A row's columns; `key` (text) is one of them.
    cache : DvcCache or None, optional
        DVC's cache, which has the rows' files once they are committed.
    reuse : bool, default True
        False uses no stored row, and replaces those that are computed again.
    warn : callable, default print
        Called with messages for the user.
    check : callable, optional
        Returns why the stage can't have written some rows; None if it can.
    patience : float, default PATIENCE
        Seconds to wait for a sign of life of another run.

    Attributes
    ----------
    files : RowFiles
        The files that belong to the rows.
    """

    def __init__(
        self,
        store: Path | None,
        stage: str,
        recipe: str,
        columns: dict[str, pa.DataType],
        *,
        cache: DvcCache | None = None,
        reuse: bool = True,
        warn: Callable[[str], None] = print,
        check: Callable[[pa.Table], str | None] = lambda _: None,
        patience: float = PATIENCE,
    ):
        self.schema = _row_schema(stage, recipe, columns)
        self.reuse = reuse
        self.files = RowFiles(None, cache)
        self._cache = cache
        self._warn = warn
        self._check = check
        self._patience = patience
        self._path = store / stage / recipe[:32] if store else None
        self._folder: Any = None  # a `Folder` while it is open
        self._keeps = False  # whether rows can be written
        self._open = ExitStack()  # what is to be closed
        self._small: dict[str, int] = {}  # segments that are not full, with their rows
        self._pending: list[dict] = []
        self._saved = time.monotonic()

    def __enter__(self) -> RowStore:
        if self._path:
            try:
                self._take(self._path)
            except OSError as error:
                self._give_up(error)
            except HeldError as error:
                self._warn(
                    f"the rows {self._path} are held by another run ({error}) that added none for "
                    f"{self._patience:g} s: this run computes alone, and keeps no row"
                )
            if self._folder is None:
                with suppress(OSError):  # none yet, or not readable
                    self._folder = self._open.enter_context(open_below(*self._names(self._path)))
                    self.files = RowFiles(self._path, self._cache, keeps=False)
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._save()
        except OSError:
            if kind is None:
                raise
        finally:
            self._open.close()

    def lookup(
        self,
        keys: Collection[str],
        earlier: Callable[[], pa.Table | None] = lambda: None,
        packed: Callable[[pa.Table], pa.Table] = lambda table: table,
    ) -> pa.Table:
        """The stored rows with these keys, one a key, in no order.

        Parameters
        ----------
        keys : collection of str
            Keys of the rows.
        earlier : callable, optional
            Returns rows from elsewhere (the last committed out). It is called if some are missing;
            those with missing keys are stored.
        packed : callable, optional
            Packs the rows of a segment to save memory, keeping their order and keys.
        """
        key_array = pa.array(sorted(keys), pa.string())
        if not self.reuse:
            self.forget(keys)
            return packed(self.schema.empty_table())
        stored = self._stored(key_array, packed)
        if len(stored) < len(key_array) and (other := earlier()) is not None:
            present = pc.is_in(key_array, stored[KEY].combine_chunks())
            missing = key_array.filter(pc.invert(present))
            taken = self._checked(unique_rows(select_rows(other, missing)))
            if len(taken):
                self._write(taken)
            stored = pa.concat_tables([stored, packed(taken)])
        return stored

    def add(self, row: dict) -> None:
        """Keep a finished row; after two seconds at most, a kill does not lose it."""
        if self._keeps:
            self._pending.append(row)
            if time.monotonic() - self._saved >= _SAVE_EVERY:
                self._save()

    def forget(self, keys: Collection[str]) -> None:
        """Remove rows that will be computed again."""
        for name, table in self._segments() if keys and self._keeps else ():
            others = table.filter(
                pc.invert(pc.is_in(table[KEY], pa.array(sorted(keys), pa.string())))
            )
            if len(others) < len(table):
                if len(others):
                    self._write(others)
                self._remove(name)

    @staticmethod
    def _names(recipe: Path) -> tuple[Path, str, str]:
        return recipe.parent.parent, recipe.parent.name, recipe.name

    def _take(self, path: Path) -> None:
        """Open the recipe's folder, take its lock, and remove what a killed run left there."""
        store, stage, recipe = self._names(path)
        sharing = sharing_of(self._cache)
        with open_store(store, sharing, make=True) as top:
            if not top.has(".gitignore"):
                top.write(".gitignore", b"*\n")
            above = self._open.enter_context(top.below(stage, make=True))
        with above.below(recipe, make=True) as folder, folder.below(FILES, make=True) as files:
            lock = wait(
                above,
                recipe,
                lambda: (folder.changed(), files.changed()),
                self._patience,
                self._warn,
            )
        self._open.callback(lock.release)
        # Opened again, for `rows prune` may have removed it before we had the lock.
        folder = self._open.enter_context(above.below(recipe, make=True))
        with folder.below(FILES, make=True) as files:
            for part in (folder, files):
                part.check_writable()
                part.remove_temporary()
        self._folder, self._keeps = folder, True
        self.files = RowFiles(path, self._cache, sharing)
        if self._cache:
            release_all(store, self._cache)

    def _give_up(self, error: OSError) -> None:
        """Keep no further row, for nothing can be written."""
        if error.errno in FULL_DISK:
            raise error
        if self._folder is None:
            self._open.close()  # with the lock, should it be taken
        self._keeps, self._pending = False, []
        self.files = RowFiles(self._path, self._cache, keeps=False)
        self._warn(
            f"the row store {self._path} can't be written ({error.strerror}): no row is saved, so "
            "that a killed run starts anew; stored rows that can be read are reused. "
            f"{PLACE} names another folder"
        )

    def _stored(self, keys: pa.Array, packed: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Rows with these keys from all segments."""
        parts = [packed(self.schema.empty_table())]
        self._small = {}
        for name, table in self._segments():
            if len(table) < FULL:
                self._small[name] = len(table)
            parts.append(packed(select_rows(table, keys)))
        return unique_rows(pa.concat_tables(parts))

    def _checked(self, rows: pa.Table) -> pa.Table:
        """Rows of an earlier out, if this stage can have written them."""
        try:
            rows = rows.cast(self.schema)
            why = self._check(rows)
        except (pa.ArrowException, ValueError) as error:
            why = str(error)
        if why:
            self._warn(
                f"the rows of the last committed run are left out: {why}; they are computed again"
            )
        return self.schema.empty_table() if why else rows

    def _segments(self) -> Iterator[tuple[str, pa.Table]]:
        for name in list_segments(self._folder) if self._folder else []:
            if (table := self._read(name)) is not None:
                yield name, table

    def _read(self, name: str) -> pa.Table | None:
        """A segment's rows; a damaged one is reported and removed."""
        try:
            table = read_segment(self._folder, name, self.schema)
            if why := self._check(table):
                raise DamagedSegmentError(why)
            return table
        except FileNotFoundError:
            return None
        except (DamagedSegmentError, OSError) as error:
            self._warn(
                f"{self._folder.path / name} in the row store is left out: {error}; its rows are "
                "computed again"
            )
            if isinstance(error, DamagedSegmentError):  # not if the disk fails
                self._remove(name)
            return None

    def _remove(self, name: str) -> None:
        if self._keeps:
            self._folder.remove(name)

    def _save(self) -> None:
        if self._pending:
            self._write(unique_rows(pa.Table.from_pylist(self._pending, schema=self.schema)))
            self._pending = []
        self._saved = time.monotonic()

    def _write(self, rows: pa.Table) -> None:
        """Write segments, and merge small ones if there are many."""
        if not self._keeps:
            return
        try:
            self._note(write_segments(self._folder, rows))
            if len(self._small) > _MANY:
                tables = {
                    name: table for name in self._small if (table := self._read(name)) is not None
                }
                self._small = {}
                kept = write_segments(self._folder, unique_rows(pa.concat_tables(tables.values())))
                for name in tables.keys() - kept.keys():
                    self._remove(name)
                self._note(kept)
        except OSError as error:
            self._give_up(error)

    def _note(self, written: dict[str, int]) -> None:
        self._small |= {name: rows for name, rows in written.items() if rows < FULL}


def read_rows(store: Path, stage: str, recipe: str, columns: dict[str, pa.DataType]) -> pa.Table:
    """All undamaged rows of a recipe, also several with the same key.

    Raises OSError if the disk fails.
    """
    schema = _row_schema(stage, recipe, columns)
    parts = [schema.empty_table()]
    with unless_absent(), open_below(store, stage, recipe[:32]) as folder:
        for name in list_segments(folder):
            with suppress(FileNotFoundError, DamagedSegmentError):
                parts.append(read_segment(folder, name, schema))
    return pa.concat_tables(parts)


def _row_schema(stage: str, recipe: str, columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(columns.items()), metadata={"stage": stage, "recipe": recipe})


def recipes(store: Path) -> list[Path]:
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


def release_all(store: Path, cache: DvcCache) -> None:
    """Remove the files of all recipes that DVC's cache has by now, also while runs use them."""
    with suppress(OSError):  # what can't be read now is removed by a later run
        for recipe in recipes(store):
            with unless_absent(), open_below(*RowStore._names(recipe), FILES) as folder:
                release(folder, cache)


def select_rows(table: pa.Table, keys: pa.Array) -> pa.Table:
    """The rows whose key is one of `keys`."""
    return table.filter(pc.is_in(table[KEY], keys))


def unique_rows(table: pa.Table) -> pa.Table:
    """The first row of each key."""
    first = (
        pa.table({KEY: table[KEY], "row": np.arange(len(table))})
        .group_by(KEY)
        .aggregate([("row", "min")])
    )
    return table if len(first) == len(table) else table.take(first["row_min"])
