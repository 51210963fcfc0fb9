"""Small files written whole: by temporary file and rename, never in place.

DVC may have made an out a read-only link into its cache; writing through it would damage the cache.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from facestats.errors import InputError
from facestats.machine.output import visible

if TYPE_CHECKING:
    import pandas as pd

# What a spreadsheet takes for a formula: an equals sign, plus, minus or at, of any width, perhaps
# behind blanks, quotation marks and invisible characters.
_FORMULA = re.compile(
    r"""'*[\t\r\n]|[\s'"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*"""
    r"""[=+\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b]"""
)
# Numbers, and signs alone.
_HARMLESS = re.compile(r"[+\-\u2212]*|[+\-\u2212]?\d+([.,]\d+)?([eE][+-]?\d+)?")
NO_FILE = "is no regular file"
DIGITS = 6  # significant ones of metrics and points of plots
SAME = 1e-12  # smaller figures are 0 but for rounding


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; the file written there then takes the place of `path`.

    The folder is made. An `OSError` gets `path` as its `filename`: for a full disk, libraries give
    only the number of the error.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by a killed process, or a link to another place
        yield temporary
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        with suppress(NotADirectoryError):  # its folder is a file, as the error says
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A hidden name beside `path` that no other process and file has.

    It is short, for the file's own name may have the maximal length.
    """
    name = path.name.encode(errors="surrogateescape")
    digest = hashlib.md5(name, usedforsecurity=False).hexdigest()
    return path.with_name(f".{digest}.{os.getpid()}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file by temporary file and rename, making its folder."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text; see `write_bytes`. Bytes of names that are not UTF-8 become `\udcff`."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_csv(path: Path, table: pd.DataFrame, encoding: str = "utf-8") -> None:
    """Write a table for people as CSV; see `csv_text` and `write_bytes`."""
    write_bytes(path, csv_text(table).encode(encoding, "backslashreplace"))


def write_plot_csv(path: Path, table: pd.DataFrame) -> None:
    """Write the points of a plot, numbers with 6 significant digits; see `write_csv`.

    `dvc plots show` puts them unescaped into a script of a page, which `</script>` in the name of a
    class would end: `<` is written as `‹`.
    """
    columns = {
        column: table[column].map(_plot_cell, na_action="ignore")
        for column in table
        if table[column].dtype.kind not in "biu"
    }
    write_csv(path, table.assign(**columns))


def _plot_cell(cell: Any) -> Any:
    return cell.replace("<", "‹") if isinstance(cell, str) else rounded(cell)


def csv_text(table: pd.DataFrame) -> str:
    """A table without its index as CSV, in which no cell is a formula to a spreadsheet.

    Names of columns and cells are as `with_apostrophe` gives them.
    """
    safe = table.rename(columns=with_apostrophe)
    for i, (_, column) in enumerate(table.items()):
        if column.dtype.kind not in "biuf":
            safe.isetitem(i, column.map(with_apostrophe, na_action="ignore"))
    text = safe.to_csv(index=False, lineterminator="\n")
    if "\r" in text:  # ends a line, unless it stands in quotes
        text = safe.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
    return text


def with_apostrophe(cell: Any) -> Any:
    """A text that looks like a formula with an apostrophe in front; anything else unchanged."""
    return f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell


def without_apostrophe(cell: str) -> str:
    """The text that `with_apostrophe` was given."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _HARMLESS.fullmatch(text)


def write_image(path: Path, image: Image.Image, quality: int = 95) -> None:
    """Write an RGB image as JPEG with full colour resolution and without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, subsampling=0)
    write_bytes(path, buffer.getvalue())


def read_bytes(path: Path) -> bytes:
    """Read a regular file whole: a pipe would be waited for, and `/dev/zero` has no end.

    Raises
    ------
    OSError
        It can't be read; for what is no file, ENXIO.
    """
    require_file(path)
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # put there in this moment
            raise OSError(errno.ENXIO, NO_FILE, str(path))
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def require_file(path: Path) -> None:
    """Raise an `OSError` with ENXIO for what is neither a regular file nor a folder."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.ENXIO, NO_FILE, str(path))


def read_json(path: Path, kind: type = dict) -> Any:
    """Read JSON that a stage wrote.

    Parameters
    ----------
    path : Path
        The file.
    kind : type
        Type that the content must have.

    Raises
    ------
    InputError
        The file is missing, damaged or of another type.
    """
    try:
        content = json.loads(read_bytes(path).decode("utf-8"))
        if not isinstance(content, kind):
            raise ValueError(f"a {type(content).__name__}, expected a {kind.__name__}")
        return content
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `dvc repro` makes it (or `dvc pull`)") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run `dvc repro`") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; remove it and run `dvc repro`") from None
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise InputError(f"{path} {NO_FILE}; remove it and run `dvc repro`") from None


def write_json(path: Path, content: Any) -> None:
    """Write JSON with two-space indent; numbers that are not finite become null."""
    write_text(path, visible(json.dumps(_finite(content), indent=2, ensure_ascii=False)) + "\n")


def write_metrics(path: Path, content: Any) -> None:
    """Write metrics as JSON, numbers with 6 significant digits; see `write_json`."""
    write_json(path, rounded(content))


def rounded(content: Any) -> Any:
    """Round the numbers of metrics to 6 significant digits.

    Git keeps metrics. Another machine sums in another order: its figures differ in their last bits,
    and zeros by less than 1e-12. Rounded, the files are the same.

    Parameters
    ----------
    content : Any
        Numbers, also in nested dicts and lists; whole numbers and anything else stay as they are.

    Returns
    -------
    Any
    """
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [rounded(value) for value in content]
    if not isinstance(content, float) or not math.isfinite(content):
        return content
    return float(f"{content:.{DIGITS}g}") if abs(content) > SAME else 0.0


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
