"""CSV files as people and spreadsheets write them, read as text.

Cells stay text so that an error can name file, line, column and value.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import accumulate, islice, zip_longest
from pathlib import Path

import pandas as pd

from facestats.core.files import without_apostrophe
from facestats.errors import LabelError
from facestats.labels.columns import IMAGE, LABELS, RATER, RATING, plain
from facestats.labels.sheet import Sheet

WORKBOOKS = (".xlsx", ".xlsm")  # read like CSV files
SHOWN = 20  # mistakes of one file in a message
TITLE = 10  # lines at the top that may hold the header
COLUMNS = 5000  # of one file; a survey has hundreds
MOST_BYTES = 500_000_000  # of one file
MOST_LINES = 10_000_000  # of one file
# Each line takes some 300 bytes of memory: beyond as many as a sheet of Excel has, lines must hold
# a name and a value.
FEW_LINES, SHORTEST = 1_100_000, 8  # characters on average
LONGEST_LINE = 2_000_000  # characters
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
_BLANK: list[str] = []
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
INVISIBLE = dict.fromkeys(
    [0x00AD, 0x200B, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2060, 0xFEFF]
)  # copied from web pages
# Qualtrics' third line; the second has the questions' texts.
IMPORT_ID = re.compile(r'\{\s*"ImportId"')
_NAMING = {*IMAGE, *RATER}  # one of them is in every header
_KNOWN = {*IMAGE, *RATER, *RATING, *(word for words in LABELS.values() for word in words)}


def read_csv(path: Path) -> Sheet | None:
    """Read a CSV file as text.

    Reads UTF-8, UTF-16 and UTF-32 with their marks, and Windows-1252. Cells are separated by
    commas, semicolons, tabs or bars: by what gives a header line with known columns, or what
    Excel's line `sep=;` says. Short records are filled up with empty cells; empty columns and
    records are left out.

    Returns
    -------
    Sheet or None
        None if there is no file.

    Raises
    ------
    LabelError
        No text, no header line, a column named twice or not at all, or lines with more cells than
        the header has.
    """
    if not path.exists():
        if path.is_symlink():
            raise LabelError(f"{path} is a link to nothing; repair or remove the link")
        return None
    if path.is_dir():
        raise LabelError(f"{path} is a folder, expected a CSV file")
    if not path.is_file():  # a pipe, which would be waited for, or a device without end
        raise LabelError(f"{path} is no regular file, expected a CSV file")
    if path.stat().st_size > MOST_BYTES:
        raise LabelError(f"{path} is larger than {MOST_BYTES // 1_000_000} MB; divide it")
    text, notes = decode(path.read_bytes(), path)
    separator, records, ends = _records(text, path)
    # A file may hold nothing but line breaks.
    kept = [i for i, record in enumerate(records) if record or i <= TITLE]
    records[:], ends = [records[i] for i in kept], [ends[i] for i in kept]
    del text, kept
    sheet = as_sheet(records, ends, path, f"put a value with a {SEPARATORS[separator]} into quotes")
    sheet.notes[:0] = notes
    return sheet


def as_sheet(records: list[list[str]], lines: list[int], path: Path, hint: str) -> Sheet:
    """Records of text, the header first, as a sheet; see `read_csv`.

    Empties `records`: a second copy of them would double the memory.
    """
    _replace(records, lambda record: [visible(cell) for cell in record])
    first = next((i for i, record in enumerate(records) if any(record)), None)
    if first is None:
        raise LabelError(f"{path} is empty; its first line must name the columns")
    start = _header(records, first)
    _unwrap(records, start)
    header, lines = records[start], lines[start + 1 :]
    del records[: start + 1]
    header = _without_empty_end(header, records)
    header, lines, questions = _without_survey_rows(header, records, lines)
    if (width := len(header)) > COLUMNS:
        raise _too_wide(path, width)
    repeated = {name for name, count in Counter(header).items() if name and count > 1}
    if repeated:
        raise LabelError(f"{path}: the column {min(repeated)!r} stands twice in the header line")
    _refuse_long_records(records, lines, width, path, hint)
    filled = [i for i, record in enumerate(records) if any(record)]
    index = [lines[i] for i in filled]
    records[:] = [records[i] for i in filled]
    _replace(records, lambda record: record[:width] + [""] * (width - len(record)))
    table = pd.DataFrame(records, columns=header, index=index, dtype="str")
    records.clear()
    named, lost = _without_nameless(table, path)
    sheet = Sheet(named, {name: i for i, name in enumerate(header)}, lost=lost)
    if start > first:
        sheet.notes.append(
            f"{path.name}: the lines above {', '.join(header[:3])}, … are taken for a title"
        )
    if questions:
        sheet.notes.append(
            f"{path.name}: left out the lines of questions and ImportId of Qualtrics"
        )
        sheet.questions = dict(zip(header, questions[0], strict=False))
    return sheet


def _too_wide(path: Path, width: int) -> LabelError:
    return LabelError(f"{path} has {width} columns; at most {COLUMNS} are read")


def _replace(records: list[list[str]], change: Callable[[list[str]], list[str]]) -> None:
    for i, record in enumerate(records):
        records[i] = change(record) if record else _BLANK


def visible(cell: str) -> str:
    """A cell without blanks at its ends and signs that nobody sees, as all cells are read."""
    return (cell if cell.isascii() else cell.translate(INVISIBLE)).strip()


def _unwrap(records: list[list[str]], start: int) -> None:
    """Remove what programs wrap cells in; `start` is the header's record.

    Spreadsheets put commas behind the cells of a file with another separator, some programs put
    all headers into apostrophes, and we put one in front of formulas.
    """
    if records[start][-1].endswith(","):
        _replace(records, lambda record: [*record[:-1], record[-1].rstrip(",")])
    if all(re.fullmatch(r"'[^']+'", cell) for cell in records[start] if cell):
        _replace(records, lambda record: [re.sub(r"^'(.*)'$", r"\1", cell) for cell in record])
    _replace(records, lambda record: [without_apostrophe(cell) for cell in record])


def _without_empty_end(header: list[str], records: list[list[str]]) -> list[str]:
    """The header without columns at its end that have neither name nor content."""
    while (
        header
        and not header[-1]
        and not any(record[len(header) - 1 : len(header)] not in ([], [""]) for record in records)
    ):
        header = header[:-1]
    return header


def _without_survey_rows(
    header: list[str], records: list[list[str]], lines: list[int]
) -> tuple[list[str], list[int], list[list[str]]]:
    """Header and lines without the rows of texts that survey tools write, and these rows.

    They are removed from `records`. SurveyMonkey's second line names what each column asks about:
    it goes into the header. Qualtrics writes up to three rows, the last of which holds ImportIds:
    they are returned.
    """
    if records and {"respondentid", "collectorid"} <= set(map(plain, header)):
        titles = list(accumulate(header, lambda before, cell: cell or before))
        header = [
            f"{title} [{part}]" if part and "response" not in part.lower() else title
            for title, part in zip_longest(titles, records[0][: len(titles)], fillvalue="")
        ]
        del records[0]
        lines = lines[1:]
    end = next((i for i, record in enumerate(records[:3], 1) if _are_import_ids(record)), 0)
    questions = records[:end]
    del records[:end]
    return header, lines[end:], questions


def _are_import_ids(record: list[str]) -> bool:
    """Whether several cells are Qualtrics' ImportIds; one may be the name of a photo."""
    filled = [cell for cell in record if cell]
    count = sum(map(bool, map(IMPORT_ID.match, filled)))
    return count > 1 and 3 * count >= len(filled)


