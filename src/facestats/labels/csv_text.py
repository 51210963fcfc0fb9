"""CSV files as people and spreadsheets write them: read as text, so that an error can name file,
line, column and value.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable
from itertools import accumulate, zip_longest
from pathlib import Path

import pandas as pd

from facestats.core.files import without_apostrophe
from facestats.errors import LabelError
from facestats.labels.columns import IMAGE, LABELS, RATER, RATING, plain

SHOWN = 20  # mistakes of one file in a message
TITLE = 10  # lines at the top in which the header is looked for
COLUMNS = 5000  # of one file; a survey has hundreds
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
OTHER_FILES = (
    (b"PK\x03\x04", "an Excel file or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel file of the old kind"),
    (b"%PDF", "a PDF"),
)
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
INVISIBLE = dict.fromkeys(
    [0x00AD, 0x200B, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2060, 0xFEFF]
)  # what copying from pages brings along
IMPORT_ID = re.compile(
    r'\{\s*"ImportId"'
)  # Qualtrics' third line; the second has the questions' texts
_KNOWN = {*IMAGE, *RATER, *RATING, *(word for words in LABELS.values() for word in words)}


def read_csv(path: Path) -> pd.DataFrame | None:
    """All cells as stripped text, empty ones as ''; the index is each record's last line in the
    file. None where there is no file.

    UTF-8, UTF-16 and UTF-32 with their marks, Windows-1252; cells separated by commas, semicolons,
    tabs or bars, whichever gives a header line that is understood; Excel's line `sep=;`. Short
    records are filled up with empty cells; columns and records of empty cells are left out.
    `attrs["notes"]` lists what was read in another way than the user may think.

    Raises
    ------
    LabelError
        No text, no header line, a column named twice or not at all, or lines with more cells than
        the header has.
    """
    if not path.exists():
        if path.is_symlink():
            raise LabelError(f"{path} is a link to nothing; mend the link or remove it")
        return None
    if path.is_dir():
        raise LabelError(f"{path} is a folder, expected a CSV file")
    text, notes = decode(path.read_bytes(), path)
    separator, records, ends = _records(text, path)
    frame = as_frame(records, ends, path, f"put a value with a {SEPARATORS[separator]} into quotes")
    frame.attrs["notes"] = [*notes, *frame.attrs["notes"]]
    return frame


def as_frame(records: list[list[str]], lines: list[int], path: Path, hint: str) -> pd.DataFrame:
    """Records of text, the header first, as a table; see `read_csv`."""
    records = [[cell.translate(INVISIBLE).strip() for cell in record] for record in records]
    start = next((i for i, record in enumerate(records) if any(record)), None)
    if start is None:
        raise LabelError(f"{path} is empty; its first line must name the columns")
    titles, start = start, _header(records, start)
    if records[start][-1].endswith(
        ","
    ):  # commas that a spreadsheet has put behind cells with another separator
        records = [
            [*record[:-1], record[-1].rstrip(",")] if record else record for record in records
        ]
    if all(re.fullmatch(r"'[^']+'", cell) for cell in records[start] if cell):
        records = [[re.sub(r"^'(.*)'$", r"\1", cell) for cell in record] for record in records]
    records = [[without_apostrophe(cell) for cell in record] for record in records]
    header, records, lines = records[start], records[start + 1 :], lines[start + 1 :]
    while (
        header
        and not header[-1]
        and not any(record[len(header) - 1 : len(header)] not in ([], [""]) for record in records)
    ):
        header = header[:-1]
    if records and {"respondentid", "collectorid"} <= set(
        map(plain, header)
    ):  # SurveyMonkey's second line has what is asked about
        above = list(accumulate(header, lambda before, cell: cell or before))
        header = [
            f"{title} [{part}]" if part and "response" not in part.lower() else title
            for title, part in zip_longest(above, records[0][: len(above)], fillvalue="")
        ]
        records, lines = records[1:], lines[1:]
    texts_end = next(
        (i for i, record in enumerate(records[:3], 1) if any(map(IMPORT_ID.match, record))), 0
    )
    questions, records, lines = records[:texts_end], records[texts_end:], lines[texts_end:]
    width = len(header)
    if width > COLUMNS:
        raise LabelError(f"{path} has {width} columns; at most {COLUMNS} are read")
    repeated = {name for name, n in Counter(header).items() if name and n > 1}
    if repeated:
        raise LabelError(f"{path}: the column {min(repeated)!r} stands twice in the header line")
    # Commas at the end are nothing, but they may also be what an unquoted decimal comma has moved
    # to the right.
    regular = [record for record in records if len(record) <= width]
    texts = (
        []
        if len(regular) == len(records)
        else [
            i
            for i in range(width)
            if _holds_texts(record[i] for record in regular if len(record) > i)
        ]
    )
    too_long = [
        f"{path}, {_place(path)} {line}: {len(record)} cells, but the header has {width}; {hint}"
        for record, line in zip(records, lines, strict=True)
        if any(record[width:]) or (len(record) > width and _shifted(record, texts))
    ]
    if too_long:
        raise LabelError(shortened(too_long))
    there = [i for i, record in enumerate(records) if any(record)]
    rows = [records[i][:width] + [""] * (width - len(records[i])) for i in there]
    positions = {name: i for i, name in enumerate(header)}
    frame = _without_nameless(
        pd.DataFrame(rows, columns=header, index=[lines[i] for i in there], dtype="str"), path
    )
    frame.attrs["notes"] = (
        [f"{path.name}: what stands above {', '.join(header[:3])}, … is taken for a title"]
        if start > titles
        else []
    )
    frame.attrs["positions"] = positions
    if questions:
        frame.attrs["notes"].append(
            f"{path.name}: the lines below the header that Qualtrics writes, questions and "
            "ImportId, are no labels"
        )
        frame.attrs["questions"] = dict(zip(header, questions[0], strict=False))
    return frame


def _header(records: list[list[str]], start: int) -> int:
    """The record that names the columns: the first, or below a title the first that has a column of
    images and another one.
    """
    if any(plain(cell) in _KNOWN for cell in records[start]):
        return start
    return next(
        (
            i
            for i in range(start, min(start + TITLE, len(records)))
            if any(plain(cell) in IMAGE for cell in records[i])
            and sum(plain(cell) in _KNOWN for cell in records[i]) > 1
        ),
        start,
    )


def _holds_texts(cells: Iterable[str]) -> bool:
    """Whether a column holds words, and no number at all."""
    there = [cell for cell in cells if cell]
    return bool(there) and not any(map(NUMBER.fullmatch, there))


def _shifted(record: list[str], texts: list[int]) -> bool:
    """Whether a number stands in one of the columns of words."""
    return any(NUMBER.fullmatch(record[i]) for i in texts)


def _without_nameless(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Without columns that have no name: empty ones, and the numbers of rows that programs write in
    front.
    """
    nameless = [
        i for i, name in enumerate(frame.columns) if not name or name.startswith("Unnamed:")
    ]
    for i in nameless:
        column = frame.iloc[:, i]
        numbers = (
            column.str.fullmatch(r"\d+").all() and column.is_unique
        )  # of rows, some of which were left out
        counted = (
            numbers
            and len(frame)
            and (i == 0 or frame.columns[i].startswith("Unnamed:"))
            and any(plain(name) in IMAGE for name in frame.columns)
        )
        if not counted and (column != "").any():
            line = column.index[column != ""][0]
            raise LabelError(
                f"{path}, {_place(path)} {line}: column {i + 1} holds {column[line]!r}, but has no "
                "name in the header line; give it one, or remove it"
            )
    return frame.iloc[:, [i for i in range(frame.shape[1]) if i not in nameless]]


