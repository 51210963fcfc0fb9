"""Tables: their schemas, and reading and writing with validation.

Every table is a parquet file (zstd), or the parts of one (`parts`), sorted by its key (only the
flags stand worst first), without pandas' metadata: the same rows give the same bytes. All code goes
through `read` and `write`, which check the columns.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from facestats.core.layout import METADATA
from facestats.core.tables import blocks
from facestats.core.tables.blocks import BlockWriter, TableWriter, in_blocks
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.parquet import (
    check_keys,
    opened,
    read_rows,
    require_column,
)
from facestats.core.tables.parts import ANEW, TableFile
from facestats.errors import RenamedWarning, TableError

_PATHS = ("filename", "image")  # columns with paths below a folder
_OUTSIDE = r"^/|(?:^|/)\.\.(?:/|$)|\x00"  # in such a path, what leads out of the folder
UNKNOWN = "unknown"


class Column(NamedTuple):
    """One column of a table.

    Parameters
    ----------
    kind : pyarrow.DataType
        Its Arrow type.
    text : str
        What it holds in words, for docs/tables.md.
    aliases : tuple of str
        Its names in earlier versions: tables with one of these are read, with a warning.
    """

    kind: pa.DataType
    text: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """One table: its columns, the stage that writes it and what it holds.

    Parameters
    ----------
    name : str
        File name without folder.
    text : str
        Its content in words, for docs/tables.md.
    stage : str
        The stage that writes it.
    fields : dict of str to Column
        The columns in order. The first is the key: unique and never null, unless `key` names
        others.
    further : dict of str to str
        Text of the columns that may follow (such as the user's own targets), by a pattern such as
        `<attribute>_final`.
    path : str
        Path in the project; by default in the folder of metadata.
    key : tuple of str
        The columns that identify a row.
    ordered : bool
        Whether the rows keep the order in which they are written.
    """

    name: str
    text: str
    stage: str
    fields: dict[str, Column]
    further: dict[str, str] = field(default_factory=dict)
    path: str = ""
    key: tuple[str, ...] = ()
    ordered: bool = False

    @cached_property
    def columns(self) -> dict[str, pa.DataType]:
        """Arrow type of each column, in order."""
        return {name: column.kind for name, column in self.fields.items()}

    @property
    def location(self) -> str:
        """Path of the table in the project."""
        return self.path or f"{METADATA}/{self.name}"

    @property
    def extra(self) -> bool:
        """Whether further columns may follow."""
        return bool(self.further)

    def keys(self) -> tuple[str, ...]:
        return self.key or (next(iter(self.fields)),)


TEXT, NUMBER, FLOAT = pa.string(), pa.float64(), pa.float32()
INTEGER, BOOLEAN = pa.int32(), pa.bool_()
# The two names of a face, which nearly every table has.
FILENAME = Column(TEXT, "name of the face: its crop in `data/processed/preproc/`")
IMAGE = Column(TEXT, "path of the photo below `data.images`")
# What `score` takes over from the tables of `age_check` and `geometry`.
AGE_COLUMNS = {
    "score_withheld": Column(
        TEXT,
        "why the face gets no score, for it may be under `score.min_age`; empty where that is "
        "not so",
    ),
    "age_checked": Column(
        TEXT,
        "what its age was checked by: `manual`, `label`, `copy` (the label of a copy of the "
        "picture) or `model`; empty where nothing could tell",
    ),
}
GEOMETRY_ZSCORE = Column(
    NUMBER,
    "mean of the z-scores of symmetry and nearness to the golden ratio: a baseline, "
    "learned from no rating",
)
GEOMETRIC_OUT_OF_FOLD = Column(
    BOOLEAN,
    "whether the geometric score was predicted by a model that never saw the face's rating",
)


def write(
    frame: pd.DataFrame,
    path: str | Path,
    schema: Schema,
    metadata: dict[str, str] | None = None,
    vectors: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Validate, sort by key and write a table by temporary file and rename.

    Parameters
    ----------
    frame : DataFrame
        One row a face; vectors as lists or arrays.
    path : str or Path
        The file.
    schema : Schema
        Its schema.
    metadata : dict of str to str, optional
        For the file's own metadata.
    vectors : mapping of str to ndarray (rows, width), optional
        Columns that are not in `frame`, in its order. Matrices take less memory than a list a row.

    Raises
    ------
    TableError
        A missing, surplus or wrongly typed column, a null or repeated key.
    """
    with writing(path, schema, metadata) as writer:
        for some, vectors_of_some in in_blocks(frame, vectors or {}, schema, str(path)):
            writer.write(some, vectors_of_some)


@contextmanager
def writing(
    path: str | Path, schema: Schema, metadata: Mapping[str, str] | None = None
) -> Iterator[BlockWriter]:
    """Write a table block by block, in the order of its key; the bytes are those of `write`.

    Parameters
    ----------
    path, schema, metadata
        See `write`.

    Raises
    ------
    TableError
        As `write`; what stood at `path` stays.
    """
    path = Path(path)
    if path.suffix != ".parquet":  # as where two paths of a stage were swapped
        raise TableError(f"{path}: expected a file *.parquet for {schema.name}")
    with TableWriter(path) as writer:
        yield BlockWriter(writer, path, schema, metadata or {})


def write_blocks(
    frames: Iterable[pd.DataFrame],
    path: str | Path,
    schema: Schema,
    metadata: Mapping[str, str] | None = None,
    in_order: bool = True,
) -> tuple[int, int]:
    """Write a table that is made block by block; gives the number of its rows and columns.

    Parameters
    ----------
    frames : iterable of DataFrame
        The blocks.
    path, schema, metadata
        See `write`.
    in_order : bool
        Whether the keys are sorted; others are held in memory.
    """
    if not in_order:
        frames = [pd.concat(frames, ignore_index=True).sort_values(schema.keys()[0])]
    rows = columns = 0
    with writing(path, schema, metadata) as writer:
        for frame in frames:
            writer.write(frame)
            rows, columns = rows + len(frame), len(frame.columns)
    return rows, columns


def read_all(path: str | Path, schema: Schema) -> pd.DataFrame:
    """Read a table with the columns beyond its schema; see `read`."""
    return read(path, schema, [*schema.columns, *_names(Path(path))])


def read(
    path: str | Path,
    schema: Schema,
    columns: list[str] | None = None,
    only: Collection[str] | None = None,
) -> pd.DataFrame:
    """Read a table, and check its columns against the schema.

    Parameters
    ----------
    path : str or Path
        The file.
    schema : Schema
        Its schema.
    columns : list of str, optional
        Columns to read; by default the schema's.
    only : collection of str, optional
        `filename` of the rows to read, without ever holding the others; by default all rows.

    Raises
    ------
    TableError
        The file is missing or damaged, or a column is missing or of another type.

    Warns
    -----
    RenamedWarning
        A column has the name of an earlier version.
    """
    path = Path(path)
    with opened(path) as file:
        stored = _stored_names(file, path, schema, columns)
        names = list(stored.values())
        table = file.read(columns=names) if only is None else read_rows(file, names, only)
        table.validate(full=True)  # else text that is not UTF-8 would fail somewhere later
    table = _checked(table, path, schema, stored)
    if {*schema.keys()} <= {*stored}:
        check_keys(table, [*schema.keys()], path)
    return table.to_pandas(split_blocks=True, self_destruct=True)


def check(path: str | Path, schema: Schema) -> None:
    """Refuse a table that is missing, or lacks a column of its schema, without reading a row.

    Raises
    ------
    TableError
        See `read`.
    """
    with opened(Path(path)) as file:
        _stored_names(file, Path(path), schema, None)


@contextmanager
def reading(
    path: str | Path, schema: Schema, columns: list[str] | None = None
) -> Iterator[Iterator[pd.DataFrame]]:
    """Read a table block by block: frames as `read` gives them, the key first.

    Parameters
    ----------
    path, schema
        See `read`.
    columns : list of str, optional
        Columns to read besides the key; by default all that the table has.
    """
    path = Path(path)
    with opened(path) as file:
        every = [*schema.columns, *file.schema_arrow.names]
        wanted = [*schema.keys(), *(every if columns is None else columns)]
        stored = _stored_names(file, path, schema, wanted)
        # A frame of a whole table has numbers with a fraction where any is missing.
        names = list(stored.values())
        whole = [file.read(names)] if file.num_rows <= blocks.BLOCK else None
        gaps = {
            name
            for name, own in stored.items()
            if (whole[0][own].null_count if whole else file.has_nulls(own))
        }

        def frames() -> Iterator[pd.DataFrame]:
            batches = file.iter_batches(blocks.BLOCK, names)
            parts = (pa.Table.from_batches([batch]) for batch in batches)
            for table in whole or parts:
                table.validate(full=True)
                yield _with_gaps(_checked(table, path, schema, stored), gaps)

        yield frames()


def _with_gaps(table: pa.Table, gaps: set[str]) -> pd.DataFrame:
    """A frame with the types that it would have if these columns lacked a value."""
    frame = table.to_pandas()
    for name in gaps:
        kind = frame[name].dtype.kind
        if kind in "iub":
            frame[name] = frame[name].astype(object if kind == "b" else "float64")
    return frame


def _stored_names(
    file: TableFile, path: Path, schema: Schema, columns: Iterable[str] | None
) -> dict[str, str]:
    """The names in the file of some columns, whose types are checked."""
    aliases = {alias: name for name, field in schema.fields.items() for alias in field.aliases}
    kinds, stored = file.schema_arrow, {}
    for asked in columns or schema.columns:
        name = aliases.get(asked, asked)
        stored[name] = next(
            (one for one in (name, *_aliases(schema, name)) if one in kinds.names), name
        )
        require_column(stored[name], kinds, path, name)
        expected = schema.columns.get(name)
        if expected is not None and not _same_type(kinds.field(stored[name]).type, expected):
            raise TableError(
                f"{path}: column {name} is {kinds.field(stored[name]).type}, expected {expected}"
            )
        if name != stored[name]:
            warnings.warn(
                f"{path}: the column {stored[name]} is called {name} now; `dvc repro` writes it so",
                RenamedWarning,
                stacklevel=3,
            )
    return stored


def _checked(table: pa.Table, path: Path, schema: Schema, stored: Mapping[str, str]) -> pa.Table:
    """Some rows by the names that the columns have now; refuses paths that lead out."""
    table = table.select(list(stored.values())).rename_columns(list(stored))
    for name in {*_PATHS, schema.keys()[0]} & {*stored}:
        _check_paths(table[name], f"{path}: column {name}")
    return table


def _aliases(schema: Schema, name: str) -> tuple[str, ...]:
    return schema.fields[name].aliases if name in schema.fields else ()


def _check_paths(column: pa.ChunkedArray, where: str) -> None:
    """Refuse names that lead out of a folder: stages write and remove files of these names."""
    if (
        pa.types.is_string(column.type)
        and pc.any(outside := pc.match_substring_regex(column, _OUTSIDE)).as_py()
    ):
        raise TableError(
            f"{where} has {column.filter(outside)[0].as_py()!r}, which is not a path below a "
            "folder; remove the file and run `dvc repro`, and check who else can write it, or "
            "DVC's cache"
        )


def read_for(
    names: pd.Index, path: str | Path, schema: Schema, columns: list[str] | None = None
) -> pd.DataFrame:
    """Read the rows of some faces, in their order, by filename.

    Parameters
    ----------
    names : Index
        Filenames; a face that the table does not have gets a row of nulls.
    path, schema
        See `read`.
    columns : list of str, optional
        Columns to read besides `filename`; by default all that the table has.

    Returns
    -------
    DataFrame
    """
    key = schema.keys()[0]
    table = read(path, schema, [key, *columns]) if columns else read_all(path, schema)
    return table.set_index(key).reindex(names)


def read_optional_column(path: str | Path, schema: Schema, name: str) -> pd.Series:
    """One column by key; all null if the table lacks it, as it does if nobody gave that label."""
    key = schema.keys()[0]
    if stored_name := _called(_names(Path(path)), name):
        return read(path, schema, [key, stored_name]).set_index(key)[stored_name].rename(name)
    return pd.Series(np.nan, index=read(path, schema)[key], name=name, dtype="str")


def called_as(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The frame with these names for columns that are spelt otherwise (`Eye color`, `eye_color`).

    Names may differ in case, blanks and hyphens.
    """
    called = {_called(frame.columns, name): name for name in names}
    return frame.rename(columns={column: name for column, name in called.items() if column})


def is_known(column: pd.Series) -> pd.Series:
    """Whether each value is there, and is not the word `unknown`."""
    return column.notna() & (column != UNKNOWN)


def _called(columns: Iterable[str], name: str) -> str | None:
    """The column of that name, or the only one that differs only in case, blanks and hyphens."""
    alike = [
        column
        for column in columns
        if re.sub(r"[\W_]+", "", column).casefold() == re.sub(r"[\W_]+", "", name).casefold()
    ]
    return name if name in alike else alike[0] if len(alike) == 1 else None


def read_embeddings(path: str | Path) -> tuple[pd.Index, np.ndarray, dict[str, str]]:
    """Read `embeddings_clip.parquet` whole; `EmbeddingTable` reads it batch by batch.

    Returns
    -------
    filenames : Index (n,)
        Names of the faces.
    embeddings : ndarray of float32 (n, dimension)
        Of unit norm.
    metadata : dict of str to str
        The file's own metadata: variant, weights' sha256, precision, dimension, ….
    """
    table = EmbeddingTable(path)
    return table.names, table.take(np.ones(len(table), dtype=bool)), table.metadata


def file_metadata(path: str | Path) -> dict[str, str]:
    """The file's own metadata as text pairs."""
    with opened(Path(path)) as file:
        metadata = file.schema_arrow.metadata or {}
        return {key.decode(): value.decode() for key, value in metadata.items()}


def doubts_metadata(doubts: Mapping[str, str]) -> dict[str, str]:
    """Metadata of a table with doubtful columns: a text by attribute (or `attractiveness`)."""
    return {"doubts": json.dumps(doubts, sort_keys=True, ensure_ascii=False)} if doubts else {}


def read_doubts(path: str | Path) -> dict[str, str]:
    """What `doubts_metadata` put into a table's file.

    Raises
    ------
    TableError
        It is damaged.
    """
    try:
        return {**json.loads(file_metadata(path).get("doubts", "{}"))}
    except (ValueError, TypeError, RecursionError):
        raise TableError(f"{path}: its doubts are damaged; {ANEW}") from None


def rating_scale(labels: str | Path) -> tuple[float, float] | None:
    """Ends of the raters' scale, from `labels.parquet`; None if nobody rated."""
    metadata = file_metadata(labels)
    if "rating_low" not in metadata:
        return None
    try:
        return float(metadata["rating_low"]), float(metadata["rating_high"])
    except (ValueError, KeyError):
        raise TableError(f"{labels}: the ends of its scale are no numbers; {ANEW}") from None


def _names(path: Path) -> list[str]:
    with opened(path) as file:
        return file.schema_arrow.names


def _same_type(kind: pa.DataType, expected: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(expected):
        return pa.types.is_fixed_size_list(kind) and kind.list_size == expected.list_size
    return kind == expected
