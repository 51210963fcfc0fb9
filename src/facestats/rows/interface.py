"""What a place for rows offers: a folder on a disk (`folder`) or a prefix in a bucket (`bucket`).

Names are bare: none leads to another folder. Files appear whole, under their names, or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import psutil

from facestats.rows.address import BucketPath

StorePath: TypeAlias = Path | BucketPath

# As `draft_name` gives them; older versions left out the hash of the host.
DRAFT = re.compile(r"\.[0-9a-f]{32}(?:\.([0-9a-f]{16}))?\.(\d{1,9})")


@dataclass(frozen=True)
class Sharing:
    """Who may write the store's files and folders.

    Attributes
    ----------
    file, folder : int or None, optional
        Modes of new files and folders, as in DVC's cache with `cache.shared group`; by default
        those of the umask. A bucket has none.
    group : int or None, optional
        Id of the store's group; by default that of whoever makes it.
    """

    file: int | None = None
    folder: int | None = None
    group: int | None = None


ALONE = Sharing()


class StoreDraft(Protocol):
    """A file that has no name of the store yet; a context manager."""

    def __enter__(self) -> StoreDraft: ...

    def __exit__(self, *_) -> None: ...

    def finish(self, name: str, data: bytes, lasting: bool = False) -> object:
        """Write the bytes under that name; FileNotFoundError if somebody has removed the draft."""


class StoreFolder(Protocol):
    """An open folder of a store; a context manager. Each method raises OSError where it fails.

    Attributes
    ----------
    path : StorePath
        For messages; nothing is opened by it.
    at_once : int
        Requests that are worth making at the same time.
    """

    @property
    def path(self) -> StorePath: ...

    at_once: int

    def __enter__(self) -> StoreFolder: ...

    def __exit__(self, *_) -> None: ...

    def below(self, name: str, make: bool = False) -> StoreFolder:
        """The folder of that name in this one."""
        ...

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        """Sorted names of whatever matches the pattern."""
        ...

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of that name."""
        ...

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is anything of that name."""
        ...

    def read(self, name: str, most: int) -> bytes:
        """Bytes of a file that has no more than `most`."""
        ...

    def read_to_link(self, name: str, most: int) -> tuple[bytes, tuple[int, int] | None]:
        """Those bytes, and what `link` needs to know the file by; None for one not to link to."""
        ...

    def link(self, name: str, target: Path, which: tuple[int, int]) -> bool:
        """Make a hard link to a file at an unused path; False if that is impossible."""
        ...

    def write(self, name: str, data: bytes, lasting: bool = False) -> tuple[int, int] | None:
        """Write a file, whole or not at all; returns what `read_to_link` does."""
        ...

    def draft(self) -> StoreDraft:
        """Begin a file that has no name of the store yet; whoever removes rows removes it."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it is empty."""

    def remove_temporary(self, everyones: bool = False) -> None:
        """Remove the drafts of killed processes of this machine; with `everyones`, all drafts."""

    def is_removed(self) -> bool:
        """Whether this folder was removed since it was opened."""
        ...

    def check_writable(self) -> None:
        """Raise PermissionError if no file can be added or removed here."""

    def hide_from_git(self) -> None:
        """Keep git from a store that lies in a project."""


def bare(name: str) -> str:
    """The name, if it can't lead to another folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not the name of a file", name)
    return name


def draft_name() -> str:
    """A new name that no reader takes for the store's."""
    return f".{secrets.token_hex(16)}.{host_hash()}.{os.getpid()}"


def left_drafts(names: Iterable[str], everyones: bool) -> list[str]:
    """Drafts among names: those of killed processes of this machine, with `everyones` all."""
    here = (None, host_hash())
    return [
        name
        for name in names
        if (parts := DRAFT.fullmatch(name))
        and (everyones or (parts[1] in here and not psutil.pid_exists(int(parts[2]))))
    ]


def host_hash() -> str:
    """A short hash of this machine's name."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]
