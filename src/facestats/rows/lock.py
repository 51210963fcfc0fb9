"""The lock of a recipe, a courtesy: no row is computed twice on one machine for want of patience.

Nothing that is written rests on it. A run that misses rows waits while another one has the lock,
and then takes that one's rows. One of many writers of a shard shares the lock, and waits for none.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from facestats.rows.folder import Folder
from facestats.rows.interface import ALONE, Sharing, StoreFolder, StorePath
from facestats.rows.place import open_below

PATIENCE = 300.0  # seconds without a new row or file after which a waiting run goes on
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


def take(stage: Folder, recipe: str, shared: bool = False) -> RowLock:
    """Take the lock of a recipe, without waiting; several processes may share it.

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
                kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
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
    are_there: Callable[[], bool] = lambda: False,
) -> RowLock | None:
    """Take the lock of a recipe, waiting as long as another run has it and works.

    Returns None once the rows are there that this run waits for.

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
    are_there : callable, optional
        Whether the wanted rows are there; called after each sign of life.

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
                    "ends or has those that are missing"
                )
            warned = True
            if (now := signs_of_life()) != seen:
                seen, since = now, time.monotonic()
                if are_there():
                    return None
            if time.monotonic() - since >= patience:
                raise
        time.sleep(min(_LOOK_EVERY, patience))


@contextmanager
def using(recipe: StorePath, sharing: Sharing = ALONE) -> Iterator[tuple[StoreFolder, str]]:
    """Open a recipe's folder, and lock it if nobody else has; remove it if it is empty afterwards.

    Yields
    ------
    folder : StoreFolder
    holder : str
        Who else has the lock; empty if nobody has, or where there are no locks, as in a bucket.
    """
    with (
        open_below(recipe.parent.parent, recipe.parent.name, sharing=sharing) as stage,
        ExitStack() as held,
    ):
        holder = ""
        try:
            if isinstance(stage, Folder):
                held.callback(take(stage, recipe.name).release)
        except HeldError as error:
            holder = str(error)
        except OSError:  # no lock of ours, or none at all: the folder says whether it is writable
            pass
        with stage.below(recipe.name) as folder:
            yield folder, holder
        if not holder:
            stage.remove_folder(recipe.name)


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
