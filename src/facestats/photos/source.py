"""Photos of a folder, as files or in shards: the same limits and reasons for both."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from facestats.core.shards import (
    contents,
    find_member,
    has_member,
    is_compressed,
    is_shard,
    open_member,
)
from facestats.errors import ImageError
from facestats.machine.faults import fault, is_fault, patiently
from facestats.photos import reading
from facestats.photos.containers import HEAD, check_head
from facestats.photos.reading import MAX_MEGABYTES

Result = TypeVar("Result")

_CHUNK = 1 << 20  # bytes read at a time


def read_photo(path: str | os.PathLike, max_megabytes: float = MAX_MEGABYTES) -> bytes:
    """Read a photo, which may lie in a shard; errors are those of `reading.read_photo`."""
    if (place := _member(path)) is None:
        return reading.read_photo(path, max_megabytes)
    return _with_patience(path, *place, max_megabytes, lambda file, size: _whole(file, size, path))


def hash_photo(path: str | os.PathLike, max_megabytes: float = MAX_MEGABYTES) -> str:
    """Hex sha256 of a photo, which may lie in a shard; errors are those of `read_photo`."""
    if (place := _member(path)) is None:
        return reading.hash_photo(Path(path), max_megabytes)

    def digest(file: BinaryIO, size: int) -> str:
        found = hashlib.sha256()
        for at in range(0, size, _CHUNK):
            found.update(_whole(file, min(_CHUNK, size - at), path))
        return found.hexdigest()

    return _with_patience(path, *place, max_megabytes, digest)


def is_photo(path: str | os.PathLike) -> bool:
    """Whether a path leads to a file, or to a member of a shard that can be used."""
    place = find_member(path)
    return has_member(*place) if place else os.path.isfile(path)


def as_source(image: Any) -> Any:
    """What decodes an image: the bytes of a path into a shard; anything else as it is.

    Raises
    ------
    ImageError
        The member can't be used.
    """
    if isinstance(image, str | os.PathLike) and find_member(image):
        return read_photo(image)
    return image


def _member(path: str | os.PathLike) -> tuple[Path, str] | None:
    """Shard and member of a path that leads into one; `ImageError` for a shard itself."""
    if is_compressed(path):
        raise ImageError(
            "a compressed tar, whose members can't be read one by one: unpack it once "
            "(`gunzip`), and put the .tar in its place"
        )
    if is_shard(path):
        raise ImageError(contents(Path(path)).problem or "a shard that holds no photo")
    return find_member(path)


def _with_patience(
    path: str | os.PathLike,
    shard: Path,
    name: str,
    max_megabytes: float,
    read: Callable[[BinaryIO, int], Result],
) -> Result:
    def attempt() -> Result:
        if reason := contents(shard).reasons.get(name):
            raise ImageError(reason)
        with open_member(shard, name) as (file, size):
            start = file.tell()
            if size > reading._SMALL:
                check_head(file.read(HEAD))  # a video is called a video, however large it is
            reading._check_size(size, max_megabytes)
            file.seek(start)
            return read(file, size)

    try:
        return patiently(attempt)
    except Exception as error:
        if isinstance(error, ImageError) or not is_fault(error):
            raise
        raise fault(os.fspath(path), error) from None


def _whole(file: BinaryIO, size: int, path: str | os.PathLike) -> bytes:
    data = file.read(size)
    if len(data) < size:  # some network disks end a file early if they fail
        raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
    return data
