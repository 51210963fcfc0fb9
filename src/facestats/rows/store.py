"""Finished rows by what they were computed from, so that none is computed twice.

    <store>/<stage>/<recipe>.lock              held by the one run that reads and writes these rows
    <store>/<stage>/<recipe>/<sha256>.parquet  rows, see `segments`
    <store>/<stage>/<recipe>/files/<md5>       files of rows, see `files`

`<recipe>` hashes the parameters, the weights, the code and the library versions; a row's key hashes the recipe and
the bytes of the image. Rows are saved every few seconds, by temporary file and rename.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from facestats.files import write_text
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import RowFiles, release
from facestats.rows.segments import (
    KEY,
    DamagedSegmentError,
    list_segments,
    read_segment,
    remove,
    write_segment,
)

PLACE = "FACESTATS_ROWS"  # environment: another folder for the store
NO_REUSE = "FACESTATS_NO_REUSE"  # environment: 1 computes every row anew
FOLDER = "facestats-rows"  # beside DVC's cache
FILES = "files"  # folder of a recipe

_SAVE_EVERY = 2.0  # seconds: what a kill may cost
_FULL = 4096  # rows of a segment that is not merged any more
_MANY = 16  # segments below that, which are merged into one


def find_store(cache: DvcCache | None) -> Path | None:
    """The folder of the store; None outside of a DVC project.

    FACESTATS_ROWS, else beside DVC's cache, or inside of it where a shared cache lies in a folder that is not ours.
    """
    if place := os.environ.get(PLACE):
        return Path(place).expanduser().absolute()
    if cache is None:
        return None
    beside = cache.folder.parent / FOLDER
    return beside if beside.is_dir() or os.access(beside.parent, os.W_OK) else cache.folder / FOLDER


def open_store(stage: str, recipe: str, columns: dict[str, pa.DataType], cache: DvcCache | None,
               warn: Callable[[str], None]) -> RowStore:
    """The project's store, as the environment wants it; see `RowStore`."""
    reuse = os.environ.get(NO_REUSE, "").lower() in ("", "0", "false", "no")
    return RowStore(find_store(cache), stage, recipe, columns, cache=cache, reuse=reuse, warn=warn)


