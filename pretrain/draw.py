"""Stage `draw`: training faces, as the pipeline would crop them.

Reads   params `draw`
Writes  data/faces.parquet: `jpeg` (the aligned crop and a rim around it), `seen` (what captions can
        say, see captions.py)
Alone   python draw.py data/faces.parquet
"""

from __future__ import annotations

import io
import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image
from tqdm import tqdm

from captions import SEEN, seen
from crop import cut_square
from facestats.sample.draw import draw_face
from facestats.sample.traits import draw_traits

CROP_SIDE = (
    4.0  # side of the pipeline's crop in eye distances: 2.5 · (1 + 2 · 0.3), see faces/align.py
)
CROP_DROP = 0.25  # its centre below the eyes, in eye distances


def draw_crop(index: int, seed: int, drawn: int, crop: int, rim: float) -> tuple[bytes, np.ndarray]:
    """Face `index`: a JPEG of its crop, enlarged by the share `rim`, and its facts.

    Parameters
    ----------
    seed : of the training faces; the sample draws its faces from other streams.
    drawn : side of the drawing, px.
    crop : side of the crop without its rim, px.
    """
    rng = np.random.default_rng([seed, index])
    traits = draw_traits(rng)
    drawing = draw_face(traits, drawn, rng)
    right, left = (np.array(drawing.landmarks[eye]) for eye in ("right_eye", "left_eye"))
    dx, dy = left - right
    distance, angle = math.hypot(dx, dy), math.atan2(dy, dx)
    x, y = (right + left) / 2 + CROP_DROP * distance * np.array([-math.sin(angle), math.cos(angle)])
    face = cut_square(
        drawing.image,
        float(x),
        float(y),
        distance * CROP_SIDE * (1 + rim),
        angle,
        round(crop * (1 + rim)),
    )
    out = io.BytesIO()
    Image.fromarray(face).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue(), seen(traits)


def main(out: Path) -> None:
    options = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["draw"]
    draw = partial(
        draw_crop,
        seed=options["seed"],
        drawn=options["drawn"],
        crop=options["crop"],
        rim=options["rim"],
    )
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = list(
            tqdm(
                pool.map(draw, range(options["n"]), chunksize=32),
                total=options["n"],
                desc="draw",
                disable=None,
            )
        )
    table = pa.table(
        {
            "jpeg": pa.array([jpeg for jpeg, _ in rows], pa.binary()),
            "seen": pa.array([facts for _, facts in rows], pa.list_(pa.float32(), len(SEEN))),
        }
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out, compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
