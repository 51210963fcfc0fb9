"""Faces found in turned, small, dark and grouped pictures, and where there is none.

    python -m benchmarks.detection [--faces 100] [--without DIR]... [--before COMMIT]
        [--models models/landmarker] [--keep DIR]

The pictures are made from `../shared/3dsk` (photographs, pupils placed by hand) and `../shared/omi`
(made-up faces, MediaPipe's landmarks). A face counts as found if the eyes of the crop, each on its
own side, lie within 15 % of their distance of where they are: a crop that is not upright counts as
lost. In groups of seven the face must be one of theirs and the count seven. `--without` names
folders of pictures without a face, besides `../shared/photos/rainbow`; those taken are listed.

"Before" is the library of the commit that this search replaced, taken out of git. Times are
processor time from a photo's bytes to its row, in one process each, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
BEFORE = "d51a632"
NEAR = 0.15  # of the distance between the eyes
ROUNDS = 2
LONG_SIDE = 900  # px, to which the photographs are shrunk first


class Portrait:
    """A picture of one face and the middle of its eyes, the image's left one first, (2, 2) px."""

    def __init__(self, image: Image.Image, eyes: np.ndarray):
        scale = min(1.0, LONG_SIDE / max(image.size))
        self.image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
        )
        self.eyes = eyes * scale

    def head(self, width: float) -> tuple[Image.Image, np.ndarray]:
        """The head cut out, its face so many px wide, and its eyes in there."""
        middle, face = (
            self.eyes.mean(axis=0),
            2.5 * float(np.linalg.norm(np.diff(self.eyes, axis=0))),
        )
        low = np.maximum(middle - (0.75 * face, 0.95 * face), 0)
        high = np.minimum(middle + (0.75 * face, 0.95 * face), self.image.size)
        box = [int(v) for v in (*low, *high)]
        zoom = width / face
        size = (max(1, round((box[2] - box[0]) * zoom)), max(1, round((box[3] - box[1]) * zoom)))
        return self.image.crop(box).resize(size, Image.Resampling.LANCZOS), (
            self.eyes - box[:2]
        ) * zoom


