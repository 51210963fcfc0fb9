"""Take people out of the user's own files: which photos are meant, and the lines that speak of
them.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from facestats.core.files import write_bytes
from facestats.errors import InputError, did_you_mean, nearest_names
from facestats.labels.cells import one_form, without_empty
from facestats.labels.columns import IMAGE, LABELS, find_columns, key_column, plain
from facestats.labels.csv_text import without_columns, without_records
from facestats.labels.excel import SUFFIXES, without_rows
from facestats.labels.files import STEMS, find_label_file, read_sheet
from facestats.labels.manual import alone, replace_file
from facestats.labels.names import OTHER_EXTENSION, ZEROS, PhotoNames, Reading, say_likely
from facestats.labels.ratings import photo_parts

_LOST = {
    "charts": "xl/charts/",
    "pictures": "xl/media/",
    "pivot tables": "xl/pivotTables/",
    "queries": "xl/queryTables/",
    "form controls": "xl/ctrlProps/",
}
SHOWN = 20  # mistakes named one by one
GONE = (
    "correct the names; or, where a photo is gone already, add --allow-missing: the lines about "
    "it are removed"
)


@dataclass(frozen=True)
class LabelFile:
    """A label file as text, and what its rows are named by.

    Attributes
    ----------
    path : the file
    table : names of photos, one column or, with the photo's path and the face's name, two, and
        `person`; empty cells are ''. The
        index is the line on which a record ends, or the row of a workbook; of a file with a column
        a photo, the column, from 0
    by_hand : it lies in git, and merges may write it at the same time
    by_column : it has a column a photo
    """

    path: Path
    table: pd.DataFrame
    by_hand: bool
    by_column: bool = False

    @property
    def names(self) -> pd.DataFrame:
        """The columns that name a photo."""
        return self.table.drop(columns="person")

    def lines(self, names: Collection[str]) -> list[int]:
        """The lines on which records with these names, as the file writes them, end; or the
        columns.
        """
        return self.table.index[self.names.isin(set(names)).any(axis=1)].unique().tolist()

    def remove(self, names: Collection[str], cache: Path | None = None) -> None:
        """Write the file without the records with these names; other lines keep their bytes, other
        rows their cells and formats.

        Parameters
        ----------
        cache : DVC's, into which the file may be a link: a new file takes the link's place. Other
            links stay.
        """
        path = self.path.resolve()
        if not self.by_hand:
            write_bytes(
                self.path if cache and path.is_relative_to(cache.resolve()) else path,
                self.without(names),
            )
            return
        with alone(path.parent):
            now = read_label_file(self.path, by_hand=True)
            replace_file(path, now.without(names) if now else b"")

    def without(self, names: Collection[str]) -> bytes:
        """The file's bytes without the records with these names.

        Raises
        ------
        LabelError
            It can't be read any more.
        """
        path = self.path.resolve()
        if path.suffix.lower() in SUFFIXES:
            return (
                without_rows(path, columns=[i + 1 for i in self.lines(names)])
                if self.by_column
                else without_rows(path, self.lines(names))
            )
        if self.by_column:
            return without_columns(path.read_bytes(), self.lines(names), path)
        return without_records(path.read_bytes(), self.lines(names), path)

    def obstacle(self, names: Collection[str]) -> str | None:
        """Why the file could not be written without these names."""
        path = self.path.resolve()
        if not os.access(path.parent, os.W_OK):
            return (
                f"{path.parent} can't be written to, so no line of {self.path.name} could be "
                "removed"
            )
        lost = lost_parts(path) if path.suffix.lower() in SUFFIXES else ()
        if lost:
            kind, places = (
                ("columns", [i + 1 for i in self.lines(names)])
                if self.by_column
                else ("rows", self.lines(names))
            )
            return (
                f"{self.path} is a workbook with {' and '.join(lost)}, which would be lost if "
                f"{kind} were removed here; remove the {kind} "
                f"{', '.join(map(str, places[:SHOWN]))} in a spreadsheet, or save it as CSV, then "
                "give the same command with --allow-missing"
            )
        self.without(names)
        return None


def lost_parts(path: Path) -> tuple[str, ...]:
    """What a workbook holds that openpyxl would not write again."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return tuple(
        word for word, start in _LOST.items() if any(name.startswith(start) for name in names)
    )


