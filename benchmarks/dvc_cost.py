"""What DVC costs with many files: a folder of photos, and a stage that writes as many.

    python -m benchmarks.dvc_cost [--files 1000,10000] [--shards N] [--types hardlink] [--repeat 3]
                                  [--photo-bytes 2048] [--out FILE]

For each cache type that the file system can do, and for one flat folder against folders of 100, in
a git repository of its own: `dvc add` of the folder, the first `dvc repro`, then medians of
--repeat runs of `dvc repro` with nothing to do, `dvc status`, and `dvc repro` with one photo more
each time. The seconds of the stage itself are taken off: a real one computes a row or two, this one
turns all files round. Photos are 2 kB of noise, for DVC's costs go by the file. `disk` is what
photos, outs and cache take together, as a multiple of the photos and outs alone. With --shards, the
photos lie in so many tar shards instead, and the stage writes as many; one more photo changes one.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from facestats.core.shards import read_member, scan, write_shard

TYPES = ("copy", "hardlink", "symlink", "reflink")
LAYOUTS = {"flat": None, "folders of 100": 100}
PHOTO = 2048  # bytes
SECONDS = "seconds.txt"
STAGE = f"""import shutil, sys, time
from pathlib import Path
started = time.perf_counter()
source, target = map(Path, sys.argv[1:])


def compute(one, other):
    # Other bytes, or the cache would hold both as one.
    Path(other).write_bytes(Path(one).read_bytes()[::-1])


shutil.copytree(source, target, copy_function=compute)
Path({SECONDS!r}).write_text(str(time.perf_counter() - started))
"""
PIPELINE = """stages:
  preprocess:
    cmd: python stage.py data/raw data/faces
    deps: [stage.py, data/raw]
    outs: [data/faces]
"""


class Repository:
    """A git and DVC repository with photos in `data/raw` and one stage."""

    def __init__(
        self,
        folder: Path,
        cache_type: str,
        n: int,
        in_folder: int | None,
        size: int = PHOTO,
        shards: int | None = None,
    ):
        self.folder, self.in_folder, self.n = folder, in_folder, 0
        self.size, self.shards = size, shards
        self.random = random.Random(0)
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "true",
            "DVC_SITE_CACHE_DIR": str(folder / ".site"),
            "DVC_GLOBAL_CONFIG_DIR": str(folder / ".global"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / ".system"),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        folder.mkdir()
        self.run("git", "init", "-q")
        self.dvc("init", "-q")
        self.dvc("config", "cache.type", cache_type)
        self.dvc("config", "core.autostage", "true")
        (folder / "stage.py").write_text(STAGE)
        (folder / "dvc.yaml").write_text(PIPELINE)
        if shards:
            self.n = n
            for shard in range(shards):
                photos = range(shard, n, shards)
                write_shard(self.shard(shard), ((f"{i:07}.jpg", self.photo()) for i in photos))
        else:
            for _ in range(n):
                self.add_photo()

    def photo(self) -> bytes:
        return self.random.randbytes(self.size)

    def shard(self, number: int) -> Path:
        return self.folder / f"data/raw/{number:05}.tar"

    def add_photo(self) -> None:
        if self.shards:
            path = self.shard(self.n % self.shards)
            members = [(name, read_member(path, name)) for name in scan(path).places]
            write_shard(path, [*members, (f"{self.n:07}.jpg", self.photo())])
            self.n += 1
            return
        name = (
            f"{self.n:06}.jpg"
            if self.in_folder is None
            else f"{self.n // self.in_folder:04}/{self.n:06}.jpg"
        )
        path = self.folder / "data/raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.photo())
        self.n += 1

    def run(self, *command: str) -> float:
        """Seconds of a command, less those of the stage where it ran."""
        own = self.folder / SECONDS
        own.unlink(missing_ok=True)
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return seconds - (float(own.read_text()) if own.exists() else 0.0)

    def dvc(self, *arguments: str) -> float:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def one_more(self) -> float:
        self.add_photo()
        seconds = self.dvc("repro", "-q")
        written = sum(path.is_file() for path in (self.folder / "data/faces").rglob("*"))
        if written != (self.shards or self.n):
            sys.exit(
                f"the stage wrote {written} of {self.shards or self.n} files: what was measured is "
                "no rebuild"
            )
        return seconds

    def disk(self) -> float:
        """Blocks of photos, outs and cache, as a multiple of those of photos and outs alone."""
        blocks = {
            s.st_ino: s.st_blocks
            for part in ("data", ".dvc/cache")
            for path in (self.folder / part).rglob("*")
            if path.is_file() and not path.is_symlink() and (s := path.stat())
        }
        alone = sum(
            path.stat().st_blocks
            for path in (self.folder / "data").rglob("*")
            if path.is_file() and path.suffix in (".jpg", ".tar")
        )
        return sum(blocks.values()) / alone


def can(cache_type: str, folder: Path) -> bool:
    """Whether the file system of `folder` has such links."""
    if cache_type != "reflink":
        return True
    (folder / "a").write_bytes(b"x")
    copied = subprocess.run(["cp", "--reflink=always", "a", "b"], cwd=folder, capture_output=True)
    return copied.returncode == 0


def cost(repository: Repository, repeat: int) -> dict[str, float]:
    seconds = {
        "`dvc add`": repository.dvc("add", "-q", "data/raw"),
        "first `repro`": repository.dvc("repro", "-q"),
    }
    seconds["`repro`, nothing to do"] = statistics.median(
        repository.dvc("repro", "-q") for _ in range(repeat)
    )
    seconds["`status`"] = statistics.median(repository.dvc("status", "-q") for _ in range(repeat))
    seconds["`repro`, one more"] = statistics.median(repository.one_more() for _ in range(repeat))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", default="1000,10000", help="sizes (default: %(default)s)")
    parser.add_argument(
        "--repeat", type=int, default=3, help="runs behind a median (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="also write the table into this file")
    parser.add_argument("--shards", type=int, help="tar shards in which the photos lie")
    parser.add_argument("--types", default=",".join(TYPES), help="cache types (default: all)")
    parser.add_argument(
        "--photo-bytes", type=int, default=PHOTO, help="size of a photo (default: %(default)s)"
    )
    options = parser.parse_args()
    layouts = {f"{options.shards:,} shards": None} if options.shards else LAYOUTS
    types, lines = options.types.split(","), []
    with tempfile.TemporaryDirectory() as work:
        for n in (int(size) for size in options.files.split(",")):
            for cache_type in (name for name in types if can(name, Path(work))):
                for layout, in_folder in layouts.items():
                    repository = Repository(
                        Path(work) / f"{n}-{cache_type}-{layout.replace(' ', '-')}",
                        cache_type,
                        n,
                        in_folder,
                        options.photo_bytes,
                        options.shards,
                    )
                    seconds = cost(repository, options.repeat)
                    if not lines:
                        lines = [
                            ["files", "cache type", "layout", *seconds, "disk"],
                            ["---"] * (len(seconds) + 4),
                        ]
                    lines.append(
                        [
                            f"{n:,}",
                            cache_type,
                            layout,
                            *(f"{s:.1f} s" for s in seconds.values()),
                            f"{repository.disk():.2f}",
                        ]
                    )
                    print(*lines[-1], sep="  ", file=sys.stderr)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = (
        f"DVC {version('dvc')}, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}\n\n{table}\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
