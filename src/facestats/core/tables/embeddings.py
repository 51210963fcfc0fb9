"""A million embeddings are 2 GB: read batch by batch, and only the rows that are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from facestats.core.tables.parquet import matrices, opened
from facestats.errors import TableError

# rows; as float64 64 MB at 512 dimensions, and where one batch ends and the next begins moves last
# bits
BATCH = 16_384


class EmbeddingTable:
    """`embeddings_clip.parquet`, left on disk.

    Parameters
    ----------
    path : of the file.

    Attributes
    ----------
    names : pandas Index of the n file names, in the order of the rows.
    metadata : the file's own metadata (variant, weights' sha256, precision, dimension, …).
    dimension : of an embedding.

    Raises
    ------
    TableError
        The file is missing, damaged or something else.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with opened(self.path, "embed") as file:
            found = file.schema_arrow
            for name in ("filename", "embedding"):
                if name not in found.names:
                    raise TableError(
                        f"{path}: column {name} is missing; it has {', '.join(found.names)}"
                    )
            kind = found.field("embedding").type
            if not pa.types.is_fixed_size_list(kind):
                raise TableError(
                    f"{path}: column embedding is {kind}, expected a fixed-size list of float"
                )
            self.dimension: int = kind.list_size
            names = file.read(columns=["filename"]).column(0)
            names.validate(full=True)
            self.names = pd.Index(names.to_pandas(), name="filename")
            self.metadata = {k.decode(): v.decode() for k, v in (found.metadata or {}).items()}

    def __len__(self) -> int:
        return len(self.names)

    def batches(self) -> Iterator[np.ndarray]:
        """All embeddings as float32 (up to `BATCH`, dimension), in the order of the file.

        Raises
        ------
        TableError
            An embedding that is not finite.
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
        found = np.empty((np.count_nonzero(chosen), self.dimension), dtype=np.float32)
        at = filled = 0
        for (
            batch
        ) in self.batches():  # into one array at once: joining batches would take twice the memory
            rows = batch[chosen[at : at + len(batch)]]
            found[filled : filled + len(rows)] = rows
            at, filled = at + len(batch), filled + len(rows)
        return found


Embeddings = np.ndarray | EmbeddingTable


def in_batches(embeddings: Embeddings) -> Iterator[np.ndarray]:
    """Consecutive rows (up to `BATCH`, d) of a matrix or a table; at least one batch, of no row
    where there is none.
    """
    if not len(embeddings):
        yield np.empty(
            (
                0,
                embeddings.dimension
                if isinstance(embeddings, EmbeddingTable)
                else embeddings.shape[1],
            ),
            np.float32,
        )
    elif isinstance(embeddings, EmbeddingTable):
        yield from embeddings.batches()
    else:
        yield from (embeddings[start : start + BATCH] for start in range(0, len(embeddings), BATCH))


def take(embeddings: Embeddings, chosen: np.ndarray) -> np.ndarray:
    """The rows where `chosen` (bool, n) is true, of a matrix or a table."""
    return embeddings.take(chosen) if isinstance(embeddings, EmbeddingTable) else embeddings[chosen]


def sample_rows(n: int, most: int, seed: int = 0) -> np.ndarray:
    """Bool (n,): `most` rows drawn at random, or all of up to `most`."""
    chosen = np.ones(n, dtype=bool)
    if n > most:
        chosen[np.random.default_rng(seed).permutation(n)[most:]] = False
    return chosen
