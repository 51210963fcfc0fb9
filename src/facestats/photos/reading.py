"""Read photos up to a limit of size, and only the beginning of large files that are not photos."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from facestats.errors import ImageError
from facestats.machine.faults import fault, is_fault, patiently
from facestats.photos.containers import HEAD, check_head

MAX_MEGABYTES = 256  # as in params.yaml: what is larger than this is not read
_CHUNK = 1 << 20  # bytes read at a time
_MEGABYTE = 10**6
_SMALL = 10**6  # bytes; any smaller file is read, and has a hash and a stored row like a photo


def read_photo(path: str | os.PathLike, max_megabytes: float = MAX_MEGABYTES) -> bytes:
    """Read a photo's file.

    Raises
    ------
    ImageError
        It is larger than `max_megabytes`, or than one megabyte and not a picture by its first
        bytes, or not a file, such as a link to nothing; the text is a reason without the path.
    FaultError
        It can't be read, even after several attempts: nothing is known about it.
    """
    return _with_patience(_read, path, max_megabytes)


def hash_photo(path: str | Path, max_megabytes: float = MAX_MEGABYTES) -> str:
    """Hex sha256 of a photo's file, of which a megabyte is held at a time.

    Raises as `read_photo` does.
    """
    return _with_patience(_hash, path, max_megabytes)


def _with_patience(read: Callable, path: str | os.PathLike, max_megabytes: float):
    try:
        return patiently(read, path, max_megabytes)
    except Exception as error:
        if isinstance(error, ImageError) or not is_fault(error):
            raise
        raise fault(os.fspath(path), error) from None


def _read(path: str | Path, max_megabytes: float) -> bytes:
    with _opened(path, max_megabytes) as file:
        size = os.fstat(file.fileno()).st_size
        most = int(max_megabytes * _MEGABYTE) + 1
        data = file.read(min(size + 1, most))  # a buffer of `most` may be more than there is
        if len(data) > size:  # a file may grow, or claim no size at all
            data += file.read(most - len(data))
        _check_size(len(data), max_megabytes)
        _check_end(len(data), size, path)
        return data


def _hash(path: str | Path, max_megabytes: float) -> str:
    with _opened(path, max_megabytes) as file:
        expected, size, digest = os.fstat(file.fileno()).st_size, 0, hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            _check_size(size, max_megabytes)
        _check_end(size, expected, path)
        return digest.hexdigest()


@contextmanager
def _opened(path: str | Path, max_megabytes: float) -> Iterator[BinaryIO]:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe would wait for ever
            raise ImageError(_say_kind(path))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ImageError("a link to itself") from None
        if error.errno == errno.ENOENT and os.path.islink(path):
            raise ImageError("a link to nothing") from None
        raise
    with open(path, "rb", opener=_descriptor) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):  # somebody has put it there in this moment
            raise ImageError(_say_kind(path))
        size = status.st_size
        if size > _SMALL:
            head = file.read(HEAD)
            _check_end(len(head), HEAD, path)
            check_head(head)  # a video is called a video, however large it is
            _check_size(size, max_megabytes)
            file.seek(0)
        yield file


def _descriptor(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for its other end


def _say_kind(path: str | Path) -> str:
    """The reason for not reading something that is not a regular file."""
    if not os.path.isdir(path):
        return "not a regular file"
    if os.path.islink(path):
        kind = "a link to a folder"
    elif os.path.isdir(os.path.join(path, ".dvc")):
        kind = "a folder with a DVC project of its own"
    else:
        return "a folder, no photo"
    return f"{kind}, into which DVC does not look: move or copy its photos into a folder here"


def _check_size(size: int, max_megabytes: float) -> None:
    if size > max_megabytes * _MEGABYTE:
        raise ImageError(
            f"larger than {max_megabytes:g} MB, the limit that preprocess.max_megabytes sets"
        )


def _check_end(size: int, expected: int, path: str | os.PathLike) -> None:
    """Raise EIO for fewer bytes than a file has: some network disks end it early if they fail."""
    if size < expected:
        raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
