"""Checks of arguments and files that the public functions begin with."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

from facestats.core.files import read_json
from facestats.core.photo_files import printable
from facestats.errors import InputError, ModelError
from facestats.machine.faults import fault, is_passing

_SHOWN = 80  # characters of a wrong text in a message
_LARGEST = 1 << 26  # bytes; with the hashes of 100,000 composites


def whole_number(name: str, value: Any, least: int) -> int:
    """Check a number of things; raises `InputError` unless it is a whole number from `least` on."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} = {value!r} is not possible: a whole number from {least} on")
    return int(value)


def text_of(name: str, value: Any) -> str:
    """Check a text; raises `InputError` unless it is one with letters."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} = {value!r} is not possible: a text is needed")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise InputError(f"{name} = {value[:_SHOWN]!a} is not possible: it is no text in UTF-8")
    return value


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Check that a value is one of several words; raises `InputError` otherwise."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} = {value!r} is not possible: one of {', '.join(choices)}")
    return value


def read_facts(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON file that the pipeline wrote.

    Raises
    ------
    ModelError
        It is missing or damaged, or lacks one of the keys.
    """
    try:
        if path.exists() and not (path.is_file() and path.stat().st_size <= _LARGEST):
            raise InputError(f"{path} is no file of the pipeline; remove it and run `dvc repro`")
        content = read_json(path)
    except OSError as error:
        if is_passing(error):
            raise fault(path, error) from None
        raise ModelError(f"{path} can't be read ({error.strerror}); run `dvc repro`") from None
    except InputError as error:
        raise ModelError(str(error)) from None
    lacking = [key for key in keys if key not in content]
    if lacking:
        raise ModelError(
            f"{path} has no {', '.join(lacking)}; an earlier version of the pipeline wrote it, run "
            "`dvc repro`"
        )
    return content


def as_text(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose texts tables can hold; see `photo_files.printable`."""
    return {key: printable(one) if isinstance(one, str) else one for key, one in row.items()}
