"""Faults of the machine: no memory, a failing disk or share, too many open files.

They say nothing about a file. What failed is tried again after a pause; then the stage stops with a
`FaultError`.
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
    "0 dvc repro`), smaller values of size and batch_size in params.yaml, or fewer other programs"
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
    errno.EACCES: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.EPERM: "`chmod u+r` it or move it away; on a network disk, log in again",
    errno.ENOENT: "leave the folder alone while a run reads it, and run again",
    errno.EIO: "check the disk (`dmesg` says more) or copy the file from elsewhere, and run again",
    errno.ESTALE: "mount the network disk again, and run again",
    errno.ETIMEDOUT: "check that the network disk answers, and run again",
}


def is_fault(error: BaseException) -> bool:
    """Whether an error is the machine's: the system's (it has a number), or lack of memory."""
    return (isinstance(error, OSError) and error.errno is not None) or is_out_of_memory(error)


def is_passing(error: BaseException) -> bool:
    """Whether an error may pass: lack of memory, a failing disk or share, too many open files."""
    return is_out_of_memory(error) or (isinstance(error, OSError) and error.errno in _PASSING)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory has run out."""
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    text = str(error)
    return bool(_NO_MEMORY.search(text)) and not _OWN_LIMIT.search(text)


def fault(what: object, error: BaseException) -> FaultError:
    """The error that stops a stage: what can't be read, why, and the way out."""
    number = error.errno if isinstance(error, OSError) else None
    if is_out_of_memory(error):
        number = errno.ENOMEM
    name = errno.errorcode.get(number or 0)
    cause = (
        f"{os.strerror(number)} ({name})"
        if number and name
        else f"{type(error).__name__}: {' '.join(str(error).split())}"
    )
    way = _WAYS_OUT.get(number or 0, "fix that, and run again")
    return FaultError(
        f"{what} can't be read: {cause}. That is no fault of the file, so nothing is concluded "
        f"from it, and what is done so far is kept: {way}"
    )


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
