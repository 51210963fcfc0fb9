"""Files of a project that name photos or people, or are called like them, for `forget`."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

from facestats.cli.forget_traces import LONGEST, SHOWN, TABLES, Search, either, spellings, unread
from facestats.machine.child import Children
from facestats.machine.limits import CrashError, Limits, OverLimitError

LIMITS = Limits(120, 2 << 30)  # of one table
_children = Children("facestats.cli.forget_tables_process", LIMITS, "a table")
_READ_APART = {".parquet", ".feather", ".arrow", ".dta", ".sav", ".zsav"}
# A million pictures take too long to read: their names alone are compared.
PICTURES = frozenset(
    """
    .jpg .jpeg .jpe .jfif .png .apng .gif .bmp .tif .tiff .webp .avif .heic .heif .jxl .jp2 .psd
    .dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .mp4 .m4v .mov .avi .mkv .webm
    """.split()
)
_TEXTS = TABLES | {".md", ".html", ".htm", ".xml", ".tps", ".tem", ".log", ".yaml", ".yml"}
_NUMBERS = {".npy", ".safetensors", ".onnx", ".pt"}  # texts stand at their beginning
_CLOSED = {".pdf", ".7z", ".rar", ".zst", ".gpg", ".age"}  # no text to the naked eye
_TAGGED = (".xml", ".html", ".htm")
_TAG = re.compile(rb"<[^<>]*>")
_MOST = 1 << 31  # bytes of a text, or of an archive's parts together
_MOST_UNKNOWN = 1 << 28  # of a file of an unknown kind
_CHUNK, _OVERLAP = 1 << 22, 1 << 14
_SHORTEST = 5  # bytes of a name that is no chance among numbers
_SHORTEST_START = 3  # characters of a photo's name that pictures made of it begin with
_FEW = 200  # needles that are faster looked for one by one
_UNPACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_OF_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile),
    *(EOFError, ValueError, RuntimeError, NotImplementedError),
)
_PROGRAM = ("src", "tests")  # folders of the project that are ours
_SETTINGS = ("params.yaml", "dvc.yaml", "dvc.lock")
_SEPARATE = re.compile(r"[^\w]|_")


class _UnsearchedError(Exception):
    """A file was not looked through, or not to its end; the text says why."""


class Names:
    """What is looked for in files.

    Parameters
    ----------
    search : Search
    folders : iterable of str
        As of `Search.pattern`.
    """

    def __init__(self, search: Search, folders: Iterable[str]):
        self.text = search.pattern(folders)
        self._words = {*search.names, *search.persons}
        whole = [name for name in search.names if PurePosixPath(name).suffix]
        long = [name for name in whole if len(name.encode(errors="replace")) >= _SHORTEST]
        cells = [
            name
            for name in self._words.difference(whole)
            if len(name.encode(errors="replace")) >= _SHORTEST
        ]
        self._among_numbers = re.compile(
            rb"(?:" + either(long) + rb")|(?<!\w)(?:" + either(cells) + rb")(?!\w)"
        )

    @cached_property
    def _needles(self) -> dict[str, list[bytes]]:
        forms = {
            unicodedata.normalize(form, word) for word in self._words for form in ("NFC", "NFD")
        }
        found = {}
        for encoding in ("cp1252", "utf-16-le", "utf-16-be"):
            known = forms if encoding != "cp1252" else [one for one in forms if not one.isascii()]
            needles = {one.encode(encoding, "ignore") for one in known}
            found[encoding] = sorted(needle for needle in needles if needle)
        return found

    @cached_property
    def _plain(self) -> list[bytes]:
        """What every match in UTF-8 holds; empty where that is too many for a look at each."""
        found: list[bytes] = []
        for word in sorted(self._words, key=len):
            for form in spellings(word):
                found += [] if any(other in form for other in found) else [form]
        return found if len(found) <= _FEW else []

    def first_in(self, data: bytes, is_first: bool = True, is_last: bool = True) -> str | None:
        """The first name in a part of a file; not one that the part's ends may have cut."""
        for form, pattern in self._readings(data):
            for match in pattern.finditer(form):
                cut_off = (match.start() == 0 and not is_first) or (
                    match.end() == len(form) and not is_last
                )
                if not cut_off:
                    return match[0].decode(errors="replace").strip(' ,;\t"')
        return None

    def _readings(self, data: bytes) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
        """The data as they may be meant, each with what is looked for."""
        if not self._plain or any(needle in data for needle in self._plain):
            if b"\0" in data:
                yield data, self._among_numbers
                yield data.replace(b"\0", b"\n"), self.text
            else:
                yield data, self.text
        for encoding, needles in self._needles.items():
            if (encoding == "cp1252" or b"\0" in data) and any(one in data for one in needles):
                for shift in (0,) if encoding == "cp1252" else (0, 1):
                    text = data[shift:].decode(encoding, "replace")
                    yield text.encode(errors="replace"), self.text


