"""Rows a second of one and two workers: the plain stages, shards and Ray; then, on paper, more.

    python -m benchmarks.cluster --images ../shared/omi/images [--count 745] [--clip DIR]
    python -m benchmarks.cluster --paper

Each way fills the rows of the same photos, `preprocess` and `embed`, in a store of its own that is
empty, as many cores as workers; then again with nothing to compute, which is the cost of start-up
and of finding rows. Rows a second are those of the difference. `processor` is the time that all its
processes took of a processor, a row, start-up left out; unlike rows a second, it hardly depends on
what else runs on the machine. Without --clip the model is a ViT-B/32 with random weights.

`--paper` computes only the projection: from the constants in `benchmarks/cluster_paper.py`, each
with its source.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml
from benchmarks import cluster_paper

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("plain stages", "shards", "Ray")


@dataclass(frozen=True)
class Taken:
    """Seconds of a clock, and of processors."""

    clock: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of photos")
    parser.add_argument(
        "--count", type=int, default=745, help="photos to use (default: %(default)s)"
    )
    parser.add_argument(
        "--clip", type=Path, help="a folder as `fetch_clip` writes it (default: ViT-B/32, random)"
    )
    parser.add_argument("--models", type=Path, default=Path("models/landmarker"))
    parser.add_argument("--paper", action="store_true", help="only the projection")
    options = parser.parse_args()
    if options.paper:
        print(cluster_paper.report())
        return
    if options.images is None:
        parser.error("--images names a folder of photos, or give --paper")
    with tempfile.TemporaryDirectory() as folder:
        project = build_project(Path(folder), options)
        photos = sorted((project / "photos").iterdir())
        print(f"{facts()}; {len(photos)} photos\n")
        print(
            "| way | workers | rows a second | processor a row | start-up |\n" + "| --- " * 5 + "|"
        )
        for workers in (1, 2):
            for way in WAYS:
                print(measure(project, way, workers, len(photos)), flush=True)
        print(f"\n{hashing(photos)} {sizes(project)}")


def build_project(folder: Path, options: argparse.Namespace) -> Path:
    """A project of some photos and the models, without DVC."""
    (folder / "photos").mkdir()
    for path in sorted(options.images.iterdir())[: options.count]:
        shutil.copyfile(path, folder / "photos" / path.name)
    shutil.copytree(options.models, folder / "models/landmarker")
    if options.clip:
        shutil.copytree(options.clip, folder / "models/clip")
    else:
        from benchmarks.pipeline_rounds import build_clip

        from facestats.checkpoints.variants import fetch_clip

        fetch_clip(str(build_clip(folder / "source")), None, folder / "models/clip")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["images"] = "photos"
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return folder


def measure(project: Path, way: str, workers: int, photos: int) -> str:
    """A line of the table."""
    store = project / f"rows {way} {workers}"
    first, second = (run(project, way, workers, store) for _ in range(2))
    clock, processor = first.clock - second.clock, first.processor - second.processor
    return (
        f"| {way} | {workers} | {photos / clock:.1f} | {1000 * processor / photos:.1f} ms | "
        f"{second.clock:.1f} s, {second.processor:.1f} s of a processor |"
    )


def run(project: Path, way: str, workers: int, store: Path) -> Taken:
    """Fill a store, and take the time."""
    cores = sorted(os.sched_getaffinity(0))[:workers]
    environment = os.environ | {"FACESTATS_ROWS": str(store), "PYTHONPATH": str(ROOT / "src")}
    began, clock = time.perf_counter(), ProcessorClock()
    for commands in plan(way, workers):  # those of one step at once
        running = [
            subprocess.Popen(
                [
                    "taskset",
                    "-c",
                    ",".join(map(str, cores if way != "shards" else [core])),
                    *command,
                ],
                cwd=project,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for core, command in zip(cores, commands, strict=False)
        ]
        clock.follow([process.pid for process in running])
        for process in running:
            _, said = process.communicate()
            if process.returncode:
                sys.exit(f"{' '.join(process.args)}: {said.decode()}")
    return Taken(time.perf_counter() - began, clock.stop())


def plan(way: str, workers: int) -> list[list[list[str]]]:
    """The commands of a way: steps one after the other, each of commands at once."""
    fill = [sys.executable, "-m", "facestats", "rows", "fill"]
    if way == "shards":
        return [[[*fill, "--shard", f"{number}/{workers}"] for number in range(workers)]]
    if way == "Ray":
        return [[[*fill, "--engine", "ray", "--address", "local"]]]
    stages = str(ROOT / "stages")
    faces = ["--landmarker", "models/landmarker", "--crops", "crops", "--faces", "faces.parquet"]
    clip = ["--crops", "crops", "--clip", "models/clip", "--embeddings", "embeddings.parquet"]
    clip += ["--half", "clip.f16.npy", "--rest", "clip.rest.npy"]
    return [
        [["rm", "-rf", "crops"]],
        [[sys.executable, f"{stages}/preprocess.py", *faces]],
        [[sys.executable, f"{stages}/embed.py", *clip]],
    ]


class ProcessorClock:
    """Processor time of processes and of all that they start, by looking a few times a second."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, float], float] = {}
        self._followed: list[psutil.Process] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def follow(self, pids: list[int]) -> None:
        self._followed += [psutil.Process(pid) for pid in pids]

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return sum(self._taken.values())

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            for process in [*self._followed]:
                try:
                    family = [process, *process.children(recursive=True)]
                except psutil.Error:
                    continue
                for one in family:
                    try:
                        times = one.cpu_times()
                        self._taken[one.pid, one.create_time()] = times.user + times.system
                    except psutil.Error:
                        continue


def hashing(photos: list[Path]) -> str:
    """What it costs a shard to know all photos' keys."""
    began, size = time.process_time(), 0
    for path in photos:
        data = path.read_bytes()
        hashlib.sha256(data).hexdigest()
        size += len(data)
    each = (time.process_time() - began) / len(photos)
    return (
        f"To read and hash a photo of {size / len(photos) / 1e3:.0f} kB takes {1e3 * each:.2f} ms "
        "of a processor; each shard does so with every photo, unless a list has their sha256."
    )


def sizes(project: Path) -> str:
    """What rows take on the disk."""
    rows = {
        stage: [path.stat().st_size for path in project.glob(f"rows shards 1/{stage}/*/*.parquet")]
        for stage in ("preprocess", "embed")
    }
    crops = [path.stat().st_size for path in project.glob("rows shards 1/preprocess/*/files/*")]
    each = {stage: sum(found) / max(1, len(crops)) for stage, found in rows.items()}
    return (
        f"A crop takes {sum(crops) / max(1, len(crops)) / 1e3:.0f} kB, the row of a photo "
        f"{each['preprocess'] / 1e3:.1f} kB, that of a face {each['embed'] / 1e3:.1f} kB."
    )


def facts() -> str:
    """This machine, in words."""
    from benchmarks.limits import machine_facts

    from facestats.clip.encoder import choose_device

    return machine_facts(choose_device())


if __name__ == "__main__":
    main()