def _refuse_long_records(
    records: list[list[str]], lines: list[int], width: int, path: Path, hint: str
) -> None:
    """Raise a `LabelError` if records have more cells than the header.

    Empty cells at the end do no harm, unless an unquoted decimal comma has shifted the record: then
    a number stands in a column of words.
    """
    if all(len(record) <= width for record in records):
        return
    regular = [record for record in records if len(record) <= width]
    words = [
        i for i in range(width) if _holds_words(record[i] for record in regular if len(record) > i)
    ]
    too_long = [
        f"{path}, {line_or_row(path)} {line}: {len(record)} cells, but the header has {width}; "
        f"{hint}"
        for record, line in zip(records, lines, strict=True)
        if any(record[width:])
        or (len(record) > width and any(NUMBER.fullmatch(record[i]) for i in words))
    ]
    if too_long:
        raise LabelError(shortened(too_long))


def _header(records: list[list[str]], start: int) -> int:
    """Number of the record that names the columns.

    It is the first, or below a title the first with a column of images and another known one.
    Below a title of one cell, it is the first with several columns, one of images or raters.
    """
    top = range(start, min(start + TITLE, len(records)))
    if len({*records[start]} - {""}) == 1:
        several = (
            i
            for i in top
            if len({*records[i]} - {""}) > 1 and any(plain(cell) in _NAMING for cell in records[i])
        )
        if (below := next(several, None)) is not None:
            return below
    if any(plain(cell) in _KNOWN for cell in records[start]):
        return start
    return next(
        (
            i
            for i in top
            if any(plain(cell) in IMAGE for cell in records[i])
            and sum(plain(cell) in _KNOWN for cell in records[i]) > 1
        ),
        start,
    )


