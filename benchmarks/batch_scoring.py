"""Photos a second of `facestats.score_images`, beside the pipeline's stages and single calls.

    python -m benchmarks.batch_scoring [--root .] [--images data/sample/images] [--most 300]
        [--rounds 3]

Needs a project that `dvc repro` has built. In each round the same photos go through three ways, in
turn: the functions of the stages `preprocess` and `embed` without a row store, which cut and embed
but do not score; `score_images`, which also checks ages, scores and looks for doubts; and
`score_image` for one photo after another, on the first 60 of them. Wall time includes the start of
worker processes; processor time is that of this process and its children.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SINGLE = 60  # photos for single calls, which take longest


def main() -> None:
    # Here, for worker processes import this file.
    from benchmarks.limits import machine_facts

    from facestats.clip.embed import embed_faces
    from facestats.core.layout import LANDMARKER
    from facestats.core.photo_files import list_images
    from facestats.errors import FaceStatsError
    from facestats.faces.crop import PreprocessConfig
    from facestats.faces.preprocess import preprocess_folder
    from facestats.serving.batch import BATCH, encoding, score_many
    from facestats.serving.loading import load, load_for

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("."))
    parser.add_argument("--images", type=Path, default=Path("data/sample/images"))
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    models, one_by_one = load_for(options.root, encoding(BATCH)), load(options.root)
    config = PreprocessConfig(**models.serving["crop"])
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        names = list_images(options.images)[: options.most]
        for number, name in enumerate(names):
            photos.mkdir(exist_ok=True)
            shutil.copyfile(options.images / name, photos / f"{number:05}{Path(name).suffix}")
        listed = [photos / name for name in list_images(photos)]

        def stages() -> None:
            crops = Path(tempfile.mkdtemp(dir=folder))
            preprocess_folder(photos, crops, config, models.root / LANDMARKER)
            embed_faces(crops, models.encoder)

        def batch() -> None:
            score_many(models, photos)

        def single() -> None:
            for photo in listed[:SINGLE]:
                try:
                    one_by_one.score(photo)
                except FaceStatsError:
                    continue

        counts = {"preprocess + embed": len(listed), "score_images": len(listed)}
        counts["score_image, one by one"] = min(SINGLE, len(listed))
        ways: dict[str, Callable[[], None]] = dict(
            zip(counts, (stages, batch, single), strict=True)
        )
        rates: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        single()  # what is loaded late
        for _ in range(options.rounds):
            for name, way in ways.items():
                wall, work = time.perf_counter(), _processor_seconds()
                way()
                wall, work = time.perf_counter() - wall, _processor_seconds() - work
                rates[name].append((counts[name] / wall, 1000 * work / counts[name]))
    print(machine_facts(models.encoder.device))
    for name, values in rates.items():
        rate = statistics.median(rate for rate, _ in values)
        cost = statistics.median(cost for _, cost in values)
        print(f"{name:24} {rate:6.1f} photos/s, {cost:6.1f} ms of a processor a photo")


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
