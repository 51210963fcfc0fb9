"""Label files by name: CSV or Excel, in any case; and files beside them that nothing reads."""

from __future__ import annotations

from pathlib import Path

from facestats.errors import LabelError
from facestats.labels.csv_text import WORKBOOKS, read_csv
from facestats.labels.excel import read_excel
from facestats.labels.sheet import Sheet

STEMS = ("labels", "ratings")
READ = (".csv", ".tsv", ".txt", *WORKBOOKS)
OTHER_TABLES = tuple(
    """
    .xls .xlsb .ods .numbers .sav .dta .rds .rdata .parquet .feather .json .jsonl .db .sqlite
    .gsheet .html
    """.split()
)


def find_label_file(folder: Path, stem: str) -> Path | None:
    """The CSV file or workbook of a folder that is called `stem`, in any case; None if none is.

    Raises
    ------
    LabelError
        There are several, or only one in a format that is not read.
    """
    alike = [path for path in sorted(folder.iterdir()) if path.stem.lower() == stem]
    readable = [path for path in alike if path.suffix.lower() in READ]
    if len(readable) > 1:
        raise LabelError(
            f"{folder} holds {' and '.join(path.name for path in readable)}, of which only one can "
            "be meant; move the others away"
        )
    other = [path for path in alike if path.suffix.lower() in OTHER_TABLES]
    if other and not readable:
        raise LabelError(
            f"{other[0]} can't be read; save it as {stem}.xlsx or, in UTF-8, as {stem}.csv"
        )
    return readable[0] if readable else None


def unread_files(folder: Path, *others: Path) -> list[str]:
    """Messages on files that look like label files and that nothing reads.

    Parameters
    ----------
    folder : Path
        The folder of labels.
    *others : Path
        Files that are read by names of their own.
    """
    tables = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and path.suffix.lower() in (*READ, *OTHER_TABLES)
        and not path.name.startswith((".", "~$"))
        and path.resolve() not in [other.resolve() for other in others]
    ]
    taken = {stem: find_label_file(folder, stem) for stem in STEMS}
    messages = []
    for path in tables:
        if path in taken.values():
            continue
        stem = next(
            (stem for stem in STEMS if stem[:-1] in path.name.lower()),
            None if any(taken.values()) else STEMS[0],
        )
        other = taken[stem] if stem else None
        if stem and (other is None or path.stem.lower() == stem):
            reason = (
                f"{other.name} is read instead"
                if other
                else f"a label file is called {stem}.csv or {stem}.xlsx"
            )
            messages.append(f"{path} is not read: {reason}")
    return messages


def read_sheet(path: Path) -> Sheet | None:
    """A CSV file or workbook as text, None if there is none; see `read_csv` and `read_excel`."""
    return (
        read_excel(path) if path.suffix.lower() in WORKBOOKS and path.is_file() else read_csv(path)
    )
