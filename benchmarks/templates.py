"""How far landmarks lie from those that people placed by hand, on the photographs of 3DSK.

    python -m benchmarks.templates [--templates ../shared/3dsk] [--landmarker models/landmarker]

Run it from the root of a project that has run once. Writes the table into
docs/methods/templates.md, between its markers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.labelling_report import write_block
from tqdm import tqdm

from facestats.composites.templates import read_template
from facestats.errors import InputError
from facestats.faces.landmarks import Landmarker
from facestats.photos.decode import open_photo

START = "<!-- templates: written by `python -m benchmarks.templates` -->"
PUPILS = [0, 1]
# Points of the template and their counterparts in the mesh.
PARTS = {
    "outer eye corners": ([18, 27], [33, 263]),
    "inner eye corners": ([22, 23], [133, 362]),
    "mouth corners": ([87, 93], [61, 291]),
    "nose, lower end": ([55], [94]),
    "chin": ([129], [152]),
}


def compare(folder: Path, landmarker: Landmarker) -> tuple[pd.DataFrame, list[str]]:
    """Differences of all photos that have a template, and the photos without a face.

    Returns
    -------
    DataFrame
        `photo`, `part`, `x`, `y`: ours minus theirs as shares of the distance between the pupils; x
        grows outwards for the paired parts.
    list of str
    """
    rows, missed = [], []
    paths = sorted(path for path in folder.rglob("*.tem") if path.with_suffix(".jpg").is_file())
    if not paths:
        raise InputError(f"{folder} has no photo NAME.jpg with NAME.tem beside it")
    for path in tqdm(paths, disable=None):
        by_hand = read_template(path).points
        pixels = open_photo(path.with_suffix(".jpg").read_bytes()).rgb
        faces = landmarker.detect(pixels)
        if not faces:
            missed.append(path.stem)
            continue
        height, width = pixels.shape[:2]
        ours = max(faces, key=lambda face: face.area).landmarks[:, :2] * (width, height)
        distance = np.linalg.norm(np.subtract(*by_hand[PUPILS]))
        for part, (theirs, mesh) in PARTS.items():
            for side, (a, b) in enumerate(zip(theirs, mesh, strict=True)):
                x, y = (ours[b] - by_hand[a]) / distance
                outward = -1 if len(theirs) == 2 and side == 0 else 1
                rows.append((path.stem, part, outward * x, y))
    return pd.DataFrame(rows, columns=["photo", "part", "x", "y"]), missed


def table(differences: pd.DataFrame) -> str:
    """One line a part: mean and 95th percentile of the distance, systematic and own share."""
    lines = [
        "| part | mean | 95th percentile | systematic | own |",
        "|---|---|---|---|---|",
    ]
    parts = [(part, differences[differences["part"] == part]) for part in PARTS]
    for part, own in [*parts, ("all", differences)]:
        xy = own[["x", "y"]].to_numpy()
        centred = own[["x", "y"]] - own.groupby("part")[["x", "y"]].transform("mean")
        distance, left = np.linalg.norm(xy, axis=1), np.linalg.norm(centred.to_numpy(), axis=1)
        offset = np.linalg.norm(own.groupby("part")[["x", "y"]].mean().to_numpy(), axis=1).mean()
        figures = (distance.mean(), np.quantile(distance, 0.95), offset, left.mean())
        lines.append(f"| {part} | " + " | ".join(f"{100 * f:.1f} %" for f in figures) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=Path, default=Path("../shared/3dsk"))
    parser.add_argument("--landmarker", type=Path, default=Path("models/landmarker"))
    parser.add_argument("--page", type=Path, default=Path("docs/methods/templates.md"))
    options = parser.parse_args()
    differences, missed = compare(options.templates, Landmarker(options.landmarker))
    n = differences["photo"].nunique()
    text = table(differences)
    note = f"{n} photographs; no face was found in {len(missed)}."
    print(f"{text}\n{note}")
    write_block(options.page, f"{text}\n\n{note}", START)


if __name__ == "__main__":
    main()
