"""The journal of an unfinished `forget`: after a kill, the same command resumes from it.

People's photos are found by label files and the last run, and both are gone before DVC's cache is
cleaned. The journal lies where git and DVC do not look, only its owner can read it, and it is
removed at the end, since it names the people to forget.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from facestats.cli.forget_traces import Search
from facestats.core.files import replacing, temporary_name
from facestats.errors import InputError, MisfitError
from facestats.machine.faults import fault
from facestats.machine.output import shell_words
from facestats.rows.folder import is_absent, read_regular

_LARGEST = 1 << 30  # bytes; a hundred thousand photos take 50 MB


@dataclass(frozen=True)
class Request:
    """The command as the user gave it."""

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
    """What an earlier command set out to remove, some of which may be gone.

    Attributes
    ----------
    request : Request
    images : list of str
        Paths below the image folder.
    sha256 : list of str
        Of the photos' bytes, in any version.
    objects : list of str
        MD5 of their pictures in DVC's cache.
    named : dict of str to list of str
        By label file, the names that it gives to these photos.
    search : Search
        What to look for at the end.
    """

    request: Request
    images: list[str]
    sha256: list[str]
    objects: list[str]
    named: dict[str, list[str]]
    search: Search = field(default_factory=lambda: Search([], set(), set(), {}, None))


class Journal:
    """The journal of a project folder."""

    def __init__(self, root: Path):
        self.path = (
            root / ".dvc" / "tmp" / "facestats-forget.json"
            if (root / ".dvc").is_dir()
            else root / ".facestats-forget.json"
        )
        self._locked = root / ".dvc" if (root / ".dvc").is_dir() else root / "params.yaml"

    def read(self) -> Unfinished | None:
        """What is unfinished; None if nothing is.

        Raises
        ------
        InputError
            The journal is damaged, or (a FaultError) can't be read.
        """
        try:
            return _unfinished(json.loads(read_regular(self.path, _LARGEST)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, OSError) and not is_absent(error):
                raise fault(self.path, error) from None
            raise InputError(
                f"{self.path}, which keeps what an earlier `forget` has still to do, is damaged "
                f"({error}); remove it, then name the photos one by one"
            ) from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other `forget` commands away, by a lock that leaves no file.

        Raises
        ------
        InputError
            One is running, or the project can't be read.
        """
        try:
            lock = os.open(self._locked, os.O_RDONLY)
        except OSError as error:
            raise InputError(f"{self._locked} can't be opened ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise InputError(
                "another `forget` is at work in this project, nothing was removed; give the "
                "command again when it has ended"
            ) from None
        finally:
            os.close(lock)

    def resume(self, request: Request) -> Unfinished | None:
        """What is unfinished, if this request goes on with it.

        Raises
        ------
        InputError
            It is another one's.
        """
        earlier = self.read()
        if earlier and not request.covers(earlier.request):
            raise InputError(
                "an earlier `forget` is unfinished; give it first, as it was: "
                f"`{earlier.request.command()}`. To give it up, remove {self.path}, which keeps "
                "what it has still to do"
            )
        return earlier

    def write(self, unfinished: Unfinished) -> None:
        content = asdict(unfinished)
        content["search"] |= {
            name: sorted(values)
            for name, values in content["search"].items()
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
        """Remove the journal, since it names whom to forget."""
        remove_half_written([self.path])
        self.path.unlink(missing_ok=True)


def _unfinished(content: dict) -> Unfinished:
    """Parse a journal, checking the type of each value."""
    asked, search = content["request"], content["search"]
    request = Request(
        _texts(asked["images"]), _texts(asked["persons"]), asked["cache"], asked["remote"]
    )
    sizes = search["sizes"]
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
        Search(
            _texts(search["images"]),
            set(_texts(search["names"])),
            set(_texts(search["persons"])),
            _facts(search["sha256"]),
            None if sizes is None else set(sizes),
            _facts(search["git_objects"]),
        ),
    )


def _texts(values: Any) -> list[str]:
    """Check a list of possible file names."""
    if not isinstance(values, list):
        raise MisfitError("no list of names")
    for value in values:
        os.fsencode(value)  # raises for a number or half a character
    return values


def _facts(values: Any) -> dict[str, str]:
    _texts([*values, *values.values()])
    return values


def remove_half_written(paths: Iterable[Path]) -> None:
    """Remove the temporary files that a killed command left beside these paths."""
    for path in paths:
        stem = temporary_name(path).name.rpartition(".")[0]
        pattern = re.compile(rf"({re.escape(stem)}|\.{re.escape(path.name)})\.\d+")
        with suppress(OSError):
            for name in os.listdir(path.parent):
                if pattern.fullmatch(name):
                    path.with_name(name).unlink(missing_ok=True)


def merged(fresh: Search, earlier: Search) -> Search:
    """Join two searches: what this command looks for, and what an earlier one did."""
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
    """A message with the command to repeat after it was killed or failed; None if none was."""
    try:
        unfinished = Journal(root).read()
    except InputError as error:
        return str(error)
    return (
        unfinished
        and f"an earlier `forget` is unfinished; give it again: `{unfinished.request.command()}`"
    )


def is_below(image: str) -> bool:
    """Whether a photo's name, as in a label file, stays inside the image folder."""
    path = PurePosixPath(image)
    return (
        not path.is_absolute() and ".." not in path.parts and "\0" not in image and bool(path.parts)
    )
