"""The process that decodes for `photos.decoder`."""

from __future__ import annotations

from typing import Any

from facestats.errors import FaceStatsError
from facestats.machine.child import Message, answer_calls
from facestats.machine.limits import OverLimitError
from facestats.photos.decode import open_photo
from facestats.photos.limited import within_limits


def main(seconds: float, memory: float) -> None:
    """Decode photos until there are no more."""

    def decode(head: dict[str, Any], data: bytearray) -> Message:
        try:
            photo = within_limits(
                open_photo, int(memory), bytes(data), head["min_long_side"], head["max_pixels"]
            )
        except (FaceStatsError, OverLimitError) as error:
            number = getattr(error, "errno", None)
            return {"error": type(error).__name__, "text": str(error), "errno": number}, b""
        shape = {"shape": photo.rgb.shape, "width": photo.width, "height": photo.height}
        return shape, photo.rgb.data.cast("B")

    answer_calls(decode, seconds, memory)
