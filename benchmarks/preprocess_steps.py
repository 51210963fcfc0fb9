"""Where the time of a photo goes between its bytes and its row: processor time by step.

    python -m benchmarks.preprocess_steps --images DIR [--models models/landmarker] [--side 1024]

Medians over the photos, each taken at its fastest of a few rounds. Processor time, not wall time:
other processes disturb it less. Photos without a large face are left out. `plain` is Pillow's open,
convert, resize to 512 px, save, in this process, which keeps freed memory: `benchmarks.pipeline`
times it in one that does not.

Below the table: what as many processes as there are cores do in a second, each with all steps of
its own photos, against one alone. Two cores that are threads of one do less than twice as much.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from facestats.errors import ImageError
from facestats.faces.align import align_face, crop_transform, to_crop_frame
from facestats.faces.crop import FaceCrop, PreprocessConfig, crop_face
from facestats.faces.dedup import perceptual_hash
from facestats.faces.detector import Detector
from facestats.faces.landmarks import Landmarker
from facestats.faces.photo import process_photo
from facestats.faces.quality import brightness, grey_crop, head_pose, sharpness
from facestats.faces.runtime import keep_freed_memory
from facestats.photos.decode import open_photo

CONFIG = PreprocessConfig()
ENOUGH = 1024  # px of the long side that `crop_face` decodes first
SECONDS = 1.0  # of each throughput


class Clock:
    """Processor time between one `lap` and the next, ms, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.laps[name] = (now - self._last) * 1e3
        self._last = time.process_time()


def time_steps(data: bytes, detector: Detector, landmarker: Landmarker) -> dict[str, float]:
    """Each step of one photo, ms; 'mesh' is the landmarker's time without the detector's."""
    clock = Clock()
    hashlib.sha256(data).hexdigest()
    clock.lap("sha256")
    photo = open_photo(data, ENOUGH)
    clock.lap("decode")
    detector.detect(photo.rgb)
    clock.lap("detector")
    face = landmarker.detect(photo.rgb)[0]
    clock.lap("mesh")
    square = crop_transform(face.landmarks, photo.width, photo.height, CONFIG.margin, CONFIG.align)
    to_crop_frame(face.landmarks, photo.width, photo.height, square)
    head_pose(face.landmarks, photo.width, photo.height)
    clock.lap("geometry, pose")
    rgb = align_face(photo.rgb, square.scaled(photo.rgb.shape[1] / photo.width), CONFIG.size)
    clock.lap("crop")
    FaceCrop(rgb, photo.width, photo.height, 1).jpeg(CONFIG.quality)
    clock.lap("JPEG")
    grey = grey_crop(rgb)
    sharpness(grey), brightness(grey)
    clock.lap("sharpness, brightness")
    perceptual_hash(grey)
    clock.lap("perceptual hash")
    clock.laps["mesh"] -= clock.laps["detector"]
    clock.laps["all steps"] = sum(clock.laps.values())
    Image.open(io.BytesIO(data)).convert("RGB").resize((CONFIG.size, CONFIG.size)).save(
        io.BytesIO(), "JPEG", quality=CONFIG.quality
    )
    clock.lap("plain")
    return clock.laps


def _work(photos: list[bytes], models: Path, start, results) -> None:
    """Process photos for `SECONDS` once all processes are ready; put the photos a second."""
    keep_freed_memory()
    landmarker = Landmarker(models)
    for data in photos:
        process_photo(data, CONFIG, landmarker)
    start.wait()
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        process_photo(photos[done % len(photos)], CONFIG, landmarker)
        done += 1
    results.put(done / (time.perf_counter() - began))


def throughput(processes: int, photos: list[bytes], models: Path) -> float:
    """Photos a second of so many processes at once."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.Queue()
    running = [
        context.Process(target=_work, args=(photos, models, start, results))
        for _ in range(processes)
    ]
    for process in running:
        process.start()
    total = sum(results.get() for _ in running)
    for process in running:
        process.join()
    return total


def load(path: Path, side: int | None) -> bytes:
    """A file's bytes; with `side`, those of a JPEG of that many px (shorter edge, quality 92)."""
    if side is None:
        return path.read_bytes()
    image, out = Image.open(path).convert("RGB"), io.BytesIO()
    scale = side / min(image.size)
    image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
    ).save(out, "JPEG", quality=92)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--models", type=Path, default=Path("models/landmarker"))
    parser.add_argument(
        "--count", type=int, default=24, help="photos to use (default: %(default)s)"
    )
    parser.add_argument(
        "--side",
        type=int,
        help="bring the photos' shorter edge to this, px, first (default: as they are)",
    )
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    keep_freed_memory()
    detector, landmarker = Detector(options.models), Landmarker(options.models)
    photos = []
    for path in sorted(path for path in options.images.iterdir() if path.is_file())[
        : options.count
    ]:
        data = load(path, options.side)
        try:
            if crop_face(data, CONFIG, landmarker).confidence and landmarker.detect(
                open_photo(data, ENOUGH).rgb
            ):
                photos.append(data)
        except ImageError:
            continue
    best = []
    for data in photos:
        rounds = [time_steps(data, detector, landmarker) for _ in range(options.rounds)]
        best.append({name: min(laps[name] for laps in rounds) for name in rounds[0]})
    print(
        f"{len(photos)} photos, {np.mean([len(data) for data in photos]) / 1e3:.0f} KB "
        "each\n\n| step | ms |\n|---|---|"
    )
    for name in best[0]:
        print(f"| {name} | {np.median([laps[name] for laps in best]):.2f} |")
    cores = len(os.sched_getaffinity(0))
    ratios = [
        throughput(cores, photos, options.models) / throughput(1, photos, options.models)
        for _ in range(3)
    ]
    print(
        f"\n{cores} processes: {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
        f"times the photos a second of one; load average {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
