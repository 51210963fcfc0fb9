"""Segments: parquet files of finished rows, named by the hash of their bytes.

The name reveals every kind of damage, and no file is ever written in place. Whoever may write into
the store can make a segment that fits its name, so its content is checked, too, as far as that is
possible without computing it again.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from contextlib import suppress

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facestats.machine.faults import is_passing, patiently
from facestats.rows.interface import StoreDraft, StoreFolder
from facestats.rows.manifests import Manifest, manifest_name, write_manifest
from facestats.rows.pages import chunks, pages

KEY = "key"
FULL = 4096  # most rows of a segment; full ones are not merged
NAME = re.compile(r"[0-9a-f]{64}\.parquet")
MD5 = re.compile(r"[0-9a-f]{32}")  # names of rows' files and of recipes' folders

_FILE = "crop"  # column with the MD5 of a row's file
_TEXTS = (KEY, "sha256", _FILE)
_MANIFEST = re.compile(r"[0-9a-f]{64}\.json")
_ANY = re.compile(r"[^.].*\.parquet", re.DOTALL)
_LARGEST = 2**29  # bytes of a segment, read with twice as much memory; 4096 rows take 25 MB
_ROW = 2**17  # bytes of a row on average; a face's landmarks and facts take 6 kB
_KINDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_null,
)
_MOST_PAGES = 10_000  # in all columns: a segment has a few for each
_MOST_CHUNKS = 1000  # columns, in all groups of rows: a segment has 24 in one


class DamagedSegmentError(Exception):
    """A segment that can't be used; its text is the reason."""


def row_schema(stage: str, recipe: str, columns: dict[str, pa.DataType]) -> pa.Schema:
    """The schema of a recipe's segments."""
    return pa.schema(list(columns.items()), metadata={"stage": stage, "recipe": recipe})


def select_rows(table: pa.Table, keys: pa.Array) -> pa.Table:
    """The rows whose key is one of `keys`."""
    return table.filter(pc.is_in(table[KEY], keys))


def list_segments(folder: StoreFolder) -> list[str]:
    """Sorted names of a recipe's segments, and of other files that end in .parquet."""
    return folder.names(_ANY)


def write_segments(
    folder: StoreFolder,
    table: pa.Table,
    where: str = "",
    drafts: Iterable[StoreDraft] | None = None,
) -> dict[str, int]:
    """Write rows as segments with their manifests; the same rows give the same files.

    Parameters
    ----------
    folder : StoreFolder
        The recipe's folder.
    table : pa.Table
        The rows.
    where : str, default ""
        Kind of machine that computed them; empty if unknown.
    drafts : iterable of StoreDraft, optional
        What becomes the segments; by default, new ones.

    Returns
    -------
    dict of str to int
        Number of rows, by the segment's name.

    Raises
    ------
    FileNotFoundError
        Somebody has removed the folder, or one of `drafts`.
    """
    vectors = [
        f"{field.name}.list.element"
        for field in table.schema
        if pa.types.is_fixed_size_list(field.type)
    ]
    written, begun = {}, iter(drafts) if drafts is not None else None
    for start in range(0, len(table), FULL):
        part, buffer = table.slice(start, FULL), io.BytesIO()
        # Byte streams are split: landmarks then take 20 % less, embeddings 10 %.
        pq.write_table(
            part, buffer, compression="zstd", use_dictionary=False, use_byte_stream_split=vectors
        )
        data = buffer.getvalue()
        name = f"{hashlib.sha256(data).hexdigest()}.parquet"
        write_manifest(folder, name, len(data), manifest_of(part, where))
        try:
            if begun is None:
                folder.write(name, data, lasting=True)
            else:
                next(begun).finish(name, data, lasting=True)
        except OSError:
            with suppress(OSError):  # which would hide the first one
                if not folder.has(name):
                    folder.remove(manifest_name(name))
            raise
        if not folder.has(manifest_name(name)):  # taken for one that a killed writer has left
            write_manifest(folder, name, len(data), manifest_of(part, where))
        written[name] = len(part)
    return written


def remove_segment(folder: StoreFolder, name: str) -> None:
    """Remove a segment, and then its manifest."""
    folder.remove(name)
    folder.remove(manifest_name(name))


def remove_lone_manifests(folder: StoreFolder) -> None:
    """Remove the manifests that have no segment."""
    stored = {manifest_name(name) for name in list_segments(folder)}
    for name in folder.names(_MANIFEST):
        if name not in stored:
            folder.remove(name)


