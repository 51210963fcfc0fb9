"""Where label files lie and how they are called: CSV or Excel, in any case; what lies beside them
unread.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facestats.errors import LabelError
from facestats.labels.csv_text import read_csv
from facestats.labels.excel import SUFFIXES, read_excel

STEMS = ("labels", "ratings")
READ = (".csv", ".tsv", ".txt", *SUFFIXES)
OTHER_TABLES = (
    ".xls",
    ".xlsb",
    ".ods",
    ".numbers",
    ".sav",
    ".dta",
    ".rds",
    ".rdata",
    ".parquet",
    ".feather",
    ".json",
    ".jsonl",
    ".db",
    ".sqlite",
    ".gsheet",
    ".html",
)


def find_label_file(folder: Path, stem: str) -> Path | None:
    """The file of the folder that is called `stem`, in whatever case, as CSV or Excel workbook;
    None where there is none.

    Raises
    ------
    LabelError
        There are several, or only one in a form that is not read.
    """
    alike = [path for path in sorted(folder.iterdir()) if path.stem.lower() == stem]
    found = [path for path in alike if path.suffix.lower() in READ]
    if len(found) > 1:
        raise LabelError(
            f"{folder} holds {' and '.join(path.name for path in found)}, of which only one can be "
            "meant; move the others away"
        )
    other = [path for path in alike if path.suffix.lower() in OTHER_TABLES]
    if other and not found:
        raise LabelError(
            f"{other[0]} can't be read; save it as {stem}.xlsx or, in UTF-8, as {stem}.csv"
        )
    return found[0] if found else None


def unread_files(folder: Path, *others: Path) -> list[str]:
    """Files of the folder that look like label files and that nothing reads, as messages; `others`
    are read by their own names.
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
    found = []
    for path in tables:
        if path in taken.values():
            continue
        meant = next(
            (stem for stem in STEMS if stem[:-1] in path.name.lower()),
            None if any(taken.values()) else STEMS[0],
        )
        other = taken[meant] if meant else None
        if meant and (other is None or path.stem.lower() == meant):
            found.append(
                f"{path} is read by nothing: "
                + (
                    f"{other.name} is read instead"
                    if other
                    else f"a label file is called {meant}.csv or {meant}.xlsx"
                )
            )
    return found


def read_sheet(path: Path) -> pd.DataFrame | None:
    """A CSV file or an Excel workbook as text, None where there is no file; see `read_csv` and
    `read_excel`.
    """
    return (
        read_excel(path) if path.suffix.lower() in SUFFIXES and path.is_file() else read_csv(path)
    )
