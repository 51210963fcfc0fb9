"""The store of finished rows, by what they were computed from: none is computed twice.

    <store>/<stage>/<recipe>.lock              a courtesy between runs, see `lock`
    <store>/<stage>/<recipe>.told              what users have been told, see `told`
    <store>/<stage>/<recipe>/<sha256>.parquet  rows, see `segments`
    <store>/<stage>/<recipe>/<sha256>.json     what is in that segment, see `manifests`
    <store>/<stage>/<recipe>/files/<md5>       files of rows, see `files`

`<recipe>` hashes the parameters, the weights, the code and the library versions; a row's key hashes
the recipe and the bytes of the image. Rows are saved every few seconds, by temporary file and
rename. Any number of processes may read and write at once, on any number of machines: two that
computed one row wrote the same, and a reader takes either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facestats.errors import FULL_DISK
from facestats.machine.faults import starting_threads
from facestats.rows.bucket import BucketError
from facestats.rows.dvc_cache import DvcCache
from facestats.rows.files import FOLDER as FILES
from facestats.rows.files import RowFiles
from facestats.rows.folder import Folder
from facestats.rows.held import HeldRows
from facestats.rows.interface import StorePath
from facestats.rows.lock import PATIENCE, HeldError, take, wait
from facestats.rows.manifests import KnownSegments, Manifest, read_manifest
from facestats.rows.merging import SmallSegments
from facestats.rows.place import PLACE, find_store, open_below, open_store, sharing_of
from facestats.rows.recipes import release_all
from facestats.rows.rewriting import rewrite, unique_rows
from facestats.rows.segments import (
    KEY,
    DamagedSegmentError,
    list_segments,
    read_segment,
    remove_segment,
    row_schema,
    select_rows,
    write_segments,
)
from facestats.rows.told import is_news

NO_REUSE = "FACESTATS_NO_REUSE"  # environment: 1 computes every row anew
STRICT = "FACESTATS_ROWS_STRICT"  # environment: 1 refuses rows of other kinds of machines

_SAVE_EVERY = 2.0  # seconds of work that a kill may cost
_LOOKS = 10  # at the segments, as long as others merge them meanwhile


def open_rows(
    stage: str,
    recipe: str,
    columns: dict[str, pa.DataType],
    cache: DvcCache | None,
    warn: Callable[[str], None],
    check: Callable[[pa.Table], str | None] = lambda _: None,
    where: str = "",
    together: bool = False,
) -> RowStore:
    """The project's store, by the environment variables above; see `RowStore`."""
    return RowStore(
        find_store(cache),
        stage,
        recipe,
        columns,
        cache=cache,
        reuse=not _is_set(NO_REUSE),
        warn=warn,
        check=check,
        where=where,
        strict=_is_set(STRICT),
        together=together,
    )


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no")


