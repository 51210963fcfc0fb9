"""Shards: many photos or crops in one file, each read by its place.

A path may lead into a shard, `photos/00000.tar/one.jpg`: a shard is a file whose name ends in
`.tar` or `.parquet`, and what stands behind it is a member's name. Nothing is ever unpacked by a
name that a shard gives. Tars are read here, parquet files in `parquet_shards`.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np

from facestats.core import parquet_shards
from facestats.core.files import replacing
from facestats.core.shard_members import Contents, all_problems, opened, usable_name
from facestats.errors import ImageError

SUFFIX = ".tar"
_SUFFIXES = (SUFFIX, parquet_shards.SUFFIX)
# What img2dataset and WebDataset write of a shard beside it, by its suffix.
_BESIDE = {
    SUFFIX: (".json", "_stats.json", ".txt", ".parquet", ".idx"),
    parquet_shards.SUFFIX: ("_stats.json",),
}
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
LINK = "a link in a shard, which is not followed: put the photo itself into the shard"
NO_FILE = "no regular file, but a device, a pipe or a file with holes in a shard"
_GZIP, BLOCK = b"\x1f\x8b", 512
_LONGEST = 2**20  # bytes of a header: a name, or what PAX says of a member
_BEFORE = 2**22  # bytes of all headers before one member
_RECORDS = 1000  # that a PAX header holds, or that count for all members
_KIND, _CHECKSUM = slice(156, 157), slice(148, 156)  # of a tar's header
_RECORD = re.compile(rb"(\d{1,9}) [^=]")
# In a PAX header `tarfile` looks for a number at each place of a row of digits.
_DIGITS = b"9" * 256
_AS_DIGITS = bytes(ord("9") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(128)
_KEPT = 2048  # shards whose places are kept; of 10,000 members they take 0.2 MB each


def find_member(path: str | os.PathLike) -> tuple[Path, str] | None:
    """The shard that a path leads into, and the member's name; None for any other path."""
    text = os.fspath(path)
    for suffix in _SUFFIXES:
        end = -1
        while (end := text.find(f"{suffix}/", end + 1)) >= 0:
            above, name = text[: end + len(suffix)], text[end + len(suffix) :].strip("/")
            if name and os.path.isfile(above):
                return Path(above), PurePath(name).as_posix()
    return None


def is_shard(path: str | os.PathLike) -> bool:
    """Whether this is a regular file that is called a tar or a parquet file."""
    return os.fspath(path).endswith(_SUFFIXES) and os.path.isfile(path)


def about_shards(folder: Path, names: Iterable[str]) -> set[str]:
    """Names of files in a folder that say something of the shards among them.

    A parquet file beside a tar says what img2dataset knows of it, unless it holds pictures itself.
    """
    about = {
        name.removesuffix(suffix) + beside
        for name in names
        for suffix, besides in _BESIDE.items()
        if name.endswith(suffix)
        for beside in besides
    }
    others = (name for name in about if name.endswith(parquet_shards.SUFFIX))
    return about - {name for name in others if parquet_shards.holds_pictures(folder / name)}


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
    if path.suffix == parquet_shards.SUFFIX:
        return parquet_shards.scan_rows(path)
    found = Contents()
    strange: list[str] = []
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(_GZIP)) == _GZIP:
            return Contents(problem=_packed(path))
        problem = None
        for found_next in members_of(file, size):
            if isinstance(found_next, str):
                problem = found_next
                break
            member, _ = found_next
            name = usable_name(member.name)
            if name is None:
                strange.append(member.name)
            elif name and (member.isreg() or not member.isdir()):
                place = member.offset_data, member.size
                found.add(name, place, _why_unusable(member, size))
    return Contents(found.places, found.reasons, all_problems(problem, strange))


def _why_unusable(member: tarfile.TarInfo, size: int) -> str | None:
    if member.issym() or member.islnk():
        return LINK
    if not member.isreg() or member.issparse():
        return NO_FILE
    if member.offset_data + member.size > size:
        return "cut off: its shard ends before it"
    return None


