"""Packages of the extra `facestats[export]`, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from facestats.errors import InputError


def extra(package: str, purpose: str, way_out: str) -> Any:
    """Import a package of the extra.

    Parameters
    ----------
    package : str
        Its name.
    purpose : str
        What needs it, in words.
    way_out : str
        The option that does without it.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise InputError(
            f"{purpose} needs the package {package}: "
            f"`python -m pip install 'facestats[export]'`, or leave it out with {way_out}"
        ) from None
