"""Work for several processors whose bits do not depend on how many there are.

Every thread computes alone.
"""

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

Item = TypeVar("Item")
Result = TypeVar("Result")

_here = threading.local()


def processors() -> int:
    """How many this process may use."""
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
    """What a function gives for each item, in their order, computed by a thread a processor.

    torch computes on one thread in each; for what NumPy multiplies, call this inside `one_thread`.
    A thread that is one of these starts no others. After an error or Ctrl-C nothing more is begun,
    but what runs is not waited for.

    Parameters
    ----------
    items : Iterable[Item]
        Taken up to two a thread ahead.
    most : int
        Threads, at least 1.
    """
    workers = 1 if getattr(_here, "at_work", False) else min(processors(), most)
    with _one_of_torch():
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
