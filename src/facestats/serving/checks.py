"""What the functions that people import refuse before they start."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

from facestats.core.files import read_json
from facestats.errors import InputError, ModelError


def whole_number(name: str, value: Any, least: int) -> int:
    """A number of things; raises `InputError` for what is none."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} = {value!r} is not possible: a whole number from {least} on")
    return int(value)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of several words; raises `InputError` for any other value."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} = {value!r} is not possible: one of {', '.join(choices)}")
    return value


def read_facts(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON file that the pipeline wrote; raises `ModelError` where it is missing, damaged, or
    lacks one of the keys.
    """
    try:
        facts = read_json(path)
    except InputError as error:
        raise ModelError(str(error)) from None
    lacking = [key for key in keys if key not in facts]
    if lacking:
        raise ModelError(
            f"{path} has no {', '.join(lacking)}; an earlier version of the pipeline wrote it, run "
            "`dvc repro`"
        )
    return facts
