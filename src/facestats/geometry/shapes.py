"""The landmarks in `faces.parquet`, read batch by batch: those of a million faces take 5.6 GB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from facestats.core import tables
from facestats.core.landmarks import N_LANDMARKS
from facestats.core.tables.parquet import opened
from facestats.faces.tables import FACES

BATCH = 2048  # faces; 11 MB of landmarks
_DECODED = 256  # faces at a time; decoding them takes 14 MB
_COLUMNS = ["filename", "yaw", "pitch", "roll", "occlusion"]


class LandmarkTable:
    """The accepted faces of `faces.parquet`.

    Parameters
    ----------
    path : Path
        Of the file.

    Attributes
    ----------
    rows
        DataFrame with `filename`, `yaw`, `pitch`, `roll` and `occlusion`, in the order of the
        file; rejected photos are left out.

    Raises
    ------
    TableError
        The file is missing or not what the schema says.
    """

    def __init__(self, path: Path):
        self.path = path
        self.rows = (
            tables.read(path, FACES, _COLUMNS).dropna(subset="filename").reset_index(drop=True)
        )

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self) -> Iterator[np.ndarray]:
        """All landmarks as float32 (up to `BATCH`, 468, 3), in the order of `rows`.

        NaN where a face has none.
        """
        waiting: list[np.ndarray] = []
        with opened(self.path) as file:
            for batch in file.iter_batches(_DECODED, ["filename", "landmarks"]):
                waiting.append(
                    _matrix(batch.column("landmarks"), batch.column("filename").is_valid())
                )
                if sum(map(len, waiting)) >= BATCH:
                    landmarks = np.concatenate(waiting)
                    yield landmarks[:BATCH]
                    waiting = [landmarks[BATCH:]]
        if waiting and sum(map(len, waiting)):
            yield np.concatenate(waiting)

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """The landmarks of the faces where `chosen` (bool, n) is true: float32 (faces, 468, 3)."""
        landmarks = np.empty((np.count_nonzero(chosen), N_LANDMARKS, 3), dtype=np.float32)
        start = filled = 0
        for batch in self.batches():
            rows = batch[chosen[start : start + len(batch)]]
            landmarks[filled : filled + len(rows)] = rows
            start, filled = start + len(batch), filled + len(rows)
        return landmarks


def _matrix(column: pa.FixedSizeListArray, accepted: pa.BooleanArray) -> np.ndarray:
    """Accepted rows of a column of landmarks (n, 468, 3), NaN where there are none."""
    if not column.null_count and not accepted.false_count:
        return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, N_LANDMARKS, 3)
    matrix = np.full((len(column), column.type.list_size), np.nan, dtype=np.float32)
    has_landmarks = column.is_valid().to_numpy(zero_copy_only=False)
    matrix[has_landmarks] = (
        column.drop_null()
        .flatten()
        .to_numpy(zero_copy_only=False)
        .reshape(-1, column.type.list_size)
    )
    return matrix[accepted.to_numpy(zero_copy_only=False)].reshape(-1, N_LANDMARKS, 3)
