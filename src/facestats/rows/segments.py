"""Segments: parquet files of finished rows, named by their own bytes.

A name that is the hash of the content makes every kind of damage show, and no file is ever written in place.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facestats.files import write_bytes

SUFFIX = ".parquet"
KEY = "key"


class DamagedSegmentError(Exception):
    """A segment that can't be used; its text is the reason."""


def list_segments(folder: Path) -> list[Path]:
    """The segments of a recipe, sorted; empty where there are none yet."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(SUFFIX) and not name.startswith("."))
    except OSError:  # none yet, or not ours to read
        return []


def write_segment(folder: Path, table: pa.Table) -> Path:
    """Write rows as one segment; the same rows give the same file."""
    buffer = io.BytesIO()
    vectors = [f"{f.name}.list.element" for f in table.schema if pa.types.is_fixed_size_list(f.type)]
    # Bytes of like weight side by side: landmarks take 20 % less, embeddings 10 %.
    pq.write_table(table, buffer, compression="zstd", use_dictionary=False, use_byte_stream_split=vectors)
    data = buffer.getvalue()
    path = folder / f"{hashlib.sha256(data).hexdigest()}{SUFFIX}"
    write_bytes(path, data)
    return path


def read_segment(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a segment and check that it is what its name, and `schema` with its metadata, say.

    Raises
    ------
    DamagedSegmentError
        It is damaged, or holds other columns, or rows of another recipe.
    FileNotFoundError
        It is gone.
    """
    table = read_any_segment(path)
    if table.schema.metadata != schema.metadata:
        raise DamagedSegmentError("its rows are of another variant or other parameters")
    if not table.schema.equals(schema):
        raise DamagedSegmentError("its columns are not those of this version")
    return table


def read_any_segment(path: Path) -> pa.Table:
    """Read a segment of whatever recipe; errors as those of `read_segment`."""
    try:
        data = path.read_bytes()
    except (IsADirectoryError, PermissionError) as error:
        raise DamagedSegmentError(f"it can't be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != path.name.removesuffix(SUFFIX):
        raise DamagedSegmentError("its bytes are not those that were written")
    try:
        table = pq.read_table(io.BytesIO(data), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedSegmentError(f"not a readable parquet file: {error}") from None
    if KEY not in table.column_names:
        raise DamagedSegmentError(f"it has no column {KEY}")
    return table


def remove(path: Path) -> None:
    """Remove a file of the store; what can't be removed stays, such as a folder that somebody made."""
    with suppress(OSError):
        path.unlink()
