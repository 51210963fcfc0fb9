"""Map a function over many items on all processors, in order."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice

from facestats.errors import FaceStatsError

_TOGETHER = 4  # items that a process takes at a time: handing one over costs 1 ms, and a kill loses so many
_PER_WORKER = 3  # such handfuls under way a worker: enough to keep it busy, few enough to keep memory flat
_WORTH_IT = 32  # items; a fresh process takes a second to import its libraries


def count_workers(items: int, workers: int | None = None) -> int:
    """How many processes to use: as many as this process may use processors, one for few items."""
    if workers is not None:
        return max(1, workers)
    if items < _WORTH_IT:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered_map(
    function: Callable, items: Iterable, workers: int, setup: Callable, arguments: tuple
) -> Iterator:
    """Yield `function(item)` for each item, in the order of the items.

    Parameters
    ----------
    function, setup : functions of a module; `setup(*arguments)` is called once in each process first
    workers : processes; 1 runs everything in this one

    Raises
    ------
    FaceStatsError
        A process died, most likely for lack of memory.
    """
    if workers == 1:
        setup(*arguments)
        yield from map(function, items)
        return
    # Fresh processes: a fork would inherit locks that threads of torch or LiteRT hold at that moment.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, context, _start, (setup, arguments))
    others = set(multiprocessing.active_children())
    done = False
    try:
        waiting, left = deque(), iter(items)
        while handful := list(islice(left, _TOGETHER)):
            with _no_interrupt():  # this starts the processes, which inherit it
                waiting.append(executor.submit(_map, function, handful))
            if len(waiting) >= workers * _PER_WORKER:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
        done = True
    except BrokenProcessPool:
        raise FaceStatsError(
            f"one of {workers} worker processes died, most likely for lack of memory; run again with fewer "
            "processors (`taskset -c 0 dvc repro`) or without the largest images"
        ) from None
    finally:
        if not done:  # nobody waits for the photos under way, which may be large
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
        executor.shutdown(wait=True, cancel_futures=True)


def _map(function: Callable, items: list) -> list:
    return [function(item) for item in items]


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


def _start(setup: Callable, arguments: tuple) -> None:
    """Prepare a worker: Ctrl-C is the parent's to handle; a worker ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    setup(*arguments)
