"""Where indexes are kept, and removing them."""

from __future__ import annotations

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
    place.mkdir(parents=True, exist_ok=True)
    _mark(place, sha256).touch()


def is_forgotten(place: Path, sha256: str) -> bool:
    """Whether no index of this matrix may be kept."""
    return _mark(place, sha256).exists()


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
