"""A prefix in an S3-compatible bucket as a folder of the row store.

Objects are immutable: each is one PUT, which a reader sees whole or not at all. There are no
locks and no links. Endpoint and keys are those of AWS's environment variables and files, such as
`AWS_ENDPOINT_URL` and `AWS_PROFILE`. Requests are repeated as `AWS_RETRY_MODE` and
`AWS_MAX_ATTEMPTS` say, and end after two minutes at the latest.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from facestats.errors import FaultError
from facestats.rows.address import BucketPath
from facestats.rows.interface import ALONE, Sharing, bare, draft_name, left_drafts

_CONNECT, _ANSWER, _LONGEST = 5.0, 30.0, 120.0  # seconds to connect, of silence, of a request
_REST = 60.0  # seconds without requests after one that failed each time
_AT_ONCE = 16
_WRITING = ("put_object", "delete_object")
_ATTEMPTS = 2  # of s3fs, each of the attempts of AWS_MAX_ATTEMPTS
_FULL = ("QuotaExceeded", "StorageFull", "InsufficientStorage")  # within a code, of several servers
_DENIED = ("Credential", "Profile", "Token", "SSO")  # within names of botocore's errors
_WAY = "check the address, the keys and the network (AWS_ENDPOINT_URL, AWS_PROFILE), and run again"


class BucketError(OSError, FaultError):
    """A bucket does not answer as it should; nothing is known about what is in it."""

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}; {_WAY}"


class DeniedError(BucketError, PermissionError):
    """A bucket refuses these keys."""


class _Client:
    """Requests of this process, with limits to their number and time."""

    def __init__(self) -> None:
        from s3fs import S3FileSystem  # pyright: ignore[reportMissingImports]  an extra

        self._files = S3FileSystem(
            use_listings_cache=False,
            skip_instance_cache=True,  # else one for each thread
            config_kwargs={
                "connect_timeout": _CONNECT,
                "read_timeout": _ANSWER,
                "max_pool_connections": 2 * _AT_ONCE,
            },
        )
        self._files.retries = _ATTEMPTS
        self._failed: dict[bool, tuple[float, BucketError]] = {}  # of readers, of writers

    def request(self, method: str, place: BucketPath, **arguments: Any) -> dict[str, Any]:
        """One request about an object."""
        return self._patiently(
            place, self._files._call_s3, method, Bucket=place.bucket, Key=place.key, **arguments
        )

    def try_again(self) -> None:
        """Ask a bucket that has failed before its rest is over."""
        self._failed.clear()

    def get(self, place: BucketPath, most: int) -> bytes:
        """Bytes of an object, at most `most`."""
        address = f"{place.bucket}/{place.key}"
        return self._patiently(place, self._files._cat_file, address, start=0, end=most)

    def listing(self, place: BucketPath, begin: str = "") -> Iterator[tuple[str, int | None]]:
        """Names right below a place that begin so, and their sizes; no size for a prefix."""
        prefix = f"{place.key}/" if place.key else ""
        more: dict[str, str] = {}
        while True:
            page = self._patiently(
                place,
                self._files._call_s3,
                "list_objects_v2",
                Bucket=place.bucket,
                Prefix=prefix + begin,
                Delimiter="/",
                **more,
            )
            for found in page.get("Contents", ()):
                yield found["Key"][len(prefix) :], found["Size"]
            for found in page.get("CommonPrefixes", ()):
                yield found["Prefix"][len(prefix) : -1], None
            if not (token := page.get("NextContinuationToken")):
                return
            more = {"ContinuationToken": token}

    def _patiently(self, place: BucketPath, function: Any, *arguments: Any, **named: Any) -> Any:
        """Make a request; the errors are those of a file. After a failure for good, rest."""
        from fsspec.asyn import sync

        kind = bool(arguments) and arguments[0] in _WRITING
        since, failed = self._failed.get(kind, (-_REST, None))
        if failed is not None and time.monotonic() - since < _REST:
            raise BucketError(failed.errno, failed.strerror, str(place))
        try:
            answer = sync(self._files.loop, function, *arguments, timeout=_LONGEST, **named)
            self._failed.pop(kind, None)
            return answer
        except Exception as error:
            of_file = _of_file(error, place)
            if type(of_file) is BucketError and of_file.errno != errno.ENOSPC:
                self._failed[kind] = time.monotonic(), of_file
            raise of_file from None


def _of_file(error: Exception, place: BucketPath) -> OSError:
    """An error of a request as that of a file."""
    told = getattr(error.__cause__ or error, "response", None) or {}
    code = str(told.get("Error", {}).get("Code", ""))
    text = " ".join(str(error).split()) or type(error).__name__
    if code == "NoSuchBucket":
        return BucketError(errno.ENODEV, f"there is no bucket {place.bucket}", str(place))
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    if any(sign in code for sign in _FULL):
        return BucketError(errno.ENOSPC, f"the bucket is full ({text})", str(place))
    if code == "InvalidRange":
        return OSError(errno.EINVAL, "an empty object", str(place))
    if code == "RequestTimeTooSkewed":
        return DeniedError(errno.EACCES, f"this machine's clock is wrong ({text})", str(place))
    if isinstance(error, PermissionError) or any(sign in type(error).__name__ for sign in _DENIED):
        return DeniedError(errno.EACCES, f"the bucket refuses these keys ({text})", str(place))
    number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else errno.EIO
    return BucketError(number, f"the bucket does not answer ({text})", str(place))


@cache
def _client_of(_: int) -> _Client:
    return _Client()


def _client() -> _Client:
    """That of this process: a fork can't use its parent's."""
    return _client_of(os.getpid())


class BucketFolder:
    """A prefix, with the interface of an open folder: `StoreFolder`.

    Raises
    ------
    BucketError
        From each method, where the bucket does not answer; `DeniedError` where it refuses.
    """

    at_once = _AT_ONCE

    def __init__(self, path: BucketPath, sharing: Sharing = ALONE):
        self.path = path
        self.sharing = sharing
        self._sizes: dict[str, int | None] = {}  # of the last listing

    def __enter__(self) -> BucketFolder:
        return self

    def __exit__(self, *_) -> None:
        pass

    def below(self, name: str, make: bool = False) -> BucketFolder:
        """The prefix of that name below this one, which need not be made."""
        return BucketFolder(self.path / bare(name), self.sharing)

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        """Sorted names of whatever matches the pattern."""
        listed = dict(_client().listing(self.path))
        self._sizes = {name: size for name, size in listed.items() if pattern.fullmatch(name)}
        return sorted(self._sizes)

    def is_folder(self, name: str) -> bool:
        """Whether anything lies below that name."""
        if self._sizes.get(name, 0) is None:
            return True
        return any(True for _ in _client().listing(self.path / bare(name)))

    def size(self, name: str) -> int:
        """Size of an object in bytes, perhaps as it was last listed: none ever changes."""
        size = self._sizes.get(name)
        return self._head(name) if size is None else size

    def has(self, name: str) -> bool:
        """Whether there is an object of that name."""
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str, most: int) -> bytes:
        """Bytes of an object; OSError if there is none, or a larger one."""
        data = _client().get(self._at(name), most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {most // 10**6} MB", str(self._at(name)))
        return data

    def read_to_link(self, name: str, most: int) -> tuple[bytes, None]:
        """Those bytes; nothing can be linked to an object."""
        return self.read(name, most), None

    def link(self, name: str, target: Path, which: tuple[int, int]) -> bool:
        """False: nothing can be linked to an object."""
        return False

    def write(self, name: str, data: bytes, lasting: bool = False) -> None:
        """Write an object by one PUT."""
        _client().request("put_object", self._at(name), Body=data)

    def draft(self) -> BucketDraft:
        """Begin an object that has no name of the store yet."""
        return BucketDraft(self)

    def remove(self, name: str) -> None:
        """Remove an object; unlike that of a file, a refusal is an error."""
        _client().request("delete_object", self._at(name))

    def remove_folder(self, name: str) -> None:
        """Nothing: a prefix is gone with what lies below it."""

    def remove_temporary(self, everyones: bool = False) -> None:
        """Remove the drafts of killed processes of this machine; with `everyones`, all drafts."""
        hidden = [name for name, _ in _client().listing(self.path, begin=".")]
        for name in left_drafts(hidden, everyones):
            self.remove(name)

    def is_removed(self) -> bool:
        """False, see `remove_folder`."""
        return False

    def check_writable(self) -> None:
        """Write and remove an object without a name of the store."""
        with self.draft():
            pass

    def hide_from_git(self) -> None:
        """Nothing: git looks into no bucket."""

    def _head(self, name: str) -> int:
        return _client().request("head_object", self._at(name))["ContentLength"]

    def _at(self, name: str) -> BucketPath:
        return self.path / bare(name)


class BucketDraft:
    """A mark that a rewrite has begun: whoever removes rows removes it, too.

    An object can't be renamed. So the mark is looked for before its object is written, and again
    afterwards: an object without it is removed.
    """

    def __init__(self, folder: BucketFolder):
        self._folder = folder
        self._name = draft_name()
        folder.write(self._name, b"")

    def __enter__(self) -> BucketDraft:
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        with suppress(*([BucketError] if kind else [])):  # which would hide the first one
            self._folder.remove(self._name)

    def finish(self, name: str, data: bytes, lasting: bool = False) -> None:
        """Write the object.

        Raises
        ------
        FileNotFoundError
            Somebody has removed the draft.
        BucketError
            The object can't be written, or nobody knows whether it was.
        """
        self._check(name)
        if self._folder.has(name):  # another rewrite's: its name says that it is the same
            return
        try:
            self._folder.write(name, data)
        except DeniedError:
            raise
        except BucketError:
            self._take_back(name)
            raise
        try:
            self._check(name)
        except (FileNotFoundError, BucketError):
            self._take_back(name)
            raise

    def _take_back(self, name: str) -> None:
        """Remove an object that may have been written after others looked for what to remove."""
        _client().try_again()
        try:
            self._folder.remove(name)
        except BucketError as error:
            raise BucketError(
                error.errno,
                f"{error.strerror}; it may hold rows that `facestats forget` has removed "
                "meanwhile: if that was used, give the same command again",
                str(self._folder.path / name),
            ) from None

    def _check(self, name: str) -> None:
        if not self._folder.has(self._name):
            where = str(self._folder.path / name)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where)
