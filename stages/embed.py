"""Stage `embed`: CLIP embeddings of all faces.

Reads   data/processed/preproc/ (faces), models/clip/, stored rows;
        params `clip.precision`, `clip.batch_size`
Writes  data/processed/embeddings/embeddings_clip.parquet
Alone   dvc repro -sf embed
"""

from facestats.run.stage import row_summary, run_stage, warn_once

from pathlib import Path

from facestats.clip.embed import STAGE, earlier_rows, embed_faces, recipe_hash, row_columns
from facestats.clip.load import load_encoder
from facestats.clip.tables import embeddings_schema
from facestats.core import tables
from facestats.errors import InputError
from facestats.rows.checks import check_face_rows
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.rows.store import open_rows


def main(params, crops: Path, clip: Path, embeddings: Path) -> str:
    encoder = load_encoder(clip, params.clip.precision, params.clip.batch_size)
    cache = find_dvc_cache()

    def earlier():
        before = cache.committed(embeddings) if cache else None
        return earlier_rows(before, encoder.dimension) if before else None

    with open_rows(
        STAGE,
        recipe_hash(encoder),
        row_columns(encoder.dimension),
        cache,
        warn_once,
        check_face_rows,
    ) as rows:
        try:
            table = embed_faces(crops, encoder, rows, earlier)
        except OSError as error:
            if error.errno is not None:
                raise
            raise InputError(
                f"a face in {crops} can't be read as an image; `dvc repro -f preprocess` cuts the "
                "faces anew"
            ) from None
    tables.write(
        table,
        embeddings,
        embeddings_schema(encoder.dimension),
        {
            "variant": encoder.facts["variant"],
            "revision": encoder.facts["revision"],
            "weights_sha256": encoder.facts["sha256"],
            "precision": encoder.precision,
            "dimension": str(encoder.dimension),
        },
    )
    return (
        f"{row_summary(len(table), **table.attrs)} dimension={encoder.dimension} "
        f"precision={encoder.precision} device={encoder.device.type}"
    )


if __name__ == "__main__":
    run_stage(main)
