"""The paths in `params.yaml`: text that shells, DVC and every stage take for the same file."""

from __future__ import annotations

import os
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

# Shells interpret these even inside double quotes. Single quotes are no way out: names of folders
# do contain apostrophes.
_SPECIAL = '$`"\\'
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, ends of lines


def _quotable(path: str) -> str:
    """A path that stays itself between double quotes in any shell."""
    bad = next(
        (sign for sign in path if sign in _SPECIAL or unicodedata.category(sign) in _CONTROLS), None
    )
    if bad is not None:
        raise ValueError(
            f"a path can't contain {bad!r}, which can't be quoted in every shell; rename the "
            "folder or file"
        )
    if path != path.strip():
        raise ValueError("a path can't begin or end with a blank; rename the folder or file")
    return path


def _not_special(path: str) -> str:
    """A path that is the same file for DVC and for every stage."""
    if path[0] == "-":
        raise ValueError(f"commands take a path that begins with - for an option; write ./{path}")
    if path[0] == "~":
        raise ValueError(
            f"only shells read ~ as the home folder; write the whole path, or ./{path}"
        )
    if "://" in path:
        raise ValueError(
            "a URL is not a folder of this computer; download it first (`dvc import-url` does)"
        )
    return path


def _inside_project(path: str) -> str:
    """A path that does not lead out of the project folder."""
    if os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir:
        raise ValueError("this file is written, so it has to lie in the project folder")
    return path


PathText = Annotated[str, Field(min_length=1), AfterValidator(_quotable)]
DataPath = Annotated[PathText, AfterValidator(_not_special)]
WrittenPath = Annotated[DataPath, AfterValidator(_inside_project)]
