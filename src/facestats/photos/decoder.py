"""Decode the photos of strangers in a process that ends at the limits of time and memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from facestats.errors import FaultError, ImageError
from facestats.machine.child import Children
from facestats.machine.limits import CrashError, Limits, OverLimitError
from facestats.photos.budget import OverBudgetError, limits, over_limit
from facestats.photos.containers import DamageError

_ERRORS = {each.__name__: each for each in (ImageError, DamageError, OverBudgetError, FaultError)}
_children: dict[Limits, Children] = {}
_lock = threading.Lock()
_as_errors: ContextVar[bool] = ContextVar("_as_errors", default=False)


@dataclass(frozen=True)
class Decoded:
    """Pixels (h, w, 3) uint8 of an upright photo, and the width and height of all of it, px.

    Where they were asked for, `alpha` (h, w) uint8 or None, and `grey`, as `layers.Layers` has it.
    """

    rgb: np.ndarray
    width: int
    height: int
    alpha: np.ndarray | None
    grey: bool


def decode_apart(
    data: bytes,
    min_long_side: float | None,
    max_pixels: int,
    max_seconds: float,
    layers: bool = False,
) -> Decoded:
    """Decode a photo in another process; parameters and errors of `decode.open_photo`.

    With `layers`, as `layers.open_layers` does.
    """
    children = _children_of(limits(max_pixels, max_seconds))
    call = {"min_long_side": min_long_side, "max_pixels": max_pixels, "layers": layers}
    try:
        head, body = children.call(call, data)
        if head.get("error") == OverLimitError.__name__:
            head, body = children.call(call, data, fresh=True)
        if head.get("error") == OverLimitError.__name__:
            raise OverLimitError(head["text"])
    except (OverLimitError, CrashError) as error:
        if _as_errors.get():
            raise
        raise OverBudgetError(over_limit(max_pixels, max_seconds, error)) from None
    if "error" in head:
        error = _ERRORS[head["error"]](head["text"])
        if isinstance(error, FaultError):
            error.errno = head["errno"]
        raise error
    values, size = np.frombuffer(body, np.uint8), math.prod(head["shape"])
    rgb = values[:size].reshape(head["shape"])
    alpha = values[size:].reshape(rgb.shape[:2]) if len(values) > size else None
    return Decoded(rgb, head["width"], head["height"], alpha, head["grey"])


@contextmanager
def limits_as_errors() -> Iterator[None]:
    """In the block, `decode_apart` raises `OverLimitError` and `CrashError` as they are.

    They say what this machine took for a photo now, which a photo's own `OverBudgetError` does not.
    """
    before = _as_errors.set(True)
    try:
        yield
    finally:
        _as_errors.reset(before)


def start_decoder(max_pixels: int, max_seconds: float) -> None:
    """Start a process for `decode_apart` beforehand, without waiting for it."""
    _children_of(limits(max_pixels, max_seconds)).start()


def _children_of(limits: Limits) -> Children:
    with _lock:
        if limits not in _children:
            _children[limits] = Children("facestats.photos.decoder_process", limits)
        return _children[limits]
