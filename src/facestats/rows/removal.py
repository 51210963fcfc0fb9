"""Removing the rows of photos from the row store, whatever parameters and code computed them."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from facestats.rows.dvc_cache import DvcCache
from facestats.rows.interface import StoreFolder, StorePath
from facestats.rows.rewriting import rewrite
from facestats.rows.segments import (
    KEY,
    DamagedSegmentError,
    files_of,
    list_segments,
    read_any_segment,
    remove_lone_manifests,
    remove_segment,
    select_rows,
)
from facestats.rows.usage import current_tables, recipes_to_change, remove_files

_HASH = "sha256"  # column with the hash of a row's photo
_ROUNDS = 20  # through what others have written meanwhile


def forget_rows(
    store: StorePath,
    cache: DvcCache | None,
    sha256: Collection[str],
    faces: Collection[str],
    write: bool = True,
) -> tuple[dict[str, int], dict[StorePath, str]]:
    """Remove the rows of photos and of the faces cut out of them.

    A row of `preprocess` has the hash of its photo. A row of `embed` has only a key: rows that a
    current out uses for another face stay, and all others go, for any of them may be of these
    faces. They are computed again when they are needed.

    Parameters
    ----------
    store : StorePath
        The row store.
    cache : DvcCache or None
        The project's DVC cache, by which the current outs are found.
    sha256 : collection of str
        Hashes of the photos' bytes.
    faces : collection of str
        `filename` of the faces.
    write : bool, default True
        False only counts.

    Returns
    -------
    counts : dict of str to int
        Number of removed rows by stage.
    left : dict of StorePath to str
        Recipes that could not be changed, or that a run uses, each with the reason.

    Raises
    ------
    FaultError
        A current out can't be read, so that nobody knows whose rows are whose.
    """
    counts: dict[str, int] = {}
    left: dict[StorePath, str] = {}
    for folder in recipes_to_change(store, cache, left, held=True):
        stage = folder.path.parent.name
        counts[stage] = counts.get(stage, 0) + _forget(folder, cache, sha256, faces, write)
        if write and folder.path in left:
            left[folder.path] += "; it may write such rows again"
    return counts, left


def _forget(
    folder: StoreFolder,
    cache: DvcCache | None,
    sha256: Collection[str],
    faces: Collection[str],
    write: bool,
) -> int:
    """Remove rows while others write; see `rewriting`. Returns the number of keys."""
    others = _keys_of_others(cache, folder.path.parent.name, faces)
    removed, files, seen = set(), set(), set()

    def keep(table: pa.Table) -> pa.Table:
        if _HASH in table.column_names:
            return table.filter(
                pc.invert(pc.is_in(table[_HASH], pa.array(sorted(sha256), pa.string())))
            )
        return select_rows(table, others)

    for first in (True, *[False] * _ROUNDS):
        if write:
            folder.remove_temporary(everyones=True)
        names = [name for name in list_segments(folder) if name not in seen]
        if not names and not first:
            break
        for name in names:
            try:
                table = read_any_segment(folder, name)
            except FileNotFoundError:
                continue
            except DamagedSegmentError:  # nobody knows whose rows it held
                if write:
                    remove_segment(folder, name)
                else:
                    seen.add(name)
                continue
            kept = keep(table)
            files |= files_of(kept)
            if len(kept) < len(table):
                removed |= {*table[KEY].to_pylist()} - {*kept[KEY].to_pylist()}
            if len(kept) < len(table) and write:
                # Not seen: a merge that has read the same rows may bring it back by its name.
                try:
                    seen |= rewrite(folder, [name], keep).keys()
                except DamagedSegmentError:  # when it was read again
                    remove_segment(folder, name)
            else:
                seen.add(name)
    if write:
        remove_lone_manifests(folder)
        remove_files(folder, files)
    return len(removed)


def _keys_of_others(cache: DvcCache | None, stage: str, faces: Collection[str]) -> pa.Array:
    """Keys in a stage's current outs, without those of these faces."""
    tables, _ = current_tables(cache, stage, ["filename", KEY])
    names = pa.array(sorted(faces), pa.string())
    own, others = set(), set()
    for table in tables:
        chosen = pc.is_in(table["filename"], names)
        own |= set(table.filter(chosen)[KEY].drop_null().to_pylist())
        others |= set(table.filter(pc.invert(chosen))[KEY].drop_null().to_pylist())
    return pa.array(sorted(others - own), pa.string())
