"""What every stage script needs: paths from the command line, checked parameters, errors without traceback."""

from __future__ import annotations

import argparse
import errno
import inspect
import os
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

from facestats.errors import FaceStatsError
from facestats.params import load_params

_BY_DVC = "DVC_STAGE"  # environment: set by DVC for the stages that it runs
_LOOK_EVERY = 0.2  # seconds; DVC takes longer to start again
_FULL = (errno.ENOSPC, errno.EDQUOT)
_GRACE = 1.0  # seconds from Ctrl-C to the end, for what can't be interrupted: a batch of a large CLIP takes 10


def run_stage(main: Callable) -> None:
    """Call `main(params, …)` with the command line's arguments and exit with its outcome.

    The signature of `main` is the command line: every parameter after `params` is one positional argument,
    of the type it is annotated with (`Path` where nothing is said). `params.yaml` is read from the working
    directory, which is where DVC runs a stage. What `main` returns is printed with the seconds that it took; further
    lines of it stand below. A stage that DVC started ends with DVC.

    Exit code 0: done; 1: a `FaceStatsError` or a full disk, printed as one message; 130: interrupted.
    """
    script = sys.modules[main.__module__]
    parser = argparse.ArgumentParser(description=script.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for parameter in list(inspect.signature(main, eval_str=True).parameters.values())[1:]:
        kind = Path if parameter.annotation is parameter.empty else parameter.annotation
        parser.add_argument(parameter.name, type=kind)
    arguments = parser.parse_args()
    if hasattr(signal, "pthread_sigmask"):
        if os.environ.get(_BY_DVC):
            _in_background(_follow)
        _watch_interrupts()
    started = time.perf_counter()
    try:
        summary = main(load_params(), **vars(arguments))
    except FaceStatsError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = error.filename2 or error.filename or "no file named"  # of two, the second is the copy's target
        sys.exit(f"error: the disk is full ({where}); free some space and run again")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        os._exit(130)  # threads that compute, and what torch tears down, would take seconds
    seconds = time.perf_counter() - started
    line, _, below = (summary or "done").partition("\n")
    print(f"{line} seconds={seconds:.1f}", *filter(None, [below]), sep="\n")


def row_summary(rows: int, reused: int, computed: int, reasons: Iterable[str] = ()) -> str:
    """What a stage that works row by row says at its end: counts, and below them why images were rejected."""
    counts = Counter(reasons)
    line = f"rows={rows} reused={reused} computed={computed} rejected={counts.total()}"
    return "\n".join([line, *(f"  rejected {count}: {reason}" for reason, count in sorted(counts.items()))])


def start_clean(out: Path) -> None:
    """Remove a folder that DVC has removed before: what lies there now was left by a stage that outlived its DVC.

    In a run by hand it stays, with a warning.
    """
    if os.environ.get(_BY_DVC):
        shutil.rmtree(out, ignore_errors=True)
    elif out.is_dir() and any(out.iterdir()):
        warn(f"{out} is not empty: files of an earlier run stay there, also those of photos that are gone; remove it first")


def warn(message: str) -> None:
    """Print a warning that the user should read; it never stops a run."""
    print(f"warning: {message}", file=sys.stderr)


def _follow() -> None:
    """End this process when DVC is gone: an orphan would go on writing outs that the next run owns."""
    line = _line()
    while line and _line() == line:
        time.sleep(_LOOK_EVERY)
    os._exit(1)


def _line() -> list[int]:
    """Process ids from the parent up to DVC, past a shell between them; empty if one is gone.

    DVC may be gone before this process looks first: its imports take seconds. Whoever adopts it then is in another
    process group, while DVC's own children are in DVC's.
    """
    line = [os.getppid()]
    try:
        if _is_shell(parent := psutil.Process(line[0])):
            line.append(parent.ppid())
        return line if all(os.getpgid(pid) == os.getpgrp() for pid in line) else []
    except (psutil.Error, OSError):
        return []


def _is_shell(process: psutil.Process) -> bool:
    """Whether a process is the shell that DVC starts stages with; fish and old versions of sh stay, others become the stage."""
    try:
        return process.exe() == os.path.realpath(os.environ.get("SHELL") or "/bin/sh")
    except psutil.AccessDenied:
        return False


def _watch_interrupts() -> None:
    """See to it that Ctrl-C ends this process, also while it computes outside of Python."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # a job in the background is deaf to it
    seen, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(seen, 1) != bytes([signal.SIGINT]):
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
