"""Tar shards: many photos or crops in one file, each read by its place.

A path may lead into a shard, `photos/00000.tar/one.jpg`: a shard is a file whose name ends in
`.tar`, and what stands behind it is a member's name. Nothing is ever unpacked by a name that a tar
gives.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facestats.core.files import replacing

SUFFIX = ".tar"
SIDECARS = (".json", ".txt", ".cls")  # of WebDataset: what it says of a photo beside it
# What img2dataset and WebDataset write of a shard beside it.
_BESIDE = (".json", "_stats.json", ".txt", ".parquet", ".idx")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
TWICE = "its shard holds two members of this name; give each a name of its own"
LINK = "a link in a shard, which is not followed: put the photo itself into the shard"
NO_FILE = "no regular file, but a device, a pipe or a file with holes in a shard"
_GZIP, _BLOCK = b"\x1f\x8b", 512
_KEPT = 2048  # shards whose places are kept; of 10,000 members they take 0.2 MB each
_NAMED = 3  # members in a message


@dataclass(frozen=True)
class Contents:
    """What a shard holds.

    Attributes
    ----------
    places : dict of str to (int, int)
        Where the bytes of each member begin, and how many there are.
    reasons : dict of str to str
        Why a member can't be used, by its name.
    problem : str or None
        What is wrong with the shard itself, or with members whose names can't be used.
    """

    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


def find_member(path: str | os.PathLike) -> tuple[Path, str] | None:
    """The shard that a path leads into, and the member's name; None for any other path."""
    text = os.fspath(path)
    if f"{SUFFIX}/" not in text:
        return None
    for above in Path(text).parents:
        if above.suffix == SUFFIX and is_shard(above):
            return above, Path(text).relative_to(above).as_posix()
    return None


def is_shard(path: str | os.PathLike) -> bool:
    """Whether this is a regular file that is called a tar."""
    return os.fspath(path).endswith(SUFFIX) and os.path.isfile(path)


def about_shards(names: Iterable[str]) -> set[str]:
    """Names of files that say something of the shards among them."""
    stems = [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]
    return {stem + suffix for stem in stems for suffix in _BESIDE}


def is_compressed(path: str | os.PathLike) -> bool:
    """Whether this is called a compressed tar."""
    return os.fspath(path).lower().endswith(_COMPRESSED)


def contents(path: Path) -> Contents:
    """`scan` of a shard, kept until the shard or another one is asked for."""
    status = os.stat(path)
    return _contents(str(path), status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)
def _contents(path: str, *_: int) -> Contents:
    return scan(Path(path))


def list_members(path: Path) -> list[str]:
    """Names of the members of a shard that count as photos, those that can't be used included."""
    found = contents(path)
    return [*found.places, *found.reasons]


def scan(path: Path) -> Contents:
    """List a shard by its headers; what is wrong with it is no error, but stands in the result.

    Directories, hidden members and the sidecars of WebDataset are passed over.

    Raises
    ------
    OSError
        It can't be read.
    """
    places: dict[str, tuple[int, int]] = {}
    reasons: dict[str, str] = {}
    strange: list[str] = []
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(_GZIP)) == _GZIP:
            return Contents(problem=_packed(path))
        problem = None
        for member in _members(file, size):
            if isinstance(member, str):
                problem = member
                break
            name = _usable_name(member.name)
            if name is None:
                strange.append(member.name)
            elif name and (member.isreg() or not member.isdir()):
                _note(name, member, size, places, reasons)
    if strange:
        shown = ", ".join(ascii(name)[1:-1] for name in strange[:_NAMED])
        more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
        problem = "; ".join(
            [
                *([problem] if problem else []),
                f"members whose names lead out of the shard are left out: {shown}{more}",
            ]
        )
    return Contents(places, reasons, problem)


def _note(name: str, member: tarfile.TarInfo, size: int, places: dict, reasons: dict) -> None:
    if name in places or name in reasons:
        places.pop(name, None)
        reasons[name] = TWICE
    elif member.issym() or member.islnk():
        reasons[name] = LINK
    elif not member.isreg() or member.issparse():
        reasons[name] = NO_FILE
    elif member.offset_data + member.size > size:
        reasons[name] = "cut off: its shard ends before it"
    else:
        places[name] = member.offset_data, member.size


def _members(file: BinaryIO, size: int) -> Iterator[tarfile.TarInfo | str]:
    """The headers of a tar; at last, what is wrong with it, where anything is."""
    file.seek(0)
    number = 0
    try:
        with tarfile.open(fileobj=file, mode="r:", errorlevel=0) as tar:
            end = 0
            while (member := tar.next()) is not None:
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  which it would keep
                if member.size < 0 or tar.offset <= end:
                    yield f"damaged after {number} members: one has a negative size"
                    return
                end, number = tar.offset, number + 1
                yield member
                if end > size:
                    yield f"cut off in member {number}; copy or download it again"
                    return
            end = tar.offset
        file.seek(end)
        mark = file.read(_BLOCK)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        yield f"no tar, or damaged after {number} members ({error}); copy or download it again"
        return
    if len(mark) < _BLOCK:
        yield f"cut off after {number} members; copy or download it again"
    elif mark.strip(b"\0"):
        yield f"damaged after {number} members; copy or download it again"


