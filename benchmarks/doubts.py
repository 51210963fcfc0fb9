"""Shares of plain and spoilt photographs and of drawings that are doubted, for methods/doubts.md.

    python -m benchmarks.doubts [--every 8] [--photographs FOLDER …] [--drawings FOLDER …]
    python -m benchmarks.doubts --fit --photographs FOLDER … --drawings FOLDER …

The second form fits the models anew and writes src/facestats/faces/looks.npz.

Photographs come from ../shared (3dsk, OMI, photos) and the folders named, drawings from data/sample
and the folders named; docs/methods/doubts.md names the packages that have some. Every nth
photograph is spoilt in each way; all are looked at as they are. `--fit` changes each picture in a
few ways, learns from all but data/sample, and prints the shares of faces, and of kinds of drawing,
that were left out of training.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.looks_fit import MODELS, ROOT, available_jobs, changed, collect, fit, read
from benchmarks.photo_changes import COVERED, DRAWINGS, HARMLESS, SPOILT, Photo
from PIL import Image
from tqdm import tqdm

from facestats.core.doubts import FACTS, doubtful_faces
from facestats.errors import ImageError
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker

SHARED = ROOT.parent / "shared"
WEIGHTS = ROOT / "src/facestats/faces/looks.npz"
CHANGES = HARMLESS | COVERED | DRAWINGS | {name: change for name, (_, change) in SPOILT.items()}


class Faces:
    """What pictures show: `rows` of `kind`, `source`, `name` and the facts of `faces.parquet`."""

    def __init__(self):
        self.landmarker, self.rows = Landmarker(ROOT / "models/landmarker"), []

    def add(self, photo: Photo, kind: str, source: str, name: str) -> None:
        try:
            crop = crop_face(np.ascontiguousarray(photo), PreprocessConfig(), self.landmarker)
        except ImageError:
            return
        self.rows.append({"kind": kind, "source": source, "name": name} | crop.facts())


def photographs(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    yield from (("3dsk", path) for path in sorted(SHARED.glob("3dsk/*male/*.jpg")))
    yield from (("omi", path) for path in sorted(SHARED.glob("omi/images/*.jpg")))
    for folder in (SHARED / "photos/lisa", SHARED / "photos/zoom", *folders):
        yield from (
            (folder.name, path)
            for path in sorted(folder.glob("*"))
            if path.suffix in (".jpg", ".png")
        )


def look(every: int, folders: list[Path], drawings: list[Path]) -> Faces:
    faces = Faces()
    for number, (source, path) in enumerate(tqdm(list(photographs(folders)), "photographs")):
        photo = read(path)
        faces.add(photo, "plain", source, path.stem)
        if number % every == 0:
            kinds = {
                kind: (change, np.random.default_rng(zlib.crc32(f"{path.stem}{kind}".encode())))
                for kind, change in CHANGES.items()
            }
            for kind, other in changed(photo, faces.landmarker, kinds):
                faces.add(other, kind, source, path.stem)
    for folder in (ROOT / "data/sample/images", *drawings):
        for path in tqdm(
            sorted(
                path
                for path in folder.rglob("*")
                if path.is_file() and path.suffix in (".jpg", ".png", ".webp")
            ),
            folder.name,
        ):
            try:
                faces.add(
                    read(path),
                    "drawn",
                    folder.name if folder.name != "images" else "sample",
                    path.stem,
                )
            except (OSError, Image.DecompressionBombError):  # the sample holds broken files as well
                continue
    return faces


def rates(faces: Faces) -> pd.DataFrame:
    """Share of each source and kind that each doubt is about."""
    table = pd.DataFrame(faces.rows)
    doubted = pd.DataFrame(
        {
            reason: table.index.isin(values.index)
            for reason, values, _ in doubtful_faces(table[FACTS], 0.0)
        }
    )
    doubted["any"] = doubted.drop(columns="several_faces").any(axis=1)
    shares = doubted.groupby([table["kind"], table["source"]], sort=False).mean()
    return shares.assign(n=table.groupby(["kind", "source"], sort=False).size())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--every", type=int, default=8, help="every nth photograph is spoilt (default: %(default)s)"
    )
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--drawings", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument(
        "--fit",
        action="store_true",
        help="fit the models of faces/looks.py anew and write their weights",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=available_jobs(),
        help="processes of --fit (default: all processors)",
    )
    options = parser.parse_args()
    if options.fit:
        examples = collect(list(photographs(options.photographs)), options.drawings, options.jobs)
        np.savez(WEIGHTS, **fit(examples, MODELS))
        print(f"{WEIGHTS} is written; run again without --fit for the rates")
        return
    everything = look(options.every, options.photographs, options.drawings)
    with pd.option_context(
        "display.width", 250, "display.max_columns", None, "display.max_rows", None
    ):
        print(rates(everything).round(3).to_string())


if __name__ == "__main__":
    main()
