"""Finished rows by what they were computed from, so that none is computed twice.

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

from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.files import FULL_DISK, RowFiles, release
from facestats.rows.folder import ALONE, Sharing, open_below, open_store
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

_SAVE_EVERY = 2.0  # seconds: what a kill may cost
_MANY = 16  # segments that are not full, which are merged
_STAGE = re.compile("[a-z_]{1,40}")


def find_store(cache: DvcCache | None) -> Path | None:
    """The folder of the store; None outside of a DVC project.

    FACESTATS_ROWS, else beside DVC's cache, or inside of it where a shared cache lies in a folder
    that is not ours.
    """
    if place := os.environ.get(PLACE):
        return Path(place).expanduser().absolute()
    if cache is None:
        return None
    beside, inside = cache.folder.parent / FOLDER, cache.folder / FOLDER
    # whoever made it: people who share a cache have other rights
    there = next((place for place in (beside, inside) if place.is_dir()), None)
    return there or (beside if os.access(beside.parent, os.W_OK) else inside)


def sharing_of(cache: DvcCache | None) -> Sharing:
    """Who may write the store: as DVC's cache, with `cache.shared group` its group."""
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
    """The project's store, as the environment wants it; see `RowStore`."""
    reuse = os.environ.get(NO_REUSE, "").lower() in ("", "0", "false", "no")
    return RowStore(
        find_store(cache), stage, recipe, columns, cache=cache, reuse=reuse, warn=warn, check=check
    )


class RowStore:
    """The rows of one recipe, for the time of one run; a context manager.

    A second run with the same recipe waits until the first one ends, and then finds its rows. What
    can't be written is warned of once, and no row is kept from then on; a full disk is an error.

    Parameters
    ----------
    store : Path or None
        Folder of the store; None finds and keeps nothing.
    stage, recipe : str
        Which rows.
    columns : dict[str, pa.DataType]
        A row's columns; `key` (text) is one of them.
    cache : DvcCache or None, optional
        DVC's cache, which has the rows' files once they are committed.
    reuse : bool, default True
        False takes no stored row, and replaces those that are computed anew.
    warn : callable, default print
        Called with what a user should know.
    check : callable, optional
        Says why rows can't be any that the stage wrote; None where they can.
    patience : float, default PATIENCE
        Seconds without a sign of life after which another run is not waited for.

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
                    f"{self._patience:g} s: this run computes "
                    "alone, and keeps no row"
                )
            if self._folder is None:
                with suppress(OSError):  # none yet, or not ours to read
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
        keys : Collection[str]
            What is wanted.
        earlier : callable, optional
            Gives rows from elsewhere (the last committed out); asked only if some are missing, and
            what fits is stored from then on.
        packed : callable, optional
            The form in which rows are held, a segment's at a time; it keeps their order and their
            keys.
        """
        wanted = pa.array(sorted(keys), pa.string())
        if not self.reuse:
            self.forget(keys)
            return packed(self.schema.empty_table())
        stored = self._stored(wanted, packed)
        if len(stored) < len(wanted) and (other := earlier()) is not None:
            missing = wanted.filter(pc.invert(pc.is_in(wanted, stored[KEY].combine_chunks())))
            taken = self._checked(unique_rows(select_rows(other, missing)))
            if len(taken):
                self._write(taken)
            stored = pa.concat_tables([stored, packed(taken)])
        return stored

    def add(self, row: dict) -> None:
        """Keep a finished row; it is safe from a kill within two seconds of work."""
        if self._keeps:
            self._pending.append(row)
            if time.monotonic() - self._saved >= _SAVE_EVERY:
                self._save()

    def forget(self, keys: Collection[str]) -> None:
        """Remove rows that are to be computed anew."""
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
        """Open the recipe's folder and take its lock; what a killed run left there is removed."""
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
        # `rows prune` removes empty ones, under the lock
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
        """Keep no row any more, as nothing can be written."""
        if error.errno in FULL_DISK:
            raise error
        if self._folder is None:
            self._open.close()  # with the lock, should it be taken
        self._keeps, self._pending = False, []
        self.files = RowFiles(self._path, self._cache, keeps=False)
        self._warn(
            f"the row store {self._path} can't be written ({error.strerror}): no row is saved, so "
            "that a killed "
            f"run starts anew, and those that can be read are reused; {PLACE} names another folder"
        )

    def _stored(self, wanted: pa.Array, packed: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Rows with these keys out of all segments."""
        parts = [packed(self.schema.empty_table())]
        self._small = {}
        for name, table in self._segments():
            if len(table) < FULL:
                self._small[name] = len(table)
            parts.append(packed(select_rows(table, wanted)))
        return unique_rows(pa.concat_tables(parts))

    def _checked(self, rows: pa.Table) -> pa.Table:
        """Rows of an earlier out, if they can be some of this stage."""
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
        """A segment's rows; what is damaged is named and removed."""
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
            if isinstance(error, DamagedSegmentError):
                # a disk that fails says nothing of the segment
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
        """Write segments; where many small ones have come together, merge them."""
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
    """All rows of a recipe that can be read, those with the same key included."""
    schema = _row_schema(stage, recipe, columns)
    parts = [schema.empty_table()]
    with suppress(OSError), open_below(store, stage, recipe[:32]) as folder:
        for name in list_segments(folder):
            with suppress(OSError, DamagedSegmentError):
                parts.append(read_segment(folder, name, schema))
    return pa.concat_tables(parts)


def _row_schema(stage: str, recipe: str, columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(columns.items()), metadata={"stage": stage, "recipe": recipe})


def recipes(store: Path) -> list[Path]:
    """The folders that `RowStore` made; none of other names, and none behind links."""
    folders = []
    with suppress(OSError), open_store(store) as top:
        for stage in top.names(_STAGE):
            with suppress(OSError), top.below(stage) as folder:
                folders += [
                    folder.path / name for name in folder.names(MD5) if folder.is_folder(name)
                ]
    return folders


def release_all(store: Path, cache: DvcCache) -> None:
    """Remove the files of all recipes that DVC's cache has by now.

    Safe while other runs use them.
    """
    for recipe in recipes(store):
        with suppress(OSError), open_below(store, recipe.parent.name, recipe.name, FILES) as folder:
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
