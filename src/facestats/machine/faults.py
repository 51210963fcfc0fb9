"""Faults of the machine: no memory or threads, a failing disk or share, too many open files.

They say nothing about a file. What failed is tried again after a pause; then the stage stops with a
`FaultError`.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import mmap
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from tokenize import TokenError
from typing import Any, ParamSpec, TypeVar
from zipfile import BadZipFile

from facestats.errors import FaultError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# What numpy raises at arrays in a file that is damaged or made up.
DAMAGED_ARRAYS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    MemoryError,  # the header may claim any size
    OverflowError,
    BadZipFile,
    TokenError,
)
NO_MEMORY = (
    "not enough memory; what is done so far is kept: run again with fewer processors (`taskset -c "
    "0 dvc repro`), smaller values of size and batch_size in params.yaml, or fewer other programs"
)
NO_THREADS = (
    "the system lets this process start no further thread; what is done so far is kept: allow more "
    "(`ulimit -u`), or close other programs, and run again"
)
PAUSES = (0.1, 0.5, 2.0)  # seconds before each further attempt
# Messages of libheif, libjpeg, libavif, OpenCV, torch and C++ when memory has run out. A decoder's
# own limit is something else.
_NO_MEMORY = re.compile(
    r"out of memory|insufficient memory|not enough memory|can.t allocate memory|cannot allocate "
    r"memory|memory allocation (error|failed)|pixel allocation failed|bad_alloc",
    re.IGNORECASE,
)
_OWN_LIMIT = re.compile(r"limit", re.IGNORECASE)
_NO_THREADS = re.compile(r"can't start new thread|resource temporarily unavailable", re.IGNORECASE)
_THREADS = 4  # that a decoder of photos starts, at most, when it may start one at a time
_PASSING = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EAGAIN,
    errno.EHOSTDOWN,
    errno.ECONNRESET,
}
# These are about the file itself, and waiting does not change them.
_LASTING = {
    errno.ENOENT,
    errno.EEXIST,
    errno.ELOOP,
    errno.EINVAL,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENXIO,
    errno.ENAMETOOLONG,
}
_WAYS_OUT = {
    errno.ENOMEM: "run again with fewer processors (`taskset -c 0 dvc repro`), or close other "
    "programs",
    errno.EMFILE: "allow more open files (`ulimit -n 8192`) and run again",
    errno.ENFILE: "close other programs, and run again",
    errno.EAGAIN: "allow more processes (`ulimit -u`), or close other programs, and run again",
    errno.EACCES: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.EPERM: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.ENOENT: "leave the folder alone while a run reads it, and run again",
    errno.EIO: "check the disk (`dmesg` says more) or copy the file from elsewhere, and run again",
    errno.ESTALE: "mount the network disk again, and run again",
    errno.ETIMEDOUT: "check that the network disk answers, and run again",
}


def is_fault(error: BaseException) -> bool:
    """Whether an error is the machine's.

    The system's errors are (they have a number), lack of memory or threads, and a library that
    can't be loaded.
    """
    return isinstance(error, FaultError | ImportError) or _number(error) is not None


def is_passing(error: BaseException) -> bool:
    """Whether an error may pass: lack of memory, a failing disk or share, too many open files."""
    return isinstance(error, ImportError) or _number(error) in _PASSING


def is_of_machine(error: BaseException) -> bool:
    """Whether an error is the machine's and says nothing of the file, unlike that it is missing."""
    return is_fault(error) and not (isinstance(error, OSError) and error.errno in _LASTING)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out."""
    return _number(error) == errno.ENOMEM


def _number(error: BaseException) -> int | None:
    """The number of the system's error; None for an error that is not the machine's."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, OSError | FaultError) and error.errno is not None:
        return error.errno
    # Words count only where libraries speak for themselves: a ValueError, KeyError or SyntaxError
    # may quote a file, and a picture of 20 bytes can hold the word `bad_alloc`.
    if isinstance(error, RuntimeError) or type(error) is OSError or _is_of_opencv(error):
        text = str(error)
        if _NO_MEMORY.search(text) and not _OWN_LIMIT.search(text):
            return errno.ENOMEM
        if isinstance(error, RuntimeError) and _NO_THREADS.search(text):
            return errno.EAGAIN
    return None


def _is_of_opencv(error: BaseException) -> bool:
    return type(error).__module__ == "cv2"


def fault(what: object, error: BaseException) -> FaultError:
    """The error that stops a stage: what can't be read, why, and the way out."""
    number = _number(error)
    name = errno.errorcode.get(number or 0)
    cause = (
        f"{os.strerror(number)} ({name})"
        if number and name
        else f"{type(error).__name__}: {' '.join(str(error).split())}"
    )
    way = _WAYS_OUT.get(number or 0, "fix that, and run again")
    if isinstance(error, ImportError):
        way = "run again; if that does not help, `pip install --force-reinstall` its package"
    stopping = FaultError(
        f"{what} can't be read: {cause}. That is no fault of the file, so nothing is concluded "
        f"from it, and what is done so far is kept: {way}"
    )
    stopping.errno = number
    return stopping


def way_out(error: BaseException) -> str | None:
    """The message for lack of memory or threads; None for other errors."""
    return {errno.ENOMEM: NO_MEMORY, errno.EAGAIN: NO_THREADS}.get(_number(error) or 0)


@contextmanager
def starting_threads() -> Iterator[None]:
    """Raise a FaultError with the way out where a block can't start its threads."""
    try:
        yield
    except RuntimeError as error:
        if _number(error) != errno.EAGAIN:
            raise
        stopping = FaultError(NO_THREADS)
        stopping.errno = errno.EAGAIN
        raise stopping from None


def patiently(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Call a function; if the machine fails, call it again after each of `PAUSES`.

    The last error is raised. Errors that waiting can't change, such as a folder in a file's place,
    are raised at once.
    """
    for pause in PAUSES:
        try:
            return function(*arguments, **named)
        except Exception as error:
            if not is_fault(error) or (isinstance(error, OSError) and error.errno in _LASTING):
                raise
        time.sleep(pause)
    return function(*arguments, **named)


def memory_is_there(size: int) -> bool:
    """Whether this process could get so many more bytes now.

    The mapping is private, for a shared one does not count against `ulimit -d`.
    """
    try:
        mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError, OverflowError, ValueError):
        return False
    return True


def note_allocations() -> Callable[[], bool]:
    """Begin to note; the function returned says whether this thread was refused memory since then.

    Decoders report that as damage. The C library leaves its error number standing, unless another
    call fails meanwhile. Never true where there is no glibc.
    """
    location = _errno_location()
    if location is None:
        return lambda: False
    location()[0] = 0
    return lambda: location()[0] == errno.ENOMEM


@cache
def _errno_location() -> Any:
    try:
        location = ctypes.CDLL(None).__errno_location
    except (AttributeError, OSError, TypeError):
        return None
    location.restype = ctypes.POINTER(ctypes.c_int)
    return location


def threads_are_there(count: int = _THREADS) -> bool:
    """Whether this process could start so many more threads now."""
    hold = _thread.allocate_lock()
    with hold:
        try:
            for _ in range(count):
                # `Thread.start` would wait for ever for one that lacks memory to begin.
                _thread.start_new_thread(_wait, (hold,))
        except (RuntimeError, MemoryError):
            return False
    return True


def _wait(hold: _thread.LockType) -> None:
    with hold:
        pass
