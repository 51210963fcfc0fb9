"""The faces that a project's label files name, and the names that are no photo."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facestats.errors import LabelError, number_of
from facestats.labels.cells import Mistakes
from facestats.labels.names import (
    FOLDER_LACKING,
    SPELLING,
    TELLING,
    PhotoNames,
    Reading,
    describe_liberties,
    expected_of_a_moved,
    suggestion,
)
from facestats.machine.output import one_line


class NameIndex:
    """Finds the faces that label files name, and keeps the names that it did not find.

    Parameters
    ----------
    faces : DataFrame
        `faces.parquet` with `image`, `filename` (null if rejected).
    """

    def __init__(self, faces: pd.DataFrame):
        self.faces = faces.set_index("image")["filename"]
        self.photos = PhotoNames(self.faces.index)
        self.names: dict[str, int] = {}
        self.absent: dict[str, list[tuple[str, Reading]]] = {}
        self.rejected: dict[str, list[str]] = {}
        self.liberties: dict[str, str] = {}
        self.mixed: list[str] = []
        self._apart: set[str] = set()  # photos that a file names beside others of like names
        self._named: set[str] = set()  # photos that a file names as they are called

    def resolve(
        self, column: pd.Series, path: Path, mistakes: Mistakes, must_match: bool = True
    ) -> pd.Series:
        """The face that each cell names; null if there is none.

        What an earlier file has shown to be two photos is not one here.

        Parameters
        ----------
        column : Series of str
            Names by line, none empty.
        path : Path
            The file.
        mistakes : Mistakes
            Gets the ambiguous names.
        must_match : bool
            Whether it is an error if none of the names is a photo. Else the file is one of the
            pages, which write names as they are: another name is perhaps of a photo that is gone,
            or that was moved. It is a mistake where something else names the photo that is there,
            or where it differs in case or has another extension.

        Raises
        ------
        LabelError
            None of the names is a photo.
        """
        named = () if must_match else self._named
        readings = self.photos.read_all(column, named=named, exactly=not must_match)
        readings = self._told_apart(readings)
        self._named |= {
            reading.image
            for reading in readings.values()
            if reading.image is not None and not TELLING.intersection(reading.liberties)
        }
        several = [name for name, reading in readings.items() if reading.several]
        if several:
            mistakes.add(
                path,
                str(column.name),
                column[column.isin(several)].drop_duplicates(),
                lambda name: (
                    "the name of one photo, but this may be "
                    f"{' or '.join(readings[name].likely[:3])}; write which one"
                ),
            )
        if not must_match:
            self._refuse_moved(column, readings, path, mistakes)
        absent = [
            (name, reading)
            for name, reading in readings.items()
            if reading.image is None and not reading.several
        ]
        if must_match and absent and len(absent) == len(readings):
            raise LabelError(self._all_absent(path, absent))
        images = {
            name: reading.image for name, reading in readings.items() if reading.image is not None
        }
        faces = self.faces.reindex(list(images.values())).set_axis(list(images))
        self.names[path.name], self.absent[path.name] = len(readings), absent
        self.rejected[path.name] = faces.index[faces.isna()].tolist()
        self.liberties[path.name] = describe_liberties(readings.values())
        if must_match:
            self._look_for_mixed(path, readings)
            self._look_for_twins(path, readings)
        else:
            self._look_for_gone(path, readings)
        return column.map(faces.to_dict()).astype("str")

    def _told_apart(self, readings: dict[str, Reading]) -> dict[str, Reading]:
        self._apart |= {reading.likely[0] for reading in readings.values() if reading.apart}
        return {
            name: Reading(None, likely=(reading.image,), apart=True)
            if reading.image in self._apart and TELLING.intersection(reading.liberties)
            else reading
            for name, reading in readings.items()
        }

    def _look_for_mixed(self, path: Path, readings: dict[str, Reading]) -> None:
        """Note names without their photo's folder, where others have it."""
        found = {name: reading for name, reading in readings.items() if reading.image is not None}
        without = [name for name, reading in found.items() if FOLDER_LACKING in reading.liberties]
        if without and len(without) < len(found):
            shown = ", ".join(f"{name} as {found[name].image}" for name in without[:3])
            self.mixed.append(
                f"{path.name}: {number_of(len(without), 'name')} matched {FOLDER_LACKING}, unlike "
                f"the others: {one_line(shown)}{', …' if len(without) > 3 else ''}; if another "
                "photo is meant, remove the line or write the folder"
            )

    def _look_for_twins(self, path: Path, readings: dict[str, Reading]) -> None:
        """Note names that are spelt almost as another one of the file, which is the photo's own."""
        named = {reading.image for reading in readings.values() if not reading.liberties}
        twins = [
            f"{name} as {reading.image}"
            for name, reading in readings.items()
            if reading.image in named and SPELLING.intersection(reading.liberties)
        ]
        if twins:
            self.mixed.append(
                f"{path.name}: {number_of(len(twins), 'name')} spelt almost as another one there: "
                f"{one_line(', '.join(twins[:3]))}{', …' if len(twins) > 3 else ''}; if another "
                "photo was meant, which is gone, remove its lines"
            )

    def _refuse_moved(
        self, column: pd.Series, readings: dict[str, Reading], path: Path, mistakes: Mistakes
    ) -> None:
        """Add names to `mistakes` that may be another name of a photo, or of one that is gone.

        To pass over a label by hand could give a child a score.
        """
        apart = [name for name, reading in readings.items() if reading.apart]
        if apart:
            mistakes.add(
                path,
                str(column.name),
                column[column.isin(apart)].drop_duplicates(),
                lambda name: expected_of_a_moved(readings[name].likely[:1]),
            )

    def _look_for_gone(self, path: Path, readings: dict[str, Reading]) -> None:
        """Note names in a file of the pages that their photo has not had when they were written."""
        other = [
            f"{name} as {reading.image}"
            for name, reading in readings.items()
            if reading.image is not None and TELLING.intersection(reading.liberties)
        ]
        if other:
            self.mixed.append(
                f"{path.name}: {number_of(len(other), 'name')} with another folder or number than "
                f"the photo: {one_line(', '.join(other[:3]))}"
                f"{', …' if len(other) > 3 else ''}; if another photo was meant, which is gone, "
                "remove the line"
            )

    def _all_absent(self, path: Path, absent: list[tuple[str, Reading]]) -> str:
        name, reading = next(
            ((name, reading) for name, reading in absent if reading.likely), absent[0]
        )
        photos = ", ".join(
            [*self.photos.images[:3], *(["…"] if len(self.photos.images) > 3 else [])]
        )
        return (
            f"{path}: none of its {number_of(len(absent), 'name')} is a photo, for example "
            f"{name!r}{suggestion(reading)}; there are "
            f"{number_of(len(self.photos.images), 'photo')}: {photos}. Check that data.images and "
            "data.labels belong together"
        )

    def notes(self) -> list[str]:
        """One line a file on how names that are not the photos' own were matched."""
        return [f"{file}: {line}" for file, line in sorted(self.liberties.items()) if line]

    def warnings(self) -> list[str]:
        """One line a file on names that are not a photo, and one on photos without a face."""
        warnings = []
        for file, absent in sorted(self.absent.items()):
            if absent:
                shown = sorted(absent, key=lambda item: not item[1].likely)[:3]
                examples = ", ".join(
                    name + suggestion(reading).replace("; ", " (", 1).replace("?", "?)")
                    for name, reading in shown
                )
                warnings.append(
                    f"{file} names {number_of(len(absent), 'missing image')}, of "
                    f"{self.names[file]}, for example {one_line(examples)}"
                )
        warnings += [
            f"{file} names {number_of(len(images), 'image')} rejected by preprocess, for example "
            f"{one_line(', '.join(images[:3]))}"
            for file, images in sorted(self.rejected.items())
            if images
        ]
        return [*warnings, *self.mixed]
