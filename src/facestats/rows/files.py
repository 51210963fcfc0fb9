"""The files that belong to rows (face crops), kept only until DVC's cache has them.

DVC's cache names a file by its MD5, as this folder does: once a run is committed, the cache holds the same bytes,
and the copy here goes.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from facestats.files import temporary_name, write_bytes
from facestats.rows.dvc_cache import DvcCache


@dataclass(frozen=True)
class RowFiles:
    """Files by their MD5.

    Attributes
    ----------
    folder : where they lie until DVC has them; None keeps nothing
    cache : DVC's cache, where they are found afterwards; None for none
    """

    folder: Path | None
    cache: DvcCache | None = None

    def save(self, data: bytes, target: str | Path) -> str:
        """Write bytes to `target` and keep them: one file under two names, where the file system can.

        Returns
        -------
        Their MD5.
        """
        md5 = _md5(data)
        if self.folder is None:
            write_bytes(Path(target), data)
        else:
            write_bytes(self.folder / md5, data)
            _link(self.folder / md5, Path(target), data)
        return md5

    def place(self, md5: str, target: str | Path) -> bool:
        """Put the file with this MD5 at `target`; False if neither this folder nor DVC's cache has it undamaged.

        DVC's cache is read and never linked to: whoever edited such a link would edit the cache.
        """
        own = self.folder / md5 if self.folder else None
        for source in (own, self.cache.object(md5) if self.cache else None):
            try:
                data = source.read_bytes() if source else None
            except OSError:
                continue
            if data is None or _md5(data) != md5:
                continue
            if source == own:
                _link(own, Path(target), data)
            else:
                write_bytes(Path(target), data)
            return True
        return False


def release(store: Path, cache: DvcCache) -> None:
    """Remove the files of all recipes that DVC's cache has by now; safe while other runs use them."""
    for path in store.glob("*/*/files/[0-9a-f]*"):
        try:
            if cache.object(path.name).stat().st_size == path.stat().st_size:
                path.unlink()
        except OSError:  # not committed yet, or not ours to remove
            continue


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _link(source: Path, target: Path, data: bytes) -> None:
    """Make `target` a hard link to `source`, or a copy where that is impossible; replaces what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(target)
    try:
        os.link(source, temporary)
    except OSError:  # another file system, or one without links
        write_bytes(target, data)
        return
    try:
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)  # there still if `target` was this very file
