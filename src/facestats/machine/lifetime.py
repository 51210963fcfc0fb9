"""Early ends of a stage's process: with the DVC that started it, and at Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

_BY_DVC = "DVC_STAGE"  # environment: set by DVC for the stages that it runs
_LOOK_EVERY = 0.2  # seconds; DVC takes longer to start again
_GRACE = 1.0  # seconds from Ctrl-C to the end; a batch of a large CLIP takes 10, uninterruptibly


def started_by_dvc() -> bool:
    """Whether DVC runs this process as a stage."""
    return bool(os.environ.get(_BY_DVC))


def end_in_time() -> None:
    """End this process with DVC, if DVC started it, and within a second of Ctrl-C.

    Does nothing on Windows.
    """
    if hasattr(signal, "pthread_sigmask"):
        if started_by_dvc():
            _in_background(_follow)
        _watch_interrupts()


def _follow() -> None:
    """End this process with DVC: an orphan would write into outs of the next run."""
    line = _line()
    while line and _line() == line:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def _line() -> list[int]:
    """Process ids from the parent up to DVC, with a shell between them; empty if one has ended.

    DVC may end before this process looks first, for imports take seconds. The process that then
    adopts it is in another process group; DVC's own children are in DVC's.
    """
    line = [os.getppid()]
    try:
        if _is_shell(parent := psutil.Process(line[0])):
            line.append(parent.ppid())
        return line if all(os.getpgid(pid) == os.getpgrp() for pid in line) else []
    except (psutil.Error, OSError):
        return []


def _is_shell(process: psutil.Process) -> bool:
    """Whether a process is the shell that DVC starts stages with.

    Fish and old versions of sh stay; others become the stage.
    """
    try:
        return process.exe() == os.path.realpath(os.environ.get("SHELL") or "/bin/sh")
    except psutil.AccessDenied:
        return False


def _watch_interrupts() -> None:
    """Let Ctrl-C end this process also while it computes outside of Python."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # a job in the background ignores it
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(receiver, 1) != bytes([signal.SIGINT]):
            pass
        time.sleep(_GRACE)
        os._exit(130)

    _in_background(watch)


def _in_background(function: Callable[[], None]) -> None:
    """Run a function beside the main thread, to which Ctrl-C belongs."""

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        function()

    threading.Thread(target=run, daemon=True).start()
