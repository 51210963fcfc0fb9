"""Shards without some of their photos, and what else they hold."""

from __future__ import annotations

import errno
import os
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from facestats.core import parquet_shards
from facestats.core.files import replacing
from facestats.core.shard_members import SIDECARS, Contents, opened
from facestats.core.shards import BLOCK, contents, members_of, scan

# Google Takeout's sidecars of `a(1).jpg`: `a.jpg(1).json`, `a.jpg.supplemental-metadata(1).json`.
_NUMBERED = re.compile(r"(.+?)(\.\w+(?:\.[\w-]+)?)\((\d+)\)(\.json)$", re.IGNORECASE)


def drop_members(shard: Path, names: Collection[str]) -> None:
    """Rewrite a shard without some members and their sidecars; one without photos is removed.

    What is there is replaced, never written to: it may be a link into DVC's cache. All other bytes
    are copied as they are, headers too, whatever wrote them. What img2dataset says of them in a
    parquet file beside a tar goes, too.

    Raises
    ------
    OSError
        The shard can't be read or written, or would lose more; it stays as it is.
    """
    found = contents(shard)
    about = shard.with_suffix(parquet_shards.SUFFIX)
    if about != shard and about.is_file():
        others = {_sample(name) for name in {*found.places, *found.reasons} - {*names}}
        keys = {_sample(name) for name in names} - others
        keys |= {name.rpartition(".")[0] for name in names}
        parquet_shards.drop_keys(about, {key.removeprefix("/") for key in keys})
    if not {*found.places, *found.reasons} - {*names}:
        shard.unlink()
        return
    if shard.suffix == parquet_shards.SUFFIX:
        parquet_shards.drop_rows(shard, names)
        return
    with opened(shard) as file, replacing(shard) as temporary:
        with open(temporary, "wb") as new:
            for start, end in _kept(file, names, {*found.places, *found.reasons}):
                _copy(file, start, end, new)
            new.write(bytes(2 * BLOCK))  # ends a tar
            new.write(bytes(-new.tell() % tarfile.RECORDSIZE))
        left = scan(temporary)
        if _sizes(left) != {k: v for k, v in _sizes(found).items() if k not in names}:
            raise OSError(errno.EIO, "others of its photos would be lost", str(shard))


def _sizes(found: Contents) -> dict[str, int | str]:
    """Sizes of the members of a shard, or why they can't be used."""
    return {name: size for name, (_, size) in found.places.items()} | found.reasons


def staying_members(shard: Path, names: Collection[str]) -> Iterator[tuple[str, BinaryIO, int]]:
    """What `drop_members` leaves of a tar: names, the open file at the first byte, and sizes.

    Nothing where no photo stays.

    Raises
    ------
    OSError
        It can't be read.
    tarfile.ReadError
        It is damaged.
    """
    found = contents(shard) if names else Contents()
    photos = {*found.places, *found.reasons}
    if photos and not photos - {*names}:
        return
    goes = _Going(names, photos)
    with opened(shard) as file:
        for header in members_of(file, os.fstat(file.fileno()).st_size):
            if isinstance(header, str):
                raise tarfile.ReadError(header)
            member, _ = header
            if member.isreg() and not goes.takes(member.name):
                file.seek(member.offset_data)
                yield member.name.removeprefix("./"), file, member.size


def _kept(
    file: BinaryIO, names: Collection[str], photos: Collection[str]
) -> Iterator[tuple[int, int]]:
    """Where what stays of a shard begins and ends, without these members and their sidecars."""
    goes, before = _Going(names, photos), 0
    for found in members_of(file, os.fstat(file.fileno()).st_size):
        if isinstance(found, str):
            raise OSError(errno.EIO, found, file.name)
        member, end = found
        # Between the member before and this one may stand a header that is of all that follow.
        yield before, (member.offset if goes.takes(member.name) else end)
        before = end


class _Going:
    """Tells which members go with some of the photos: these, and their sidecars.

    `10.47.01.jpeg.json`, or `10.47.01.json`, is no sidecar of `10.15.22.jpeg` beside that photo.
    """

    def __init__(self, names: Collection[str], photos: Collection[str]):
        self._names = {*names}
        self._own, self._others = _called(names), _called({*photos} - {*names})
        self._samples = {_sample(name) for name in names}

    def takes(self, member: str) -> bool:
        name = member.removeprefix("./")
        if name in self._names:
            return True
        about = sidecar_of(name) if name.lower().endswith(SIDECARS) else ""
        return (
            bool(about)
            and _sample(about) in self._samples
            and _is_about(about, self._own, self._others)
        )


def sidecar_of(name: str) -> str:
    """A sidecar's name with a number where the photo has it: `a(1).jpg.json` of `a.jpg(1).json`."""
    return _NUMBERED.sub(r"\1(\3)\2\4", name)


def _is_about(sidecar: str, own: Collection[str], others: Collection[str]) -> bool:
    """Whether a sidecar's name begins with that of a photo, and with no longer one of another."""
    parts = sidecar.split(".")
    starts = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
    return next((start in own for start in starts if start in own or start in others), True)


def _called(photos: Iterable[str]) -> set[str]:
    """What a sidecar of one of the photos is called before its last dot."""
    return {stem for name in photos for stem in (name, name.rpartition(".")[0])}


def _copy(file: BinaryIO, start: int, end: int, new: BinaryIO) -> None:
    """Copy bytes of a shard, of which `members_of` reads the headers meanwhile."""
    file.seek(start)
    while start < end:
        data = file.read(min(end - start, 2**20))
        if not data:  # some network disks end a file early if they fail
            raise OSError(errno.EIO, os.strerror(errno.EIO), file.name)
        new.write(data)
        start += len(data)


def _sample(name: str) -> str:
    """What WebDataset joins members by: a name up to the first dot of its last part."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}"
