"""Indexes of similar faces, for `rows prune` and `forget`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from facestats.core.layout import EMBEDDINGS, HALF_EMBEDDINGS
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import FaceStatsError
from facestats.machine.output import print_line
from facestats.neighbours.place import MARK, find_place, list_indexes, mark_forgotten
from facestats.serving.manifest import Manifest


def prune_indexes(root: Path) -> None:
    """Remove all indexes but that of the current embeddings; raises OSError.

    Marks stay: the embeddings may be the current ones of another project with this store.
    """
    for path in list_indexes(find_place(root), but=_current(root)):
        if path.name.endswith(MARK):
            continue
        path.unlink(missing_ok=True)
        print_line(f"removed: {path}")


def forget_indexes(root: Path, faces: Collection[str], write: bool) -> dict[Path, str]:
    """Remove all indexes, and keep none while embeddings hold one of the faces.

    Returns those that can't be removed, each with the reason. Raises OSError where the embeddings
    can't be marked.
    """
    place, current = find_place(root), _current(root)
    is_there = place is not None and place.is_dir() and not place.is_symlink()
    # First, for a search looks at the mark after it has written its index.
    if write and current and place and is_there and _are_embedded(root, faces):
        mark_forgotten(place, current)
    left = {}
    for path in list_indexes(place):
        if path.name.endswith(MARK) and not path.is_symlink():
            continue
        try:
            if write:
                path.unlink(missing_ok=True)
        except PermissionError as error:
            left[path] = f"holds faces, and can't be removed ({error.strerror})"
            continue
        verb = "removed" if write else "would be removed"
        print_line(f"{path}: {verb}: it holds faces, and is built again when it is needed")
    return left


def _are_embedded(root: Path, faces: Collection[str]) -> bool:
    """Whether one of the faces has an embedding, as far as one can tell."""
    try:
        return bool(EmbeddingTable(root / EMBEDDINGS).names.isin([*faces]).any())
    except FaceStatsError:
        return True


def _current(root: Path) -> str | None:
    """What tells the embeddings of the run from others, if there are any."""
    try:
        return Manifest.read(root).parts["embeddings"].get(HALF_EMBEDDINGS.as_posix())
    except FaceStatsError:
        return None