class RowStore:
    """The rows of one recipe during one run; a context manager.

    A run that misses rows waits as long as another one computes such rows, and takes that one's. If
    the store can't be written, there is one warning, and no further row is kept; a full disk is an
    error.

    Parameters
    ----------
    store : StorePath or None
        The store; with None, nothing is found or kept.
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
    where : str, optional
        Kind of this machine, see `kind_of_machine`; by default, nobody asks where a row is from.
    strict : bool, default False
        Whether rows of other kinds of machines, and those of which it is unknown, are not used.
    together : bool, default False
        Whether this is one of several writers at once, which waits for none.

    Attributes
    ----------
    files : RowFiles
        The files that belong to the rows.
    elsewhere : int
        Number of rows that lookups have found and that are not known to be of this kind of machine.
    """

    def __init__(
        self,
        store: StorePath | None,
        stage: str,
        recipe: str,
        columns: dict[str, pa.DataType],
        *,
        cache: DvcCache | None = None,
        reuse: bool = True,
        warn: Callable[[str], None] = print,
        check: Callable[[pa.Table], str | None] = lambda _: None,
        patience: float = PATIENCE,
        where: str = "",
        strict: bool = False,
        together: bool = False,
    ):
        self.schema = row_schema(stage, recipe, columns)
        self.reuse = reuse
        self.files = RowFiles(None, cache)
        self.elsewhere = 0
        self._cache = cache
        self._warn = warn
        self._check = check
        self._patience = patience
        self._where = where
        self._strict = strict
        self._together = together
        self._path: Any = store / stage / recipe[:32] if store else None
        self._folder: Any = None  # a `Folder` while it is open
        self._above: Folder | None = None  # that of the stage, while another run has the lock
        self._keeps = False  # whether rows can be written
        self._open = ExitStack()  # what is to be closed
        self._alone = False  # whether this run has the lock
        self._small = SmallSegments(self._read)
        self._known = KnownSegments()
        self._pending: list[dict] = []
        self._saved = time.monotonic()

    def __enter__(self) -> RowStore:
        if self._path:
            try:
                self._take(self._path)
            except OSError as error:
                self._give_up(error)
            if self._folder is None:
                with suppress(OSError):  # none yet, or not readable
                    self._folder = self._open.enter_context(open_below(*self._names(self._path)))
                    self.files = RowFiles(self._path, self._cache, keeps=False)
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self.save()
            if self._keeps:
                self._write(self.schema.empty_table(), self._where)  # merges what others have left
        except OSError:
            if kind is None:
                raise
        finally:
            self._open.close()
        if self.elsewhere and kind is None:
            self._tell_elsewhere()

    def _tell_elsewhere(self) -> None:
        """Warn of rows from elsewhere, if they are more than a run has warned of before."""
        store, stage, recipe = self._names(self._path)
        sharing = sharing_of(self._cache)
        with suppress(OSError), open_below(store, stage, sharing=sharing) as above:
            if not is_news(above, recipe, self._where, self.elsewhere):
                return
        self._warn(
            f"{self.elsewhere} stored rows are not known to be of this kind of machine "
            f"({self._where}): last digits may differ from what is computed here; "
            f"{STRICT}=1 computes them anew. Later runs only count them (elsewhere=)"
        )

    @property
    def keeps(self) -> bool:
        """Whether rows are kept."""
        return self._keeps

    def held(self, schema: pa.Schema) -> HeldRows:
        """A place for as many rows as a run has."""
        is_folder = self._keeps and isinstance(self._folder, Folder)
        return HeldRows(schema, self._folder.path if is_folder else None)

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
        if len(stored) < len(key_array) and not self._strict and (other := earlier()) is not None:
            present = pc.is_in(key_array, stored[KEY].combine_chunks())
            missing = key_array.filter(pc.invert(present))
            taken = self._checked(unique_rows(select_rows(other, missing)))
            if len(taken):
                self._write(taken, "")
                self.elsewhere += len(taken) if self._where else 0
            stored = pa.concat_tables([stored, packed(taken)])
        if len(stored) < len(key_array) and self._above:
            present = pc.is_in(key_array, stored[KEY].combine_chunks())
            missing = key_array.filter(pc.invert(present))
            self._wait(self._above, missing)
            stored = pa.concat_tables([stored, self._stored(missing, packed)])
        return stored

    def add(self, row: dict) -> None:
        """Keep a finished row; after two seconds at most, a kill does not lose it."""
        if self._keeps:
            self._pending.append(row)
            if time.monotonic() - self._saved >= _SAVE_EVERY:
                self.save()

    def save(self) -> None:
        """Write the finished rows that are not written yet."""
        if self._pending:
            rows = unique_rows(pa.Table.from_pylist(self._pending, schema=self.schema))
            self._write(rows, self._where)
            self._pending = []
        self._saved = time.monotonic()

    def forget(self, keys: Collection[str]) -> None:
        """Remove rows that will be computed again."""
        if keys and self._keeps:
            try:
                self._forget(pa.array(sorted(keys), pa.string()))
            except BucketError as error:
                self._give_up(error)

    def _forget(self, gone: pa.Array) -> None:
        for name in list_segments(self._folder):
            manifest = read_manifest(self._folder, name)
            table = self._read(name)
            if table is None or not pc.any(pc.is_in(table[KEY], gone)).as_py():
                continue
            written = rewrite(
                self._folder,
                [name],
                lambda rows: rows.filter(pc.invert(pc.is_in(rows[KEY], gone))),
                self._read,
            )
            self._small.note(written, manifest.where if manifest else "")

    @staticmethod
    def _names(recipe: StorePath) -> tuple[StorePath, str, str]:
        return recipe.parent.parent, recipe.parent.name, recipe.name

    def _take(self, path: StorePath) -> None:
        """Open the recipe's folder, and remove what a killed run left there."""
        store, stage, recipe = self._names(path)
        sharing = sharing_of(self._cache)
        with open_store(store, sharing, make=True) as top:
            top.hide_from_git()
            above = self._open.enter_context(top.below(stage, make=True))
        try:
            if isinstance(above, Folder):
                self._open.callback(take(above, recipe, self._together).release)
            self._alone = not self._together  # in a bucket, whoever is there merges
        except HeldError:
            self._above = None if self._together or not isinstance(above, Folder) else above
        except OSError:  # no locks here, or this one is another's: it is a courtesy
            pass
        folder = self._open.enter_context(above.below(recipe, make=True))
        with folder.below(FILES, make=True) as files:
            for part in (folder, files):
                part.check_writable()
                part.remove_temporary()
        self._folder, self._keeps = folder, True
        self.files = RowFiles(path, self._cache, sharing)
        if self._cache:
            release_all(store, self._cache)

    def _wait(self, above: Folder, missing: pa.Array) -> None:
        """Wait until another run ends, or has these rows; go on if it shows no sign of life."""
        self._above = None
        left, seen = set(missing.to_pylist()), set()

        def are_there() -> bool:
            for name in list_segments(self._folder):
                if name not in seen and (manifest := read_manifest(self._folder, name)):
                    left.difference_update(manifest.keys.to_pylist())
                seen.add(name)
            return not left

        try:
            with self._folder.below(FILES, make=True) as files:
                lock = wait(
                    above,
                    self._folder.path.name,
                    lambda: (self._folder.changed(), files.changed()),
                    self._patience,
                    self._warn,
                    are_there,
                )
            if lock:
                self._open.callback(lock.release)
        except HeldError as error:
            self._warn(
                f"the rows {self._path} are held by another run ({error}) that added none for "
                f"{self._patience:g} s: this run computes them, too"
            )
        except OSError:  # the lock is a courtesy
            pass

    def _give_up(self, error: OSError) -> None:
        """Keep no further row, for nothing can be written."""
        if error.errno in FULL_DISK:
            raise error
        if self._folder is None:
            self._open.close()  # with the lock, should it be taken
            self._above = None
        self._keeps, self._pending = False, []
        self.files = RowFiles(self._path, self._cache, keeps=False)
        self._warn(
            f"the row store {self._path} can't be written ({error.strerror}): no row is saved, so "
            "that a killed run starts anew; stored rows that can be read are reused. "
            f"{PLACE} names another folder"
        )

    def _lose(self, error: BucketError) -> None:
        """Read no further row, nor keep any: the bucket is gone, for this run."""
        self._warn(
            f"the row store {self._path} can't be read ({error.strerror}): rows that are not read "
            "yet are computed again, and none is saved"
        )
        self._folder, self._keeps, self._pending = None, False, []
        self.files = RowFiles(None, self._cache)

    def _stored(self, keys: pa.Array, packed: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Rows with these keys from all segments, those of this kind of machine first."""
        found = np.zeros(len(keys), bool)
        parts = self.held(packed(self.schema.empty_table()).schema)
        seen: set[str] = set()
        try:
            for _ in range(_LOOKS):
                listed = list_segments(self._folder) if self._folder else []
                names = [name for name in listed if name not in seen]
                seen.update(names)
                names = self._known.that_may_hold(keys, names)
                gone = [
                    self._add_rows(name, manifest, keys, found, parts, packed)
                    for name, manifest in self._with_manifests(names)
                ]
                if not any(gone):
                    break
        except BucketError as error:
            self._lose(error)
        return parts.table()

    def _add_rows(
        self,
        name: str,
        manifest: Manifest | None,
        keys: pa.Array,
        found: np.ndarray,
        parts: HeldRows,
        packed,
    ) -> bool:
        """Add a segment's rows that are wanted and not found yet; True if it is gone."""
        where = manifest.where if manifest else ""
        if manifest:
            self._note_stored(name, len(manifest.keys), where)
            if not (~found[_places(manifest.keys, keys)]).any():
                return False
        if self._strict and where != self._where:
            return False
        table = self._read(name)
        if table is None:
            return not self._folder.has(name)
        if not manifest:
            self._note_stored(name, len(table), where)
        rows = unique_rows(select_rows(table, keys))
        rows = rows.filter(pa.array(~found[_places(rows[KEY].combine_chunks(), keys)]))
        found[_places(rows[KEY].combine_chunks(), keys)] = True
        self.elsewhere += len(rows) if where != self._where and self._where else 0
        parts.add(packed(rows))
        return False

    def _note_stored(self, name: str, rows: int, where: str) -> None:
        """Note a segment to merge; while others write, each merges its own."""
        if self._alone:
            self._small.note({name: rows}, where)

    def _with_manifests(self, names: list[str]) -> list[tuple[str, Manifest | None]]:
        """Segments with what their manifests say, those of this kind of machine first.

        For the reader takes the first row of a key.
        """
        with starting_threads(), ThreadPoolExecutor(self._folder.at_once if names else 1) as pool:
            manifests = pool.map(lambda name: read_manifest(self._folder, name), names)
            found = list(zip(names, manifests, strict=True))
        if self._together:  # which looks again and again
            self._known.note(found)
        return sorted(found, key=lambda pair: pair[1] is None or pair[1].where != self._where)

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

    def _read(self, name: str) -> pa.Table | None:
        """A segment's rows; a damaged one is reported and removed."""
        try:
            table = read_segment(self._folder, name, self.schema)
            if why := self._check(table):
                raise DamagedSegmentError(why)
            return table
        except FileNotFoundError:
            return None
        except BucketError:
            raise
        except (DamagedSegmentError, OSError) as error:
            self._warn(
                f"{self._folder.path / name} in the row store is left out: {error}; its rows are "
                "computed again"
            )
            if self._keeps and isinstance(error, DamagedSegmentError):  # not if the disk fails
                remove_segment(self._folder, name)
            return None

    def _write(self, rows: pa.Table, where: str) -> None:
        """Write segments, and merge small ones if there are many."""
        if not self._keeps:
            return
        try:
            try:
                written = write_segments(self._folder, rows, where)
            except FileNotFoundError:  # `rows prune` on another machine has removed the folder
                names, sharing = self._names(self._folder.path), sharing_of(self._cache)
                self._folder = self._open.enter_context(
                    open_below(*names, sharing=sharing, make=True)
                )
                written = write_segments(self._folder, rows, where)
            self._small.note(written, where)
            self._small.merge(self._folder)
        except OSError as error:
            self._give_up(error)


def _places(rows: pa.Array, keys: pa.Array) -> np.ndarray:
    """Places in `keys` of those keys of rows that are in it."""
    return pc.drop_null(pc.index_in(rows, value_set=keys)).to_numpy(zero_copy_only=False)
