"""Stage `embed`: CLIP embeddings of all faces.

Reads   data/processed/preproc/ (faces), models/clip/, stored rows;
        params `clip.precision`, `clip.batch_size`
Writes  data/processed/embeddings/: embeddings_clip.parquet; and the same as a matrix to search in,
        embeddings_clip.f16.npy and embeddings_clip.rest.npy
Alone   dvc repro -sf embed
"""

from facestats.run.stage import run_stage, warn_once

from facestats.clip.embed import committed_rows, open_face_rows, write_embeddings
from facestats.clip.load import load_encoder
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.core.tables.matrix import write_matrix
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.fill import row_summary


def main(params, crops, clip, embeddings, half, rest):
    encoder = load_encoder(clip, params.clip.precision, params.clip.batch_size)
    cache = find_dvc_cache()
    with open_face_rows(encoder, cache, warn_once) as rows:
        counts = write_embeddings(
            embeddings,
            crops,
            encoder,
            rows,
            lambda: committed_rows(cache, embeddings, encoder.dimension),
        )
    table = EmbeddingTable(embeddings)
    write_matrix(table, half, rest)
    return (
        f"{row_summary(len(table), **counts)} dimension={encoder.dimension} "
        f"precision={encoder.precision} device={encoder.device.type}"
    )


if __name__ == "__main__":
    run_stage(main)