def _holds_words(cells: Iterable[str]) -> bool:
    """Whether a column holds words and no number at all."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and not any(map(NUMBER.fullmatch, filled))


def _without_nameless(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Drop columns without a name: empty ones, and the row numbers that programs write in front.

    Those that do not count the lines, which may be codes, are named.

    Raises
    ------
    LabelError
        Such a column holds something else.
    """
    nameless = [
        i for i, name in enumerate(frame.columns) if not name or name.startswith("Unnamed:")
    ]
    lost = []
    for i in nameless:
        column = frame.iloc[:, i]
        counted = (
            column.str.fullmatch(r"\d+").all()
            and column.is_unique
            and len(frame)
            and (i == 0 or frame.columns[i].startswith("Unnamed:"))
            and any(plain(name) in IMAGE for name in frame.columns)
        )
        if not counted and (column != "").any():
            line = column.index[column != ""][0]
            raise LabelError(
                f"{path}, {line_or_row(path)} {line}: column {i + 1} holds {column[line]!r}, but "
                "has no name in the header line; give it one, or remove it"
            )
        if counted and {*map(int, column)} not in [{*range(n, n + len(column))} for n in (0, 1)]:
            lost.append(f"column {i + 1} without a name, {', '.join(column[:2])}, …")
    return frame.iloc[:, [i for i in range(frame.shape[1]) if i not in nameless]], lost


def decode(data: bytes, path: Path) -> tuple[str, list[str]]:
    """A file's text, and a note if its encoding was guessed.

    Raises
    ------
    LabelError
        It is not text.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), []
            except UnicodeDecodeError as error:
                raise LabelError(
                    f"{path} is damaged: its mark says {encoding}, but byte {error.start} does not "
                    "fit; save it again"
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
            f"{path} is not text but {kind}; save it as `CSV UTF-8`, or, from Excel, as .xlsx "
            "under that name"
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
    """A CSV file's bytes without the records that end on these lines (from 1).

    A record may span several lines. Other lines keep their bytes.
    """
    mark, text, encoding = _marked(data, path)
    lines = list(io.StringIO(text, newline=""))
    remaining, before = [], 0
    _, _, all_ends = _records(text, path)
    for end in [*all_ends, len(lines)]:
        if end not in ends:
            remaining += lines[before:end]
        before = max(before, end)
    return mark + "".join(remaining).encode(encoding)


def without_columns(data: bytes, positions: Collection[int], path: Path) -> bytes:
    """A CSV file's bytes without these columns (from 0)."""
    mark, text, encoding = _marked(data, path)
    separator, records, _ = _records(text, path)
    buffer = io.StringIO()
    shortened = [
        [cell for i, cell in enumerate(record) if i not in positions] for record in records
    ]
    quoting = (
        csv.QUOTE_ALL
        if any("\r" in cell for record in shortened for cell in record)
        else csv.QUOTE_MINIMAL
    )
    csv.writer(
        buffer,
        delimiter=separator,
        lineterminator="\r\n" if "\r\n" in text else "\n",
        quoting=quoting,
    ).writerows(shortened)
    return mark + buffer.getvalue().encode(encoding)