def decode(data: bytes, path: Path) -> tuple[str, list[str]]:
    """A file's text, and a note where it was guessed how it is written.

    Raises
    ------
    LabelError
        It is no text.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), []
            except UnicodeDecodeError as error:
                raise LabelError(
                    f"{path}: damaged: its mark says {encoding}, but the bytes at {error.start} "
                    "are none; save it again"
                ) from None
    kind = next((kind for start, kind in OTHER_FILES if data.startswith(start)), None)
    if kind is None and b"\0" in data:
        kind = (
            "UTF-16 without its mark"
            if 4 * data.count(b"\0") > len(data)
            else "a file of another kind"
        )
    if kind:
        raise LabelError(
            f"{path} is no text but {kind}; save it as `CSV UTF-8`, or, from Excel, as .xlsx under "
            "that name"
        )
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
    mixed = re.search(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", data)
    try:
        text = None if mixed else data.decode("cp1252")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise LabelError(
            f"{path}, line {line}: not UTF-8 (byte {byte:#04x}); save the file as UTF-8, in a "
            "spreadsheet as `CSV UTF-8`"
        )
    # Without a bound, a long word takes minutes.
    word = re.search(r"\w{0,30}[^\x00-\x7f]\w{0,30}", text)
    assert word is not None
    return text, [
        f"{path}: not UTF-8, so it was read as Windows-1252: line {line} has {word[0]!r}. If that "
        "is wrong, save it as UTF-8, in a spreadsheet as `CSV UTF-8`"
    ]


def without_records(data: bytes, ends: Collection[int], path: Path) -> bytes:
    """A CSV file's bytes without the records that end on these lines (from 1); a record may span
    several. Other lines keep their bytes.
    """
    mark, text, encoding = _marked(data, path)
    lines = list(io.StringIO(text, newline=""))
    kept, before = [], 0
    _, _, all_ends = _records(text, path)
    for end in [*all_ends, len(lines)]:
        if end not in ends:
            kept += lines[before:end]
        before = max(before, end)
    return mark + "".join(kept).encode(encoding)


def without_columns(data: bytes, positions: Collection[int], path: Path) -> bytes:
    """A CSV file's bytes without these columns (from 0)."""
    mark, text, encoding = _marked(data, path)
    separator, records, _ = _records(text, path)
    buffer = io.StringIO()
    kept = [[cell for i, cell in enumerate(record) if i not in positions] for record in records]
    quoting = (
        csv.QUOTE_ALL
        if any("\r" in cell for record in kept for cell in record)
        else csv.QUOTE_MINIMAL
    )
    csv.writer(
        buffer,
        delimiter=separator,
        lineterminator="\r\n" if "\r\n" in text else "\n",
        quoting=quoting,
    ).writerows(kept)
    return mark + buffer.getvalue().encode(encoding)


