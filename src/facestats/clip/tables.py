"""The table of `embed`."""

from __future__ import annotations

import pyarrow as pa

from facestats.core.layout import EMBEDDINGS
from facestats.core.tables import FILENAME, FLOAT, TEXT, Column, Schema


def embeddings_schema(dimension: int) -> Schema:
    """Schema of `embeddings_clip.parquet`; `dimension` is read from the model."""
    return Schema(
        "embeddings_clip.parquet",
        "One embedding a face. Its width is the variant's: 384 for `tiny`. The file's own "
        "metadata says variant, revision, precision, dimension and the weights' sha256.",
        stage="embed",
        fields={
            "filename": FILENAME,
            "embedding": Column(pa.list_(FLOAT, dimension), "CLIP's image embedding, at length 1"),
            "key": Column(
                TEXT,
                "of the row store: what the row was computed from (bytes, parameters, weights, "
                "code, versions of libraries)",
            ),
        },
        path=EMBEDDINGS.as_posix(),
    )
