"""Projects without DVC, whose photos and models are all that `rows fill` needs."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facestats.sample import write_sample
from resources import landmarker_dir, write_params


def bare_project(folder: Path, clip: Path, n: int) -> Path:
    """Its folder; `photos/` holds n drawn faces, `000.jpg` and so on."""
    write_sample(folder / "drawn", n=n, size=96, seed=5, progress=False)
    (folder / "photos").mkdir()
    for number, path in enumerate(sorted((folder / "drawn/images").glob("face_*.jpg"))[:n]):
        path.rename(folder / f"photos/{number:03}.jpg")
    shutil.rmtree(folder / "drawn")
    write_params(
        folder,
        {"data": {"images": "photos"}, "preprocess": {"size": 64}, "clip": {"batch_size": 4}},
    )
    shutil.copytree(landmarker_dir(), folder / "models/landmarker")
    shutil.copytree(clip, folder / "models/clip")
    return folder


def stored_rows(store: Path, stage: str) -> pa.Table:
    """All rows of a stage in a store, sorted by their keys."""
    parts = [pq.read_table(path) for path in store.glob(f"{stage}/*/*.parquet")]
    return pa.concat_tables(parts).sort_by("key")


def stored_crops(store: Path) -> list[str]:
    """Names, which are hashes, of the crops in a store."""
    return sorted(path.name for path in store.glob("preprocess/*/files/*"))
