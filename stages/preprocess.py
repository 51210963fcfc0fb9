"""Stage `preprocess`: cut the largest face out of every photo, eyes level at fixed places.

Reads   the photos (`data.images`), models/landmarker/, stored rows; params `preprocess`
Writes  data/processed/preproc/ (faces), data/processed/metadata/faces.parquet (one row a photo)
Alone   dvc repro -sf preprocess
"""

from facestats.run.stage import row_summary, run_stage, start_clean, warn, warn_once

from pathlib import Path

SHOWN = 5  # reasons why photos are left out


def main(params, landmarker: Path, crops: Path, faces: Path) -> str:
    # Worker processes import this file again, and need none of what takes a second of a processor.
    from facestats.core import tables
    from facestats.errors import alike
    from facestats.faces.crop import PreprocessConfig
    from facestats.faces.keys import recipe_hash
    from facestats.faces.preprocess import ROW_COLUMNS, STAGE, earlier_rows, preprocess_folder
    from facestats.faces.tables import FACES
    from facestats.rows.checks import check_photo_rows
    from facestats.rows.dvc_cache import find_dvc_cache
    from facestats.rows.store import open_rows

    images = Path(params.data.images)
    config = PreprocessConfig(**params.preprocess.model_dump())
    cache = find_dvc_cache()

    def earlier():
        if cache is None or (before := cache.committed(faces)) is None:
            return None
        return earlier_rows(before, cache.committed_files(crops))

    start_clean(crops)
    with open_rows(
        STAGE, recipe_hash(config, landmarker), ROW_COLUMNS, cache, warn_once, check_photo_rows
    ) as rows:
        frame = preprocess_folder(images, crops, config, landmarker, rows=rows, earlier=earlier)
    tables.write(frame, faces, FACES)
    rejected = frame[frame["status"] == "rejected"]
    if len(rejected) == len(frame):
        warn(
            f"not one of {len(frame)} photos in {images} was accepted: there is nothing to embed, "
            "and the next stage will say so"
        )
    elif len(rejected):
        reasons = alike(sorted(rejected["reason"]))
        listed = "; ".join(f"{n}: {reason}" for reason, n in reasons[:SHOWN]) + (
            f"; {len(reasons) - SHOWN} more reasons" if len(reasons) > SHOWN else ""
        )
        warn(
            f"{len(rejected)} of {len(frame)} photos are left out ({listed}); faces.parquet and "
            "the report name each"
        )
    return row_summary(len(frame), **frame.attrs, rejected=len(rejected))


if __name__ == "__main__":
    run_stage(main)
