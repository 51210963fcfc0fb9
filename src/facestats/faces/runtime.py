"""Run a TFLite file on LiteRT, one thread, and keep memory for the next photo."""

import ctypes
import hashlib
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from facestats.errors import ModelError
from facestats.faces.models import SHA256
from facestats.machine.faults import fault, is_of_machine

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def load_interpreter(
    path: Path, inner: tuple[int, ...] = ()
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Load a TFLite file; return a function from its input to the list of its outputs.

    One thread: the networks are too small to gain from more, and processes share the processors
    already.

    Parameters
    ----------
    path : Path
        The file.
    inner : tuple[int, ...], default ()
        Numbers of tensors within the network, of which the outputs have a copy, after its own.

    Raises
    ------
    ModelError
        The file is missing, is not the one of that name that MediaPipe ships, or LiteRT can't read
        it.
    """
    from ai_edge_litert.interpreter import Interpreter

    path = Path(path)
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file; the stage `fetch_landmarker` puts it there (`dvc repro "
            "fetch_landmarker`)"
        )
    try:
        model = path.read_bytes()
        digest, expected = hashlib.sha256(model).hexdigest(), SHA256.get(path.name)
        # A network is a program, and LiteRT is not made for those of strangers.
        if expected not in (None, digest):
            raise ModelError(
                f"{path} has sha256 {digest}, expected {expected}: it was damaged or replaced, and "
                "is not loaded; `dvc repro -f fetch_landmarker` fetches it again"
            )
        with _quiet():
            content = _with_outputs(model, inner)
            interpreter = Interpreter(model_content=content, num_threads=1)
            interpreter.allocate_tensors()
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        if is_of_machine(error):
            raise fault(path, error) from None
        raise ModelError(f"{path}: LiteRT can't load it ({error})") from error
    source = interpreter.get_input_details()[0]["index"]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def run(tensor: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(source, tensor)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return run


def _with_outputs(model: bytes, tensors: tuple[int, ...]) -> bytes:
    """A TFLite file whose network puts out inner tensors as well.

    Without this LiteRT gives their memory to the next layer. The file is a flat buffer: the list of
    outputs is written anew at its end, and the field that points to it is set.
    """
    if not tensors:
        return model
    graphs = _pointed(model, _field(model, _pointed(model, 0), 2))
    field = _field(model, _pointed(model, graphs + 4), 2)
    place = _pointed(model, field)
    (count,) = struct.unpack_from("<I", model, place)
    outputs = [*struct.unpack_from(f"<{count}i", model, place + 4), *tensors]
    content = bytearray(model + bytes(-len(model) % 4))
    struct.pack_into("<I", content, field, len(content) - field)
    return bytes(content + struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs))


def _pointed(model: bytes, place: int) -> int:
    return place + struct.unpack_from("<I", model, place)[0]


def _field(model: bytes, table: int, number: int) -> int:
    """Where a field of a flat buffer's table lies."""
    vtable = table - struct.unpack_from("<i", model, table)[0]
    return table + struct.unpack_from("<H", model, vtable + 4 + 2 * number)[0]


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, up to 256 MB, for its next allocations.

    By default it hands arrays of some megabytes back to the system, which maps and clears every
    page anew for the next photo: 1,840 page faults, about 4 of 17 ms, a photo of 1,024 px. Does
    nothing where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 25)  # 32 MB, the most that every glibc takes
    mallopt(_M_TRIM_THRESHOLD, 1 << 28)


@contextmanager
def _quiet() -> Iterator[None]:
    """Send this process's stderr nowhere: LiteRT reports each delegate there.

    It has no switch against that.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
