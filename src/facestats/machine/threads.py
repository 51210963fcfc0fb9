"""Work for several processors whose bits do not depend on their number: threads compute alone."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from facestats.machine.faults import starting_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

_here = threading.local()


def processors() -> int:
    """Number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy and torch compute on one thread: sums in another order give other bits."""
    with _one_of_torch(), threadpool_limits(1):
        yield


@contextmanager
def _one_of_torch() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)  # also those of threads to come


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> list[Result]:
    """Call a function for each item, with a thread a processor.

    In each thread, torch computes on one thread; for NumPy's products, call this inside
    `one_thread`. Calls within these threads start no others. After an error or Ctrl-C nothing more
    begins, and nothing that runs is waited for.

    Parameters
    ----------
    function : callable
        Takes an item.
    items : iterable
        Items, taken up to two a thread ahead.
    most : int
        Largest number of threads, at least 1.

    Returns
    -------
    list
        Results in the order of the items.
    """
    workers = 1 if getattr(_here, "at_work", False) else min(processors(), most)
    with _one_of_torch(), starting_threads():
        if workers == 1:
            return [function(item) for item in items]
        pool = ThreadPoolExecutor(workers, initializer=_begin)
        results, ahead = [], deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) == 2 * workers:
                    results.append(ahead.popleft().result())
            return results + [future.result() for future in ahead]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    _here.at_work = True
    torch.set_num_threads(1)
    if hasattr(signal, "pthread_sigmask"):
        # Ctrl-C belongs to the main thread, which only waits
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
