"""Removing people from label files: the photos that are meant, and the lines about them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from facestats.core.files import write_bytes
from facestats.errors import InputError, LabelError, did_you_mean, nearest_names
from facestats.labels.cells import MAX_AGE, Mistakes, numbers, one_form, without_empty
from facestats.labels.columns import IMAGE, LABELS, find_columns, key_column, plain
from facestats.labels.csv_text import WORKBOOKS, without_columns, without_records
from facestats.labels.excel import without_rows
from facestats.labels.files import STEMS, find_label_file, read_sheet
from facestats.labels.manual import alone, replace_file
from facestats.labels.names import OTHER_EXTENSION, TELLING, ZEROS, PhotoNames, Reading, suggestion
from facestats.labels.wide_ratings import photo_parts

_LOST = {
    "charts": "xl/charts/",
    "pictures": "xl/media/",
    "pivot tables": "xl/pivotTables/",
    "queries": "xl/queryTables/",
    "form controls": "xl/ctrlProps/",
}
_TRIES = 5  # to write a file that others write
SHOWN = 20  # mistakes named one by one
GONE = (
    "correct the names; or, where a photo is gone already, add --allow-missing: the lines about "
    "it are removed"
)


@dataclass(frozen=True)
class LabelFile:
    """The names of photos and persons in a label file.

    Attributes
    ----------
    path : Path
        The file.
    table : DataFrame of str
        One column with names of photos (or two: the photo's path and the face's name) and `person`;
        empty cells are ''. The index is the line on which a record ends, the row of a workbook, or,
        if the file has a column a photo, the column's number from 0.
    by_hand : bool
        Whether it is the file of labels by hand, which merges may write at the same time.
    by_column : bool
        Whether it has a column a photo.
    ages : Series of float or None
        The ages that it gives, by the index of `table`, NaN where unknown; None without a column.
    """

    path: Path
    table: pd.DataFrame
    by_hand: bool
    by_column: bool = False
    ages: pd.Series | None = None

    @property
    def names(self) -> pd.DataFrame:
        """The columns that name a photo."""
        return self.table.drop(columns="person")

    def lines(self, names: Collection[str]) -> list[int]:
        """Last lines of the records with these names, as the file writes them; or the columns."""
        return self.table.index[self.names.isin(set(names)).any(axis=1)].unique().tolist()

    def remove(self, names: Collection[str], cache: Path | None = None) -> int:
        """Write the file as it is now without the records with these names.

        Other lines keep their bytes, other rows their cells and formats.

        Parameters
        ----------
        names : collection of str
            Names as the file writes them.
        cache : Path, optional
            DVC's cache. A link into it is replaced by a file; other links stay.

        Returns
        -------
        int
            How many records, or columns, went.

        Raises
        ------
        InputError
            Somebody writes the file again and again.
        """
        path = self.path.resolve()
        with alone(path.parent):
            for _ in range(_TRIES):
                if not path.exists():
                    return 0
                before = path.read_bytes()
                now = read_label_file(self.path, self.by_hand)
                lines = now.lines(names) if now else []
                data = now.without(names) if now and lines else before
                if path.read_bytes() != before:  # a spreadsheet keeps no lock
                    continue
                if data != before and self.by_hand:
                    replace_file(path, data)
                elif data != before:
                    in_cache = cache and path.is_relative_to(cache.resolve())
                    write_bytes(self.path if in_cache else path, data)
                return len(lines)
        raise InputError(f"{path} is written by somebody; give the same command again after that")

    def without(self, names: Collection[str]) -> bytes:
        """The file's bytes without the records with these names.

        Raises
        ------
        LabelError
            The file can't be read.
        """
        path = self.path.resolve()
        if path.suffix.lower() in WORKBOOKS:
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
            return f"{path.parent} can't be written to, so no line of {self.path.name} was removed"
        lost = lost_parts(path) if path.suffix.lower() in WORKBOOKS else ()
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
        try:
            self.without(names)
        except LabelError as error:
            return str(error)
        return None


def lost_parts(path: Path) -> tuple[str, ...]:
    """What a workbook holds that openpyxl would lose."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return tuple(
        word for word, start in _LOST.items() if any(name.startswith(start) for name in names)
    )


def read_label_files(folder: Path, *by_hand: Path) -> list[LabelFile]:
    """All label files of the project.

    Raises
    ------
    LabelError
        One of them can't be read as a label file.
    """
    paths = [path for stem in STEMS if folder.is_dir() and (path := find_label_file(folder, stem))]
    return [
        file
        for file in [
            *map(read_label_file, paths),
            *(read_label_file(path, True) for path in by_hand),
        ]
        if file
    ]


