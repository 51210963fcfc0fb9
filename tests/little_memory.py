"""A function called where memory is short."""

import contextlib
import ctypes
import gc
import os
import resource


def in_little_memory(size: int, function) -> str:
    """What a function returns, or says, in a process that may have so many bytes more."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            with open("/proc/self/status") as status:
                lines = dict(line.split(":", 1) for line in status)
            most = int(lines["VmData"].split()[0]) * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (most, most + size))
            taken = []  # memory that earlier tests have freed is no reserve
            with contextlib.suppress(MemoryError):
                while True:
                    taken.append(bytearray(1 << 20))
            resource.setrlimit(resource.RLIMIT_DATA, (most + size, most + size))
            outcome = str(function())
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        os.write(writer, outcome.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        outcome = file.read()
    os.waitpid(child, 0)
    return outcome