def manifest_of(table: pa.Table, where: str = "") -> Manifest:
    """What the manifest of a segment with these rows holds."""
    files = table[_FILE].to_pylist() if _FILE in table.column_names else []
    return Manifest(table[KEY].combine_chunks(), files, where)


def read_segment(folder: StoreFolder, name: str, schema: pa.Schema) -> pa.Table:
    """Read a segment and check it against its name, and `schema` with its metadata.

    Raises
    ------
    DamagedSegmentError
        It is damaged, or has other columns, or rows of another recipe.
    FileNotFoundError
        It has been removed.
    """
    table = read_any_segment(folder, name)
    if table.schema.metadata != schema.metadata:
        raise DamagedSegmentError("its rows are of another variant or other parameters")
    if not table.schema.equals(schema):
        raise DamagedSegmentError("its columns are not those of this version")
    return table


def read_any_segment(folder: StoreFolder, name: str) -> pa.Table:
    """Read a segment of any recipe; raises as `read_segment`."""
    if not NAME.fullmatch(name):
        raise DamagedSegmentError("the store does not give such names")
    try:
        data = patiently(folder.read, name, _LARGEST)
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_passing(error):
            raise
        raise DamagedSegmentError(f"it can't be read ({error.strerror})") from None
    if f"{hashlib.sha256(data).hexdigest()}.parquet" != name:
        raise DamagedSegmentError("its bytes are not those that were written")
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            _check_size(file, data)
            table = file.read(use_threads=False)
            table.validate(full=True)
    except MemoryError:  # pyarrow's is an ArrowException, too, but says nothing about the segment
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedSegmentError(f"not a readable parquet file: {error}") from None
    if len({*table.column_names}) < len(table.column_names):
        raise DamagedSegmentError("two of its columns have one name")
    for column in _TEXTS:
        if column in table.column_names and not pa.types.is_string(table.schema.field(column).type):
            raise DamagedSegmentError(f"its column {column} is not text")
    if KEY not in table.column_names or table[KEY].null_count:
        raise DamagedSegmentError(f"it has no column {KEY}, or rows without one")
    if _FILE in table.column_names and not matches(table[_FILE], MD5):
        raise DamagedSegmentError("it names a file that can't be in the store")
    return table


def matches(column: pa.ChunkedArray, pattern: re.Pattern[str]) -> bool:
    """Whether each text of a column matches the pattern; nulls do."""
    return (
        pc.all(pc.match_substring_regex(column, rf"\A(?:{pattern.pattern})\z")).as_py() is not False
    )


def files_of(table: pa.Table) -> set[str]:
    """MD5 of the files that belong to rows."""
    return (
        {md5 for md5 in table[_FILE].to_pylist() if md5} if _FILE in table.column_names else set()
    )


def _check_size(file: pq.ParquetFile, data: bytes) -> None:
    """Raise ValueError for a file that the store does not write, or that is too large once decoded.

    Sizes and encodings in the footer may be false, so each page's own header is read. A page with
    only plain values takes no more memory than its bytes; with a dictionary or shared prefixes, 4
    kB could become 3 GB.
    """
    facts = file.metadata
    width = sum(_row_bytes(kind) for kind in file.schema_arrow.types)
    size = values = count = 0
    if facts.num_row_groups * facts.num_columns > _MOST_CHUNKS:
        raise ValueError(f"{facts.num_row_groups} groups of {facts.num_columns} columns")
    for chunk in chunks(data):
        own = 0
        for page in pages(data, chunk.start, chunk.end):
            if not page.plain:
                raise ValueError("an encoding that the store does not write")
            size, own, count = size + page.size, own + page.values, count + 1
            if count > _MOST_PAGES:
                raise ValueError(f"more than {_MOST_PAGES} pages")
        if own != chunk.values:
            raise ValueError("its pages have other values than its footer says")
        values += own
    size = max(size + 8 * values, facts.num_rows * width)
    # Merging reads up to FULL rows at a time, each perhaps out of a segment of its own.
    if not 0 <= facts.num_rows <= FULL or size > min(_LARGEST, (facts.num_rows + 1) * _ROW):
        raise ValueError(f"{facts.num_rows} rows, {size // 10**6} MB are more than a segment holds")


def _row_bytes(kind: pa.DataType) -> int:
    """Bytes of a null; as a vector of fixed size, it takes as many as any other.

    Raises
    ------
    ValueError
        The store writes no such column: a null in a list may be of any width.
    """
    vector = pa.types.is_fixed_size_list(kind)
    value = kind.value_type if vector else kind
    if not any(is_kind(value) for is_kind in _KINDS):
        raise ValueError(f"a column of {kind}, which the store does not write")
    return kind.list_size * 16 if vector else 16