def read_label_file(path: Path, by_hand: bool = False) -> LabelFile | None:
    """One label file; None if there is none."""
    sheet = read_sheet(path)
    if sheet is None:
        return None
    raw = sheet.table
    if path.stem.lower() == "ratings" and "image" not in find_columns(
        raw.columns, {"image": IMAGE}, path
    ):
        parts = [
            (sheet.positions[header], part)
            for header, named in photo_parts(raw.columns, sheet.questions).items()
            for part in named
        ]
        table = pd.DataFrame(
            {"image": [part for _, part in parts], "person": ""},
            index=[i for i, _ in parts],
            dtype="str",
        )
        return LabelFile(path, table, by_hand, by_column=True)
    key = key_column(raw, path)
    labels = find_columns(raw.columns, LABELS, path) if path.stem.lower() != "ratings" else {}
    person, age = labels.get("person"), labels.get("age")
    table = raw[
        [key, *(name for name in raw.columns if name != key and plain(name) in IMAGE[:2])]
    ].apply(without_empty)
    return LabelFile(
        path,
        table.assign(person=without_empty(raw[person]) if person else ""),
        by_hand,
        ages=numbers(without_empty(raw[age]), path, Mistakes(), 0, MAX_AGE) if age else None,
    )


class Mentions:
    """The photo that each line of the label files is about.

    Parameters
    ----------
    files : list of LabelFile
        The label files.
    here : collection of str
        Paths of the photos below the image folder.
    before : collection of str
        Paths of earlier photos: those of the last run, or in DVC's cache.
    folder : Path
        The image folder.
    """

    def __init__(
        self, files: list[LabelFile], here: Collection[str], before: Collection[str], folder: Path
    ):
        self.files = files
        self._here = PhotoNames(here, folder)
        self._before = PhotoNames({*before} - {*here}, folder)
        self._folder = folder
        self.notes: list[str] = []  # how names on the command line were read
        self._images = {
            file.path: self._read(
                (name for column in file.names for name in file.names[column] if name),
                in_file=True,
            )
            for file in files
        }
        for file in files:
            if file.by_column and not any(
                reading.image or reading.several for reading in self._images[file.path].values()
            ):
                sheet = read_sheet(file.path)
                assert sheet is not None
                key_column(sheet.table, file.path)  # raises

    def _read(self, names: Iterable[str], in_file: bool = False) -> dict[str, Reading]:
        """Readings of names: by the present photos, else by earlier ones.

        What an earlier photo was called is no present one in another folder, or of another
        extension or number; in a label file it may be both, for photos are moved.
        """
        readings = self._here.read_all(names)
        gone = self._before.read_all(
            [name for name, reading in readings.items() if not _is_certain(reading)]
        )
        for name, reading in gone.items():
            here = readings[name]
            by_now = here.likely if here.several else (here.image,) if here.image else ()
            if reading.image and in_file and by_now and _is_certain(reading):
                readings[name] = Reading(None, likely=(reading.image, *by_now), several=True)
            elif reading.image and (_is_certain(reading) or not by_now):
                readings[name] = reading
        return readings

    def images(self, names: Iterable[str], allow_missing: bool) -> list[str]:
        """Paths below the image folder of the photos that the user has named.

        Parameters
        ----------
        names : iterable of str
            Paths below the image folder, paths to the files or names of faces, as people write
            them.
        allow_missing : bool
            Whether to take names that only label files know as they are.

        Raises
        ------
        InputError
            Some are unknown or ambiguous; each is listed with photos of similar names.
        """
        labelled = {
            name
            for readings in self._images.values()
            for name, reading in readings.items()
            if reading.image is None
        }
        images, mistakes, absent = [], [], False
        for name in dict.fromkeys(names):
            reading = self._read_one(name)
            # Another folder, extension or number is too uncertain to remove a photo.
            if _is_certain(reading):
                images.append(reading.image)
                self.notes += [_as_read(name, reading)] if reading.liberties else []
            elif name in labelled and allow_missing:
                images.append(name)
            elif reading.several:
                mistakes.append(f"{name}: may be {' or '.join(reading.likely)}; write which one")
            elif name in labelled:
                mistakes.append(
                    f"{name}: a label file names it, but it is not in {self._folder}, nor was it "
                    f"in the last run{suggestion(reading)}"
                )
                absent = True
            else:
                near = replace(reading, likely=(reading.image,)) if reading.image else reading
                mistakes.append(
                    f"{name}: no such image in {self._folder}, in the label files or in the last "
                    f"run{suggestion(near)}"
                )
        if absent:
            mistakes.append(GONE)
        _refuse(mistakes)
        return list(dict.fromkeys(images))

    def _read_one(self, name: str) -> Reading:
        """How a name on the command line is read: also one below the image folder's own path."""
        (reading,) = self._read([name]).values()
        parts, above = Path(name.replace("\\", "/")).parts, self._folder.parts
        for n in range(1, min(len(parts), len(above) + 1)):
            if not _is_certain(reading) and parts[:n] == above[-n:]:
                (below,) = self._read([str(Path(*parts[n:]))]).values()
                reading = below if _is_certain(below) else reading
        return reading

    def photos_of(self, persons: Iterable[str], allow_missing: bool) -> list[str]:
        """Photos of one of these people by the column `person`.

        Parameters
        ----------
        persons : iterable of str
            Their names.
        allow_missing : bool
            Whether to take photos that neither exist nor were in the last run.

        Raises
        ------
        InputError
            No label file names such a person, a photo of theirs is not found, or two label files
            contradict each other.
        """
        mentions = self._mentions()
        persons_of: dict[str, dict[str, str]] = {}  # place of each person's first mention, by image
        for person, places in mentions.items():
            for place, name, reading in places:
                persons_of.setdefault(reading.image or name, {}).setdefault(person, place)
        images, mistakes, absent = [], [], False
        for person in dict.fromkeys(map(one_form, persons)):
            if person not in mentions:
                mistakes.append(
                    f"--person {person}: no label file names such a person"
                    + did_you_mean(_nearest(person, mentions), "; did you mean")
                )
            for place, name, reading in mentions.get(person, ()):
                image = reading.image or name
                other = next((other for other in persons_of[image] if other != person), None)
                if other is not None:
                    mistakes.append(
                        f"{image} shows {person} by {place}, and {other} by "
                        f"{persons_of[image][other]}; correct one of the two, or name the photos "
                        "one by one"
                    )
                elif reading.image and {OTHER_EXTENSION, ZEROS}.isdisjoint(reading.liberties):
                    images.append(image)
                elif reading.image:
                    mistakes.append(
                        f"{place}: {name}, a photo of {person}, is not in {self._folder} by that "
                        f"name, and {image} may be another one; write it there, if it is hers or "
                        "his, or name the photos one by one"
                    )
                elif reading.several:
                    mistakes.append(
                        f"{place}: {name}, a photo of {person}, may be "
                        f"{' or '.join(reading.likely)}; write which one there, or name the photos "
                        "one by one"
                    )
                elif allow_missing:
                    images.append(name)
                else:
                    mistakes.append(
                        f"{place}: {name}, a photo of {person}, is not in {self._folder}, nor was "
                        f"it in the last run{suggestion(reading)}"
                    )
                    absent = True
        if absent:
            mistakes.append(GONE)
        _refuse(mistakes)
        return list(dict.fromkeys(images))

    def _mentions(self) -> dict[str, list[tuple[str, str, Reading]]]:
        """Place, name and reading of each photo that a label file gives to a person, by person."""
        mentions: dict[str, list[tuple[str, str, Reading]]] = {}
        for file in self.files:
            for line, name, person in _people(file):
                if person and name:
                    mentions.setdefault(one_form(person), []).append(
                        (f"{file.path.name}, line {line}", name, self._images[file.path][name])
                    )
        return mentions

    def names(self, file: LabelFile, images: Collection[str]) -> set[str]:
        """The names that a file uses for these photos."""
        return {
            name
            for name, reading in self._images[file.path].items()
            if (reading.image or name) in images
            or (reading.several and images and {*reading.likely} <= {*images})
        }

    def refuse_unclear(self, images: Collection[str]) -> None:
        """Raise `InputError` where names in label files may be one of these photos, or another."""
        _refuse(
            [
                f"{file.path.name}: {name} may be {' or '.join(reading.likely)}; add a line with "
                "the whole name of the one that is here, or name both"
                for file in self.files
                for name, reading in self._images[file.path].items()
                if reading.several and 0 < len({*reading.likely} & {*images}) < len(reading.likely)
            ]
        )

    def liberties(self, file: LabelFile, images: Collection[str]) -> list[str]:
        """How names of these photos that are not their own were read, one line each."""
        return [
            f"{file.path.name}: {_as_read(name, reading)}"
            for name, reading in self._images[file.path].items()
            if reading.image in images and reading.liberties
        ]

    def people(self) -> dict[str, set[str]]:
        """Photos by the person that any label file names."""
        images = {
            person: {reading.image for _, _, reading in places if reading.image}
            for person, places in self._mentions().items()
        }
        return {person: photos for person, photos in images.items() if photos}

    def ages(self) -> dict[str, float]:
        """The youngest age that a label file gives to each photo; ages by hand take precedence."""
        found: dict[str, float] = {}
        for file in sorted(self.files, key=lambda file: file.by_hand):
            of_file: dict[str, float] = {}
            known = pd.Series(dtype=float) if file.ages is None else file.ages.dropna()
            ages = [float(age) for age in known.to_numpy()]
            for _, names in file.names.loc[known.index].items():
                for name, age in zip(names, ages, strict=True):
                    if name and (image := self._images[file.path][name].image):
                        of_file[image] = min(age, of_file.get(image, age))
            found |= of_file
        return found


def _is_certain(reading: Reading) -> bool:
    """Whether a name is a photo's but for blanks, case, kinds of slashes and the like."""
    return reading.image is not None and TELLING.isdisjoint(reading.liberties)


def _people(file: LabelFile) -> Iterable[tuple[int, str, str]]:
    """Line, the first name of the photo, and the person of each record."""
    first = file.names.iloc[:, 0].where(file.names.iloc[:, 0] != "", file.names.iloc[:, -1])
    return zip(file.table.index, first, file.table["person"], strict=True)


def _as_read(name: str, reading: Reading) -> str:
    return f"{name} is read as {reading.image} ({', '.join(reading.liberties)})"


def _nearest(person: str, known: Iterable[str]) -> list[str]:
    """People with similar names: only those that differ in case or blanks, if there are any."""
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
