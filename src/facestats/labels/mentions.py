"""The photo and the person that each line of the label files is about, for removing them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from facestats.errors import InputError, did_you_mean, nearest_names
from facestats.labels.cells import one_form
from facestats.labels.columns import key_column
from facestats.labels.files import read_sheet
from facestats.labels.names import (
    OTHER_EXTENSION,
    SPELLING,
    TELLING,
    ZEROS,
    PhotoNames,
    Reading,
    has_extension,
    suggestion,
)
from facestats.labels.removal import SHOWN, LabelFile

GONE = (
    "correct the names; or, where a photo is gone already, add --allow-missing: the lines about "
    "it are removed"
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

        A name is that of the photo which it fits best, and of an earlier one before a present one;
        in a label file it may be of either, for photos are moved.
        """
        readings = self._here.read_all(names)
        gone = self._before.read_all(
            [name for name, reading in readings.items() if not _is_exact(reading)]
        )
        own = {reading.image for reading in readings.values() if _is_exact(reading)}
        for name, reading in gone.items():
            here = readings[name]
            by_now = here.likely if here.several else (here.image,) if here.image else ()
            fits, fits_here = {*reading.liberties}, {*here.liberties}
            is_surer = fits < fits_here or (_is_certain(reading) and not _is_certain(here))
            is_worse = here.image is not None and fits_here < fits
            may_be_both = not is_worse and not (is_surer and {*by_now} <= own)
            if reading.image and in_file and by_now and may_be_both:
                readings[name] = Reading(None, likely=(reading.image, *by_now), several=True)
            elif reading.image and (is_surer or not by_now):
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
            # Another folder, extension, number or case is too uncertain to remove a photo.
            is_respelt = has_extension(name) and not SPELLING.isdisjoint(reading.liberties)
            if _is_certain(reading) and not is_respelt:
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


def _is_exact(reading: Reading) -> bool:
    """Whether a name is a photo's own."""
    return reading.image is not None and not reading.liberties


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
