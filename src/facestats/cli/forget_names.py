"""The names of photos and people in a file's bytes, however they are written, for `forget`."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

_FOLDED = bytes.maketrans(
    bytes(range(ord("A"), ord("Z") + 1)) + b"\\", bytes(range(ord("a"), ord("z") + 1)) + b"/"
)
_SLASHES = re.compile(r"[\\/]+")
_SHORTEST = 5  # bytes of a name that is no chance among other text
_FEW = 200  # needles that are faster looked for one by one
_ABOVE = 1024  # bytes of the folders that are looked at
_CELL = rb"(?<![^\r\n,;\t\"\0%s])"
_END = rb"(?=[ ]*(?:\Z|[,;\t\"'\r\n<>|)\]}\0]))"
_UP = rb"(?:\.\.?/+)*"
# What stands before a path below any folders, and before one that nothing stands above.
_FULL, _ALONE = rb"(?<![\w.\-])", rb"(?<![\w/.\-])" + _UP
_PICTURE = (
    rb"(?:(?<![\w/])|(?<=\./)|(?<=\.jpg)|(?<=\.png)|(?<=\.tif)|(?<=\.jpeg)|(?<=\.webp)|(?<=\.tiff))"
)


class Found(NamedTuple):
    """A name in a text; not `is_sure` where a photo that stays is called so, too."""

    start: int
    end: int
    text: str
    is_sure: bool


@dataclass(frozen=True)
class Finder:
    """What finds names; all are in the bytes of UTF-8.

    Attributes
    ----------
    paths : str
        A pattern of photos' paths in folded bytes; its group `maybe` may be of another photo.
    numbers : str
        The same where texts touch each other and numbers stand between them.
    cells : str
        A pattern of people and of names without extension, as cells of a table.
    long_cells : str
        The same of the long ones, as words.
    words : list of str
        Parts of paths, one of which each match of a path holds.
    cell_words : list of str
        The same of a cell.
    others : list of str
        Folders above a name that tell a photo that stays from one that goes.

    The patterns and folders are bytes, read as Latin-1.
    """

    paths: str
    numbers: str
    cells: str
    long_cells: str
    words: list[str]
    cell_words: list[str]
    others: list[str]

    @classmethod
    def of(
        cls,
        images: Collection[str],
        names: Collection[str],
        persons: Collection[str],
        folders: Iterable[str],
        staying: Collection[str] = (),
    ) -> Finder:
        """Prepare a search for names and people.

        Parameters
        ----------
        images : collection of str
            Paths below the image folder: found below any folders, by their ends, and without
            extension where a folder stands before the name.
        names : collection of str
            Other names of them: those that hold a folder are found below any, the rest below
            `folders`, and those without extension as cells.
        persons : collection of str
        folders : iterable of str
            Those that may precede a name.
        staying : collection of str
            Photos that stay and are called like one that goes, whatever their folder.
        """
        ways = _Ways(staying)
        for image in images:
            ways.add_photo(image)
        whole = {name for name in names if PurePosixPath(name).suffix}.difference(images)
        for name in whole:
            ways.add_name(name, [*folders])
        cells = [name for name in {*names, *images} if not PurePosixPath(name).suffix]
        found = rb"|".join(filter(None, (ways.pattern(True), ways.pattern(False))))
        ends = {form for name in [*cells, *persons] for form in _forms(name)}
        either = _any_of(form for name in [*cells, *persons] for form in spellings(name))
        long = _any_of(
            form
            for name in [*cells, *persons]
            if len(name.encode(errors="replace")) >= _SHORTEST
            for form in spellings(name)
        )
        return cls(
            (found or rb"(?!)").decode("latin-1"),
            ways.numbers().decode("latin-1"),
            (rb"(?:^|[,;\t\"])[ ]*(?:" + either + rb")[ ]*(?=$|[,;\t\"\r\n])").decode("latin-1"),
            (rb"(?<!\w)(?:" + long + rb")(?!\w)").decode("latin-1"),
            sorted(ways.words),
            sorted(filter(None, ends)),
            sorted(folder.decode("latin-1") for folder in _others(images, staying)),
        )

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Finder:
        return cls(**json.loads(data))

    @cached_property
    def _patterns(self) -> dict[bool, tuple[re.Pattern[bytes], re.Pattern[bytes]]]:
        return {
            among: (re.compile(paths.encode("latin-1")), re.compile(cells.encode("latin-1"), re.M))
            for among, paths, cells in (
                (False, self.paths, self.cells),
                (True, self.numbers, self.long_cells),
            )
        }

    @cached_property
    def _needles(self) -> tuple[list[bytes], list[bytes]]:
        """What paths and cells in UTF-8 hold; empty where that is too many for a look at each."""
        spelled = (form for word in self.words for case in _cases(word) for form in spellings(case))
        paths = _shortest(set(map(folded, spelled)))
        cells = _shortest({form for word in self.cell_words for form in spellings(word)})
        return paths if len(paths) <= _FEW else [], cells if len(cells) <= _FEW else []

    @cached_property
    def _beginnings(self) -> re.Pattern[bytes]:
        """Needles of paths where one may begin: this is faster than `paths` as it fails."""
        return re.compile(
            _joined(
                re.escape(one[:1])
                + rb"(?<![\w.\-]"
                + re.escape(one[:1])
                + rb")"
                + re.escape(one[1:])
                for one in self._needles[0]
            )
        )

    def _may_hold(self, text: bytes, among_numbers: bool) -> bool:
        """Whether folded bytes may hold a path."""
        needles = self._needles[0]
        if not needles or not self.words:
            return bool(self.words)
        single = text.replace(b"//", b"/") if b"//" in text else text
        return any(one in single for one in needles) and (
            among_numbers or self._beginnings.search(single) is not None
        )

    @cached_property
    def _above_others(self) -> tuple[bytes, ...]:
        return tuple(folder.encode("latin-1") for folder in self.others)

    def all_in(self, data: bytes, among_numbers: bool = False) -> Iterator[Found]:
        """Every name in a text; `among_numbers`, those that touch what stands beside them, too."""
        paths, cells = self._patterns[among_numbers]
        cell_needles = self._needles[1]
        text = folded(data)
        if self._may_hold(text, among_numbers):
            for match in paths.finditer(text):
                if not self._is_of_another(text, match.start()):
                    yield _found(data, match, match["maybe"] is None)
        if self.cell_words and (not cell_needles or any(one in data for one in cell_needles)):
            yield from (_found(data, match, True) for match in cells.finditer(data))

    def _is_of_another(self, text: bytes, start: int) -> bool:
        if not self.others or text[start - 1 : start] != b"/":
            return False
        above = text[max(0, start - _ABOVE) : start].replace(b"//", b"/")
        return above.endswith(self._above_others) and any(
            above.endswith(other) and not re.search(rb"[\w.\-]\Z", above.removesuffix(other))
            for other in self._above_others
        )


class _Ways:
    """The ways in which names may be written, by what must stand around each.

    Parameters
    ----------
    staying : collection of str
        As of `Finder.of`.
    """

    def __init__(self, staying: Collection[str]):
        self.words: set[str] = set()
        self._forms: dict[tuple[bool, bytes, bytes], set[bytes]] = defaultdict(set)
        self._full: set[bytes] = set()
        self._ends: dict[bool, set[bytes]] = {True: set(), False: set()}
        self._staying = {_key(path) for path in staying}
        self._stems = {_key(_stem(path)) for path in staying}

    def add_photo(self, image: str) -> None:
        parts, stems = image.split("/"), _stem(image).split("/")
        self.words |= _parts_to_find(parts, True)
        for at in range(len(parts)):
            tail, stem = parts[at:], stems[at:]
            sure = not self._is_called("/".join(tail), self._staying, at)
            if PurePosixPath(image).suffix:
                self._add(tail, sure, at == 0)
            if len(stem) > 1:
                sure = not self._is_called("/".join(stem), self._stems, at)
                self._put(stem, sure, _ALONE if at else _FULL, _END)

    def add_name(self, name: str, folders: list[str]) -> None:
        parts = [part for part in _SLASHES.split(name) if part]
        sure = not self._is_called("/".join(parts), self._staying, len(parts) == 1)
        self.words |= _parts_to_find(parts, False)
        self._add(parts, sure, len(parts) > 1)
        if len(parts) == 1:
            for folder in folders:
                self._add([*filter(None, folder.split("/")), *parts], sure, True)

    def _add(self, parts: list[str], sure: bool, full: bool) -> None:
        if len("/".join(parts).encode(errors="replace")) < _SHORTEST:
            before = _CELL % b"/" if full else _CELL % b"" + _UP
            self._put(parts, sure, before, _END)
        else:
            self._put(parts, sure, _FULL if full else _ALONE, rb"(?!\w)")
            if full:
                self._full |= set(_written(parts))
            elif len(parts) == 1:
                self._ends[sure] |= set(_written(parts))

    def _put(self, parts: list[str], sure: bool, before: bytes, after: bytes) -> None:
        self._forms[sure, before, after] |= set(_written(parts))

    def _is_called(self, tail: str, others: set[str], is_end: int) -> bool:
        key = _key(tail)
        return key in others or bool(is_end and any(one.endswith(f"/{key}") for one in others))

    def pattern(self, sure: bool) -> bytes:
        found = rb"|".join(
            before + rb"(?:" + _joined(forms) + rb")" + after
            for (is_sure, before, after), forms in self._forms.items()
            if is_sure == sure
        )
        return found if sure else rb"(?P<maybe>" + (found or rb"(?!)") + rb")"

    def numbers(self) -> bytes:
        """A pattern of the long ones where no end of a text is to be seen."""
        ends = {sure: rb"(?:" + _joined(forms) + rb")" for sure, forms in self._ends.items()}
        return (
            rb"(?:"
            + _joined(self._full)
            + rb")|"
            + _PICTURE
            + ends[True]
            + rb"|(?P<maybe>"
            + _PICTURE
            + ends[False]
            + rb")"
        )


def spellings(name: str) -> set[bytes]:
    """A name in both forms of Unicode, also as JSON, HTML, XML and addresses escape it."""
    ways = (str, html.escape, _as_text, _as_xml, lambda form: json.dumps(form)[1:-1], _as_address)
    return {way(form).encode(errors="surrogateescape") for form in _forms(name) for way in ways}


def folded(data: bytes) -> bytes:
    """Bytes with small letters of ASCII and one kind of slash."""
    return data.translate(_FOLDED)


def _forms(name: str) -> set[str]:
    return {name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))}


def _as_text(name: str) -> str:
    return html.escape(name, quote=False)


def _as_xml(name: str) -> str:
    return _as_text(name).replace('"', "&quot;").replace("'", "&apos;")


def _as_address(name: str) -> str:
    return quote(name.encode(errors="surrogateescape"))


def _written(parts: list[str]) -> Iterator[bytes]:
    """Patterns of a path in folded bytes; all of it is spelled in one way."""
    path = "/".join(parts)
    for form in {form for case in _cases(path) for form in spellings(case)}:
        yield rb"/+".join(re.escape(folded(part)) for part in form.split(b"/"))


def _joined(patterns: Iterable[bytes]) -> bytes:
    return rb"|".join(sorted(patterns, key=len, reverse=True)) or rb"(?!)"


def _any_of(forms: Iterable[bytes]) -> bytes:
    return _joined(map(re.escape, set(forms)))


def _parts_to_find(parts: list[str], stem_too: bool) -> set[str]:
    """What a path holds wherever it is written: its ending where that is telling."""
    stem = PurePosixPath(parts[-1]).stem
    if len(stem) >= _SHORTEST:
        return {stem}
    return {parts[-1], *(["/".join([*parts[-2:-1], stem])] if stem_too and parts[1:] else [])}


def _cases(name: str) -> set[str]:
    """A name, and in other case as far as `folded` does not see to that."""
    return {name} if name.isascii() else {name, name.lower(), name.upper()}


def _shortest(needles: set[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for needle in sorted(filter(None, needles), key=len):
        found += [] if any(other in needle for other in found) else [needle]
    return found


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix("")) if PurePosixPath(path).name else path


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def called_so(images: Iterable[str], staying: Iterable[str]) -> set[str]:
    """Those of the photos that stay whose name, without folder and extension, one has that goes."""
    names = {_key(PurePosixPath(image).stem) for image in images}
    return {path for path in staying if _key(PurePosixPath(path).stem) in names}


def _others(images: Iterable[str], staying: Iterable[str]) -> set[bytes]:
    stems = {_key(_stem(image)) for image in images}
    above = set()
    for path in staying:
        parts = _stem(path).split("/")
        above |= {
            "/".join(parts[:at])
            for at in range(1, len(parts))
            if _key("/".join(parts[at:])) in stems
        }
    return {folded(form) + b"/" for folder in above for form in spellings(folder)}


def _found(data: bytes, match: re.Match[bytes], is_sure: bool) -> Found:
    text = data[match.start() : match.end()].decode(errors="replace").strip(' ,;\t"')
    return Found(match.start(), match.end(), text, is_sure)
