"""What was labelled by the pages, one line a label: for undoing it and for saying who it was.

The labels themselves stand in the file of `data.manual_labels`, which git keeps. The journal stays
on this machine; without it nothing is lost but the way back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facestats.errors import InputError
from facestats.labels.manual import alone, own_file, replace_file, same_label

JOURNAL = Path("data", "interim", "app", "labelled.jsonl")


@dataclass(frozen=True)
class Entry:
    """One label by a page.

    Attributes
    ----------
    id : str
    filename, column : str
    old, new : str
        Empty: no label. Both are empty where somebody was unsure.
    who : str
        As they called themselves; may be empty.
    when : str
        ISO 8601, UTC.
    browser : str
        A random name of the browser, for which alone it is the last label.
    undoes : str
        The entry that this one takes back; empty for all others.
    file : str
        The file of labels, below the project; empty where it is not known.
    photo : str
        The sha256 of the photo; empty where it is not known.
    """

    id: str
    filename: str
    column: str
    old: str
    new: str
    who: str
    when: str
    browser: str
    undoes: str = ""
    file: str = ""
    photo: str = ""


class Journal:
    """Reads and extends the journal of a project."""

    def __init__(self, root: Path):
        self.root = root

    @property
    def path(self) -> Path:
        """The file; raises `InputError` where a link leads out of the project, or it is no file."""
        path = own_file(self.root, "the journal of labels", JOURNAL.as_posix())
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; remove it")
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from the journal.

        Raises
        ------
        InputError
            It can't be written: before a label is.
        """
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("ab").close()
        except OSError as error:
            raise InputError(f"{path} can't be written ({error.strerror})") from None
        with alone(path.parent):
            yield

    def append(self, entry: Entry) -> None:
        """Add a line, on the disk when this returns; a line that a kill has cut is ended first."""
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        try:
            with self.path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else "\n" + line
                file.write(line.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(
                f"the label is written, but can't be taken back here: {self.path} can't be written "
                f"({error.strerror})"
            ) from None

    def forget(self, filenames: Collection[str], write: bool = True) -> int:
        """Count the lines about faces, and take them out; other lines keep their bytes."""
        if not self.path.exists():
            return 0
        with self.alone():
            lines = self.path.read_bytes().splitlines(keepends=True)
            kept = _without(lines, filenames)
            if write and len(kept) < len(lines):
                replace_file(self.path, b"".join(kept))
        return len(lines) - len(kept)

    def without(self, filenames: Collection[str]) -> bytes:
        """The file without the lines about faces; empty if there is none."""
        if not self.path.exists():
            return b""
        return b"".join(_without(self.path.read_bytes().splitlines(keepends=True), filenames))

    def entries(self) -> list[Entry]:
        """All entries in their order; a line that can't be read is passed over."""
        try:
            # Text is split at further signs, which a name may hold.
            lines = self.path.read_bytes().decode("utf-8", "replace").split("\n")
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [entry for line in lines if (entry := _read(line))]


def standing(entries: list[Entry]) -> list[Entry]:
    """The entries that were not taken back, without those that take back."""
    undone = {entry.undoes for entry in entries}
    return [entry for entry in entries if not entry.undoes and entry.id not in undone]


def label_without(last: Entry, entries: list[Entry]) -> str:
    """The label of the face if this standing entry is taken back; entries in their order.

    It is that of the last entry that then stands, or what the file had before. What somebody wrote
    into the file meanwhile counts before all earlier entries.
    """
    if not last.new:
        return ""
    about = [
        entry
        for entry in entries
        if (entry.filename, entry.column) == (last.filename, last.column)
        and (entry.old or entry.new)  # else somebody was unsure
        and (entry.photo == last.photo or not entry.photo or not last.photo)
    ]
    undone = {entry.undoes for entry in about} | {last.id}
    label = in_file = about[0].old
    for entry in about:
        if not entry.undoes and not same_label(last.column, entry.old, in_file):
            label = entry.old
        if not entry.undoes and entry.id not in undone:
            label = entry.new
        in_file = entry.new
    return label


def _without(lines: list[bytes], filenames: Collection[str]) -> list[bytes]:
    return [line for line in lines if not _is_about(line.decode("utf-8", "replace"), filenames)]


def _is_about(line: str, filenames: Collection[str]) -> bool:
    """Whether a line is about one of these faces; one that a kill has cut, by the name in it."""
    entry = _read(line)
    return entry.filename in filenames if entry else any(name in line for name in filenames)


def _read(line: str) -> Entry | None:
    try:
        facts: Any = json.loads(line)
        entry = Entry(**facts)
    except (TypeError, ValueError, RecursionError):
        return None
    return entry if all(isinstance(value, str) for value in facts.values()) else None
