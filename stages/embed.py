"""Stage `embed`: CLIP embeddings of all faces.

Reads   data/processed/preproc/ (faces), models/clip/, stored rows;
        params `clip.precision`, `clip.batch_size`
Writes  data/processed/embeddings/embeddings_clip.parquet
Alone   dvc repro -sf embed
"""

from facestats.run.stage import run_stage, warn_once

from facestats.clip.embed import (
    STAGE,
    committed_rows,
    embed_faces,
    kind_of_encoder,
    recipe_hash,
    row_columns,
    table_metadata,
)
from facestats.clip.load import load_encoder
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.rows.checks import check_face_rows
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.fill import row_summary
from facestats.rows.store import open_rows


def main(params, crops, clip, embeddings):
    encoder = load_encoder(clip, params.clip.precision, params.clip.batch_size)
    cache, columns = find_dvc_cache(), row_columns(encoder.dimension)
    recipe, where = recipe_hash(encoder), kind_of_encoder(encoder)
    with open_rows(STAGE, recipe, columns, cache, warn_once, check_face_rows, where) as rows:
        table = embed_faces(
            crops, encoder, rows, lambda: committed_rows(cache, embeddings, encoder.dimension)
        )
    schema = embeddings_schema(encoder.dimension)
    tables.write(table, embeddings, schema, table_metadata(encoder))
    return (
        f"{row_summary(len(table), **table.attrs)} dimension={encoder.dimension} "
        f"precision={encoder.precision} device={encoder.device.type}"
    )


if __name__ == "__main__":
    run_stage(main)