class _Headers:
    """A file for `tarfile` to read headers from, as long and as many as they may be."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self._before, self._is_pax = 0, False

    def begin(self) -> None:
        """The headers of another member follow."""
        self._before = 0

    def read(self, size: int) -> bytes:
        self._before += size
        if size > _LONGEST or self._before > _BEFORE:
            raise tarfile.ReadError(f"a header of {max(size, self._before):,} bytes")
        data = self._file.read(size)
        if _DIGITS in data.translate(_AS_DIGITS):
            raise tarfile.ReadError(f"a header with a number of {len(_DIGITS)} digits")
        if self._is_pax:
            _check_records(data)
        self._is_pax = not self._is_pax and _begins_pax(data)
        return data


def _begins_pax(data: bytes) -> bool:
    """Whether this is a header of a tar after which PAX records follow."""
    return (
        len(data) == BLOCK
        and data[_KIND] in (b"x", b"g", b"X")
        and tarfile.nti(data[_CHECKSUM])  # pyright: ignore[reportAttributeAccessIssue]
        in tarfile.calc_chksums(data)  # pyright: ignore[reportAttributeAccessIssue]
    )


def _check_records(data: bytes) -> None:
    """Refuse PAX records in which `tarfile` would look for a `=` beyond their end."""
    start = 0
    for _ in range(_RECORDS):
        if not data[start : start + 1].strip(b"\0"):
            return
        found = _RECORD.match(data, start)
        end = start + int(found[1]) if found else start
        record = data[start:end]
        if found is None or b"=" not in data[found.end() : end] or not record.endswith(b"\n"):
            raise tarfile.ReadError("a PAX header without its records")
        start = end
    raise tarfile.ReadError(f"a PAX header of more than {_RECORDS:,} records")


def members_of(file: BinaryIO, size: int) -> Iterator[tuple[tarfile.TarInfo, int] | str]:
    """The headers of a tar, and where each member ends; at last, what is wrong, where anything is.

    A file with holes says in its header where they are, and `tarfile` may follow that beyond all
    blocks (`IndexError`).
    """
    file.seek(0)
    number = 0
    headers: Any = _Headers(file)
    try:
        with tarfile.open(fileobj=headers, mode="r:", errorlevel=0) as tar:
            end = 0
            while (member := tar.next()) is not None:
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  which it would keep
                headers.begin()
                if len(tar.pax_headers) > _RECORDS:  # `tarfile` looks at each for each member
                    yield f"damaged after {number} members: over {_RECORDS:,} PAX records for all"
                    return
                if member.size < 0 or tar.offset <= end:
                    yield f"damaged after {number} members: one has a negative size"
                    return
                end, number = tar.offset, number + 1
                yield member, end
                if end > size:
                    yield f"cut off in member {number}; copy or download it again"
                    return
            end = tar.offset
        file.seek(end)
        mark = file.read(BLOCK)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, IndexError) as error:
        yield f"no tar, or damaged after {number} members ({error}); copy or download it again"
        return
    if len(mark) < BLOCK:
        yield f"cut off after {number} members; copy or download it again"
    elif mark.strip(b"\0"):
        yield f"damaged after {number} members; copy or download it again"
    elif any(part.strip(b"\0") for part in iter(lambda: file.read(_LONGEST), b"")):
        yield (
            f"more follows its end, after {number} members, as where two tars were joined: unpack "
            f"them (`tar --ignore-zeros`), and pack the photos as one"
        )


def _packed(path: Path) -> str:
    return (
        "a compressed tar, whose members can't be read one by one: unpack it once, "
        f"`gunzip < {path.name} > new{SUFFIX}`, and put the new file in its place"
    )


@dataclass(frozen=True)
class _Places:
    """Places of members, see `Contents`, by a hash of their names: 24 bytes a member."""

    hashes: np.ndarray
    places: np.ndarray

    def find(self, name: str) -> tuple[int, int] | None:
        wanted = _hash(name)
        at = int(np.searchsorted(self.hashes, wanted))
        if at == len(self.hashes) or self.hashes[at] != wanted:
            return None
        first, second = self.places[at].tolist()
        return first, second


def _hash(name: str) -> np.uint64:
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "big"))


@lru_cache(maxsize=_KEPT)
def _places(path: str, *_: int) -> _Places:
    found = scan(Path(path)).places
    hashes = np.array([_hash(name) for name in found], np.uint64)
    order = np.argsort(hashes)
    return _Places(hashes[order], np.array([*found.values()], np.int64).reshape(-1, 2)[order])


def _places_in(shard: Path, file: BinaryIO) -> _Places:
    status = os.fstat(file.fileno())
    return _places(str(shard), status.st_ino, status.st_size, status.st_mtime_ns)


def _at(shard: Path, file: BinaryIO, place: tuple[int, int]) -> tuple[BinaryIO, int]:
    """A file at the first byte of a member, and the member's size."""
    if shard.suffix == parquet_shards.SUFFIX:
        picture = parquet_shards.read_picture(shard, place, os.fstat(file.fileno()))
        return io.BytesIO(picture), len(picture)
    file.seek(place[0])
    return file, place[1]


