"""Names of photos as people and programs write them: variants of the path or of the face's name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pandas as pd

from facestats.core.photo_files import face_filename
from facestats.errors import did_you_mean, nearest_names
from facestats.labels.cells import Mistakes

PICTURES = frozenset(
    """
    jpg jpeg jpe jfif png gif bmp tif tiff webp heic heif hif avif jp2 dng cr2 cr3 nef arw raf
    orf rw2
    """.split()
)
SYNONYMS = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "jfif": "jpg",
    "tiff": "tif",
    "heif": "heic",
    "hif": "heic",
}
# How a name may differ from the photo's, in the words of messages.
SLASHES, UNICODE, SIGNS, CASE, ZEROS = (
    "with other slashes",
    "in another form of Unicode",
    "with other blanks or signs",
    "in other case",
    "with other leading zeros",
)
NO_EXTENSION, SAME_EXTENSION, OTHER_EXTENSION = (
    "without extension",
    "with .jpeg for .jpg or the like",
    "with another extension",
)
FOLDER_LACKING, FOLDER_TOO_MUCH = "without their folder", "with a folder too much"
LIBERTIES = (
    SLASHES,
    UNICODE,
    SIGNS,
    CASE,
    SAME_EXTENSION,
    NO_EXTENSION,
    OTHER_EXTENSION,
    FOLDER_LACKING,
    FOLDER_TOO_MUCH,
    ZEROS,
)
# Two photos of a collection may differ in only these, so two names in one file that do are two.
TELLING = frozenset({FOLDER_LACKING, FOLDER_TOO_MUCH, OTHER_EXTENSION, ZEROS})
SPELLING = frozenset({CASE, SAME_EXTENSION})  # of one photo as a rule, seldom of two
ALIKE = 0.6  # least similarity (`difflib`) of a name that is proposed
COMPARED = 40  # `difflib` compares the names with most triples of letters in common


@dataclass(frozen=True)
class Reading:
    """The photo that a written name means.

    Attributes
    ----------
    image : str or None
        Path of the photo below the image folder; None if no reading is possible, or several are.
    liberties : tuple of str
        How the name differs from the photo's path and the face's name, in the words of `LIBERTIES`;
        empty if it is one of them.
    likely : tuple of str
        Without an image, the photos that may be meant, likeliest first.
    several : bool
        Whether the name is ambiguous: each of `likely` is then a possible reading, else none is.
    apart : bool
        Whether it has no reading because another name of the file is the photo of `likely`.
    """

    image: str | None
    liberties: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()
    several: bool = False
    apart: bool = False


class PhotoNames:
    """Finds the photo that a name means, if only one reading is possible.

    A name is a photo's path below the image folder or the name of its face, perhaps with other
    slashes, another form of Unicode, other case, no extension or another one, folders missing or
    added in front, or leading zeros lost. Of several photos, a name means the one that differs from
    it only in ways in which all others do, too. A name in a folder that holds other photos means
    none outside of it: its own photo is gone.

    Parameters
    ----------
    images : iterable of str
        Paths of all photos below the image folder.
    folder : str or Path, optional
        The image folder, for names that are paths to a file in it.
    """

    def __init__(self, images: Iterable[str], folder: str | Path | None = None):
        self.known = frozenset(images)
        self.images = sorted(self.known)
        self.folder = None if folder is None else Path(folder).absolute()
        self._exact = {face_filename(image): image for image in self.images} | {
            image: image for image in self.images
        }

    def read(self, name: str) -> Reading:
        """The photo that one name means."""
        if image := self._exact.get(name):
            return Reading(image)
        text = _plain(name)
        if (
            image := self._exact.get(text)
            or (self.folder and self._exact.get(self._below(text)))
            or self._exact.get(text.replace("\\", "/"))
        ):
            return Reading(image, (SLASHES,) if "\\" in name else ())
        written = _Name.of(text)
        fits = [
            (image, ways)
            for image, photo in self._by_key.get(written.key, ())
            if (ways := _liberties(written, photo)) is not None
            and not (FOLDER_TOO_MUCH in ways and self._is_folder(written, len(photo.folders) + 1))
        ]
        fits = [fit for fit in fits if OTHER_EXTENSION not in fit[1]] or fits
        best = [fit for fit in fits if all(_within(fit[1], ways) for _, ways in fits)]
        if len(best) == 1:
            image, ways = best[0]
            return Reading(
                image,
                tuple(way for way in LIBERTIES if way in ways or (way == SLASHES and "\\" in text)),
            )
        return Reading(
            None,
            likely=tuple(image for image, _ in sorted(fits, key=lambda fit: (len(fit[1]), fit[0]))),
            several=bool(fits),
        )

    def read_all(
        self,
        names: Iterable[str],
        explain: int = 20,
        named: Container[str] = (),
        exactly: bool = False,
    ) -> dict[str, Reading]:
        """The photos that the names of one file mean, by name.

        If two names would mean the same photo, but differ in their folders, extensions or numbers,
        they are two photos: a name that is not the photo's own then has no reading.

        Parameters
        ----------
        names : iterable of str
            All names of the file.
        explain : int
            For how many names without a reading to look for similar ones, which takes long in a
            large collection.
        named : container of str
            Photos that something else names as they are called: for these, names that may be
            another photo's have no reading.
        exactly : bool
            Whether names in other case or with another extension have no reading, either: a program
            wrote them as they were.
        """
        readings = {name: self.read(name) for name in dict.fromkeys(names)}
        by_image: dict[str, list[str]] = {}
        for name, reading in readings.items():
            if reading.image is not None:
                by_image.setdefault(reading.image, []).append(name)
        for image, written in by_image.items():
            several = len({_telling(name, readings[name]) for name in written}) > 1
            apart = TELLING if image in named or several else frozenset()
            apart |= SPELLING | {OTHER_EXTENSION} if exactly else frozenset()
            for name in written:
                if apart.intersection(readings[name].liberties):
                    readings[name] = Reading(None, likely=(image,), apart=True)
        unexplained = [
            name
            for name, reading in readings.items()
            if reading.image is None and not reading.likely
        ]
        return readings | {
            name: Reading(None, likely=self.likely(name)) for name in unexplained[:explain]
        }

    def likely(self, name: str) -> tuple[str, ...]:
        """Up to three photos with similar names, those of the same name in another folder first."""
        written = _Name.of(_plain(name))
        if elsewhere := self._by_key.get(written.key):
            return tuple(image for image, _ in elsewhere[:3])
        triples_of_name = _triples(written.stem)
        common = [len(triples_of_name & triples) for triples in self._all_triples]
        by_name: dict[str, str] = {}
        numbers = _numbers(written.stem)
        for i in sorted(range(len(common)), key=lambda i: -common[i])[:COMPARED]:
            stem = _Name.of(self.images[i]).stem
            if not numbers or _numbers(stem) in ([], numbers):  # photo 2 is not photo 40
                by_name.setdefault(_loose(stem), self.images[i])
        alike = nearest_names(_loose(written.stem), by_name, most=3, likeness=ALIKE, form=str)
        return tuple(by_name[name] for name in alike)

    def called_alike(self, name: str) -> list[str]:
        """Photos in any folder that are called so, but for the liberties that may be taken."""
        return [image for image, _ in self._by_key.get(_Name.of(_plain(name)).key, ())]

    def _below(self, text: str) -> str:
        """An absolute path, or one from the working directory, as a path below the image folder."""
        path = Path(text.replace("\\", "/")).absolute()
        if self.folder is not None and path.is_relative_to(self.folder):
            return path.relative_to(self.folder).as_posix()
        return text

    def _is_folder(self, written: _Name, depth: int) -> bool:
        """Whether the innermost folders of a name, so many of them, hold photos."""
        return tuple(map(_loose, written.folders[-depth:])) in self._folders

    @cached_property
    def _folders(self) -> set[tuple[str, ...]]:
        """The innermost one, two … folders of each photo."""
        folders = {tuple(map(_loose, Path(image).parts[:-1])) for image in self.images}
        return {folder[n:] for folder in folders for n in range(len(folder))}

    @cached_property
    def _by_key(self) -> dict[str, list[tuple[str, _Name]]]:
        by_key: dict[str, list[tuple[str, _Name]]] = {}
        for image in self.images:
            photo = _Name.of(image)
            by_key.setdefault(photo.key, []).append((image, photo))
        return by_key

    @cached_property
    def _all_triples(self) -> list[frozenset[str]]:
        return [_triples(_Name.of(image).stem) for image in self.images]


def describe_liberties(readings: Iterable[Reading]) -> str:
    """`12 names matched without extension, 3 in other case`; empty if all matched exactly."""
    counts = Counter(
        " and ".join(reading.liberties)
        for reading in readings
        if reading.image and reading.liberties
    )
    first, *others = [
        f"{n} {way}" for way, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ] or [""]
    if not first:
        return ""
    n, way = first.split(" ", 1)
    return ", ".join([f"{n} {'name' if n == '1' else 'names'} matched {way}", *others])


def suggestion(reading: Reading) -> str:
    """`; did you mean a.jpg or b.jpg?`; empty if no photo has a similar name."""
    shown = " or ".join(reading.likely[:3]) + (", …" if len(reading.likely) > 3 else "")
    return did_you_mean([shown], "; did you mean")


def has_extension(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return bool(_Name.of(_plain(name)).extensions)


def expected_of_a_moved(images: Sequence[str]) -> str:
    """What a message expects of a name by hand of a photo that is gone, or is now one of these."""
    return (
        f"the name of a photo; if {' or '.join(images[:3])} is meant, write that, and if it was "
        "another photo, which is gone, remove the line"
    )


def refuse_other_photos(
    first: pd.Series, second: pd.Series, photos: PhotoNames, path: Path, mistakes: Mistakes
) -> None:
    """Add to `mistakes` rows whose path and face name belong to two photos.

    This happens when somebody sorts one of the two columns.
    """
    second = second[first.index]
    filled = second != ""
    of_first = photos.read_all(first[filled], explain=0)
    of_second = photos.read_all(second[filled], explain=0)
    images = (
        (line, of_first[first[line]].image, of_second[second[line]].image)
        for line in first.index[filled]
    )
    wrong = [line for line, photo, face in images if photo and face and photo != face]
    if wrong:
        mistakes.add(
            path,
            str(second.name),
            second[wrong],
            "the same photo as in the other column; was one of them sorted alone?",
        )


class _Name(NamedTuple):
    """A path in its parts; `key` is what all its spellings have in common."""

    folders: tuple[str, ...]
    stem: str
    extensions: tuple[str, ...]
    key: str

    @classmethod
    def of(cls, text: str) -> _Name:
        *folders, name = [part for part in re.split(r"[/\\]+", text) if part not in ("", ".")] or [
            ""
        ]
        extensions: tuple[str, ...] = ()
        while "." in name[1:] and (end := name.rpartition("."))[2].strip().lower() in PICTURES:
            name, extensions = end[0], (end[2].strip(), *extensions)
        loose = _loose(name)
        if re.fullmatch(r"\d+(\.0+)?", loose):  # 007 and 7.0 are 7
            loose = loose.partition(".")[0].lstrip("0") or "0"
        return cls(tuple(folders), name, extensions, loose)


def _plain(name: str) -> str:
    """A name without quotes, `<img src=…>`, `file://`, and the queries and escapes of URLs."""
    text = re.sub(r"^\[\s*([\"'].*[\"'])\s*\]$", r"\1", name.strip()).strip("\"'“”„").strip()
    if text.startswith("<") and (source := re.search(r"\bsrc\s*=\s*[\"']?([^\"'>]+)", text)):
        text = source[1].strip()
    if re.match(r"https?://", text, re.IGNORECASE):
        text = re.split(r"[?#]", text)[0]
    if text.lower().startswith("file:") or re.search(r"%[0-9A-Fa-f]{2}", text):
        text = unquote(text)
    return text


def _loose(text: str) -> str:
    """A text without differences in case, forms of Unicode, kinds of blanks and invisible signs."""
    return _visible(text).casefold()


def _visible(text: str) -> str:
    if text.isascii():
        return " ".join(text.split())
    shown = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    )
    return unicodedata.normalize("NFKC", " ".join(shown.split()))


def _liberties(written: _Name, photo: _Name) -> frozenset[str] | None:
    """How a written name differs from a photo's; None if its folders contradict the photo's."""
    depth = min(len(written.folders), len(photo.folders))
    tails = [name.folders[len(name.folders) - depth :] for name in (written, photo)]
    if [*map(_loose, tails[0])] != [*map(_loose, tails[1])]:
        return None
    ways = set()
    if len(written.folders) != len(photo.folders):
        ways.add(FOLDER_LACKING if len(written.folders) < len(photo.folders) else FOLDER_TOO_MUCH)
    ways.add(
        min(
            (
                _extension(written.extensions, extensions)
                for extensions in (photo.extensions, _of_face(photo.extensions))
            ),
            key=("", CASE, SAME_EXTENSION, NO_EXTENSION, OTHER_EXTENSION).index,
        )
    )
    stems = written.stem, photo.stem
    if _loose(stems[0]) != _loose(stems[1]):
        ways.add(ZEROS)
        stems = "", ""
    a, b = ("/".join([*tail, stem]) for tail, stem in zip(tails, stems, strict=True))
    if a != b:
        if _visible(a) != _visible(b):
            ways.add(CASE)
        a, b = a.casefold(), b.casefold()
        if unicodedata.normalize("NFC", a) != unicodedata.normalize("NFC", b):
            ways.add(SIGNS)
        elif a != b:
            ways.add(UNICODE)
    return frozenset(ways - {""})


@cache
def _of_face(extensions: tuple[str, ...]) -> tuple[str, ...]:
    return extensions if extensions and extensions[-1] == "jpg" else (*extensions, "jpg")


@cache
def _extension(written: tuple[str, ...], photo: tuple[str, ...]) -> str:
    """How the extensions of a written name differ from a photo's; empty if they don't."""
    if written == photo:
        return ""
    lower = [tuple(part.lower() for part in parts) for parts in (written, photo)]
    if lower[0] == lower[1]:
        return CASE
    same = [tuple(SYNONYMS.get(part, part) for part in parts) for parts in lower]
    if same[0] == same[1]:
        return SAME_EXTENSION
    return NO_EXTENSION if same[0] == same[1][: len(same[0])] else OTHER_EXTENSION


def _within(ways: frozenset[str], others: frozenset[str]) -> bool:
    """Whether one name differs from the photo's only in ways in which the other does, too."""
    order = (SAME_EXTENSION, NO_EXTENSION, OTHER_EXTENSION)
    ranks = [
        max((order.index(way) + 1 for way in name if way in order), default=0)
        for name in (ways, others)
    ]
    return ranks[0] <= ranks[1] and ways.difference(order) <= others.difference(order)


def _telling(name: str, reading: Reading) -> tuple:
    """The parts of a name that would tell two photos apart."""
    written = _Name.of(_plain(name))
    return (
        tuple(map(_loose, written.folders)),
        written.extensions if OTHER_EXTENSION in reading.liberties else (),
        written.stem if ZEROS in reading.liberties else "",
    )


def _numbers(stem: str) -> list[str]:
    return [digits.lstrip("0") for digits in re.findall(r"[0-9]+", stem)]


def _triples(stem: str) -> frozenset[str]:
    loose = f" {_loose(stem)} "
    return frozenset(loose[i : i + 3] for i in range(len(loose) - 2))