def _usable_name(name: str) -> str | None:
    """A member's name; empty for what is passed over, None for one that leads out of the shard."""
    parts = name.removeprefix("./").split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "" if name in (".", "./", "") else None
    if any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(SIDECARS):
        return ""
    return "/".join(parts)


def _packed(path: Path) -> str:
    return (
        "a compressed tar, whose members can't be read one by one: unpack it once, "
        f"`gunzip < {path.name} > new{SUFFIX}`, and put the new file in its place"
    )


@dataclass(frozen=True)
class _Places:
    """Places of members by a hash of their names: 24 bytes a member."""

    hashes: np.ndarray
    places: np.ndarray

    def find(self, name: str) -> tuple[int, int] | None:
        wanted = _hash(name)
        at = int(np.searchsorted(self.hashes, wanted))
        if at == len(self.hashes) or self.hashes[at] != wanted:
            return None
        offset, size = self.places[at].tolist()
        return offset, size


def _hash(name: str) -> np.uint64:
    digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


@lru_cache(maxsize=_KEPT)
def _places(path: str, *_: int) -> _Places:
    found = scan(Path(path)).places
    hashes = np.array([_hash(name) for name in found], np.uint64)
    order = np.argsort(hashes)
    return _Places(hashes[order], np.array([*found.values()], np.int64).reshape(-1, 2)[order])


@contextmanager
def open_member(shard: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """The shard's file, at the first byte of a member, and the member's size.

    Raises
    ------
    FileNotFoundError
        There is no such member that can be used.
    OSError
        The shard can't be read.
    """
    with _opened(shard) as file:
        status = os.fstat(file.fileno())
        place = _places(str(shard), status.st_ino, status.st_size, status.st_mtime_ns).find(name)
        if place is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(shard / name))
        file.seek(place[0])
        yield file, place[1]


@contextmanager
def open_any(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or a member of the shard that the path leads into, at its first byte; and its size.

    Raises
    ------
    OSError
        It is not there, or can't be read.
    """
    place = find_member(path)
    with open_member(*place) if place else _opened(path) as found:
        yield found if isinstance(found, tuple) else (found, os.fstat(found.fileno()).st_size)


def read_member(shard: Path, name: str) -> bytes:
    """The bytes of a member; errors are those of `open_member`."""
    with open_member(shard, name) as (file, size):
        data = file.read(size)
        if len(data) < size:  # some network disks end a file early if they fail
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(shard))
        return data


def has_member(shard: Path, name: str) -> bool:
    """Whether a shard has such a member that can be used; OSError if the shard can't be read."""
    try:
        with open_member(shard, name):
            return True
    except FileNotFoundError:
        return False


def first_member(shard: Path, most: int = 2**28) -> tuple[str, bytes]:
    """Name and bytes of the first member; both empty where it is no file of at most `most` bytes.

    Raises
    ------
    OSError
        The shard can't be read.
    """
    with _opened(shard) as file:
        first = next(_members(file, os.fstat(file.fileno()).st_size))
        if isinstance(first, str) or not first.isreg() or first.size > most:
            return "", b""
        file.seek(first.offset_data)
        return first.name, file.read(first.size)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with open(path, "rb", opener=lambda at, flags: os.open(at, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe would be waited for
            raise OSError(errno.ENXIO, "is no regular file", str(path))
        yield file


def write_shard(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar by temporary file and rename; the same members give the same bytes.

    Parameters
    ----------
    path : Path
    members : iterable of (str, bytes)
        Names and contents, in the order in which they are written.
    """
    with (
        replacing(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in members:
            member = tarfile.TarInfo(name)  # mode 0644, of nobody, of 1970
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def drop_members(shard: Path, names: Collection[str]) -> None:
    """Rewrite a shard without some members and their sidecars; one without photos is removed.

    What is there is replaced, never written to: it may be a link into DVC's cache.

    Raises
    ------
    OSError, tarfile.TarError
        The shard can't be read or written, and stays as it is.
    """
    if not {*list_members(shard)} - {*names}:
        shard.unlink()
        return
    samples = {_sample(name) for name in names}
    with (
        _opened(shard) as file,
        tarfile.open(fileobj=file, mode="r:") as old,
        replacing(shard) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            name = member.name.removeprefix("./")
            beside = name.lower().endswith(SIDECARS) and _sample(name) in samples
            if not beside and name not in names:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)


def _sample(name: str) -> str:
    """What WebDataset joins members by: a name up to the first dot of its last part."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition('.')[0]}"


def shard_number(name: str, shards: int) -> int:
    """The shard of a name: the first bits of the SHA-256 of the name, for a power of two."""
    first = int.from_bytes(
        hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:4], "big"
    )
    return first >> (32 - (shards - 1).bit_length())
