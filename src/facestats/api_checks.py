"""What the functions that people import refuse before they start, and what they doubt."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facestats.errors import InputError, ModelError
from facestats.files import read_json

if TYPE_CHECKING:
    from facestats.faces.crop import FaceCrop

MAX_TURN = 30.0  # degrees of yaw or pitch from which on a score is not to be trusted
MIN_FACE = 64  # px of the photo; a smaller face's crop is mostly interpolation


def whole_number(name: str, value: Any, least: int) -> int:
    """A number of things; raises `InputError` for what is none."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} = {value!r} is not possible: a whole number from {least} on")
    return int(value)


def read_facts(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON file that the pipeline wrote; raises `ModelError` where it is missing, damaged, or lacks one of the keys."""
    try:
        facts = read_json(path)
    except InputError as error:
        raise ModelError(str(error)) from None
    lacking = [key for key in keys if key not in facts]
    if lacking:
        raise ModelError(f"{path} has no {', '.join(lacking)}; an earlier version of the pipeline wrote it, run `dvc repro`")
    return facts


def doubts(crop: FaceCrop) -> list[str]:
    """What makes a score doubtful."""
    if crop.landmarks is None:
        return ["no face found: the middle of the photo was scored"]
    found = []
    if crop.face_count > 1:
        found.append(f"{crop.face_count} faces: the largest was scored")
    turn = max(abs(crop.pose.yaw), abs(crop.pose.pitch))
    if turn > MAX_TURN:
        found.append(f"the head is turned by {turn:.0f}°, more than {MAX_TURN:.0f}°")
    side = float(max(crop.box[2] - crop.box[0], crop.box[3] - crop.box[1]))
    if side < MIN_FACE:
        found.append(f"the face is only {side:.0f} px wide in the photo")
    return found
