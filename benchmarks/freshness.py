"""What one more photo costs `preprocess` and `embed`, against a first run and an idle one.

    python -m benchmarks.freshness --images ../shared/omi/images [--clip models/clip]

Runs the two stage scripts as DVC runs them, in a DVC project of their own in a temporary folder, on
links to the photos. Seconds are those of the whole process, imports and loading of the models
included; below, what the row store takes on disk.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from PIL import Image

from facestats.checkpoints.variants import fetch_clip
from facestats.landmarker.fetch import fetch_landmarker

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    "preprocess": ("--landmarker=landmarker", "--crops=faces", "--faces=faces.parquet"),
    "embed": ("--crops=faces", "--clip=clip", "--embeddings=embeddings.parquet"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument(
        "--clip", type=Path, help="folder as `fetch_clip` writes it (default: tiny)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = set_up(Path(folder), options.images.resolve(), options.clip)
        print("| run | stage | rows | computed | seconds |\n|---|---|---|---|---|")
        report(work, "from nothing")
        report(work, "nothing new")
        add_photo(work / "photos")
        report(work, "one photo more")
        next((work / "photos").iterdir()).rename(work / "photos/renamed.jpg")
        report(work, "one photo renamed")
        report(work, "all anew", FACESTATS_NO_REUSE="1")
        print(f"\n{sizes(work)}")


def set_up(work: Path, images: Path, clip: Path | None) -> Path:
    """A DVC project with the photos, as links, and the models."""
    work = work / "project"
    work.mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=work, check=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["images"] = "photos"
    (work / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for photo in sorted(path for path in images.rglob("*") if path.is_file()):
        target = work / "photos" / photo.relative_to(images)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(photo)
    fetch_landmarker("wheel", work / "landmarker")
    if clip:
        (work / "clip").symlink_to(clip.resolve())
    else:
        fetch_clip("tiny", None, work / "clip")
    return work


def add_photo(folder: Path) -> None:
    """One that is not there yet: another one, mirrored."""
    source = min(path for path in folder.rglob("*") if path.is_file())
    Image.open(source).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
        folder / "one more.jpg", quality=95
    )


def report(work: Path, what: str, **environment: str) -> None:
    """Run both stages; one line of the table each."""
    shutil.rmtree(work / "faces", ignore_errors=True)  # as DVC does before it runs a stage
    for stage, arguments in STAGES.items():
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, ROOT / f"stages/{stage}.py", *arguments],
            cwd=work,
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        seconds = time.perf_counter() - began
        rows, computed = re.search(r"rows=(\d+) reused=\d+ computed=(\d+)", done.stdout).groups()
        print(f"| {what} | {stage} | {rows} | {computed} | {seconds:.1f} |", flush=True)


def sizes(work: Path) -> str:
    """Disk use; a file under two names counts once, as a face."""
    faces = {
        path.stat().st_ino: path.stat().st_size
        for path in (work / "faces").rglob("*")
        if path.is_file()
    }
    rows = {
        path.stat().st_ino: path.stat().st_size
        for path in (work / ".dvc/facestats-rows").rglob("*")
        if path.is_file()
    }
    alone = sum(size for inode, size in rows.items() if inode not in faces)
    whole = sum(faces.values())
    return (
        f"faces {whole / 1e6:.1f} MB, row store {alone / 1e6:.1f} MB beside them "
        f"({alone / whole:.0%})"
    )


if __name__ == "__main__":
    main()
