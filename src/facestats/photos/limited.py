"""Call what decodes a photo, and tell a limit of this process from a fault of the machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from facestats.errors import FaultError
from facestats.machine.faults import fault, is_fault, is_out_of_memory, patiently
from facestats.machine.limits import OverLimitError, is_own_limit
from facestats.photos.containers import DamageError

Result = TypeVar("Result")


def within_limits(function: Callable[..., Result], memory: int, *arguments) -> Result:
    """Call what decodes a photo, patiently, in a process that may have so many bytes for it.

    Raises
    ------
    FaultError
        The machine fails repeatedly, for lack of memory for example: nothing is known about the
        photo.
    OverLimitError
        The photo takes more memory than this process may have.
    """

    def attempt() -> Result:
        try:
            return function(*arguments)
        except Exception as error:
            refused = isinstance(error, DamageError) and error.refused
            if (refused or is_out_of_memory(error)) and is_own_limit(memory):
                raise OverLimitError("memory") from None
            raise

    try:
        return patiently(attempt)
    except Exception as error:
        if is_fault(error) and not isinstance(error, FaultError):
            raise fault("a photo", error) from None
        raise