def portraits(count: int) -> list[Portrait]:
    """Half of them photographs, half made-up faces, evenly out of all."""
    photographs = sorted((SHARED / "3dsk").glob("*/*.jpg"))
    chosen = []
    for path in photographs[:: max(1, 2 * len(photographs) // count)]:
        lines = path.with_suffix(".tem").read_text().splitlines()[1:3]
        chosen.append(
            Portrait(
                Image.open(path).convert("RGB"), np.array([line.split() for line in lines], float)
            )
        )
    with np.load(SHARED / "omi/landmarks_mediapipe.npz") as saved:
        names, landmarks = saved["filename"], saved["landmarks"]
    for row in range(0, len(names), max(1, 2 * len(names) // count)):
        image = Image.open(SHARED / "omi/images" / str(names[row])).convert("RGB")
        corners = landmarks[row][[[33, 133], [362, 263]], :2].mean(axis=1)
        chosen.append(Portrait(image, corners * image.size))
    return chosen


def quarter_turned(
    image: Image.Image, eyes: np.ndarray, quarters: int
) -> tuple[Image.Image, np.ndarray]:
    """Turned clockwise by so many quarters."""
    for _ in range(quarters):
        eyes = np.column_stack([image.height - eyes[:, 1], eyes[:, 0]])
        image = image.transpose(Image.Transpose.ROTATE_270)
    return image, eyes


def tilted(image: Image.Image, eyes: np.ndarray, degrees: float) -> tuple[Image.Image, np.ndarray]:
    """Turned clockwise by some degrees about its middle."""
    angle, centre = np.deg2rad(degrees), np.array(image.size) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)), (
        eyes - centre
    ) @ turn + centre


def darkened(image: Image.Image, rng: np.random.Generator, light: float) -> Image.Image:
    pixels = np.asarray(image) * light
    return Image.fromarray((pixels + rng.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8))


def scene(
    portrait: Portrait, backdrop: Image.Image, rng, long_side: int, share: float
) -> tuple[Image.Image, np.ndarray]:
    """A face so wide as this share of a scene, pasted somewhere."""
    picture = backdrop.resize((long_side, round(long_side * 0.7)), Image.Resampling.LANCZOS)
    head, eyes = portrait.head(share * long_side)
    at = np.array(
        [
            int(rng.integers(0, max(1, room - side)))
            for room, side in zip(picture.size, head.size, strict=True)
        ]
    )
    picture.paste(head, tuple(int(v) for v in at))
    return picture, eyes + at


def group(
    seven: list[Portrait], backdrop: Image.Image, rng, width: int
) -> tuple[Image.Image, np.ndarray]:
    """Seven faces in two rows, 6–11 % as wide as the picture."""
    picture = backdrop.resize((width, round(width * 0.6)), Image.Resampling.LANCZOS)
    eyes = []
    for place, portrait in enumerate(seven):
        head, own = portrait.head(width * float(rng.uniform(0.06, 0.11)))
        row, column = divmod(place, 4)
        at = np.array(
            [width * (0.03 + 0.245 * column + 0.1 * row), width * (0.03 + 0.29 * row)]
        ).astype(int)
        picture.paste(head, tuple(int(v) for v in at))
        eyes.append(own + at)
    return picture, np.concatenate(eyes)


def make_pictures(faces: list[Portrait], folder: Path) -> list[dict]:
    """Write all pictures; returns for each its set, file, and eyes (faces, 2, 2)."""
    rng = np.random.default_rng(0)
    backdrops = [
        Image.open(path).convert("RGB")
        for path in sorted((SHARED / "photos/rainbow").glob("*.jpg"))
    ]
    pictures = []

    def add(kind: str, image: Image.Image, eyes: np.ndarray) -> None:
        path = folder / f"{len(pictures):05}.jpg"
        image.save(path, quality=92)
        pictures.append({"set": kind, "file": str(path), "eyes": eyes.reshape(-1, 2, 2).tolist()})

    for number, face in enumerate(faces):

        def some_scene(long_side: int, low: float, high: float, face=face):
            return scene(
                face,
                backdrops[int(rng.integers(len(backdrops)))],
                rng,
                long_side,
                float(rng.uniform(low, high)),
            )

        add("plain", face.image, face.eyes)
        for quarters in (1, 2, 3):
            add(f"turned by {90 * quarters}°", *quarter_turned(face.image, face.eyes, quarters))
        add(
            "tilted by 15–45°",
            *tilted(face.image, face.eyes, (15, -15, 30, -30, 45, -45)[number % 6]),
        )
        add("a tenth of a scene of 480 px", *some_scene(480, 0.08, 0.12))
        add("a tenth, scene turned by 180°", *quarter_turned(*some_scene(480, 0.09, 0.12), 2))
        add(
            "a tenth, scene turned by 90°",
            *quarter_turned(*some_scene(480, 0.09, 0.12), 1 + 2 * (number % 2)),
        )
        add("4–6 % of a scene of 1,600 px", *some_scene(1600, 0.04, 0.06))
        add("dark", darkened(face.image, rng, 0.12), face.eyes)
        add("dark, turned by 180°", *quarter_turned(darkened(face.image, rng, 0.2), face.eyes, 2))
        seven = [faces[(number + step) % len(faces)] for step in range(7)]
        add(
            "groups of seven",
            *group(seven, backdrops[number % len(backdrops)], rng, (1200, 700)[number % 2]),
        )
    return pictures


def work(manifest: Path, models: Path, out: Path) -> None:
    """Process all pictures with whichever library is on the path; write what became of each."""
    from facestats.faces import crop
    from facestats.faces.align import eye_centers
    from facestats.faces.landmarks import Landmarker
    from facestats.faces.photo import process_photo
    from facestats.faces.runtime import keep_freed_memory

    keep_freed_memory()
    seen, original = [], crop.crop_transform

    def remember(landmarks, width, height, *rest):
        seen.append((eye_centers(landmarks[:, :2].astype(float)) * (width, height)).tolist())
        return original(landmarks, width, height, *rest)

    crop.crop_transform = remember  # a row has the landmarks in the crop's frame only
    landmarker, config, results = Landmarker(models), crop.PreprocessConfig(), []
    for picture in json.loads(manifest.read_text()):
        seen.clear()
        data = Path(picture["file"]).read_bytes()
        began = time.process_time()
        row = process_photo(data, config, landmarker).row
        results.append(
            {
                "ms": (time.process_time() - began) * 1e3,
                "eyes": seen[-1] if seen else None,
                "count": row.get("face_count"),
                "confidence": row.get("confidence"),
                "presence": row.get("presence"),
            }
        )
    out.write_text(json.dumps(results))


def run_library(source: Path, manifest: Path, models: Path) -> list[dict]:
    """`work` in a process of its own, with the library of `source`."""
    out = manifest.with_suffix(".result.json")
    subprocess.run(
        [sys.executable, __file__, "--work", manifest, models, out],
        check=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(source)},
    )
    return json.loads(out.read_text())


def right(picture: dict, result: dict) -> bool:
    """Whether the crop shows a face of the picture, upright, and the count is that of its faces."""
    if result["eyes"] is None:
        return False
    truth = np.array(picture["eyes"])
    distance = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=1)
    off = np.linalg.norm(truth - np.array(result["eyes"]), axis=2).max(axis=1) / distance
    return bool(off.min() <= NEAR) and result["count"] == len(truth)