def _marked(data: bytes, path: Path) -> tuple[bytes, str, str]:
    """A file's mark, its text and its encoding."""
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in MARKS if data.startswith(mark)), (b"", None)
    )
    text, _ = decode(data, path)
    return mark, text, encoding or ("utf-8" if text.encode() == data else "cp1252")


def _records(text: str, path: Path) -> tuple[str, list[list[str]], list[int]]:
    """The separator, the cells of each record, and the line on which each ends."""
    check_lines(text, path)
    start = next((i for i, line in enumerate(_lines(text)) if line.strip()), 0)
    top = list(islice(_lines(text), start, start + TITLE))
    declared = re.fullmatch(r'"?sep=(.)"?\s*', top[0], re.IGNORECASE) if top else None
    if declared and declared[1] in SEPARATORS:
        separator, start = declared[1], start + 1
    else:
        separator, start = _separator(top), 0
    reader = csv.reader(islice(_lines(text), start, None), delimiter=separator, strict=True)
    records, ends = [], []
    try:
        for record in reader:
            if len(record) > COLUMNS:
                record = _without_empty_cells(record)
            if len(record) > COLUMNS:
                raise _too_wide(path, len(record))
            records.append(record or _BLANK)
            ends.append(start + reader.line_num)
    except csv.Error as error:
        raise LabelError(
            f"{path}, line {start + reader.line_num}: {error}; close the quotation mark, write one "
            "within a cell twice, and separate cells by commas, semicolons or tabs"
        ) from None
    _refuse_mixed_ends(text, ends, path)
    return separator, records, ends


def _refuse_mixed_ends(text: str, ends: list[int], path: Path) -> None:
    """Refuse a carriage return in an unquoted cell: the rest would be a line of its own."""
    if "\n" in text and re.search(r"\r(?!\n)", text):
        lines = list(_lines(text))
        alone = [end for end in ends if lines[end - 1].endswith("\r")]
        if alone and any(lines[end - 1].endswith("\n") for end in ends):
            raise LabelError(
                f"{path}, line {alone[0]}: ends with a carriage return alone, unlike others; "
                "remove it, or join the line with the next one"
            )


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends."""
    return (line[0] for line in re.finditer(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+", text))


def check_lines(text: str, path: Path) -> None:
    """Raise a `LabelError` if there are too many lines, or too long ones."""
    count = text.count("\n") + text.count("\r") - text.count("\r\n")
    if count > MOST_LINES:
        raise LabelError(f"{path} has more than {MOST_LINES} lines; divide it")
    if count > FEW_LINES and len(text) < SHORTEST * count:
        raise LabelError(
            f"{path} has {count} lines of {len(text) / count:.1f} characters on average; of more "
            f"than {FEW_LINES} lines, {SHORTEST} are expected, enough for a name and a value. "
            "Remove lines that hold no label, or divide it"
        )
    length, line = max(((len(line), -i) for i, line in enumerate(_lines(text))), default=(0, 0))
    if length > LONGEST_LINE:
        raise LabelError(
            f"{path}, line {1 - line}: longer than {LONGEST_LINE} characters; end each record with "
            "a line break"
        )


def _without_empty_cells(record: list[str]) -> list[str]:
    """A record without the empty cells at its end."""
    return record[: next((i for i in range(len(record), 0, -1) if record[i - 1]), 0)]


def _separator(lines: list[str]) -> str:
    """The separator that gives most known columns in the first line, then below it, then most."""
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
    """Cells of one line; none if it can't be read, which `_records` reports."""
    try:
        return next(csv.reader([line], delimiter=separator), [])[: COLUMNS + 1]
    except csv.Error:
        return []


def shortened(mistakes: list[str], count: int | None = None) -> str:
    """Up to 20 lines of a message, and the number of further ones."""
    count = len(mistakes) if count is None else count
    shown = mistakes[:SHOWN]
    return "\n".join(shown + ([f"and {count - len(shown)} more"] if count > len(shown) else []))


def line_or_row(path: Path) -> str:
    """What a message calls a record's place: `row` in a workbook, else `line`."""
    return "row" if path.suffix.lower() in WORKBOOKS else "line"
