"""Where indexes are kept, and removing them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.place import find_store

FOLDER = "neighbour-index"
MARK = "-forgotten"  # of a matrix of which no index is kept


def find_place(root: Path) -> Path | None:
    """The folder of indexes: in the row store, else in `.dvc/tmp`; None outside of a project."""
    store = find_store(find_dvc_cache(root))
    if isinstance(store, Path):
        return store / FOLDER
    return root / ".dvc/tmp" / FOLDER if (root / ".dvc").is_dir() else None


def mark_forgotten(place: Path, sha256: str) -> None:
    """Keep no index of this matrix from now on: it still holds faces that were removed."""
    make(place)
    mark = _mark(place, sha256)
    if mark.is_symlink():  # somebody's who may write here, to a file that they may not
        mark.unlink()
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))
    share(mark)


def is_forgotten(place: Path, sha256: str) -> bool:
    """Whether no index of this matrix may be kept."""
    return os.path.lexists(_mark(place, sha256))


def make(place: Path) -> None:
    """Make the folder of indexes, if there is none."""
    if not place.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        share(place)


def share(path: Path) -> None:
    """Let the group that may write in the folder of a new file, or folder, write that, too."""
    above = path.parent.stat()
    if not above.st_mode & stat.S_IWGRP:
        return
    with suppress(PermissionError):  # it is another's
        os.chown(path, -1, above.st_gid)
        rights = stat.S_ISGID | stat.S_IRWXG if path.is_dir() else stat.S_IRGRP | stat.S_IWGRP
        path.chmod(stat.S_IMODE(path.stat().st_mode) | rights & above.st_mode)


def _mark(place: Path, sha256: str) -> Path:
    return place / f"{sha256}{MARK}"


def list_indexes(place: Path | None, but: str | None = None) -> list[Path]:
    """Files of all indexes, or of all but those of the matrix with a sha256."""
    if place is None or place.is_symlink() or not place.is_dir():
        return []
    return [
        path
        for path in sorted(place.iterdir())
        if (path.is_symlink() or not path.is_dir())
        and (but is None or not path.name.startswith(f"{but}-"))
    ]
