"""The process that decodes for `photos.decoder`."""

from __future__ import annotations

from typing import Any

import numpy as np

from facestats.errors import FaceStatsError
from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import OverLimitError
from facestats.photos.decode import decode_here
from facestats.photos.layers import layers_here
from facestats.photos.limited import within_limits


def main(seconds: float, memory: float) -> None:
    """Decode photos until there are no more."""

    def decode(head: dict[str, Any], data: bytearray) -> Message:
        try:
            return within_limits(_decoded, int(memory), head, bytes(data))
        except (FaceStatsError, OverLimitError) as error:
            number = getattr(error, "errno", None)
            return {"error": type(error).__name__, "text": str(error), "errno": number}, b""

    answer_calls(decode, seconds, memory)


def _decoded(head: dict[str, Any], data: bytes) -> Message:
    if head["layers"]:
        whole = layers_here(data, head["max_pixels"])
        height, width, _ = whole.rgb.shape
        facts = {"shape": whole.rgb.shape, "width": width, "height": height, "grey": whole.grey}
        if whole.alpha is None:
            return facts, whole.rgb.data.cast("B")
        return facts, np.concatenate([whole.rgb.ravel(), whole.alpha.ravel()]).data
    photo = decode_here(data, head["min_long_side"], head["max_pixels"])
    facts = {"shape": photo.rgb.shape, "width": photo.width, "height": photo.height, "grey": False}
    return facts, photo.rgb.data.cast("B")
