"""How fast photos become faces and faces embeddings, against the plain way, in turns.

    python -m benchmarks.pipeline --images ../shared/omi/images [--side 1024] [--clip DIR]

Plain is one image at a time: Pillow opens, converts, resizes to 512 px and saves; `CLIPProcessor`'s
image half and `CLIPModel.get_image_features` in float32 make the embedding. Without --clip the
model is a ViT-B/32 of `CLIPConfig()` with random weights. Each figure is the median over rounds,
each ratio the median of the rounds' ratios.

Start-up (workers that import libraries, loading the model) is no part of a row; it is listed below
the table. That of `preprocess_folder` is what it takes for the first four photos a core, and is
taken off its time for all of them, so that the row is what a photo more costs; the row below shows
it left in. Both ways write into an empty folder.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photos (JPEG)")
    parser.add_argument(
        "--clip",
        type=Path,
        help="a checkpoint in Hugging Face layout (default: CLIPConfig(), random weights)",
    )
    parser.add_argument(
        "--count", type=int, default=256, help="photos to use (default: %(default)s)"
    )
    parser.add_argument(
        "--side",
        type=int,
        help="bring the photos' shorter edge to this, px, before timing (default: as they are)",
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    # Here, since the workers of `preprocess_folder` import this module again, and need neither
    # torch nor transformers.
    from benchmarks.limits import machine_facts
    from benchmarks.pipeline_report import report
    from benchmarks.pipeline_rounds import Benchmark, build_clip

    from facestats.clip.encoder import choose_device

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        facts = machine_facts(choose_device())
        benchmark = Benchmark(
            options.images,
            options.clip or build_clip(work / "source"),
            work,
            options.count,
            options.side,
        )
        rounds = [benchmark.round() for _ in range(options.rounds)]
        print(report(benchmark, rounds, facts))


if __name__ == "__main__":
    main()
