"""Stage `embed`: CLIP embeddings of all faces.

Reads   data/processed/preproc/ (faces), models/clip/; params `clip.precision`, `clip.batch_size`
Writes  data/processed/embeddings/embeddings_clip.parquet
Alone   python stages/embed.py data/processed/preproc models/clip \\
            data/processed/embeddings/embeddings_clip.parquet
"""

from pathlib import Path

from facestats import tables
from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.stage import run_stage


def main(params, faces: Path, model: Path, out: Path) -> str:
    encoder = ImageEncoder(model, params.clip.precision, params.clip.batch_size)
    table = embed_faces(faces, encoder)
    tables.write(table, out, tables.embeddings_schema(encoder.dimension), {
        "variant": encoder.facts["variant"], "revision": encoder.facts["revision"],
        "weights_sha256": encoder.facts["sha256"], "precision": encoder.precision,
        "dimension": str(encoder.dimension),
    })
    return f"rows={len(table)} dimension={encoder.dimension} precision={encoder.precision} device={encoder.device.type}"


if __name__ == "__main__":
    run_stage(main)