class RowStore:
    """The rows of one recipe, for the time of one run; a context manager.

    A second run with the same recipe waits until the first one ends, and then finds its rows.

    Parameters
    ----------
    store : folder of the store; None finds and keeps nothing
    stage, recipe : which rows
    columns : a row's columns; `key` (text) is one of them
    cache : DVC's cache, which has the rows' files once they are committed
    reuse : False takes no stored row, and replaces those that are computed anew
    warn : called with what a user should know

    Attributes
    ----------
    files : RowFiles
        The files that belong to the rows.
    """

    def __init__(self, store: Path | None, stage: str, recipe: str, columns: dict[str, pa.DataType], *,
                 cache: DvcCache | None = None, reuse: bool = True, warn: Callable[[str], None] = print):
        self.schema = pa.schema(list(columns.items()), metadata={"stage": stage, "recipe": recipe})
        self.reuse = reuse
        self.files = RowFiles(None, cache)
        self._cache = cache
        self._warn = warn
        self._folder = store / stage / recipe[:32] if store else None
        self._lock: FileLock | None = None
        self._small: dict[Path, int] = {}  # segments that are not full, with their rows
        self._pending: list[dict] = []
        self._saved = time.monotonic()

    def __enter__(self) -> RowStore:
        if self._folder:
            try:
                self._open(self._folder)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._warn(f"the row store {self._folder} can't be written ({error.strerror}): no row is saved, so that a killed "
                           f"run starts anew, and those that can be read are reused; {PLACE} names another folder")
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._save()
        except OSError:
            if kind is None:
                raise
        finally:
            if self._lock:
                self._lock.release()

    def lookup(self, keys: Collection[str], earlier: Callable[[], pa.Table | None] = lambda: None) -> pa.Table:
        """The stored rows with these keys, one a key, in no order.

        Parameters
        ----------
        keys : what is wanted
        earlier : gives rows from elsewhere (the last committed out); asked only if some are missing, and what fits
            is stored from then on
        """
        wanted = pa.array(sorted(keys), pa.string())
        if not self.reuse:
            self.forget(keys)
            return self.schema.empty_table()
        found = self._stored(wanted)
        if len(found) < len(wanted) and (other := earlier()) is not None:
            missing = wanted.filter(pc.invert(pc.is_in(wanted, found[KEY].combine_chunks())))
            taken = unique_rows(select_rows(other, missing)).cast(self.schema)
            if len(taken) and self._lock:
                self._write(taken)
            found = pa.concat_tables([found, taken])
        return found

    def add(self, row: dict) -> None:
        """Keep a finished row; it is safe from a kill within two seconds of work."""
        if self._lock:
            self._pending.append(row)
            if time.monotonic() - self._saved >= _SAVE_EVERY:
                self._save()

    def forget(self, keys: Collection[str]) -> None:
        """Remove rows that are to be computed anew."""
        for path, table in self._segments() if keys and self._lock else ():
            others = table.filter(pc.invert(pc.is_in(table[KEY], pa.array(sorted(keys), pa.string()))))
            if len(others) < len(table):
                if len(others):
                    self._write(others)
                remove(path)

    def _open(self, folder: Path) -> None:
        (folder / FILES).mkdir(parents=True, exist_ok=True)
        ignored = folder.parent.parent / ".gitignore"
        if not ignored.exists():
            write_text(ignored, "*\n")
        lock = FileLock(lock_path(folder), mode=0o666)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._warn("another run computes rows of the same kind: waiting until it ends, to reuse them")
            lock.acquire()
        self._lock = lock
        self.files = RowFiles(folder / FILES, self._cache)
        for left in (*folder.glob(".*"), *folder.glob(f"{FILES}/.*")):  # temporary files of a killed run
            remove(left)
        if self._cache:
            release(folder.parent.parent, self._cache)

    def _stored(self, wanted: pa.Array) -> pa.Table:
        """Rows with these keys out of all segments."""
        found = [self.schema.empty_table()]
        self._small = {}
        for path, table in self._segments():
            if len(table) < _FULL:
                self._small[path] = len(table)
            found.append(select_rows(table, wanted))
        return unique_rows(pa.concat_tables(found))

    def _segments(self) -> Iterator[tuple[Path, pa.Table]]:
        for path in list_segments(self._folder) if self._folder else []:
            if (table := self._read(path)) is not None:
                yield path, table

    def _read(self, path: Path) -> pa.Table | None:
        """A segment's rows; what is damaged is named and removed."""
        try:
            return read_segment(path, self.schema)
        except FileNotFoundError:
            return None
        except (DamagedSegmentError, OSError) as error:
            self._warn(f"{path} in the row store is left out: {error}; its rows are computed again")
            if self._lock:
                remove(path)
            return None

    def _save(self) -> None:
        if self._pending:
            self._write(unique_rows(pa.Table.from_pylist(self._pending, schema=self.schema)))
            self._pending = []
        self._saved = time.monotonic()

    def _write(self, rows: pa.Table) -> None:
        """Write a segment; where many small ones have come together, merge them."""
        self._small[write_segment(self._folder, rows)] = len(rows)
        if len(self._small) > _MANY:
            tables = {path: table for path in self._small if (table := self._read(path)) is not None}
            rows = unique_rows(pa.concat_tables(tables.values()))
            kept = write_segment(self._folder, rows)
            for path in tables.keys() - {kept}:
                remove(path)
            self._small = {kept: len(rows)} if len(rows) < _FULL else {}


def lock_path(recipe: Path) -> Path:
    """The file whose lock belongs to the run that uses a recipe's folder."""
    return recipe.with_name(f"{recipe.name}.lock")


def select_rows(table: pa.Table, keys: pa.Array) -> pa.Table:
    """The rows whose key is one of `keys`."""
    return table.filter(pc.is_in(table[KEY], keys))


def unique_rows(table: pa.Table) -> pa.Table:
    """The first row of each key."""
    first = pa.table({KEY: table[KEY], "row": np.arange(len(table))}).group_by(KEY).aggregate([("row", "min")])
    return table if len(first) == len(table) else table.take(first["row_min"])