def traces(
    root: Path,
    paths: Collection[Path],
    search: Search,
    folders: Iterable[str],
    photos: Path,
    outs: Collection[Path],
) -> list[str]:
    """Lines on files that name the people, hold their embeddings or are called like them.

    Parameters
    ----------
    root : Path
        The project folder.
    paths : collection of Path
        Regular files of it.
    search : Search
    folders : iterable of str
        As of `Search.pattern`.
    photos : Path
        The folder of photos.
    outs : collection of Path
        What stages write: there, tables and texts alone are looked through.
    """
    ours = [*(root / name for name in _PROGRAM), *outs]
    few = {path for path in paths if any(path.is_relative_to(one) for one in ours)}
    wanted = [path for path in paths if _is_searched(path, path in few, photos)]
    named, unsearched = files_that_name(wanted, Names(search, folders))
    others = [path for path in paths if path not in few and path not in named]
    lines = [
        f"{path} names {name}; take that out"
        if path.parent == root and path.name in _SETTINGS
        else f"{path} names {name} and is read by no stage; look through it yourself"
        for path, name in named.items()
    ]
    vectors = _embeddings_beside(others, named)
    lines += [f"{path} holds embeddings; by {of}, theirs are among them" for path, of in vectors]
    known = {path for path, _ in vectors}
    lines += [
        f"{path} is called like {image}, and stays; look at it yourself"
        for path, image in called_like(others, search.images, photos).items()
        if path not in known
    ]
    by_reason: dict[str, list[Path]] = {}
    for path, why in unsearched.items():
        by_reason.setdefault(why, []).append(path)
    for why, some in by_reason.items():
        shown = ", ".join(map(str, some[:SHOWN]))
        more = f" and {len(some) - SHOWN} more" if some[SHOWN:] else ""
        lines.append(f"not looked through for names ({why}): {shown}{more}")
    return lines


def _is_searched(path: Path, few: bool, photos: Path) -> bool:
    kind = path.suffix.lower()
    if kind in TABLES:
        return True
    return not (few or kind in PICTURES or (kind == ".tar" and path.is_relative_to(photos)))


def files_that_name(paths: Iterable[Path], names: Names) -> tuple[dict[Path, str], dict[Path, str]]:
    """Look through files; gives the first name in each that has one, and why some were not read."""
    named, unsearched = {}, {}
    for path in paths:
        try:
            if name := _first_name(path, names):
                named[path] = name
        except _UnsearchedError as error:
            unsearched[path] = str(error)
        except OSError as error:
            unread(path, error)
    return named, unsearched


def _first_name(path: Path, names: Names) -> str | None:
    kind, why = path.suffix.lower(), None
    if kind in _READ_APART:
        try:
            return _in_table(path, names)
        except _UnsearchedError as error:
            why = str(error)
    with open(path, "rb", opener=_open_itself) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        start = file.read(6)
        file.seek(0)
        unpack = next((one for sign, one in _UNPACKERS.items() if start.startswith(sign)), None)
        most = _MOST if kind in TABLES or kind in _TEXTS else _MOST_UNKNOWN
        if start.startswith(b"PK\x03\x04") or unpack:
            try:
                if unpack is None:
                    return _in_archive(file, names)
                with unpack(file) as unpacked:
                    return _in_stream(unpacked, names, most)
            except _OF_ARCHIVE:
                why = "damaged, locked or packed in an unknown way"
            file.seek(0)
        if kind in _NUMBERS:
            return names.first_in(file.read(LONGEST))
        name = _in_stream(file, names, most, kind in _TAGGED)
    if name is None and kind in _CLOSED:
        why = "of a kind that can't be read"
    if name is None and why:
        raise _UnsearchedError(why)
    return name


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _in_table(path: Path, names: Names) -> str | None:
    head = {"path": os.path.abspath(path)}
    try:
        answer, _ = _children.call(head, names.text.pattern)
    except (OverLimitError, CrashError):
        raise _UnsearchedError("takes too long, or ends what reads it") from None
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"], str(path))
    if "why" in answer:
        raise _UnsearchedError(answer["why"])
    return answer["match"]