def read_label_files(folder: Path, manual: Path) -> list[LabelFile]:
    """The label files that are there.

    Raises
    ------
    LabelError
        One of them can't be read as such.
    """
    paths = [path for stem in STEMS if folder.is_dir() and (path := find_label_file(folder, stem))]
    return [
        file
        for file in [*map(read_label_file, paths), read_label_file(manual, by_hand=True)]
        if file
    ]


def read_label_file(path: Path, by_hand: bool = False) -> LabelFile | None:
    """One label file; None where there is none."""
    raw = read_sheet(path)
    if raw is None:
        return None
    if path.stem.lower() == "ratings" and "image" not in find_columns(
        raw.columns, {"image": IMAGE}, path
    ):
        parts = [
            (raw.attrs["positions"][header], part)
            for header, named in photo_parts(raw).items()
            for part in named
        ]
        table = pd.DataFrame(
            {"image": [part for _, part in parts], "person": ""},
            index=[i for i, _ in parts],
            dtype="str",
        )
        return LabelFile(path, table, by_hand, by_column=True)
    key = key_column(raw, path)
    person = (
        find_columns(raw.columns, LABELS, path).get("person")
        if path.stem.lower() != "ratings"
        else None
    )
    table = raw[
        [key, *(name for name in raw.columns if name != key and plain(name) in IMAGE[:2])]
    ].apply(without_empty)
    return LabelFile(
        path, table.assign(person=without_empty(raw[person]) if person else ""), by_hand
    )


