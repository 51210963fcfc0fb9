"""What `forget` has still to do, kept until all of it is done: after a kill, the same command goes
on where it was.

Label files and the last run are how people's photos are found, and both are gone before DVC's cache
is cleaned. The journal lies where git and DVC do not look, is readable by its owner alone, and goes
at the end, for it names whom somebody wants to be forgotten.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from facestats.cli.forget_traces import Wanted
from facestats.core.files import replacing, temporary_name
from facestats.errors import InputError, MisfitError
from facestats.machine.output import shell_words
from facestats.rows.folder import read_regular

_LARGEST = 1 << 30  # bytes; a hundred thousand photos take 50 MB


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    images: list[str]
    persons: list[str]
    cache: bool
    remote: str | None

    def command(self) -> str:
        people = [part for name in self.persons for part in ("--person", name)]
        rest = [
            *(["--cache"] if self.cache else []),
            *(["--remote", self.remote] if self.remote else []),
        ]
        return shell_words(["python", "-m", "facestats", "forget", *self.images, *people, *rest])

    def covers(self, earlier: Request) -> bool:
        """Whether this is the earlier request again, or more of the same."""
        return (
            set(self.images) == set(earlier.images)
            and set(self.persons) == set(earlier.persons)
            and self.cache >= earlier.cache
            and earlier.remote in (None, self.remote)
        )


@dataclass(frozen=True)
class Unfinished:
    """What an earlier command has found, and may have removed in part.

    Attributes
    ----------
    images : paths below the image folder
    sha256, objects : of the photos' bytes, in any version; MD5 of their pictures in DVC's cache
    named : by label file, the names that it gives to these photos
    wanted : what is looked for at the end
    """

    request: Request
    images: list[str]
    sha256: list[str]
    objects: list[str]
    named: dict[str, list[str]]
    wanted: Wanted = field(default_factory=lambda: Wanted([], set(), set(), {}, None))


class Journal:
    """The journal of a project folder."""

    def __init__(self, root: Path):
        self.path = (
            root / ".dvc" / "tmp" / "facestats-forget.json"
            if (root / ".dvc").is_dir()
            else root / ".facestats-forget.json"
        )

    def read(self) -> Unfinished | None:
        """What is unfinished; None if nothing is.

        Raises
        ------
        InputError
            The journal is damaged.
        """
        try:
            return _unfinished(json.loads(read_regular(self.path, _LARGEST)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.path}, which keeps what an earlier `forget` has still to do, is damaged "
                f"({error}); remove it, then name the photos one by one"
            ) from None

    def resume(self, request: Request) -> Unfinished | None:
        """What is unfinished, if this request goes on with it.

        Raises
        ------
        InputError
            It is another one's.
        """
        found = self.read()
        if found and not request.covers(found.request):
            raise InputError(
                "an earlier `forget` is unfinished; give it first, as it was: "
                f"`{found.request.command()}`. To give it up, remove {self.path}, which keeps what "
                "it has still to do"
            )
        return found

    def write(self, unfinished: Unfinished) -> None:
        content = asdict(unfinished)
        content["wanted"] |= {
            name: sorted(values)
            for name, values in content["wanted"].items()
            if isinstance(values, set)
        }
        with replacing(self.path) as temporary:
            with suppress(FileNotFoundError):
                temporary.unlink()
            with open(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
                "w",
                encoding="utf-8",
            ) as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())

    def remove(self) -> None:
        """Forget, at last, what was to be forgotten."""
        remove_half_written([self.path])
        self.path.unlink(missing_ok=True)


def _unfinished(content: dict) -> Unfinished:
    """What a journal says, each value of its own type."""
    asked, wanted = content["request"], content["wanted"]
    request = Request(
        _texts(asked["images"]), _texts(asked["persons"]), asked["cache"], asked["remote"]
    )
    sizes = wanted["sizes"]
    if not isinstance(request.cache, bool) or not (
        request.remote is None or _texts([request.remote])
    ):
        raise MisfitError("a request of another kind")
    if sizes is not None and not all(isinstance(size, int) for size in sizes):
        raise MisfitError("a size that is no number")
    return Unfinished(
        request,
        _texts(content["images"]),
        _texts(content["sha256"]),
        _texts(content["objects"]),
        {name: _texts(names) for name, names in content["named"].items()},
        Wanted(
            _texts(wanted["images"]),
            set(_texts(wanted["names"])),
            set(_texts(wanted["persons"])),
            _facts(wanted["sha256"]),
            None if sizes is None else set(sizes),
            _facts(wanted["git_objects"]),
        ),
    )


def _texts(values: Any) -> list[str]:
    """A list of names, as files can be called."""
    if not isinstance(values, list):
        raise MisfitError("no list of names")
    for value in values:
        os.fsencode(value)  # a number is none, nor is half a character
    return values


def _facts(values: Any) -> dict[str, str]:
    _texts([*values, *values.values()])
    return values


def remove_half_written(paths: Iterable[Path]) -> None:
    """Remove what a killed command has left beside files that it was writing: they hold what these
    hold.
    """
    for path in paths:
        stem = temporary_name(path).name.rpartition(".")[0]
        pattern = re.compile(rf"({re.escape(stem)}|\.{re.escape(path.name)})\.\d+")
        with suppress(OSError):
            for name in os.listdir(path.parent):
                if pattern.fullmatch(name):
                    path.with_name(name).unlink(missing_ok=True)


def merged(fresh: Wanted, earlier: Wanted) -> Wanted:
    """What is looked for, with what an earlier command still knew."""
    known = earlier.sizes is not None and set(fresh.images) <= set(earlier.images)
    return replace(
        fresh,
        images=sorted({*fresh.images, *earlier.images}),
        names=fresh.names | earlier.names,
        persons=fresh.persons | earlier.persons,
        sha256=fresh.sha256 | earlier.sha256,
        sizes=earlier.sizes | (fresh.sizes or set()) if known and earlier.sizes else fresh.sizes,
        git_objects=fresh.git_objects | earlier.git_objects,
    )


def unfinished_command(root: Path) -> str | None:
    """The command that was killed or failed, and is to be given again; None if there is none."""
    try:
        found = Journal(root).read()
    except InputError as error:
        return str(error)
    return (
        found and f"an earlier `forget` is unfinished; give it again: `{found.request.command()}`"
    )


def is_below(image: str) -> bool:
    """Whether a photo's name, as a label file may have it, leads nowhere but below the image
    folder.
    """
    path = PurePosixPath(image)
    return (
        not path.is_absolute() and ".." not in path.parts and "\0" not in image and bool(path.parts)
    )
