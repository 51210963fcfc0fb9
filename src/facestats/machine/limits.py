"""Limits of time and memory for a call, in a process that may be ended at them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facestats.machine.faults import memory_is_there

STOPPED = signal.SIGPROF if hasattr(signal, "SIGPROF") else None  # ends a process in time
_KEPT = 1 << 28  # bytes that a worker keeps for its next item, see `runtime.keep_freed_memory`


@dataclass(frozen=True)
class Limits:
    """What one item may take of its process.

    Attributes
    ----------
    seconds : float
        Processor time: a clock would run on while other programs work.
    memory : int
        Bytes beyond those that the process has before its first item.
    """

    seconds: float
    memory: int


class OverLimitError(Exception):
    """An item took more than `Limits` allows; the text says of what."""


class CrashError(Exception):
    """An item ended each process that had it; the text is the signal's name."""


_limit: list[tuple[int, int]] = []  # of this process before `limit_memory`
_expendable: list[Limits] = []  # of a process that may be ended


def make_expendable(limits: Limits) -> None:
    """Limit the memory of this process, which others may start anew; see `is_expendable`."""
    limit_memory(limits.memory)
    _expendable[:] = [limits]


def is_expendable() -> bool:
    """Whether this process has limits, and may end at what no other should be given."""
    return bool(_expendable)


@contextmanager
def limited(limits: Limits | None) -> Iterator[None]:
    """End this process if the block takes longer than it may.

    A signal without a handler does it: decoders hold Python's lock, so a thread could not.
    """
    if limits is None or STOPPED is None:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def limit_memory(size: int) -> None:
    """Limit this process to so many more bytes than it has, and those that it keeps when freed.

    Does nothing if the system has no such limit.
    """
    try:
        import resource

        with open("/proc/self/status", encoding="ascii") as file:
            taken = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmData:"))
    except (ImportError, OSError, StopIteration, ValueError):
        return
    most, (soft, hard) = taken + size + _KEPT, resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY or most < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
        _limit.append((soft, hard))


def is_own_limit(size: int) -> bool:
    """Whether memory has run out only because of `limit_memory`: the system has so many bytes."""
    if not _limit:
        return False
    import resource

    own = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, _limit[0])
    try:
        return memory_is_there(size)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, own)
