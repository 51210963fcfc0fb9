"""Calls on data of strangers in a process of their own, which is kept for the next call.

The process is no copy of this one, and reads no script of the user's as `multiprocessing` would, so
a library function may start it unasked. Answers are JSON and bytes, never a pickle: who takes over
the process by its input has no code run here.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from facestats.errors import FaultError
from facestats.machine.faults import fault
from facestats.machine.limits import (
    STOPPED,
    CrashError,
    Limits,
    OverLimitError,
    limited,
    make_expendable,
)
from facestats.machine.pool import no_interrupt, signal_of_crash

_ATTEMPTS = 2  # at a call whose process was killed
_LENGTHS = struct.Struct("<QQ")  # of a message's JSON and of its bytes
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from importlib import import_module; "
    "import_module(sys.argv[2]).main(*map(float, sys.argv[3:]))"
)

Message = tuple[dict[str, Any], bytes | bytearray | memoryview]


class Children:
    """Processes that run a module's `main(seconds, memory)`, which calls `answer_calls`.

    A call takes a process that is idle, or starts one. Any thread may call.

    Parameters
    ----------
    module : str
        Its full name.
    limits : Limits
        What a call may take.
    what : str, default "a photo"
        What is read, for messages.
    """

    def __init__(self, module: str, limits: Limits, what: str = "a photo"):
        self.module, self.limits, self.what = module, limits, what
        self._idle: list[_Child] = []
        self._lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def call(self, head: dict[str, Any], body: bytes, fresh: bool = False) -> Message:
        """Send a call to a process, and wait for its answer.

        With `fresh`, to a new process, in which no earlier call holds memory.

        Raises
        ------
        OverLimitError
            It took too long.
        CrashError
            It crashed each of the processes that had it.
        FaultError
            No process can be started, or they are killed from outside.
        """
        code = 0
        for _ in range(_ATTEMPTS):
            child = self._take(fresh)
            try:
                answer = child.call(head, body)
            except (EOFError, OSError):
                code = child.end()
            except BaseException:  # Ctrl-C: its answer would be taken for that of the next call
                child.end()
                raise
            else:
                with self._lock:
                    self._idle.append(child)
                return answer
            if STOPPED is not None and code == -STOPPED:
                raise OverLimitError("seconds")
        if name := signal_of_crash(code, self.limits):
            raise CrashError(name)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise FaultError(
            f"the process that reads {self.what} ended twice ({how}), most likely for lack of "
            "memory; nothing is concluded from that: close other programs, and run again"
        )

    def start(self) -> None:
        """Start a process for the next call unless one is idle, and don't wait for it."""
        with self._lock:
            if not self._idle:
                self._idle.append(_Child(self.module, self.limits, self.what))

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.process.kill()  # it may still be importing
            child.end()

    def _take(self, fresh: bool) -> _Child:
        with self._lock:
            while self._idle and not fresh:
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()  # it was killed while it was idle
        return _Child(self.module, self.limits, self.what)

    def _forget(self) -> None:
        """After a fork: the processes answer to the one that started them."""
        self._lock = threading.Lock()
        for child in self._idle:
            child.leave()
        self._idle = []


class _Child:
    """A process, and our ends of its pipes."""

    def __init__(self, module: str, limits: Limits, what: str):
        command = [sys.executable, "-I", "-X", "utf8", "-c", _START, json.dumps(sys.path), module]
        try:
            with no_interrupt():  # the process inherits that
                self.process = subprocess.Popen(
                    [*command, str(limits.seconds), str(limits.memory)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
        except OSError as error:
            raise fault(what, error) from None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.calls, self.answers = self.process.stdin, self.process.stdout

    def call(self, head: dict[str, Any], body: bytes) -> Message:
        _send(self.calls, head, body)
        return _receive(self.answers)

    def end(self) -> int:
        """End it; returns its exit code, negative for a signal."""
        with suppress(OSError):
            self.calls.close()
        with suppress(subprocess.TimeoutExpired):  # of itself, if it has ended or is idle
            self.process.wait(1)
        self.process.kill()
        self.answers.close()
        return self.process.wait()

    def leave(self) -> None:
        """Close our ends of the pipes of a process that another one has started."""
        for pipe in (self.calls, self.answers):
            with suppress(OSError):
                pipe.close()
        self.process.returncode = 0  # no child of this process, so there is nothing to wait for


def answer_calls(
    function: Callable[[dict[str, Any], bytearray], Message], seconds: float, memory: float
) -> None:
    """Answer calls by a function until the caller has gone; for the process's `main`.

    Parameters
    ----------
    function : callable
        From JSON and bytes to JSON and bytes.
    seconds, memory : float
        Limits of a call.
    """
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)  # decoders print
    limits = Limits(seconds, int(memory))
    make_expendable(limits)
    with suppress(EOFError, BrokenPipeError):
        while True:
            head, body = _receive(calls)
            with limited(limits):
                answer = function(head, body)
            del body
            _send(answers, *answer)


def _send(file: IO[bytes], head: dict[str, Any], body: bytes | bytearray | memoryview) -> None:
    text = json.dumps(head).encode()
    file.write(_LENGTHS.pack(len(text), len(body)) + text)
    file.write(body)
    file.flush()


def _receive(file: IO[bytes]) -> tuple[dict[str, Any], bytearray]:
    lengths = _LENGTHS.unpack(_read(file, _LENGTHS.size))
    return json.loads(_read(file, lengths[0])), _read(file, lengths[1])


def _read(file: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = file.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        filled += count
    return data
