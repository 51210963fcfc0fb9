"""Stage `rejected`: thumbnails of photos that were left out, so that the report needs no photo.

Reads   the photos (`data.images`), faces.parquet; params `preprocess.max_megabytes`,
        `preprocess.max_pixels`
Writes  data/interim/rejected/: index.json, one JPEG a photo that can be decoded
Alone   dvc repro -sf rejected
"""

from facestats.run.stage import run_stage, start_clean

from pathlib import Path

from facestats.core import tables
from facestats.faces.tables import FACES
from facestats.photos.rejected_thumbnails import write_rejected


def main(params, faces, out):
    start_clean(out)
    table = tables.read(faces, FACES, ["image", "status", "reason"])
    rejected = table[table["status"] == "rejected"]
    index = write_rejected(
        rejected,
        Path(params.data.images),
        out,
        max_megabytes=params.preprocess.max_megabytes,
        max_pixels=params.preprocess.max_pixels,
    )
    pictures = sum(row["picture"] is not None for row in index)
    return f"rejected={len(rejected)} listed={len(index)} pictures={pictures}"


if __name__ == "__main__":
    run_stage(main)