def _marked(data: bytes, path: Path) -> tuple[bytes, str, str]:
    """A file's mark, its text, and how that is written."""
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in MARKS if data.startswith(mark)), (b"", None)
    )
    text, _ = decode(data, path)
    return mark, text, encoding or ("utf-8" if text.encode() == data else "cp1252")


def _records(text: str, path: Path) -> tuple[str, list[list[str]], list[int]]:
    """The separator, the cells of each record, and the line on which it ends."""
    lines = list(io.StringIO(text, newline=""))
    start = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    named = (
        re.fullmatch(r'"?sep=(.)"?\s*', lines[start], re.IGNORECASE) if start < len(lines) else None
    )
    if named and named[1] in SEPARATORS:
        separator, start = named[1], start + 1
    else:
        separator, start = _separator(lines[start : start + TITLE]), 0
    reader = csv.reader(lines[start:], delimiter=separator, strict=True)
    records, ends = [], []
    try:
        for record in reader:
            records.append(record)
            ends.append(start + reader.line_num)
    except csv.Error as error:
        raise LabelError(
            f"{path}, line {start + reader.line_num}: {error}; close the quotation mark, write one "
            "within a cell twice, and separate cells by commas, semicolons or tabs"
        ) from None
    return separator, records, ends


def _separator(lines: list[str]) -> str:
    """The one that gives most columns that are known, in the first line or else below a title, then
    most columns.
    """
    counts = []
    for separator in SEPARATORS:
        records = [_cells(line, separator) for line in lines]
        known = [
            sum(plain(cell) in _KNOWN or cell.strip().startswith("proposed_") for cell in cells)
            for cells in records
        ] or [0]
        counts.append((known[0], max(known), len(records[0]) if records else 0))
    return list(SEPARATORS)[max(range(len(counts)), key=lambda i: (counts[i], -i))]


def _cells(line: str, separator: str) -> list[str]:
    """Cells of one line, none where it can't be read, which is said once the separator is known."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def shortened(mistakes: list[str], count: int | None = None) -> str:
    """Up to 20 lines of a message, and the number of the others."""
    count = len(mistakes) if count is None else count
    shown = mistakes[:SHOWN]
    return "\n".join(shown + ([f"and {count - len(shown)} more"] if count > len(shown) else []))


def _place(path: Path) -> str:
    return "row" if path.suffix.lower() in (".xlsx", ".xlsm") else "line"
