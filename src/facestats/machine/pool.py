"""Map a function over many items on all processors, with limits of time and memory for each.

It does not use `concurrent.futures`: when a process ends, we must know which item it had, and the
other processes must continue.
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
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

from facestats.errors import FaceStatsError
from facestats.machine.faults import memory_is_there
from facestats.machine.limits import (
    STOPPED,
    CrashError,
    Limits,
    OverLimitError,
    limited,
    make_expendable,
)

_TOGETHER = 4  # items a batch: handing one over costs about 0.1 ms, and a kill loses it
_PER_WORKER = 3  # batches under way: enough to keep a worker busy, few enough to save memory
_WORTH_IT = 32  # items; a fresh process takes a second to import its libraries
_ATTEMPTS = 2  # at an item whose process was killed from outside
_CRASHES = [
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
]


class KilledError(FaceStatsError):
    """A process was killed from outside, most likely for lack of memory."""


def count_workers(items: int, workers: int | None = None) -> int:
    """Number of processes: that of the available processors; one for few items."""
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
    over: Callable[[Any, OverLimitError | CrashError], Any] | None = None,
    name: Callable[[Any], str] = str,
) -> Iterator:
    """Yield `function(item)` for each item, in the order of the items.

    Parameters
    ----------
    function, setup : callable
        Functions of a module; `setup(*arguments)` is called once in each process first.
    items : iterable
        What `function` takes.
    workers : int
        Number of processes; 0 runs everything in this one, which has no limits.
    arguments : tuple
        Of `setup`.
    limits : Limits or None, optional
        What an item may take; if one takes more, its process is ended and replaced.
    over : callable or None, optional
        `over(item, error)` gives the result of such an item, and of one that crashes its process
        twice.
    name : callable, default str
        Names an item in an error.

    Raises
    ------
    KilledError
        A process was killed twice at the same item, which is named.
    Exception
        What `function` raises.
    """
    with Processes(function, workers, setup, arguments, limits) as processes:
        yield from processes.map(items, over, name)


class _Batch:
    """Some items, and the results of the first of them."""

    def __init__(self, items: list):
        self.items, self.results = items, []
        self.attempts = 0  # at the next item

    @property
    def done(self) -> bool:
        return len(self.results) == len(self.items)

    def add(self, result: Any) -> None:
        self.results.append(result)
        self.attempts = 0


class _Worker:
    """A process, our end of the line to it, and the batch that it has."""

    def __init__(
        self, function: Callable, setup: Callable, arguments: tuple, limits: Limits | None
    ):
        # A fresh process: a fork would inherit locks that threads of torch or LiteRT hold.
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, function, setup, arguments, limits), daemon=True
        )
        with no_interrupt():  # the process inherits that
            self.process.start()
        theirs.close()
        self.batch: _Batch | None = None
        self.fresh = True  # has had no item yet

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


class Processes:
    """Processes that map a function over one run of items after another; a context manager.

    Parameters are those of `ordered_map`. A process is started when there is work for it.

    Attributes
    ----------
    most : int
        Number of processes from the next run on.
    """

    def __init__(
        self,
        function: Callable,
        workers: int,
        setup: Callable,
        arguments: tuple,
        limits: Limits | None = None,
    ):
        self._start = lambda: _Worker(function, setup, arguments, limits)
        self._function, self._setup = function, lambda: setup(*arguments)
        self._limits = limits
        self.most = workers
        self._workers: list[_Worker] = []
        self._waiting: deque[_Batch] = deque()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error) -> None:
        """End all processes without waiting for items under way, which may be large."""
        for worker in self._workers:
            worker.end()

    def map(
        self,
        items: Iterable,
        over: Callable[[Any, Any], Any] | None = None,
        name: Callable[[Any], str] = str,
        errors: tuple[type[Exception], ...] = (OverLimitError, CrashError),
    ) -> Iterator:
        """Yield `function(item)` for each item, in order; to be taken to its end.

        `over(item, error)` gives the result of an item that ends in one of `errors`. Other
        parameters and errors are those of `ordered_map`.
        """
        if self.most == 0:
            yield from self._map_here(items, over, errors)
            return
        left, queue = iter(items), deque()
        while True:
            while len(queue) < self.most * _PER_WORKER and (some := list(islice(left, _TOGETHER))):
                queue.append(_Batch(some))
                self._waiting.append(queue[-1])
            if not queue:
                return
            while not queue[0].done:
                self._step()
            for item, result in zip(queue[0].items, queue.popleft().results, strict=True):
                if over and isinstance(result, errors):
                    yield over(item, result)
                elif isinstance(result, KilledError):
                    raise KilledError(f"{name(item)}: {result}")
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result

    def _map_here(
        self,
        items: Iterable,
        over: Callable[[Any, Any], Any] | None,
        errors: tuple[type[Exception], ...],
    ) -> Iterator:
        for number, item in enumerate(items):
            if not number:
                self._setup()
            try:
                result = self._function(item)
            except errors as error:
                if over is None:
                    raise
                result = over(item, error)
            yield result

    def _step(self) -> None:
        """Hand out waiting batches, then wait for results and take them."""
        while self._waiting and (free := self._free()):
            free.batch = self._waiting.popleft()
            with suppress(OSError):  # it has just ended, which its line shows next
                free.line.send(free.batch.items[len(free.batch.results) :])
        busy = {worker.line: worker for worker in self._workers if worker.batch}
        ready = set(wait(list(busy)))
        for line, worker in busy.items():
            if line in ready:
                self._receive(worker)

    def _free(self) -> _Worker | None:
        free = next((worker for worker in self._workers if worker.batch is None), None)
        if free is None and len(self._workers) < self.most:
            free = self._start()
            self._workers.append(free)
        return free

    def _receive(self, worker: _Worker) -> None:
        try:
            result = worker.line.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        assert worker.batch is not None
        if isinstance(result, OverLimitError) and not worker.fresh:  # earlier items may hold memory
            self._end(worker)
            self._waiting.appendleft(worker.batch)
            return
        worker.fresh = False
        worker.batch.add(result)
        if worker.batch.done:
            worker.batch = None

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.end()

    def _bury(self, worker: _Worker) -> None:
        """Decide about the item of a process that ended or was killed; requeue the others."""
        self._end(worker)
        batch, code = worker.batch, worker.process.exitcode
        assert batch is not None
        if STOPPED is not None and code == -STOPPED:
            batch.add(OverLimitError("seconds"))
        else:
            batch.attempts += 1
            if code is not None and code >= 0:
                batch.add(
                    KilledError(
                        f"its worker process ended by itself (exit code {code}); the reason stands "
                        "above. A script that starts worker processes needs `if __name__ == "
                        "'__main__':`"
                    )
                )
            elif batch.attempts == _ATTEMPTS and (crash := signal_of_crash(code, self._limits)):
                batch.add(CrashError(crash))
            elif batch.attempts == _ATTEMPTS:
                killer = signal.Signals(-(code or -9))
                error = KilledError(
                    f"its worker process was killed twice (signal {killer.name}), most likely for "
                    "lack of memory; nothing is concluded from that, and what is done so far is "
                    "kept: run again with fewer processors (`taskset -c 0 dvc repro`), or move the "
                    "photo away"
                )
                batch.add(error)
        if not batch.done:
            self._waiting.appendleft(batch)


def signal_of_crash(code: int | None, limits: Limits | None) -> str | None:
    """The name of the signal with which a process ended itself by what it was given.

    None where the system may have done that, for it has less memory than the process may take.
    """
    if limits is None or code is None or -code not in _CRASHES:
        return None
    return signal.Signals(-code).name if memory_is_there(limits.memory) else None


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Delay Ctrl-C: a process that is still importing would print a traceback."""
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
    """Run a worker until its parent ends, which also handles Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_follow, daemon=True).start()
        setup(*arguments)
    except Exception as error:  # every item gets this error
        failed = error
        function = lambda item: _raise(failed)  # noqa: E731
    if limits:
        make_expendable(limits)
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            for item in line.recv():
                with limited(limits):
                    try:
                        result = function(item)
                    except Exception as error:
                        result = _portable(error)
                line.send(result)


def _portable(error: Exception) -> Exception:
    """An error that can be sent to another process, with its traceback if it is unexpected."""
    if not isinstance(error, FaceStatsError | OverLimitError):
        error.add_note(traceback.format_exc())
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # its class takes other arguments than a text
        return FaceStatsError(f"{type(error).__name__}: {error}")


def _raise(error: Exception) -> None:
    raise error


def _follow() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
