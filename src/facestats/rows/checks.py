"""Checks of stored rows, so that no later step fails on them.

Whether they are true is another question, which `rows verify` answers.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facestats.rows.segments import KEY, matches

_SHA256 = re.compile("[0-9a-f]{64}")
_PERCEPTUAL_HASH = re.compile("[0-9a-f]{64}")
_SIZES = ("width", "height")  # px
_UNIT = 0.02  # largest deviation of an embedding's norm from 1: bfloat16 has eight bits


def check_photo_rows(rows: pa.Table) -> str | None:
    """Why `preprocess` can't have written these rows; None if it can.

    Parameters
    ----------
    rows : pa.Table
        With the columns of `faces.preprocess.ROW_COLUMNS`.
    """
    accepted = pc.equal(rows["status"], "ok")
    if not (
        matches(rows[KEY], _SHA256)
        and matches(rows["sha256"], _SHA256)
        and matches(rows["perceptual_hash"], _PERCEPTUAL_HASH)
    ):
        return "a hash is not a hash"
    if (
        rows["sha256"].null_count
        or pc.any(pc.invert(pc.or_kleene(accepted, pc.equal(rows["status"], "rejected")))).as_py()
        or rows["status"].null_count
    ):
        return "a status is neither ok nor rejected, or a photo has no hash"
    for column, needed in (
        ("crop", accepted),
        ("perceptual_hash", accepted),
        ("sharpness", accepted),
        ("reason", pc.invert(accepted)),
    ):
        if pc.any(pc.and_(needed, pc.is_null(rows[column]))).as_py():
            return f"a row lacks its {column}"
    if pc.any(pc.and_(pc.invert(accepted), pc.is_valid(rows["crop"]))).as_py():
        return "a rejected photo has a crop"
    for column in _SIZES:
        if pc.any(pc.and_(accepted, pc.fill_null(pc.less(rows[column], 1), True))).as_py():
            return f"a {column} is not positive"
    return next(
        (why for name in rows.column_names if (why := _odd_numbers(rows[name], name))), None
    )


def check_face_rows(rows: pa.Table) -> str | None:
    """Why `embed` can't have written these rows; None if it can."""
    if not matches(rows[KEY], _SHA256):
        return "a key is not a hash"
    if rows["embedding"].null_count:
        return "an embedding is missing"
    if why := _odd_numbers(rows["embedding"], "embedding"):
        return why
    width = rows["embedding"].type.list_size  # -1 can't stand for it where there is no row
    norms = np.linalg.norm(_flat(rows["embedding"]).reshape(len(rows), width), axis=1)
    return None if (np.abs(norms - 1) <= _UNIT).all() else "an embedding does not have length 1"


def _odd_numbers(column: pa.ChunkedArray, name: str) -> str | None:
    """Why numbers of a column can't be used: some are missing within a vector, or not finite."""
    if pa.types.is_fixed_size_list(column.type):
        if any(chunk.flatten().null_count for chunk in column.chunks):
            return f"numbers are missing in a row's {name}"
        values: pa.Array | pa.ChunkedArray = pa.array(_flat(column))
    elif pa.types.is_floating(column.type):
        values = column
    else:
        return None
    finite = pc.all(pc.is_finite(values)).as_py()  # None without values
    return f"a {name} is not finite" if finite is False else None


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """All numbers of the vectors that are not null."""
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.float32), *parts])
