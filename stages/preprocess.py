"""Stage `preprocess`: cut the largest face out of every photo, eyes level at fixed places.

Reads   the photos (`data.images`), models/landmarker/, stored rows; params `preprocess`
Writes  data/processed/preproc/ (faces, as files or in shards),
        data/processed/metadata/faces.parquet (one row a photo)
Alone   dvc repro -sf preprocess
"""

from facestats.run.stage import run_stage, start_clean, warn, warn_once

from pathlib import Path


def main(params, landmarker, crops, faces):
    # Imported here, since each worker process imports this file too: it saves a second in each.
    from facestats.core.photo_files import refuse_links_out
    from facestats.faces import preprocess
    from facestats.faces.crop import PreprocessConfig
    from facestats.rows.dvc_cache import find_dvc_cache
    from facestats.rows.fill import row_summary

    images, cache = Path(params.data.images), find_dvc_cache()
    refuse_links_out(images, cache and cache.folder)
    config = PreprocessConfig(**params.preprocess.cutting())
    store = params.preprocess.store
    start_clean(crops)

    def earlier():
        return preprocess.committed_rows(cache, faces, crops)

    with preprocess.open_photo_rows(config, landmarker, cache, warn_once) as rows:
        frame = preprocess.write_faces(
            faces, images, crops, config, landmarker, rows, earlier, store
        )
    if message := preprocess.rejection_warning(frame, images):
        warn(message)
    rejected = int((frame["status"] == "rejected").sum())
    return row_summary(len(frame), **frame.attrs, rejected=rejected)


if __name__ == "__main__":
    run_stage(main)
