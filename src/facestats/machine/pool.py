"""Map a function over many items on all processors, with limits of time and memory each.

Processes of its own, not `concurrent.futures`: when one of these ends, it must be known which item
it had in hand, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

from facestats.errors import FaceStatsError
from facestats.machine.faults import memory_is_there

# items that a process takes at a time: handing them over costs some 0.1 ms, and a kill loses so
# many
_TOGETHER = 4
_PER_WORKER = (
    3  # such handfuls under way a worker: enough to keep it busy, few enough to keep memory flat
)
_WORTH_IT = 32  # items; a fresh process takes a second to import its libraries
_KEPT = 1 << 28  # bytes that a worker keeps for its next item, see `runtime.keep_freed_memory`
_ATTEMPTS = 2  # at an item whose process was killed from outside
_STOPPED = signal.SIGPROF if hasattr(signal, "SIGPROF") else None


@dataclass(frozen=True)
class Limits:
    """What one item may take of its process.

    Attributes
    ----------
    seconds : float
        Of a processor, not of a clock, which would run on while other programs work.
    memory : int
        Bytes beyond what the process has taken before its first item.
    """

    seconds: float
    memory: int


class OverLimitError(Exception):
    """An item took more than `Limits` let it; its text says of what."""


class KilledError(FaceStatsError):
    """A process was killed from outside, most likely for lack of memory."""


def count_workers(items: int, workers: int | None = None) -> int:
    """How many processes to use: as many as this process may use processors, one for few items."""
    if workers is not None:
        return max(0, workers)
    if items < _WORTH_IT:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable,
    items: Iterable,
    workers: int,
    setup: Callable,
    arguments: tuple,
    limits: Limits | None = None,
    over: Callable[[Any, OverLimitError], Any] | None = None,
    name: Callable[[Any], str] = str,
) -> Iterator:
    """Yield `function(item)` for each item, in the order of the items.

    Parameters
    ----------
    function, setup : callable
        Functions of a module; `setup(*arguments)` is called once in each process first.
    workers : int
        Processes; 0 runs everything in this one, where no limit can be kept.
    limits : Limits or None, optional
        What an item may take; where one takes more, its process is ended, and another one goes on.
    over : callable or None, optional
        `over(item, error)` stands for the result of such an item.
    name : callable, default str
        What an item is called in an error.

    Raises
    ------
    KilledError
        A process was killed, twice over the same item, which is named.
    Exception
        What `function` raises.
    """
    if workers == 0:
        setup(*arguments)
        yield from map(function, items)
        return
    pool = _Pool(function, workers, setup, arguments, limits)
    try:
        # of handfuls under way, the first is the next to be yielded
        left, queue = (
            enumerate(items),
            deque(),
        )
        while True:
            while len(queue) < workers * _PER_WORKER and (handful := list(islice(left, _TOGETHER))):
                queue.append(_Handful([item for _, item in handful]))
                pool.waiting.append(queue[-1])
            if not queue:
                return
            while not queue[0].done:
                pool.step()
            for item, result in zip(queue[0].items, queue.popleft().results, strict=True):
                if isinstance(result, OverLimitError) and over:
                    yield over(item, result)
                elif isinstance(result, KilledError):
                    raise KilledError(f"{name(item)}: {result}")
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
    finally:
        pool.close()


class _Handful:
    """Some items, and the results of the first of them."""

    def __init__(self, items: list):
        self.items, self.results = items, []
        self.attempts = 0  # at the item that is next

    @property
    def done(self) -> bool:
        return len(self.results) == len(self.items)

    def add(self, result: Any) -> None:
        self.results.append(result)
        self.attempts = 0


class _Worker:
    """A process, this end of the line to it, and what it has in hand."""

    def __init__(
        self, function: Callable, setup: Callable, arguments: tuple, limits: Limits | None
    ):
        # A fresh process: a fork would inherit locks that threads of torch or LiteRT hold at that
        # moment.
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, function, setup, arguments, limits), daemon=True
        )
        with _no_interrupt():  # which the process inherits
            self.process.start()
        theirs.close()
        self.handful: _Handful | None = None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


class _Pool:
    """The processes, and the handfuls that wait for one."""

    def __init__(
        self,
        function: Callable,
        workers: int,
        setup: Callable,
        arguments: tuple,
        limits: Limits | None,
    ):
        self._start = lambda: _Worker(function, setup, arguments, limits)
        self._most = workers
        self.workers: list[_Worker] = []
        self.waiting: deque[_Handful] = deque()

    def step(self) -> None:
        """Hand out what waits, and take what comes back; waits for something to come."""
        while self.waiting and (free := self._free()):
            free.handful = self.waiting.popleft()
            with suppress(OSError):  # it has just ended, as its line tells next
                free.line.send(free.handful.items[len(free.handful.results) :])
        busy = {worker.line: worker for worker in self.workers if worker.handful}
        ready = set(wait(list(busy)))
        for line, worker in busy.items():
            if line in ready:
                self._receive(worker)

    def close(self) -> None:
        """End all processes: nobody waits for the items under way, which may be large."""
        for worker in self.workers:
            worker.end()

    def _free(self) -> _Worker | None:
        free = next((worker for worker in self.workers if worker.handful is None), None)
        if free is None and len(self.workers) < self._most:
            free = self._start()
            self.workers.append(free)
        return free

    def _receive(self, worker: _Worker) -> None:
        try:
            result = worker.line.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        assert worker.handful is not None
        worker.handful.add(result)
        if worker.handful.done:
            worker.handful = None

    def _bury(self, worker: _Worker) -> None:
        """Decide about the item of a process that ended or was killed; have the others done."""
        self.workers.remove(worker)
        worker.end()
        handful, code = worker.handful, worker.process.exitcode
        assert handful is not None
        if _STOPPED is not None and code == -_STOPPED:
            handful.add(OverLimitError("seconds"))
        else:
            handful.attempts += 1
            if code is not None and code >= 0:
                handful.add(
                    KilledError(
                        f"its worker process ended by itself (exit code {code}), as is said "
                        "above; a script that starts worker processes "
                        "needs `if __name__ == '__main__':`"
                    )
                )
            elif handful.attempts == _ATTEMPTS:
                handful.add(
                    KilledError(
                        "its worker process was ended twice (signal "
                        f"{signal.Signals(-(code or -9)).name}), most likely for lack of memory; "
                        "nothing is concluded from that, and what is done so far is kept: run "
                        "again with fewer processors "
                        "(`taskset -c 0 dvc repro`), or move the photo away"
                    )
                )
        if not handful.done:
            self.waiting.appendleft(handful)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Keep Ctrl-C waiting: a process that is still importing would answer it with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    line: Connection, function: Callable, setup: Callable, arguments: tuple, limits: Limits | None
) -> None:
    """The life of a worker.

    Ctrl-C is the parent's to handle; a worker ends when its parent does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()
    try:
        setup(*arguments)
    except Exception as error:  # every item meets the same
        failed = error
        function = lambda item: _raise(failed)  # noqa: E731
    if limits:
        limit_memory(limits.memory)
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            for item in line.recv():
                with _limited(limits):
                    try:
                        result = function(item)
                    except Exception as error:
                        result = _portable(error)
                line.send(result)


def _portable(error: Exception) -> Exception:
    """An error as it can be sent to another process.

    With the place where it arose, if that was not foreseen.
    """
    if not isinstance(error, FaceStatsError | OverLimitError):
        error.add_note(traceback.format_exc())
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # its class wants other arguments than its text
        return FaceStatsError(f"{type(error).__name__}: {error}")


def _raise(error: Exception) -> None:
    raise error


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _limited(limits: Limits | None) -> Iterator[None]:
    """End this process where the block takes longer than it may.

    A signal that nobody handles: decoders hold Python's lock, so that no thread of Python could
    look after them.
    """
    if limits is None or _STOPPED is None:
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def limit_memory(size: int) -> None:
    """Let this process take so many bytes more than it has, and what it keeps freed.

    Does nothing where the system knows no such limit.
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


_limit: list[tuple[int, int]] = []  # of this process before `limit_memory`


def is_own_limit(size: int) -> bool:
    """Whether memory has run out because of `limit_memory` alone.

    Without it, the system would give so many bytes.
    """
    if not _limit:
        return False
    import resource

    own = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, _limit[0])
    try:
        return memory_is_there(size)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, own)