def table(pictures: list[dict], results: dict[str, list[dict]]) -> str:
    """Markdown: by set, the share found (or taken, where there is no face) and the median time."""
    kinds = list(dict.fromkeys(picture["set"] for picture in pictures))
    lines = [
        f"| pictures | n | {' | '.join(f'{name} | ms' for name in results)} | time |",
        "|---" * (3 + 2 * len(results)) + "|",
    ]
    for kind in [*kinds, "all"]:
        rows = [i for i, picture in enumerate(pictures) if kind in ("all", picture["set"])]
        cells, times = [], []
        for result in results.values():
            times.append(median(result[i]["ms"] for i in rows))
            hits = sum(right(pictures[i], result[i]) for i in rows if pictures[i]["eyes"])
            taken = sum(result[i]["eyes"] is not None for i in rows if not pictures[i]["eyes"])
            with_faces = sum(bool(pictures[i]["eyes"]) for i in rows)
            share = f"{hits / with_faces:.3f}" if with_faces else ""
            lost = f"{taken} taken" if taken or not share else ""
            cells += [", ".join(part for part in (share, lost) if part), f"{times[-1]:.1f}"]
        lines.append(f"| {kind} | {len(rows)} | {' | '.join(cells)} | {times[-1] / times[0]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--faces",
        type=int,
        default=100,
        help="portraits behind the pictures (default: %(default)s)",
    )
    parser.add_argument(
        "--without",
        type=Path,
        action="append",
        default=[],
        help="folder of pictures without a face",
    )
    parser.add_argument(
        "--before", default=BEFORE, help="commit to compare with (default: %(default)s)"
    )
    parser.add_argument("--models", type=Path, default=ROOT / "models/landmarker")
    parser.add_argument("--keep", type=Path, help="folder that keeps pictures and results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="facestats-") as temporary:
        folder = options.keep or Path(temporary)
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        pictures = make_pictures(portraits(options.faces), folder / "pictures")
        for without in [SHARED / "photos/rainbow", *options.without]:
            files = sorted(
                path
                for path in without.iterdir()
                if path.is_file() and path.suffix not in (".csv", ".txt")
            )
            pictures += [
                {"set": f"without a face: {without.name}", "file": str(path.resolve()), "eyes": []}
                for path in files
            ]
        manifest = folder / "pictures.json"
        manifest.write_text(json.dumps(pictures))
        libraries = {"after": ROOT / "src"}
        archive = subprocess.run(
            ["git", "archive", options.before, "src"],
            cwd=ROOT,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        if archive.returncode:
            print(f"no commit {options.before} here: the table has no figures from before")
        else:
            subprocess.run(["tar", "x", "-C", temporary], input=archive.stdout, check=True)
            libraries = {"before": Path(temporary) / "src"} | libraries
        results: dict[str, list[dict]] = {}
        for _ in range(ROUNDS):
            for name, source in libraries.items():
                rows = run_library(source, manifest, options.models.resolve())
                for now, earlier in zip(rows, results.get(name, rows), strict=True):
                    now["ms"] = min(now["ms"], earlier["ms"])
                results[name] = rows
        (folder / "results.json").write_text(json.dumps(results))
        print(table(pictures, results))
        for picture, result in zip(pictures, results["after"], strict=True):
            if not picture["eyes"] and result["eyes"]:
                print(
                    f"taken: {picture['file']}, score {result['confidence']:.2f}, presence "
                    f"{result['presence']:.4f}"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*map(Path, sys.argv[2:5]))
    else:
        main()