class Mentions:
    """Which photo each line of the label files speaks of.

    Parameters
    ----------
    files : the label files
    here : paths of the photos below the image folder
    before : paths of photos that were there: those of the last run, or in DVC's cache
    folder : the image folder
    """

    def __init__(
        self, files: list[LabelFile], here: Collection[str], before: Collection[str], folder: Path
    ):
        self.files = files
        self._here, self._before, self._folder = (
            PhotoNames(here, folder),
            PhotoNames({*before} - {*here}, folder),
            folder,
        )
        self.notes: list[str] = []  # how names in the command line were read
        self._images = {
            file.path: self._read(
                name for column in file.names for name in file.names[column] if name
            )
            for file in files
        }
        for file in files:
            if file.by_column and not any(
                reading.image or reading.several for reading in self._images[file.path].values()
            ):
                key_column(read_sheet(file.path), file.path)  # raises

    def _read(self, names: Iterable[str]) -> dict[str, Reading]:
        """Readings of names: by the photos that are there, else by those that were."""
        readings = self._here.read_all(names)
        gone = self._before.read_all(
            [
                name
                for name, reading in readings.items()
                if reading.image is None and not reading.several
            ]
        )
        return readings | {name: reading for name, reading in gone.items() if reading.image}

    def images(self, asked: Iterable[str], allow_missing: bool) -> list[str]:
        """Photos as they are called below the image folder, of what the user has written.

        Parameters
        ----------
        asked : paths below the image folder, paths to the files or names of faces, as people write
            them
        allow_missing : take names that only label files know as they are

        Raises
        ------
        InputError
            One or more are not known, or could be several; each is named with those that are called
            alike.
        """
        labelled = {
            name
            for readings in self._images.values()
            for name, reading in readings.items()
            if reading.image is None
        }
        images, mistakes, absent = [], [], False
        for name in dict.fromkeys(asked):
            (reading,) = self._read([name]).values()
            if reading.image and {OTHER_EXTENSION, ZEROS}.isdisjoint(
                reading.liberties
            ):  # too free where a photo is lost by it
                images.append(reading.image)
                self.notes += [_as_read(name, reading)] if reading.liberties else []
            elif name in labelled and allow_missing:
                images.append(name)
            elif reading.several:
                mistakes.append(f"{name}: may be {' or '.join(reading.likely)}; write which")
            elif name in labelled:
                mistakes.append(
                    f"{name}: a label file names it, but it is not in {self._folder}, nor was it "
                    f"in the last run{say_likely(reading)}"
                )
                absent = True
            else:
                near = replace(reading, likely=(reading.image,)) if reading.image else reading
                mistakes.append(
                    f"{name}: no such image in {self._folder}, in the label files or in the last "
                    f"run{say_likely(near)}"
                )
        if absent:
            mistakes.append(GONE)
        _refuse(mistakes)
        return list(dict.fromkeys(images))

    def photos_of(self, persons: Iterable[str], allow_missing: bool) -> list[str]:
        """Photos with one of these people by the column `person`.

        Parameters
        ----------
        allow_missing : leave out photos that are neither there nor were in the last run

        Raises
        ------
        InputError
            No label file names such a person, a photo of theirs is not found, or two label files
            contradict each other.
        """
        by_image: dict[str, dict[str, str]] = {}
        stated: dict[str, list[tuple[str, int, str, Reading]]] = {}
        for file in self.files:
            for line, name, person in _people(file):
                if person and name:
                    reading = self._images[file.path][name]
                    stated.setdefault(one_form(person), []).append(
                        (file.path.name, line, name, reading)
                    )
                    by_image.setdefault(reading.image or name, {}).setdefault(
                        one_form(person), f"{file.path.name}, line {line}"
                    )
        images, mistakes, absent = [], [], False
        for person in dict.fromkeys(map(one_form, persons)):
            if person not in stated:
                near = _nearest(person, stated)
                mistakes.append(
                    f"--person {person}: no label file names such a person"
                    + did_you_mean(near, "; did you mean")
                )
            for file, line, name, reading in stated.get(person, ()):
                image = reading.image or name
                others = {
                    other: where for other, where in by_image[image].items() if other != person
                }
                if others:
                    other, where = next(iter(others.items()))
                    mistakes.append(
                        f"{image} shows {person} by {file}, line {line}, and {other} by {where}; "
                        "mend one of the two, or name the photos one by one"
                    )
                elif reading.image:
                    images.append(image)
                elif reading.several:
                    mistakes.append(
                        f"{file}, line {line}: {name}, a photo of {person}, may be "
                        f"{' or '.join(reading.likely)}; write which in {file}, or name the photos "
                        "one by one"
                    )
                elif allow_missing:
                    images.append(name)
                else:
                    mistakes.append(
                        f"{file}, line {line}: {name}, a photo of {person}, is not in "
                        f"{self._folder}, nor was it in the last run{say_likely(reading)}"
                    )
                    absent = True
        if absent:
            mistakes.append(GONE)
        _refuse(mistakes)
        return list(dict.fromkeys(images))

    def names(self, file: LabelFile, images: Collection[str]) -> set[str]:
        """The names under which a file speaks of these photos."""
        return {
            name
            for name, reading in self._images[file.path].items()
            if (reading.image or name) in images
        }

    def liberties(self, file: LabelFile, images: Collection[str]) -> list[str]:
        """How names of these photos that are not their own were read, one line each."""
        return [
            f"{file.path.name}: {_as_read(name, reading)}"
            for name, reading in self._images[file.path].items()
            if reading.image in images and reading.liberties
        ]

    def people(self) -> dict[str, set[str]]:
        """Photos by the person that any label file names."""
        found: dict[str, set[str]] = {}
        for file in self.files:
            for _, name, person in _people(file):
                if person and name and (image := self._images[file.path][name].image):
                    found.setdefault(one_form(person), set()).add(image)
        return found


def _people(file: LabelFile) -> Iterable[tuple[int, str, str]]:
    """Line, the first name of the photo, and the person of each record."""
    first = file.names.iloc[:, 0].where(file.names.iloc[:, 0] != "", file.names.iloc[:, -1])
    return zip(file.table.index, first, file.table["person"], strict=True)


def _as_read(name: str, reading: Reading) -> str:
    return f"{name} is read as {reading.image} ({', '.join(reading.liberties)})"


def _nearest(person: str, known: Iterable[str]) -> list[str]:
    """People who are called alike: the same in other case or with other blanks first."""
    known = sorted(known)
    same = [
        name
        for name in known
        if "".join(name.casefold().split()) == "".join(person.casefold().split())
    ]
    return same or nearest_names(person, known, most=3)


def _refuse(mistakes: list[str]) -> None:
    if mistakes:
        rest = (
            [f"and {len(mistakes) - SHOWN} more", mistakes[-1]]
            if len(mistakes) > SHOWN + 1
            else mistakes[SHOWN:]
        )
        raise InputError("\n".join([*mistakes[:SHOWN], *rest, "nothing was removed"]))
