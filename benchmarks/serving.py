"""How long it takes to score one photo, step by step, with a tower of ViT-B/32's size.

    python -m benchmarks.serving [--root .] [--images data/sample/images] [--clip DIR]
        [--precision float32] [--rounds 20]

Needs a project that `dvc repro` has built: its landmarker and its geometric model are used. CLIP is
a ViT-B/32 of `CLIPConfig()` with random weights (or --clip), and the regressor is an untrained one
of `mlp.hidden` and `mlp.ensemble` on its embeddings: how long they take does not depend on what
they have learned. Each step is timed on each photo in turn; a row is the least, the median and the
95th percentile over all photos and rounds; where others use the machine, the least says what it can
do. The last row is the call that people make, `calculate_attractiveness_score`, with a path;
loading comes before.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from benchmarks.limits import machine_facts
from benchmarks.pipeline_rounds import build_clip
from PIL import Image

from facestats.age.check import AgeCheck, save_check
from facestats.checkpoints.variants import fetch_clip
from facestats.clip.encoder import choose_device
from facestats.clip.load import load_encoder
from facestats.errors import ImageError, WithheldError
from facestats.params.project import load_params
from facestats.scores.blending import BlendWeights, load_blend, save_blend
from facestats.scores.network import Ensemble
from facestats.scores.regressor import Regressor
from facestats.serving.loading import load
from facestats.serving.manifest import SERVING, Manifest, files_in, write_manifest
from facestats.serving.models import Models

USED = (
    "landmarker",
    "geometry",
    "attributes",
    "classifiers",
    "zeroshot",
    "embeddings",
    "faces",
    "ages",
)  # parts of the project that stay
WHOLE = "calculate_attractiveness_score"


def build_project(root: Path, clip: Path | None, precision: str, work: Path) -> Models:
    """A project folder with the models of `root`, but CLIP and the regressor of ViT-B/32's size."""
    built = Manifest.read(root)
    for name in (path for part in USED for path in built.parts[part]):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).symlink_to((root / name).resolve())
    facts = fetch_clip(str(clip or build_clip(work / "source")), None, work / "models/clip")
    clip_facts = {
        "variant": facts["variant"],
        "revision": facts["revision"],
        "weights_sha256": facts["sha256"],
        "precision": precision,
    }
    dimension, options = (
        load_encoder(work / "models/clip", precision).dimension,
        load_params(root / "params.yaml").mlp,
    )
    hidden = [options.hidden] if isinstance(options.hidden, int) else options.hidden
    network = Ensemble(dimension, hidden, options.ensemble)
    network.start(torch.Generator().manual_seed(0))
    Regressor(
        network,
        torch.zeros(dimension),
        torch.ones(dimension),
        4.0,
        1.0,
        (1.0, 7.0),
        np.linspace(2, 6, 1000),
        slopes=torch.zeros(dimension, dtype=torch.float64),
    ).save(work / "models/attractiveness_regressor.pt")
    save_blend(
        work / "models/blend.json",
        BlendWeights(0.6, 0.4),
        load_blend(root / "models/blend.json")[1],
    )
    # The age model of `root` takes embeddings of another size.
    save_check(work / "models/age_check.json", AgeCheck(18, why="no age model takes these"))
    with contextlib.chdir(work):
        made = {
            "age_check": [Path("models/age_check.json")],
            "clip": files_in(Path("models/clip")),
            "regressor": [Path("models/attractiveness_regressor.pt")],
            "blend": [Path("models/blend.json")],
        }
        write_manifest(
            SERVING,
            {**built.facts, "clip": clip_facts},
            made | {part: map(Path, built.parts[part]) for part in USED},
        )
    return load(work)


class Stopwatch:
    """Seconds of each step, in the order in which steps first come."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def __call__(self, step: str, call, *arguments):
        started = time.perf_counter()
        result = call(*arguments)
        self.seconds[step].append(time.perf_counter() - started)
        return result


def score_in_steps(models: Models, photo: Path, watch: Stopwatch) -> None:
    """What `Models.score` does, with a clock beside it; the whole call follows, on its own."""
    crop = watch("decoding, landmarks, crop", models.crop, photo)
    jpeg = watch("crop to JPEG", models.jpeg, crop)
    face = watch("JPEG to pixels", lambda: Image.open(io.BytesIO(jpeg)).convert("RGB"))
    embedding = watch("embedding", models.encoder.encode, [face])
    watch("regressor", models.regressor.predict, embedding)
    watch("geometry", models.geometry.predict, crop.landmarks[None], [jpeg])
    watch(WHOLE, models.combined_score, photo)


def usable(models: Models, photos: list[Path]) -> list[Path]:
    """Photos that can be scored; scoring them also loads and warms up all models."""
    scored = []
    for photo in photos:
        try:
            models.combined_score(photo)
            scored.append(photo)
        except (ImageError, WithheldError):
            continue
    return scored


def report(watch: Stopwatch) -> str:
    lines = ["| step | least, ms | median, ms | 95th percentile, ms |", "|---|---|---|---|"]
    for step, seconds in watch.seconds.items():
        name = f"`{step}`" if step == WHOLE else step
        figures = (
            1000 * figure
            for figure in (min(seconds), np.median(seconds), np.percentile(seconds, 95))
        )
        lines.append(f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="a project that was built (default: here)"
    )
    parser.add_argument(
        "--images", type=Path, help="folder of photos (default: the built-in sample's)"
    )
    parser.add_argument(
        "--clip",
        type=Path,
        help="a checkpoint in Hugging Face layout (default: CLIPConfig(), random weights)",
    )
    parser.add_argument(
        "--precision", default="float32", help="clip.precision (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=int, default=10, help="photos to use (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    images = options.images or options.root / "data/sample/images"
    photos = sorted(p for p in images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))[
        : options.count
    ]
    with tempfile.TemporaryDirectory() as folder:
        facts = machine_facts(choose_device())
        started = time.perf_counter()
        models = build_project(
            options.root.resolve(), options.clip, options.precision, Path(folder)
        )
        photos = usable(models, photos)
        if not photos:
            parser.error(f"no photo in {images} shows a face")
        print(
            f"{facts}\n{len(photos)} photos, {options.rounds} rounds, {options.precision}; "
            f"building and loading took {time.perf_counter() - started:.1f} s\n"
        )
        watch = Stopwatch()
        for _ in range(options.rounds):
            for photo in photos:
                score_in_steps(models, photo, watch)
        print(report(watch))


if __name__ == "__main__":
    main()
