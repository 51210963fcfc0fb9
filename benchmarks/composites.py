"""What an average face costs, in time and memory, and how sharp it is, by alignment.

    python -m benchmarks.composites --images ../shared/omi/images
        [--models models/landmarker] [--faces 100] [--out FILE]

The photos go through the pipeline's crop first (512 px), which is not timed. Plain is what one
would write at first: Pillow decodes, landmarks and eight points on the edge are triangulated
(`scipy.spatial.Delaunay`), and a loop over the triangles warps the bounding box of each with
`cv2.warpAffine` under a mask. Ours and plain alternate; each figure is the median over rounds.
Processor time beside wall time, for other processes disturb it less. Memory is that of a process of
its own, at its peak.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from scipy.spatial import Delaunay

from facestats.composites.averaging import DEFAULT, average_faces
from facestats.composites.light import TO_LINEAR
from facestats.composites.mesh import Mesh
from facestats.composites.shapes import find_target
from facestats.errors import ImageError
from facestats.faces.crop import PreprocessConfig, crop_face
from facestats.faces.landmarks import Landmarker

EDGE = np.array([[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]])
YAWS = [0, 5, 10, 15, 20, 25, 30, 35, 90]  # degrees, ends of the bins
COPIES = (25, 250, 2500)


def crop(images: Path, models: Path, folder: Path) -> pd.DataFrame:
    """Crops of all photos that have a face, as `average_faces` takes them."""
    config, landmarker, rows = PreprocessConfig(), Landmarker(models), []
    for path in sorted(path for path in images.iterdir() if path.is_file()):
        try:
            face = crop_face(path, config, landmarker)
        except ImageError:
            continue
        (folder / path.name).write_bytes(face.jpeg(config.quality))
        rows.append((path.name, folder / path.name, face.landmarks, face.pose.yaw))
    return pd.DataFrame(rows, columns=["filename", "path", "landmarks", "yaw"])


def plain_average(faces: pd.DataFrame) -> np.ndarray:
    """Mean of the faces (linear light), each triangle warped by itself."""
    size = Image.open(faces["path"].iloc[0]).size[0]
    target = (
        np.concatenate([np.mean([shape[:, :2] for shape in faces["landmarks"]], axis=0), EDGE])
        * size
    )
    triangles, total = Delaunay(target).simplices, np.zeros((size, size, 3))
    for path, landmarks in zip(faces["path"], faces["landmarks"], strict=True):
        image = TO_LINEAR[np.asarray(Image.open(path).convert("RGB"))]
        source, warped = (
            np.concatenate([landmarks[:, :2], EDGE]).astype(np.float32) * size,
            np.zeros_like(total),
        )
        for corners in triangles:
            x, y, width, height = cv2.boundingRect(np.float32(target[corners]))
            x, y = max(x, 0), max(y, 0)
            goal = np.float32(target[corners] - [x, y])
            move = cv2.getAffineTransform(source[corners], goal)
            part = warped[y : y + height, x : x + width]
            mask = cv2.fillConvexPoly(np.zeros(part.shape[:2], np.uint8), np.int32(goal), 1).astype(
                bool
            )
            part[mask] = cv2.warpAffine(
                image, move, part.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
            )[mask]
        total += warped
    return total / len(faces)


def timed(work, n: int) -> tuple[float, float]:
    """Wall and processor time a face, ms."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3 / n, (time.process_time() - processor) * 1e3 / n


def speed(faces: pd.DataFrame, rounds: int) -> list[str]:
    ways = {
        "none": lambda: average_faces(faces, "none"),
        "eyes": lambda: average_faces(faces, "eyes"),
        "warp": lambda: average_faces(faces, max_yaw=90),
        "plain warp": lambda: plain_average(faces),
    }
    times: dict[str, list] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(timed(work, len(faces)))
    lines = ["| way | ms a face | of a processor |", "|---|---|---|"]
    for name, timings in times.items():
        lines.append(
            f"| {name} | {median(wall for wall, _ in timings):.1f} | "
            f"{median(cpu for _, cpu in timings):.1f} |"
        )
    ratios = [
        plain[1] / ours[1] for plain, ours in zip(times["plain warp"], times["warp"], strict=True)
    ]
    return [*lines, "", f"plain warp / warp, processor time: {median(ratios):.1f}"]


def _peak(faces: pd.DataFrame, n: int, results) -> None:
    average_faces(faces.iloc[np.arange(n) % len(faces)])
    results.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(faces: pd.DataFrame) -> list[str]:
    lines, context = (
        ["| members | peak memory |", "|---|---|"],
        multiprocessing.get_context("spawn"),
    )
    for n in COPIES:
        results = context.Queue()
        process = context.Process(target=_peak, args=(faces, n, results))
        process.start()
        lines.append(f"| {n:,} | {results.get():,.0f} MB |")
        process.join()
    return lines


def sharpness(faces: pd.DataFrame) -> list[str]:
    lines = ["| faces | gradient energy, warp | none | ratio |", "|---|---|---|---|"]
    for symmetric in (False, True):
        average = average_faces(faces, symmetric=symmetric)
        warp, none, ratio = average.sharpness.values()
        lines.append(
            f"| {len(average.used)}{', symmetric' * symmetric} | {warp:.3g} | {none:.3g} | "
            f"{ratio:.2f} |"
        )
    return lines


def folds(faces: pd.DataFrame) -> list[str]:
    """Share of the picture in upside-down triangles, by yaw, on the mean frontal face."""
    mesh = Mesh(
        find_target(
            faces[faces["yaw"].abs() <= DEFAULT.max_yaw].itertuples(), "none", False, 90
        ).goal
    )
    folded = np.array([mesh.folded(shape) for shape in faces["landmarks"]])
    lost = np.array([mesh.unfolded(shape)[1] > 0 for shape in faces["landmarks"]])
    bins = np.digitize(faces["yaw"].abs(), YAWS)
    lines = [
        "| yaw, degrees | faces | upside down, median | most | not to be unfolded |",
        "|---|---|---|---|---|",
    ]
    for i in sorted(set(bins)):
        here = bins == i
        lines.append(
            f"| {YAWS[i - 1]}–{YAWS[i]} | {here.sum()} | {np.median(folded[here]):.2%} | "
            f"{folded[here].max():.2%} | {lost[here].sum()} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of face photos")
    parser.add_argument("--models", type=Path, default=Path("models/landmarker"))
    parser.add_argument(
        "--faces", type=int, default=100, help="faces of an average (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the tables into this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faces = crop(options.images, options.models, Path(folder))
        some = faces.head(options.faces)
        ahead = faces[faces["yaw"].abs() <= DEFAULT.max_yaw].head(options.faces)
        parts = [speed(some, options.rounds), memory(some), sharpness(ahead), folds(faces)]
    text = "\n\n".join("\n".join(part) for part in parts) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
