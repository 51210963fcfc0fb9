"""A dataset's folder: what lies in it, and reading from it without following links.

Files are opened from folder to folder by descriptor: a link, in whatever place and at whatever
moment, leads nowhere.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pandas as pd

from facestats.errors import InputError
from facestats.labels.csv_text import check_lines
from facestats.machine.output import is_utf8, one_line

MOST_BYTES = 512 << 20  # of a table; that of IMDB-WIKI, the largest, takes 300 MB
MOST_PACKED = 100  # how often a workbook may unpack
# Cells of a table, above so many, how often those that its file has.
FREE_CELLS, SPARSE = 1_000_000, 4
MOST_COLUMNS = 5000
DEEPEST = 64  # folders within folders
_NOTHING: list[str] = []
JUNK = ("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "icon\r", "__macosx")
JUNK_STARTS = (".", "~$")  # hidden files; what Excel puts beside a workbook that is open
ARCHIVE = re.compile(
    r"\.(zip|tar|tgz|gz|xz|bz2|7z|rar)(a[a-z]|\.?\d{2,3}|\.a[a-z])?$|\.z\d\d$", re.IGNORECASE
)  # also parts of one: AFAD-Full.tar.xzaa, img_celeba.7z.001
PHOTOS = tuple(".jpg .jpeg .jpe .png .bmp .webp .tif .tiff .gif .heic .heif .avif .jp2".split())
SHOWN = 3  # names in a message


class Tree:
    """The files of a folder, all by their paths below it.

    Parameters
    ----------
    top : Path
        The folder, which may itself be named by a link.

    Attributes
    ----------
    files : list of str
        POSIX paths of all that is no folder, sorted, without what systems leave behind: hidden
        files (`._1.jpg`, `.DS_Store`), `__MACOSX`, `Thumbs.db`, `~$Ratings.xlsx`.
    skipped : list of str
        Such files and folders.
    unnamed : list of str
        Files and folders whose names are not UTF-8, with `?` in their place.
    folders : set of str
        Paths of all folders.
    notes : list of str
        How workbooks were understood that have been read.

    Raises
    ------
    InputError
        It is missing, no folder or an archive.
    """

    def __init__(self, top: Path):
        self.top = top
        self.files: list[str] = []
        self.skipped: list[str] = []
        self.unnamed: list[str] = []
        self.folders: set[str] = set()
        self.read_files: dict[str, str] = {}
        self.notes: list[str] = []
        if top.is_file() and is_archive(top.name):
            raise InputError(f"{top} is an archive; unpack it and give its folder")
        if top.is_file():
            raise InputError(f"{top} is a file; give the folder that holds the dataset")
        if not top.is_dir():
            raise InputError(f"{top} does not exist; give the folder that holds the dataset")
        left = [""]
        while left:
            prefix = left.pop()
            if prefix.count("/") > DEEPEST:
                raise InputError(
                    f"{top} has folders within folders, more than {DEEPEST}, such as "
                    f"{one_line(prefix)[:100]}…; give the folder of the dataset"
                )
            with os.scandir(top / prefix) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if entry.name.startswith(JUNK_STARTS) or entry.name.lower() in JUNK:
                        self.skipped.append(path)
                    elif not is_utf8(entry.name):
                        self.unnamed.append(path.encode(errors="replace").decode())
                    elif entry.is_dir(follow_symlinks=False):
                        self.folders.add(path)
                        left.append(path + "/")
                    else:
                        self.files.append(path)
        self.files.sort()
        self.skipped.sort()

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Paths by the name of the file."""
        paths = defaultdict(list)
        for path in self.files:
            paths[path.rpartition("/")[2]].append(path)
        return paths

    @cached_property
    def by_plain_name(self) -> dict[str, list[str]]:
        """Paths by the file's name in small letters and composed Unicode."""
        paths = defaultdict(list)
        for name, own in self.by_name.items():
            paths[plain_path(name)] += own
        return paths

    def ending(self, tail: str) -> list[str]:
        """The files whose path is `tail` or ends with it, the least deep first.

        Where there is none, case does not count, nor whether letters with accents are composed:
        systems rename `1.jpg` to `1.JPG`, and macOS takes `é` apart.
        """
        paths = self.by_name.get(tail.rpartition("/")[2], ())
        matches = [path for path in paths if path.endswith(tail)]
        if len(matches) == 1 and len(matches[0]) == len(tail):
            return matches
        matches = [path for path in matches if path == tail or path.endswith("/" + tail)]
        if not matches:
            plain = plain_path(tail)
            paths = self.by_plain_name.get(plain.rpartition("/")[2], ())
            matches = [path for path in paths if f"/{plain_path(path)}".endswith("/" + plain)]
        return sorted(matches, key=lambda path: (path.count("/"), path)) if matches[1:] else matches

    def table_named(self, *tails: str) -> str:
        """The file that is called like one of these, at any depth.

        Raises
        ------
        InputError
            There is none, or there are several that differ.
        """
        tables = [path for tail in tails for path in self.ending(tail)]
        if not tables:
            raise InputError(f"{self.top}: {tails[0]} is missing; get the whole dataset")
        return self.one_of(tables)

    def one_of(self, paths: Sequence[str]) -> str:
        """The first of several files of one name, which must be equal.

        Raises
        ------
        InputError
            They differ.
        """
        for other in paths[1:]:
            if not self.same(paths[0], other):
                raise InputError(
                    f"{self.top} holds two files of one name that differ, {one_line(paths[0])} and "
                    f"{one_line(other)}; move one of them away"
                )
        return paths[0]

    def same(self, one: str, other: str) -> bool:
        """Whether two files hold the same bytes."""
        with self.open(one) as a, self.open(other) as b:
            if os.fstat(a.fileno()).st_size != os.fstat(b.fileno()).st_size:
                return False
            while block := a.read(1 << 20):
                if block != b.read(len(block)):
                    return False
        return True

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A folder's descriptor: files opened by it lie in it, whatever happens to the path."""
        descriptor = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in PurePosixPath(path).parts:
                try:
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                    inner = os.open(part, flags, dir_fd=descriptor)
                except NotADirectoryError:  # which a link is, too
                    raise InputError(
                        f"{self.top / path} is not a folder, or a link to one; put the folder "
                        "itself there"
                    ) from None
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a regular file."""
        parent, _, name = path.rpartition("/")
        with self.folder(parent) as folder:
            descriptor, _ = open_regular(folder, name, self.top / path)
        with open(descriptor, "rb") as file:
            yield file

    def read(self, path: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of a table, whose sha256 is kept in `read_files`.

        Raises
        ------
        InputError
            It is larger than `most`, or no regular file.
        """
        with self.open(path) as file:
            if os.fstat(file.fileno()).st_size > most:
                raise InputError(f"{self.top / path} is larger than {most >> 20} MiB")
            data = file.read()
        self.read_files[path] = hashlib.sha256(data).hexdigest()
        return data

    def text(self, path: str) -> str:
        """A text file's content, UTF-8 or else Windows-1252, with line ends as `\\n`."""
        data = self.read(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
        check_lines(text, self.top / path)
        return re.sub(r"\r\n?", "\n", text)

    def table(self, path: str, *needed: str, header: Sequence[str] | None = None) -> pd.DataFrame:
        """A CSV file as text, separated by commas, semicolons or tabs.

        Parameters
        ----------
        path : str
            The file.
        *needed : str
            Columns that it must have.
        header : sequence of str, optional
            Names of the columns of a file without a header.

        Raises
        ------
        InputError
            It is no table, or a column is missing.
        """
        lines = self.text(path).split("\n")
        first = next((line for line in lines if line.strip()), "")
        separator = max(",;\t", key=first.count)
        reader = csv.reader((line + "\n" for line in lines), delimiter=separator, strict=True)
        try:
            rows = [
                [cell.strip() for cell in row]
                for row in reader
                if any(cell.strip() for cell in row)
            ]
        except csv.Error as error:
            raise InputError(
                f"{self.top / path}, line {reader.line_num}: {error}; close the quotation mark, or "
                "get the table again"
            ) from None
        names = list(header) if header else rows.pop(0) if rows else []
        return self.frame(path, names, rows, needed)

    def frame(
        self,
        path: str,
        names: list[str],
        rows: list[list[str]],
        needed: Sequence[str] = (),
        repeats: bool = False,
    ) -> pd.DataFrame:
        """Rows of text as a table; short ones are filled up with empty cells.

        Empty columns without a name are left out.

        Raises
        ------
        InputError
            A column is missing, or there twice (with `repeats`, a needed one); or the table is far
            wider than most of its rows, so that filling them up would take the memory.
        """
        missing = [name for name in needed if name not in names]
        if missing:
            listed = one_line(", ".join(names[:12]))[:200] or "nothing"
            raise InputError(
                f"{self.top / path} has no column {missing[0]!r}; its header line has {listed}"
            )
        twice = [
            name
            for name, count in Counter(names).items()
            if name and count > 1 and (name in needed or not repeats)
        ]
        if twice:
            raise InputError(
                f"{self.top / path} has the column {twice[0]!r} twice; remove one of them"
            )
        wide = len(names)
        require_filled(self.top / path, wide, len(rows), sum(map(len, rows)))
        rows = [(row + [""] * (wide - len(row)))[:wide] for row in rows]
        frame = pd.DataFrame(rows, columns=pd.Index(names), dtype="str")
        # A spreadsheet writes columns in which something once stood.
        used = [bool(name) or bool((frame.iloc[:, i] != "").any()) for i, name in enumerate(names)]
        return frame.loc[:, used]

    def sheets(self, path: str) -> dict[str, list[list[str]]]:
        """The cells of a workbook's sheets as text, merged ones filled, which `notes` tell.

        Raises
        ------
        InputError
            It is no workbook, one that takes much memory, or has a formula without a stored value.
        """
        from facestats.labels.excel import read_sheets

        data = self.read(path)
        with naming(self.top / path):
            with zipfile.ZipFile(io.BytesIO(data)) as parts:
                size = sum(part.file_size for part in parts.infolist())
            if size > min(2 * MOST_BYTES, (10 << 20) + MOST_PACKED * len(data)):
                raise ValueError(f"it unpacks to {size >> 20} MiB")
            book = read_sheets(data, self.top / path)
        self.notes += [note for note in book.notes if note not in self.notes]
        return {
            title: [row if any(row) else _NOTHING for row in rows]
            for title, rows in book.sheets.items()
        }


def require_filled(path: Path, columns: int, rows: int, cells: int) -> None:
    """Refuse a table whose short rows would take far more memory filled up than its file.

    Raises
    ------
    InputError
        It has many columns, or few of its cells are there.
    """
    if columns > MOST_COLUMNS:
        raise InputError(f"{path} has {columns} columns; at most {MOST_COLUMNS} are read")
    if columns * rows > max(FREE_CELLS, SPARSE * cells):
        raise InputError(
            f"{path} has {columns} columns and {rows} rows, nearly all of them empty; get the "
            "table again"
        )


def plain_path(path: str) -> str:
    """A path for comparison: in small letters and composed Unicode."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path).lower()


def is_archive(name: str) -> bool:
    """Whether a name is that of an archive."""
    return bool(ARCHIVE.search(name))


def is_photo(name: str) -> bool:
    """Whether a name is that of a photo."""
    return name.lower().endswith(PHOTOS)


def open_regular(folder: int, name: str, shown: str | Path) -> tuple[int, os.stat_result]:
    """The descriptor of a folder's file, and its facts.

    A link could lead anywhere, and a device has no end.

    Raises
    ------
    InputError
        It is not a regular file.
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _irregular(shown) from None
        error.filename = str(shown)
        raise
    try:
        return descriptor, regular(os.fstat(descriptor), shown)
    except InputError:
        os.close(descriptor)
        raise


def regular(facts: os.stat_result, shown: str | Path) -> os.stat_result:
    """The facts of a file, if it is a regular one; else an `InputError` is raised."""
    if not stat.S_ISREG(facts.st_mode):
        raise _irregular(shown)
    return facts


def _irregular(shown: str | Path) -> InputError:
    return InputError(
        f"{shown} is not a regular file (a link, a folder, a pipe or a device); put the file "
        "itself there, or remove it"
    )


@contextmanager
def naming(path: Path, dataset: str = "the dataset") -> Iterator[None]:
    """Turn what a damaged table or archive can raise into an error that names it."""
    try:
        yield
    except (MemoryError, InputError):  # of the machine, or clear already
        raise
    except Exception as error:  # zipfile, zlib, openpyxl, pandas and scipy have many
        if isinstance(error, OSError) and error.errno is not None:  # of the machine
            raise
        raise InputError(
            f"{path} is damaged, or not that of {dataset} ({type(error).__name__}: "
            f"{one_line(str(error))[:200]}); get it again"
        ) from None


def listed(names: Sequence[Any], most: int = SHOWN) -> str:
    """Some of many names, for a message."""
    more = ", …" if len(names) > most else ""
    return one_line(", ".join(str(name) for name in names[:most])) + more
