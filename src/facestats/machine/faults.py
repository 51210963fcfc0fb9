"""Faults of the machine, from which nothing is concluded about a file.

Out of memory, a disk or share that fails, too many open files. Such an error is met with patience
first; then the stage stops with a `FaultError`.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from facestats.errors import FaultError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

NO_MEMORY = (
    "not enough memory; what is done so far is kept: run again with fewer processors (`taskset -c "
    "0 dvc repro`), smaller values of size and "
    "batch_size in params.yaml, or less beside it"
)
PAUSES = (0.1, 0.5, 2.0)  # seconds before each further attempt
# How libraries say in their own words that memory has run out: libheif, libjpeg, libavif, OpenCV,
# torch, C++. A limit that a decoder sets itself is none.
_NO_MEMORY = re.compile(
    r"out of memory|insufficient memory|not enough memory|can.t allocate memory|cannot allocate "
    r"memory|memory allocation (error|failed)|pixel allocation failed|bad_alloc",
    re.IGNORECASE,
)
_OWN_LIMIT = re.compile(r"limit", re.IGNORECASE)
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
# What a file is, which waiting does not change.
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
    errno.EACCES: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.EPERM: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.ENOENT: "leave the folder alone while a run reads it, and run again",
    errno.EIO: "look after the disk (`dmesg` says more) or copy the file from elsewhere, and run "
    "again",
    errno.ESTALE: "mount the network disk anew, and run again",
    errno.ETIMEDOUT: "see that the network disk answers, and run again",
}


def is_fault(error: BaseException) -> bool:
    """Whether an error is the machine's: of the system (it has a number), or for want of memory."""
    return (isinstance(error, OSError) and error.errno is not None) or is_out_of_memory(error)


def is_passing(error: BaseException) -> bool:
    """Whether an error may pass, and says nothing of the file.

    Want of memory, a disk or share that fails, too many open files.
    """
    return is_out_of_memory(error) or (isinstance(error, OSError) and error.errno in _PASSING)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out, in whatever words."""
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    text = str(error)
    return bool(_NO_MEMORY.search(text)) and not _OWN_LIMIT.search(text)


def fault(what: object, error: BaseException) -> FaultError:
    """The error that stops a stage: what can't be read, why, and the way out."""
    number = (
        errno.ENOMEM
        if is_out_of_memory(error)
        else error.errno
        if isinstance(error, OSError)
        else None
    )
    name = errno.errorcode.get(number or 0)
    cause = (
        f"{os.strerror(number)} ({name})"
        if number and name
        else f"{type(error).__name__}: {' '.join(str(error).split())}"
    )
    way = _WAYS_OUT.get(number or 0, "mend it, and run again")
    return FaultError(
        f"{what} can't be read: {cause}. That is no fault of the file, so nothing is concluded "
        f"from it, and what is done so far is kept: {way}"
    )


def patiently(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Call a function; where the machine fails it, again after each of `PAUSES`.

    The last error is raised as it is. What waiting can't change, such as a link or a folder in a
    file's place, is raised at once.
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
    """Whether this process could have so many bytes more now.

    The mapping is private: of a shared one the system does not count the bytes against `ulimit -d`.
    """
    try:
        mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError, OverflowError, ValueError):
        return False
    return True
