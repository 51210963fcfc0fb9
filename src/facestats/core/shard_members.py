"""What every kind of shard has: members, their names, and reasons why one can't be used."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

SIDECARS = (".json", ".txt", ".cls")  # of WebDataset: what it says of a photo beside it
EMPTY = "its row holds no picture"
TWICE = "its shard holds two members of this name; give each a name of its own"
_NAMED = 3  # members in a message
_SHOWN = 200  # characters of such a name
# What file systems hold: bytes of a part of a name and, beside a project's folder, of all; levels.
_LONGEST_PART, _LONGEST, _DEEPEST = 255, 1000, 100


@dataclass(frozen=True)
class Contents:
    """What a shard holds.

    Attributes
    ----------
    places : dict of str to (int, int)
        Where each member lies: in a tar its first byte and its size, in a parquet file its row
        group and its row there.
    reasons : dict of str to str
        Why a member can't be used, by its name.
    problem : str or None
        What is wrong with the shard itself, or with members whose names can't be used.
    """

    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    problem: str | None = None

    def add(self, name: str, place: tuple[int, int], reason: str | None = None) -> None:
        """Note a member; where the name is taken, neither member can be used."""
        if name in self.places or name in self.reasons:
            self.places.pop(name, None)
            self.reasons[name] = TWICE
        elif reason:
            self.reasons[name] = reason
        else:
            self.places[name] = place


def usable_name(name: str) -> str | None:
    """A member's name; empty for what is passed over.

    None for one that leads out of the shard, or that a folder of crops could not hold.
    """
    parts = name.removeprefix("./").split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "" if name in (".", "./", "") else None
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if "\0" in name or max(sizes) > _LONGEST_PART or sum(sizes) > _LONGEST or len(parts) > _DEEPEST:
        return None
    if any(part.startswith(".") for part in parts) or parts[-1].lower().endswith(SIDECARS):
        return ""
    return "/".join(parts)


def all_problems(problem: str | None, strange: Sequence[str]) -> str | None:
    """What is wrong with a shard, with the names of members that lead out of it."""
    if not strange:
        return problem
    shown = ", ".join(ascii(name[:_SHOWN])[1:-1] for name in strange[:_NAMED])
    more = f" and {len(strange) - _NAMED} more" if len(strange) > _NAMED else ""
    names = (
        f"members whose names are too long, or lead out of the shard, are left out: {shown}{more}"
    )
    return f"{problem}; {names}" if problem else names


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; for anything else, such as a pipe, an OSError is raised at once."""
    with open(path, "rb", opener=lambda at, flags: os.open(at, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ENXIO, "is no regular file", str(path))
        yield file
