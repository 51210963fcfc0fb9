"""Take people out of the user's own files: which names a photo has there, and the lines that speak of it."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.data.csv_text import read_csv
from facestats.data.manual import alone, replace_file
from facestats.data.names import key_column
from facestats.errors import InputError
from facestats.faces.files import face_filename
from facestats.files import write_bytes

LABEL_FILES = ("labels.csv", "ratings.csv")


@dataclass(frozen=True)
class LabelFile:
    """A label file as text, and what its rows are named by.

    Attributes
    ----------
    path : the file
    table : all cells, indexed by the line on which a record ends
    key : `image` or `filename`
    by_hand : it lies in git, and merges may write it at the same time
    """

    path: Path
    table: pd.DataFrame
    key: str
    by_hand: bool

    def lines(self, images: Collection[str]) -> list[int]:
        """The lines on which records about these images end."""
        named = {face_filename(image) for image in images} if self.key == "filename" else set(images)
        return self.table.index[self.table[self.key].isin(named)].tolist()

    def remove(self, images: Collection[str]) -> None:
        """Write the file without the records about these images; other lines keep their bytes."""
        if not self.by_hand:  # maybe a link into DVC's cache: a new file takes its place
            write_bytes(self.path, _without(self.path.read_bytes(), self.lines(images)))
            return
        path = self.path.resolve()
        with alone(path.parent):
            found = read_label_file(self.path, by_hand=True)
            replace_file(path, _without(path.read_bytes(), found.lines(images) if found else []))


def read_label_files(folder: Path, manual: Path) -> list[LabelFile]:
    """The label files that are there.

    Raises
    ------
    LabelError
        One of them can't be read as such.
    """
    found = [read_label_file(folder / name) for name in LABEL_FILES]
    return [file for file in [*found, read_label_file(manual, by_hand=True)] if file]


def read_label_file(path: Path, by_hand: bool = False) -> LabelFile | None:
    """One label file; None where there is none."""
    table = read_csv(path)
    return None if table is None else LabelFile(path, table, key_column(table, path), by_hand)


def other_mentions(folder: Path, images: Iterable[str]) -> list[tuple[Path, str]]:
    """Files of the label folder that no stage reads and that name one of the images, with that name."""
    found = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and path.name not in LABEL_FILES:
            data = path.read_bytes()
            found += [(path, image) for image in images if image.encode() in data][:1]
    return found


def resolve_images(asked: Iterable[str], known: Collection[str], folder: Path) -> list[str]:
    """Images as they are called below `folder`, of what the user has written.

    Parameters
    ----------
    asked : paths below the image folder, paths to the files, or names of faces
    known : every image that anything knows
    folder : the image folder

    Raises
    ------
    InputError
        One or more are not known; each is named with those that are called alike.
    """
    faces = {face_filename(image): image for image in sorted(known)}
    names, unknown = [], []
    for said in asked:
        path = Path(said).absolute()
        below = path.relative_to(folder.absolute()).as_posix() if path.is_relative_to(folder.absolute()) else None
        name = next((name for name in (said, below) if name in known), None) or faces.get(said)
        if name:
            names.append(name)
        else:
            unknown.append(f"{said}: no such image in {folder}, in the label files or in the last run{alike(said, known)}")
    if unknown:
        raise InputError("\n".join([*unknown, "nothing was removed"]))
    return list(dict.fromkeys(names))


def alike(said: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where nothing is called alike."""
    near = difflib.get_close_matches(said, sorted(known), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _without(data: bytes, ends: Collection[int]) -> bytes:
    """A CSV file's bytes without the records that end on these lines (from 1); a record may span several."""
    lines = list(io.StringIO(data.decode("utf-8-sig"), newline=""))
    header = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=";" if ";" in header and "," not in header else ",", strict=True)
    kept, before = [], 0
    for _ in reader:
        if reader.line_num not in ends:
            kept += lines[before:reader.line_num]
        before = reader.line_num
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    return mark + "".join(kept).encode()
