"""A folder of the row store, held open: no link in it, or in its place, can lead out of it.

People who share a store can write into it, so nothing in it is trusted. Each folder is opened
below the one that is open already, links are refused, and files are written, read and removed by
their bare names in the open folder.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from facestats.rows.interface import ALONE, DRAFT, Sharing, bare, draft_name, left_drafts

_TRIES = 5  # to write a file whose draft others remove
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ABSENT = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.EINVAL,
    errno.EFBIG,
    errno.ENXIO,
    errno.ENAMETOOLONG,
}


class Folder:
    """An open folder on a disk, with the interface of a `StoreFolder`."""

    at_once = 1

    def __init__(self, descriptor: int, path: Path, sharing: Sharing = ALONE):
        self.path = path
        self.sharing = sharing
        self._descriptor = descriptor

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._descriptor)

    def below(self, name: str, make: bool = False) -> Folder:
        """Open the folder of that name in this one.

        Raises
        ------
        OSError
            There is none, or a link or a file in its place.
        """
        if make:
            with suppress(FileExistsError):
                os.mkdir(bare(name), dir_fd=self._descriptor)
        descriptor = self._open(name, _FOLDER)
        if make:
            _share(descriptor, self.sharing)
        return Folder(descriptor, self.path / name, self.sharing)

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        """Sorted names of whatever matches the pattern."""
        return sorted(name for name in os.listdir(self._descriptor) if pattern.fullmatch(name))

    def is_folder(self, name: str) -> bool:
        """Whether there is a folder of that name, and not a link to one."""
        try:
            return stat.S_ISDIR(
                os.stat(bare(name), dir_fd=self._descriptor, follow_symlinks=False).st_mode
            )
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        """Size of a regular file in bytes; raises OSError if there is none."""
        return _regular(
            os.stat(bare(name), dir_fd=self._descriptor, follow_symlinks=False), name
        ).st_size

    def changed(self) -> int:
        """Time of the last added or removed file, ns."""
        return os.fstat(self._descriptor).st_mtime_ns

    def has(self, name: str) -> bool:
        """Whether there is anything of that name, even a link to nothing."""
        try:
            os.stat(bare(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def check_writable(self) -> None:
        """Raise PermissionError if no file can be added or removed here."""
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=self._descriptor):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))

    def opened(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
        """Descriptor of a regular file, which may be a new one.

        Raises OSError for a link, a folder, a pipe or a device.
        """
        # Without O_NONBLOCK, a pipe would wait for its other end.
        descriptor = self._open(name, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
        try:
            _regular(os.fstat(descriptor), name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, name: str, most: int) -> bytes:
        """Bytes of a regular file; raises OSError if there is none, or a larger one."""
        with open(self.opened(name), "rb") as file:
            return read_open(file, name, most)

    def read_to_link(self, name: str, most: int) -> tuple[bytes, tuple[int, int] | None]:
        """Bytes of a regular file, and its device and inode; None for those of another user's."""
        with open(self.opened(name), "rb") as file:
            status, data = os.fstat(file.fileno()), read_open(file, name, most)
        return data, (status.st_dev, status.st_ino) if status.st_uid == os.geteuid() else None

    def draft(self) -> Draft:
        """Begin a file that has no name of the store yet."""
        return Draft(self)

    def write(self, name: str, data: bytes, lasting: bool = False) -> tuple[int, int]:
        """Write a file by temporary file and rename; returns its device and inode.

        With `lasting`, it is complete or absent also after the power fails.
        """
        for left in reversed(range(_TRIES)):
            with self.draft() as draft:
                try:
                    return draft.finish(name, data, lasting)
                except FileNotFoundError:  # the draft was taken for a killed run's
                    if not left or self.is_removed():
                        raise
        raise AssertionError

    def hide_from_git(self) -> None:
        """Write a .gitignore, for the store may lie in a project."""
        if not self.has(".gitignore"):
            self.write(".gitignore", b"*\n")

    def is_removed(self) -> bool:
        """Whether this folder was removed since it was opened."""
        return os.fstat(self._descriptor).st_nlink == 0

    def link(self, name: str, target: Path, which: tuple[int, int]) -> bool:
        """Make a hard link to a file of this folder at an unused path.

        False if that is impossible, or the file's device and inode are others than `which`.
        """
        try:
            os.link(bare(name), target, src_dir_fd=self._descriptor, follow_symlinks=False)
        except OSError:  # another file system, one without links, or a file of somebody else
            return False
        linked = os.lstat(target)
        if (linked.st_dev, linked.st_ino) == which:
            return True
        os.unlink(target)
        return False

    def rename(self, name: str, new: str) -> None:
        """Give a file of this folder another name, also that of another file, which is lost."""
        os.rename(name, bare(new), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file or a link; what can't be removed, such as a folder, stays."""
        with suppress(OSError):
            os.unlink(bare(name), dir_fd=self._descriptor)

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it is empty."""
        with suppress(OSError):
            os.rmdir(bare(name), dir_fd=self._descriptor)

    def remove_temporary(self, everyones: bool = False) -> None:
        """Remove what killed processes of this machine left half-written.

        With `everyones`, also what others write now: a rewrite then gives up, and any other writer
        begins anew.
        """
        for name in left_drafts(self.names(DRAFT), everyones):
            self.remove(name)

    def _open(self, name: str, flags: int, mode: int = 0o777) -> int:
        try:
            return os.open(bare(name), flags | os.O_NOFOLLOW, mode, dir_fd=self._descriptor)
        except OSError as error:
            error.filename = str(self.path / name)
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and os.path.islink(error.filename):
                error.strerror = f"{error.filename} is a link; the store has none, so remove it"
            raise


class Draft:
    """A file that is written under a name which no reader takes for the store's.

    A context manager: what is not finished is removed at its end.
    """

    def __init__(self, folder: Folder):
        self._folder = folder
        self._name = draft_name()
        self._descriptor = folder.opened(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._descriptor)
        self._folder.remove(self._name)

    def finish(self, name: str, data: bytes, lasting: bool = False) -> tuple[int, int]:
        """Write the bytes and give the file its name; returns its device and inode.

        Raises
        ------
        FileNotFoundError
            Somebody has removed the draft, or the folder.
        OSError
            The file can't be written.
        """
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._descriptor, left) :]
            if self._folder.sharing.file is not None:
                os.fchmod(self._descriptor, self._folder.sharing.file)
            if lasting:
                os.fsync(self._descriptor)
            written = os.fstat(self._descriptor)
            self._folder.rename(self._name, name)
        except OSError as error:
            error.filename, error.filename2 = str(self._folder.path / name), None
            raise
        return written.st_dev, written.st_ino


def open_folder(store: Path, sharing: Sharing = ALONE, make: bool = False) -> Folder:
    """Open a store on a disk, which may be the user's own link to another disk.

    Raises
    ------
    OSError
        There is no such folder, or it is a link of another user.
    """
    if make and not os.path.lexists(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            store.mkdir()
    place, status = store, os.lstat(store)
    if stat.S_ISLNK(status.st_mode):
        if status.st_uid not in (os.geteuid(), 0):
            raise OSError(errno.ELOOP, "a link that belongs to another user", str(store))
        place = Path(os.path.realpath(store))
    descriptor = os.open(place, _FOLDER | os.O_NOFOLLOW)
    if make:
        _share(descriptor, sharing)
    return Folder(descriptor, store, sharing)


def is_absent(error: OSError) -> bool:
    """Whether there is no such file or folder, or something of another kind in its place.

    Any other error of the system says nothing about what is there.
    """
    return error.errno in _ABSENT


@contextmanager
def unless_absent() -> Iterator[None]:
    """Leave the block where a file or folder `is_absent`; other errors are raised."""
    try:
        yield
    except OSError as error:
        if not is_absent(error):
            raise


def read_regular(path: Path, most: int) -> bytes:
    """Bytes of a regular file, perhaps behind links; OSError if there is none, or a larger one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        _regular(os.fstat(descriptor), str(path))
        return read_open(file, str(path), most)


def read_open(file: BinaryIO, name: str, most: int) -> bytes:
    """Bytes of an open file; raises OSError for a larger one, or one that the disk cuts off."""
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise OSError(errno.EFBIG, f"larger than {most // 10**6} MB", name)
    # It may grow meanwhile; a buffer of `most` bytes may be more than there is.
    data = file.read(size + 1)
    if len(data) < size:  # some network disks end a file early if they fail
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    return data


def _regular(status: os.stat_result, name: str) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    return status


def _share(descriptor: int, sharing: Sharing) -> None:
    """Give one of our folders the group and the mode of a shared store."""
    status = os.fstat(descriptor)
    if sharing.folder is None or status.st_uid != os.geteuid():
        return
    with suppress(OSError):  # not a member of it
        os.fchown(descriptor, -1, status.st_gid if sharing.group is None else sharing.group)
    os.fchmod(descriptor, sharing.folder)
