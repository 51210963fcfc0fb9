"""The files that belong to rows (face crops), kept only until DVC's cache has them.

DVC's cache names a file by its MD5, as this folder does. Once a run is committed, the cache holds
the same bytes, by themselves or in a shard, and the copy here is removed.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facestats.core.files import temporary_name, write_bytes
from facestats.errors import FULL_DISK
from facestats.machine.faults import is_passing
from facestats.rows.crops import has_crop, read_crop
from facestats.rows.dvc_cache import DvcCache, is_md5
from facestats.rows.folder import read_regular
from facestats.rows.interface import ALONE, Sharing, StoreFolder, StorePath
from facestats.rows.place import open_below
from facestats.rows.segments import MD5

FOLDER = "files"  # of a recipe
_LARGEST = 2**28  # bytes; a crop of the largest size, hardly compressed, has 80 MB


@dataclass(frozen=True)
class RowFiles:
    """Files by their MD5.

    Attributes
    ----------
    recipe : StorePath or None
        Folder of the recipe that holds them until DVC does.
    cache : DvcCache or None, optional
        DVC's cache, which holds them afterwards.
    sharing : Sharing, default ALONE
        Who may write them.
    keeps : bool, default True
        Whether new ones are kept.
    places : bool, default True
        Whether new ones are written at their targets, too.
    """

    recipe: StorePath | None
    cache: DvcCache | None = None
    sharing: Sharing = ALONE
    keeps: bool = True
    places: bool = True

    def save(self, data: bytes, target: str | Path) -> str:
        """Write bytes to `target` and keep them, by hard link if the file system has these.

        A file that can't be kept is written nevertheless, if it has a place.

        Returns
        -------
        str
            Their MD5.

        Raises
        ------
        OSError
            The disk is full, or the file can neither be kept nor has a place.
        """
        md5 = _md5(data)
        try:
            if self.recipe is not None and self.keeps:
                with open_below(
                    *_names(self.recipe), FOLDER, sharing=self.sharing, make=True
                ) as folder:
                    written = folder.write(md5, data)
                    if self.places:
                        _place(folder, md5, written, Path(target), data)
                return md5
        except OSError as error:
            if error.errno in FULL_DISK or not self.places:
                raise
        write_bytes(Path(target), data)
        return md5

    def place(self, md5: str, target: str | Path) -> bool:
        """Put the file with this MD5 at `target`.

        DVC's cache is never linked to: whoever edited such a link would edit the cache. Nor is a
        file of another user, who could change it later. Both are copied.

        Returns
        -------
        bool
            False if neither this folder nor DVC's cache has the file undamaged.
        """
        if not is_md5(md5):
            return False
        try:
            if self.recipe is not None:
                with open_below(*_names(self.recipe), FOLDER) as folder:
                    data, which = folder.read_to_link(md5, _LARGEST)
                    if _md5(data) == md5:
                        _place(folder, md5, which, Path(target), data)
                        return True
        except OSError as error:
            if error.errno in FULL_DISK:
                raise
        data = self._from_cache(md5)
        if data is not None:
            write_bytes(Path(target), data)
        return data is not None

    def read(self, md5: str) -> bytes | None:
        """The bytes with this MD5; None if neither this folder nor DVC's cache has them."""
        if not is_md5(md5):
            return None
        try:
            if self.recipe is not None:
                with open_below(*_names(self.recipe), FOLDER) as folder:
                    data = folder.read(md5, _LARGEST)
                    if _md5(data) == md5:
                        return data
        except OSError as error:
            if is_passing(error):
                raise
        return self._from_cache(md5)

    def _from_cache(self, md5: str) -> bytes | None:
        try:
            data = read_regular(self.cache.object(md5), _LARGEST) if self.cache else None
        except OSError as error:
            if is_passing(error):
                raise
            data = None
        if self.cache and data is None:
            data = read_crop(self.cache, md5)
        return data if data is not None and _md5(data) == md5 else None


def release(folder: StoreFolder, cache: DvcCache) -> None:
    """Remove the files of a recipe that DVC's cache has by now, also while other runs use them."""
    for name in folder.names(MD5):
        try:
            if cache.object(name).stat().st_size == folder.size(name):
                folder.remove(name)
        except OSError:  # not committed yet, or not ours to remove
            with suppress(OSError):
                if has_crop(cache, name):
                    folder.remove(name)


def is_sound(folder: StoreFolder, name: str) -> bool:
    """Whether a file has its MD5, or has been removed meanwhile; OSError if the disk fails."""
    try:
        return _md5(folder.read(name, _LARGEST)) == name
    except OSError as error:
        if is_passing(error):
            raise
        return isinstance(error, FileNotFoundError)


def _names(recipe: StorePath) -> tuple[StorePath, str, str]:
    return recipe.parent.parent, recipe.parent.name, recipe.name


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _place(
    folder: StoreFolder, name: str, which: tuple[int, int] | None, target: Path, data: bytes
) -> None:
    """Make `target`, which may exist, a hard link to a file of the folder, or else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(target)
    temporary.unlink(missing_ok=True)
    if which is None or not folder.link(name, temporary, which):
        write_bytes(target, data)
        return
    try:
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)  # still there if `target` was this same file
