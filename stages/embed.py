"""Stage `embed`: CLIP embeddings of all faces.

Reads   data/processed/preproc/ (faces), models/clip/, stored rows;
        params `clip.precision`, `clip.batch_size`
Writes  data/processed/embeddings/embeddings_clip.parquet
Alone   dvc repro -sf embed
"""

from facestats.run.stage import row_summary, run_stage, warn_once

from facestats.clip.embed import (
    STAGE,
    earlier_rows,
    embed_faces,
    recipe_hash,
    row_columns,
    table_metadata,
)
from facestats.clip.load import load_encoder
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.rows.checks import check_face_rows
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.store import open_rows


def main(params, crops, clip, embeddings):
    encoder = load_encoder(clip, params.clip.precision, params.clip.batch_size)
    cache, columns = find_dvc_cache(), row_columns(encoder.dimension)

    def earlier():
        before = cache.committed(embeddings) if cache else None
        return earlier_rows(before, encoder.dimension) if before else None

    recipe = recipe_hash(encoder)
    with open_rows(STAGE, recipe, columns, cache, warn_once, check_face_rows) as rows:
        table = embed_faces(crops, encoder, rows, earlier)
    schema = embeddings_schema(encoder.dimension)
    tables.write(table, embeddings, schema, table_metadata(encoder))
    return (
        f"{row_summary(len(table), **table.attrs)} dimension={encoder.dimension} "
        f"precision={encoder.precision} device={encoder.device.type}"
    )


if __name__ == "__main__":
    run_stage(main)
