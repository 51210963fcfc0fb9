"""The lock of a recipe: one run at a time uses its rows, and no run waits for ever."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from facestats.rows.folder import ALONE, Folder, Sharing, open_below

PATIENCE = 300.0  # seconds without a new row or file after which a waiting run computes alone
_LOOK_EVERY = 0.2  # seconds
_TRIES = 5  # to open a lock's file that others remove
_MOST = 1000  # bytes that a holder writes about itself


class HeldError(Exception):
    """Another process has the lock; the text names it, if it is known."""


class RowLock:
    """A lock of this process, until it is released or the process ends."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def lock_name(recipe: str) -> str:
    """Name of the file, beside a recipe's folder, that is locked by the run in the folder."""
    return f"{recipe}.lock"


def take(stage: Folder, recipe: str) -> RowLock:
    """Take the lock of a recipe, without waiting.

    Whoever can open the file can hold the lock, so only those who may write the rows can open it.

    Raises
    ------
    HeldError
        Another process has it.
    OSError
        The file can't be opened, or its file system has no locks.
    """
    name = lock_name(recipe)
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # removed meanwhile
            descriptor, writable = _open(stage, name)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(stage, name, descriptor):
                    if writable:
                        _say(descriptor)
                    return RowLock(descriptor)
            except BlockingIOError:
                try:
                    raise HeldError(_holder(descriptor)) from None
                finally:
                    os.close(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    raise OSError(errno.EAGAIN, "its file is replaced again and again", str(stage.path / name))


def wait(
    stage: Folder,
    recipe: str,
    signs_of_life: Callable[[], object],
    patience: float,
    warn: Callable[[str], None],
) -> RowLock:
    """Take the lock of a recipe, waiting as long as another run has it and works.

    Parameters
    ----------
    stage : Folder
        Folder of the stage.
    recipe : str
        Name of the recipe's folder.
    signs_of_life : callable
        Returns something that changes as long as the other run works.
    patience : float
        Seconds to wait for a change.
    warn : callable
        Called with a message when the wait begins.

    Raises
    ------
    HeldError
        The other run still has it, and nothing has changed.
    OSError
        As `take`.
    """
    warned, seen, since = False, signs_of_life(), time.monotonic()
    while True:
        try:
            return take(stage, recipe)
        except HeldError as error:
            if not warned:
                warn(
                    f"another run computes rows of the same kind ({error}): waiting until it "
                    "ends, to reuse them"
                )
            warned = True
            if (now := signs_of_life()) != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since >= patience:
                raise
        time.sleep(min(_LOOK_EVERY, patience))


@contextmanager
def using(recipe: Path, sharing: Sharing = ALONE) -> Iterator[Folder]:
    """Open and lock a recipe's folder; remove it if it is empty afterwards. Raises as `take`."""
    with open_below(recipe.parent.parent, recipe.parent.name, sharing=sharing) as stage:
        lock = take(stage, recipe.name)
        try:
            with stage.below(recipe.name) as folder:
                yield folder
            stage.remove_folder(recipe.name)
        finally:
            lock.release()


def _open(stage: Folder, name: str) -> tuple[int, bool]:
    """Descriptor of the lock's file, and whether it can be written."""
    try:
        descriptor = stage.opened(name, os.O_RDWR | os.O_CREAT, 0o660)
    except PermissionError:
        return stage.opened(name), False
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ELOOP, errno.ENXIO):
            raise
        stage.remove(name)  # a link or a pipe, which the store does not write
        raise _gone(stage, name) from None
    status = os.fstat(descriptor)
    if status.st_nlink != 1:  # another file under a second name
        os.close(descriptor)
        stage.remove(name)
        raise _gone(stage, name)
    if status.st_uid == os.geteuid():
        group = 0o060 if stage.sharing.file is not None or status.st_mode & 0o020 else 0
        os.fchmod(descriptor, 0o600 | group)
    return descriptor, True


def _gone(stage: Folder, name: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(stage.path / name))


def _is_at(stage: Folder, name: str, descriptor: int) -> bool:
    """Whether the open file still has that name."""
    with suppress(OSError):
        now = stage.opened(name)
        try:
            return os.path.sameopenfile(now, descriptor)
        finally:
            os.close(now)
    return False


def _say(descriptor: int) -> None:
    """Write into the lock's file who holds it."""
    me = {"pid": os.getpid(), "user": psutil.Process().username(), "host": socket.gethostname()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(me).encode()[:_MOST], 0)


def _holder(descriptor: int) -> str:
    """Who has the lock: by the system, else by the file's content."""
    holder: dict[str, object] = {}
    with suppress(ValueError, OSError, TypeError):
        holder = dict(json.loads(os.pread(descriptor, _MOST, 0)))
    pid, user, host = (_plain(holder.get(key)) for key in ("pid", "user", "host"))
    if (process := _process_with(os.fstat(descriptor).st_ino)) is not None:
        pid, host = str(process), socket.gethostname()
        try:
            user = psutil.Process(process).username()
        except psutil.Error:
            user = ""
    if not pid:
        return "an unknown process"
    return f"process {pid}" + (f" of {user}" if user else "") + (f" on {host}" if host else "")


def _process_with(inode: int) -> int | None:
    """The process of this machine that has locked a file, if the system tells."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/locks").read_text().splitlines():
            parts = line.split()
            if (
                "->" not in parts
                and len(parts) > 5
                and parts[1] == "FLOCK"
                and parts[5].rpartition(":")[2] == str(inode)
                and int(parts[4]) > 0
            ):
                return int(parts[4])
    return None


def _plain(value: object) -> str:
    """Another user's text, short and on one line."""
    return "".join(sign for sign in str(value or "") if sign.isprintable())[:64]