def _in_archive(file: IO[bytes], names: Names) -> str | None:
    left = _MOST
    with zipfile.ZipFile(file) as archive:
        listed = "\n".join(archive.namelist()).encode(errors="replace")
        if name := names.first_in(listed):
            return name
        for part in archive.infolist():
            kind = PurePosixPath(part.filename).suffix.lower()
            if part.is_dir() or kind in PICTURES:
                continue
            with archive.open(part) as unpacked:
                if name := _in_stream(unpacked, names, left, kind in _TAGGED):
                    return name
            left -= part.file_size
    return None


def _in_stream(file: Any, names: Names, most: int, tagged: bool = False) -> str | None:
    """The first name in a file that is read part by part."""
    before, taken = b"", 0
    while True:
        part = file.read(_CHUNK)
        is_last = len(part) < _CHUNK
        data = before + part
        for form in (data, _TAG.sub(b"\n", data)) if tagged else (data,):
            if name := names.first_in(form, taken == 0, is_last):
                return name
        taken += len(part)
        if is_last:
            return None
        if taken >= most:
            raise _UnsearchedError("too large")
        before = data[-_OVERLAP:]


def _embeddings_beside(paths: Iterable[Path], named: Collection[Path]) -> list[tuple[Path, Path]]:
    """Arrays whose file of names, or whose export, holds the people; each with what says so."""
    owners = {
        (path.parent, path.name.removesuffix("_names.csv")): path
        for path in named
        if path.name.endswith("_names.csv")
    }
    exports = {
        folder: path
        for path in named
        for folder in path.parents
        if (folder / "export.json").is_file()
    }
    found = []
    for path in paths:
        if path.suffix.lower() == ".npy":
            own = owners.get((path.parent, path.name.partition(".")[0]))
            own = own or next((exports[one] for one in path.parents if one in exports), None)
            found += [(path, own)] if own else []
    return found


def called_like(paths: Collection[Path], images: Collection[str], photos: Path) -> dict[Path, str]:
    """Files that have the path of a photo below some folder, and pictures that have its name.

    Those that have the path of a photo that stays are none. Photos are left to
    `forget_traces.called_alike`.
    """
    by_path = {_folded(str(PurePosixPath(image).with_suffix(""))): image for image in images}
    by_name = {path.rpartition("/")[2]: image for path, image in by_path.items()}
    staying = {
        _folded(path.relative_to(photos).with_suffix("").as_posix())
        for path in paths
        if path.is_relative_to(photos)
    }
    found = {}
    for path in paths:
        is_picture = path.suffix.lower() in PICTURES
        if is_picture and path.is_relative_to(photos):
            continue
        name = _folded(path.name)
        ends = [*(match.start() for match in _SEPARATE.finditer(name)), len(name)]
        starts = [start for end in ends if (start := name[:end]) in by_name]
        exact = [one for one in starts if name == one or name[len(one)] == "."]
        above = [*map(_folded, path.parent.parts)]
        for start in starts if is_picture else exact:
            tails = ["/".join([*above[at:], start]) for at in range(len(above) + 1)]
            of_path = next((by_path[tail] for tail in tails if tail in by_path), None)
            of_name = by_name[start] if is_picture and _is_telling(start, exact) else None
            image = of_path or of_name
            if image and not any(tail in staying and "/" in tail for tail in tails[:-1]):
                found[path] = image
                break
    return found


def _is_telling(start: str, exact: list[str]) -> bool:
    """Whether a picture of this beginning is one of the photo: `1_a.png` may be of any."""
    return start in exact or len(start) >= _SHORTEST_START


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
