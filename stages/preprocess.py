"""Stage `preprocess`: cut the largest face out of every photo, eyes level at fixed places.

Reads   the photos (`data.images`), models/landmarker/; params `preprocess`
Writes  data/processed/preproc/ (faces), data/processed/metadata/faces.parquet (one row a photo)
Alone   python stages/preprocess.py data/sample/images models/landmarker \\
            data/processed/preproc data/processed/metadata/faces.parquet
"""

from pathlib import Path

from facestats import tables
from facestats.faces.crop import PreprocessConfig
from facestats.faces.preprocess import preprocess_folder
from facestats.stage import run_stage, warn


def main(params, images: Path, landmarker: Path, faces: Path, table: Path) -> str:
    config = PreprocessConfig(**params.preprocess.model_dump())
    frame = preprocess_folder(images, faces, config, landmarker)
    tables.write(frame, table, tables.FACES)
    rejected = frame[frame["status"] == "rejected"]
    accepted = len(frame) - len(rejected)
    for reason, count in rejected["reason"].value_counts().sort_index().items():
        print(f"  rejected {count}: {reason}")
    if not accepted:
        warn(f"not one of {len(frame)} photos in {images} was accepted: there is nothing to embed, and the next stage will say so")
    return f"rows={len(frame)} accepted={accepted} rejected={len(rejected)}"


if __name__ == "__main__":
    run_stage(main)