@contextmanager
def open_member(shard: Path, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file at the first byte of a member, and the member's size.

    Raises
    ------
    FileNotFoundError
        There is no such member that can be used.
    ImageError
        The part of a parquet file in which it lies is damaged.
    OSError
        The shard can't be read.
    """
    with opened(shard) as file:
        place = _places_in(shard, file).find(name)
        if place is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(shard / name))
        yield _at(shard, file, place)


@contextmanager
def open_any(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or a member of the shard that the path leads into, at its first byte; and its size.

    Raises
    ------
    OSError
        It is not there, or can't be read.
    """
    place = find_member(path)
    with open_member(*place) if place else opened(path) as found:
        yield found if isinstance(found, tuple) else (found, os.fstat(found.fileno()).st_size)


def open_each(paths: Iterable[Path]) -> Iterator[tuple[Path, BinaryIO, int]]:
    """Each path that leads to a file or a member that can be used, at its first byte; and its size.

    A shard is opened once, and its members come in their order. Those of a damaged part of a
    parquet file are passed over. Errors are else those of `open_member`.
    """
    members: dict[Path, list[tuple[str, Path]]] = {}
    for path in paths:
        if place := find_member(path):
            members.setdefault(place[0], []).append((place[1], path))
        elif os.path.isfile(path):
            with opened(path) as file:
                yield path, file, os.fstat(file.fileno()).st_size
    for shard, named in members.items():
        with opened(shard) as file:
            places = _places_in(shard, file)
            found = sorted((at, path) for name, path in named if (at := places.find(name)))
            for at, path in found:
                try:
                    member = _at(shard, file, at)
                except ImageError:
                    continue
                yield path, *member


def read_member(shard: Path, name: str) -> bytes:
    """The bytes of a member; errors are those of `open_member`."""
    with open_member(shard, name) as (file, size):
        data = file.read(size)
        if len(data) < size:  # some network disks end a file early if they fail
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(shard))
        return data


def has_member(shard: Path, name: str) -> bool:
    """Whether a shard has such a member that can be used; OSError if the shard can't be read."""
    with opened(shard) as file:
        return _places_in(shard, file).find(name) is not None


def first_member(shard: Path, most: int = 2**28) -> tuple[str, bytes]:
    """Name and bytes of the first member; both empty where it is no file of at most `most` bytes.

    Raises
    ------
    OSError
        The shard can't be read.
    """
    with opened(shard) as file:
        found = next(members_of(file, os.fstat(file.fileno()).st_size), "no member")
        first = None if isinstance(found, str) else found[0]
        if first is None or not first.isreg() or first.size > most:
            return "", b""
        file.seek(first.offset_data)
        return first.name, file.read(first.size)


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


def shard_number(name: str, shards: int) -> int:
    """The shard of a name: the first bits of the SHA-256 of the name, for a power of two."""
    first = int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:4], "big")
    return first >> (32 - (shards - 1).bit_length())
