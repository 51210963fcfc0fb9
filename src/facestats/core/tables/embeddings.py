"""The table of embeddings, read batch by batch: a million of them are 2 GB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facestats.core.tables.parquet import check_keys, matrices, opened, require_column
from facestats.errors import TableError

# Rows of a batch: 64 MB as float64 at 512 dimensions. Other batches would move last bits of sums.
BATCH = 16_384


class EmbeddingTable:
    """`embeddings_clip.parquet`, left on disk.

    Parameters
    ----------
    path : str or Path
        The file.

    Attributes
    ----------
    names : Index (n,)
        Filenames in the order of the rows.
    metadata : dict of str to str
        The file's own metadata: variant, weights' sha256, precision, dimension, ….
    dimension : int
        Length of an embedding.

    Raises
    ------
    TableError
        The file is missing or damaged, or not a table of embeddings.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with opened(self.path, "embed") as file:
            schema = file.schema_arrow
            for name in ("filename", "embedding"):
                require_column(name, schema, self.path)
            if not pa.types.is_string(schema.field("filename").type):
                raise TableError(f"{path}: column filename is no text")
            kind = schema.field("embedding").type
            if not pa.types.is_fixed_size_list(kind):
                raise TableError(
                    f"{path}: column embedding is {kind}, expected a fixed-size list of float"
                )
            self.dimension: int = kind.list_size
            names = file.read(columns=["filename"]).column(0)
            names.validate(full=True)
            check_keys(pa.table({"filename": names}), ["filename"], self.path)
            self.names = pd.Index(names.to_pandas(), name="filename")
            self.metadata = {
                key.decode(): value.decode() for key, value in (schema.metadata or {}).items()
            }

    def __len__(self) -> int:
        return len(self.names)

    def batches(self) -> Iterator[np.ndarray]:
        """All embeddings as float32 (up to `BATCH`, dimension), in the order of the file.

        Raises
        ------
        TableError
            An embedding is not finite.
        """
        at = 0
        with opened(self.path, "embed") as file:
            for batch in matrices(file, "embedding", BATCH):
                wrong = np.flatnonzero(~np.isfinite(batch).all(axis=1))
                if len(wrong):
                    raise TableError(
                        f"{self.path}: the embedding of {self.names[at + wrong[0]]} is not finite; "
                        "`dvc repro -f embed` computes it anew"
                    )
                at += len(batch)
                yield batch

    def take(self, chosen: np.ndarray) -> np.ndarray:
        """The rows where `chosen` (bool, n) is true: float32 (rows, dimension)."""
        # One array, filled bit by bit: joining batches would take twice the memory.
        taken = np.empty((np.count_nonzero(chosen), self.dimension), dtype=np.float32)
        at = filled = 0
        for batch in self.batches():
            rows = batch[chosen[at : at + len(batch)]]
            taken[filled : filled + len(rows)] = rows
            at, filled = at + len(batch), filled + len(rows)
        return taken


Embeddings = np.ndarray | EmbeddingTable


def in_batches(embeddings: Embeddings) -> Iterator[np.ndarray]:
    """Consecutive rows (up to `BATCH`, d) of a matrix or a table; without rows, one empty batch."""
    if isinstance(embeddings, EmbeddingTable):
        yield from embeddings.batches() if len(embeddings) else [_no_rows(embeddings.dimension)]
    elif not len(embeddings):
        yield _no_rows(embeddings.shape[1])
    else:
        yield from (embeddings[start : start + BATCH] for start in range(0, len(embeddings), BATCH))


def _no_rows(dimension: int) -> np.ndarray:
    return np.empty((0, dimension), np.float32)


def take(embeddings: Embeddings, chosen: np.ndarray) -> np.ndarray:
    """The rows where `chosen` (bool, n) is true, of a matrix or a table."""
    return embeddings.take(chosen) if isinstance(embeddings, EmbeddingTable) else embeddings[chosen]


def sample_rows(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Choose `most` of n rows at random, or all of up to `most`: bool (n,)."""
    chosen = np.ones(n, dtype=bool)
    if n > most:
        chosen[np.random.default_rng(seed).permutation(n)[most:]] = False
    return chosen
