"""The schemas of the tables, and reading and writing them with validation.

Every table is a parquet file (zstd), sorted by its key column (the flags alone stand worst first), without pandas'
metadata: the same rows give the same bytes. `read` and `write` are the only doors, so that a wrong column is named where it comes up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facestats.core.files import replacing
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.parquet import group_rows, opened, read_rows, sort_by_key, vector_column
from facestats.errors import TableError

_PATHS = ("filename", "image")  # columns with paths below a folder
_OUTSIDE = r"^/|(?:^|/)\.\.(?:/|$)|\x00"  # of such a path: what leads elsewhere
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Schema:
    """Columns of one table.

    Parameters
    ----------
    name : file name without folder.
    columns : column name to Arrow type, in order. The first is the key: unique and never null, unless
        `key` names other columns.
    extra : whether further columns may follow (user's own targets, one probability a class).
    key : the columns that identify a row.
    ordered : the rows stay in the order in which they are given, which says something.
    """

    name: str
    columns: dict[str, pa.DataType]
    extra: bool = False
    key: tuple[str, ...] = field(default=())
    ordered: bool = False

    def keys(self) -> tuple[str, ...]:
        return self.key or (next(iter(self.columns)),)


_text, _number, _float, _int = pa.string(), pa.float64(), pa.float32(), pa.int32()

FACES = Schema(
    "faces.parquet",
    {
        "image": _text,
        "filename": _text,
        "sha256": _text,
        "status": _text,
        "reason": _text,
        "width": _int,
        "height": _int,
        "face_count": _int,
        "confidence": _float,
        "presence": _float,
        "box": pa.list_(_float, 4),
        "landmarks": pa.list_(_float, N_LANDMARKS * 3),
        "yaw": _float,
        "pitch": _float,
        "roll": _float,
        "sharpness": _float,
        "brightness": _float,
        "occlusion": _float,
        "drawing": _float,
        "bits_per_pixel": _float,
        "perceptual_hash": _text,
        "duplicate_of": _text,
        "near_duplicate_of": _text,
        "copy_group": _text,
        "copy_rank": _int,
        "key": _text,
    },
)
LABELS = Schema(
    "labels.parquet",
    {
        "filename": _text,
        "image": _text,
        "person": _text,
        "gender": _text,
        "ethnicity": _text,
        "age": _number,
        "rating": _number,
        "rating_n": _int,
        "rating_sd": _number,
        "gender_source": _text,
        "ethnicity_source": _text,
        "age_source": _text,
        "rating_source": _text,
    },
    extra=True,
)
SPLITS = Schema("splits.parquet", {"filename": _text, "split": _text})
ZEROSHOT = Schema("zeroshot.parquet", {"filename": _text}, extra=True)
_predicted = {
    "filename": _text,
    "image": _text,
    "gender": _text,
    "ethnicity": _text,
    "age": _number,
}
ATTRIBUTES = Schema("attributes.parquet", _predicted, extra=True)
PREDICTIONS = Schema("attributes_with_predictions.parquet", _predicted, extra=True)
WITH_MANUAL = Schema(
    "attributes_with_manual.parquet",
    {
        **_predicted,
        "gender_said": _text,
        "ethnicity_said": _text,
        "age_said": _number,
    },
    extra=True,
)
CLEAN = Schema(
    "attributes_clean.parquet",
    {
        "filename": _text,
        "image": _text,
        "gender_final": _text,
        "gender_source": _text,
        "ethnicity_final": _text,
        "ethnicity_source": _text,
        "age_final": _number,
        "age_source": _text,
    },
    extra=True,
)
FLAGS = Schema(
    "attributes_flags.parquet",
    {"filename": _text, "image": _text, "reason": _text, "value": _number},
    key=("filename", "reason"),
    ordered=True,
)
FAIRFACE = Schema(
    "fairface_label_structure.parquet",
    {"attribute": _text, "index": _int, "label": _text},
    key=("attribute", "index"),
)
PREDICTIONS_OUT_OF_FOLD = Schema("out_of_fold.parquet", {"filename": _text}, extra=True)
WITH_META = Schema(
    "attributes_with_meta.parquet",
    {
        **CLEAN.columns,
        "yaw": _float,
        "pitch": _float,
        "roll": _float,
        "frontal": pa.bool_(),
    },
    extra=True,
)
GEOMETRY = Schema(
    "geometry.parquet",
    {
        "filename": _text,
        "frontal": pa.bool_(),
        "geometry_zscore": _number,
        "geometric_raw": _number,
        "geometric_out_of_fold": pa.bool_(),
    },
    extra=True,
)
WITH_CLUSTERS = Schema(
    "attributes_with_clusters.parquet",
    {
        **CLEAN.columns,
        "cluster": _int,
        "pc1": _float,
        "pc2": _float,
    },
    extra=True,
)
AGE_CHECK = Schema(
    "age_check.parquet", {"filename": _text, "score_withheld": _text, "age_checked": _text}
)
SCORES_OUT_OF_FOLD = Schema(
    "out_of_fold.parquet", {"filename": _text, "fold": _int, "attractiveness_raw": _number}
)
_scores = {
    "attractiveness_raw": _number,
    "attractiveness_score": _number,
    "attractiveness_pct": _number,
    "attractiveness": _int,
    "geometric_score": _number,
    "combined_score": _number,
    "geometry_zscore": _number,
    "split": _text,
    "out_of_fold": pa.bool_(),
    "geometric_out_of_fold": pa.bool_(),
    "score_withheld": _text,
    "age_checked": _text,
}
SCORES = Schema("attractiveness_scores.parquet", {"filename": _text, "image": _text, **_scores})
SCORES_WITH_ATTRIBUTES = Schema(
    "attractiveness_with_attributes.parquet",
    {
        "filename": _text,
        "image": _text,
        **_scores,
        **CLEAN.columns,
    },
    extra=True,
)
FINAL = Schema(
    "attributes_final.parquet",
    {
        **WITH_META.columns,
        "cluster": _int,
        "pc1": _float,
        "pc2": _float,
        **_scores,
        "rating": _number,
        "rating_n": _int,
        "doubts": _text,
        "copy_group": _text,
        "copy_rank": _int,
    },
    extra=True,
)
MEMBER_LANDMARKS = Schema(
    "landmarks.parquet",
    {
        "filename": _text,
        "landmarks": pa.list_(_float, N_LANDMARKS * 3),
        "yaw": _float,
    },
)


def embeddings_schema(dimension: int) -> Schema:
    """Schema of `embeddings_clip.parquet`; `dimension` is read from the model."""
    return Schema(
        "embeddings_clip.parquet",
        {
            "filename": _text,
            "embedding": pa.list_(_float, dimension),
            "key": _text,
        },
    )


def write(
    frame: pd.DataFrame,
    path: str | Path,
    schema: Schema,
    metadata: dict[str, str] | None = None,
    vectors: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Validate, sort by key (unless its order is its own) and write a table by temporary file and rename.

    Parameters
    ----------
    frame : one row a face; vectors as lists or arrays.
    metadata : text pairs for the file's own metadata.
    vectors : columns that are not in `frame`, as matrices (rows, width) in its order: no object a row.

    Raises
    ------
    TableError
        A missing, surplus or wrongly typed column, a null or repeated key.
    """
    path = Path(path)
    table = _to_arrow(frame, vectors or {}, schema, str(path))
    table = table.replace_schema_metadata({k: str(v) for k, v in sorted((metadata or {}).items())})
    with replacing(path) as temporary:
        pq.write_table(
            table, temporary, compression="zstd", row_group_size=group_rows(table.schema)
        )


def read_all(path: str | Path, schema: Schema) -> pd.DataFrame:
    """Read a table with the columns beyond its schema; see `read`."""
    return read(path, schema, _names(Path(path)))


def read(
    path: str | Path,
    schema: Schema,
    columns: list[str] | None = None,
    only: Collection[str] | None = None,
) -> pd.DataFrame:
    """Read a table, by default the schema's columns, and check that they are what the schema says.

    Parameters
    ----------
    only : `filename` of the rows to read, without ever holding the others; None: all rows.

    Raises
    ------
    TableError
        The file is missing or damaged, or a column is missing or of another type.
    """
    path = Path(path)
    wanted = columns or list(schema.columns)
    with opened(path) as file:
        found = file.schema_arrow
        for name in wanted:
            if name not in found.names:
                raise TableError(
                    f"{path}: column {name} is missing; it has {', '.join(found.names)}"
                )
            expected = schema.columns.get(name)
            if expected is not None and not _same_type(found.field(name).type, expected):
                raise TableError(
                    f"{path}: column {name} is {found.field(name).type}, expected {expected}"
                )
        table = file.read(columns=wanted) if only is None else read_rows(file, wanted, only)
    for name in {*_PATHS, schema.keys()[0]} & {*wanted}:
        _check_paths(table[name], f"{path}: column {name}")
    return table.to_pandas()


def _check_paths(column: pa.ChunkedArray, where: str) -> None:
    """Refuse names that lead out of a folder: stages link, write and remove files that are called so."""
    if (
        pa.types.is_string(column.type)
        and pc.any(outside := pc.match_substring_regex(column, _OUTSIDE)).as_py()
    ):
        raise TableError(
            f"{where} has {column.filter(outside)[0].as_py()!r}, which is no path below a folder; remove the file and run `dvc repro`, "
            "and ask who else can write it, or DVC's cache"
        )


def read_optional_column(path: str | Path, schema: Schema, name: str) -> pd.Series:
    """One column by key; all null where the table does not have it (a label nobody gave)."""
    key = schema.keys()[0]
    if own := _called(_names(Path(path)), name):
        return read(path, schema, [key, own]).set_index(key)[own].rename(name)
    return pd.Series(np.nan, index=read(path, schema, [key])[key], name=name, dtype="str")


def called_as(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The frame with these names for columns that differ from them in case, blanks and hyphens alone (`Eye color`, `eye_color`)."""
    own = {_called(frame.columns, name): name for name in names}
    return frame.rename(columns={column: name for column, name in own.items() if column})


def _called(columns: Iterable[str], name: str) -> str | None:
    """The column of that name, or the only one that differs from it in case, blanks and hyphens alone."""
    alike = [
        column
        for column in columns
        if re.sub(r"[\W_]+", "", column).casefold() == re.sub(r"[\W_]+", "", name).casefold()
    ]
    return name if name in alike else alike[0] if len(alike) == 1 else None


def read_embeddings(path: str | Path) -> tuple[pd.Index, np.ndarray, dict[str, str]]:
    """Read `embeddings_clip.parquet` whole; `facestats.core.tables.embeddings` reads it batch by batch.

    Returns
    -------
    filenames : pandas Index of length n.
    embeddings : float32 array (n, dimension), unit norm.
    metadata : the file's own metadata (variant, weights' sha256, precision, dimension, …).
    """
    table = EmbeddingTable(path)
    return table.names, table.take(np.ones(len(table), dtype=bool)), table.metadata


def file_metadata(path: str | Path) -> dict[str, str]:
    """The file's own metadata as text pairs."""
    with opened(Path(path)) as file:
        found = file.schema_arrow
        return {k.decode(): v.decode() for k, v in (found.metadata or {}).items()}


def doubts_metadata(doubts: Mapping[str, str]) -> dict[str, str]:
    """Metadata for a table some of whose columns are doubtful: a text by attribute, `attractiveness` being one."""
    return {"doubts": json.dumps(doubts, sort_keys=True, ensure_ascii=False)} if doubts else {}


def read_doubts(path: str | Path) -> dict[str, str]:
    """What `doubts_metadata` put into a table's file."""
    return json.loads(file_metadata(path).get("doubts", "{}"))


def rating_scale(labels: str | Path) -> tuple[float, float] | None:
    """Ends of the raters' scale, as `labels.parquet` says them; None where nobody rated."""
    said = file_metadata(labels)
    return (float(said["rating_low"]), float(said["rating_high"])) if "rating_low" in said else None


def _names(path: Path) -> list[str]:
    with opened(path) as file:
        return file.schema_arrow.names


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    if pa.types.is_fixed_size_list(expected):
        return pa.types.is_fixed_size_list(found) and found.list_size == expected.list_size
    return found == expected


def _to_arrow(
    frame: pd.DataFrame, vectors: Mapping[str, np.ndarray], schema: Schema, where: str
) -> pa.Table:
    given = [*frame.columns, *vectors]
    missing = [c for c in schema.columns if c not in given]
    surplus = [c for c in given if c not in schema.columns]
    if missing or (surplus and not schema.extra):
        raise TableError(
            f"{where}: missing columns {missing}, unexpected columns {surplus if not schema.extra else []}"
        )
    keys = list(schema.keys())
    if frame[keys].isna().any(axis=None):
        raise TableError(f"{where}: a row has no {' / '.join(keys)}")
    arrays, fields = [], []
    for name in [*schema.columns, *surplus]:
        try:
            array = _column(
                vectors[name] if name in vectors else frame[name], schema.columns.get(name)
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as error:
            raise TableError(f"{where}: column {name}: {error}") from None
        if len(array) != len(frame):
            raise TableError(
                f"{where}: column {name} has {len(array)} rows, the table {len(frame)}"
            )
        arrays.append(array)
        fields.append(pa.field(name, array.type))
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    try:
        in_order = sort_by_key(table, keys)
        return table if schema.ordered else in_order
    except ValueError as error:
        raise TableError(f"{where}: {error}") from None


def _column(column: pd.Series | np.ndarray, kind: pa.DataType | None) -> pa.Array:
    if kind is not None and pa.types.is_fixed_size_list(kind):
        return vector_column(column, kind)
    if kind is None:
        kind = _text if not pd.api.types.is_numeric_dtype(column) else None
    array = pa.array(column, type=kind, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
