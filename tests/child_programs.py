"""What processes of `machine.child` run in tests."""

import os
import signal
import time
from pathlib import Path

from facestats.machine.child import answer_calls


def main(seconds: float, memory: float) -> None:
    answer_calls(_answer, seconds, memory)


def _answer(head: dict, body: bytearray) -> tuple:
    if "crash" in head:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "leave" in head:
        os._exit(3)
    if "kill once" in head and not (path := Path(head["kill once"])).exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in head:
        while True:
            pass
    if "wait" in head:
        time.sleep(head["wait"])
    print("what a decoder prints is no answer")
    return {"pid": os.getpid(), **head}, bytes(reversed(body))
