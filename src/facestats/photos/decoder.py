"""Decode the photos of strangers in a process that ends at the limits of time and memory."""

from __future__ import annotations

import threading
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


@dataclass(frozen=True)
class Decoded:
    """Pixels (h, w, 3) uint8 of an upright photo, and the width and height of all of it, px."""

    rgb: np.ndarray
    width: int
    height: int


def decode_apart(
    data: bytes, min_long_side: float | None, max_pixels: int, max_seconds: float
) -> Decoded:
    """Decode a photo in another process; parameters and errors of `decode.open_photo`."""
    children = _children_of(limits(max_pixels, max_seconds))
    call = {"min_long_side": min_long_side, "max_pixels": max_pixels}
    try:
        head, body = children.call(call, data)
        if head.get("error") == OverLimitError.__name__:
            head, body = children.call(call, data, fresh=True)
    except (OverLimitError, CrashError) as error:
        raise OverBudgetError(over_limit(max_pixels, max_seconds, error)) from None
    if head.get("error") == OverLimitError.__name__:
        error = OverLimitError(head["text"])
        raise OverBudgetError(over_limit(max_pixels, max_seconds, error))
    if "error" in head:
        error = _ERRORS[head["error"]](head["text"])
        if isinstance(error, FaultError):
            error.errno = head["errno"]
        raise error
    rgb = np.frombuffer(body, np.uint8).reshape(head["shape"])
    return Decoded(rgb, head["width"], head["height"])


def _children_of(limits: Limits) -> Children:
    with _lock:
        if limits not in _children:
            _children[limits] = Children("facestats.photos.decoder_process", limits)
        return _children[limits]
