"""Which of the photos that somebody gives are copies of one picture, and which copy is the best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from facestats.faces.crop import FaceCrop

UNCOMPRESSED = 24.0  # bits per pixel


def look_of(crop: FaceCrop, photo: Any, number: int) -> dict[str, Any]:
    """What tells whether a face is a copy of another, and a better one."""
    from facestats.faces.comparison import thumbnail
    from facestats.faces.dedup import perceptual_hash
    from facestats.faces.photo import bits_per_pixel

    data = (
        Path(photo).read_bytes()
        if isinstance(photo, (str, Path))
        else photo
        if isinstance(photo, (bytes, bytearray))
        else None
    )
    return {
        "filename": f"{number:09}",
        "hash": perceptual_hash(crop.grey),
        "thumbnail": thumbnail(crop.rgb),
        "sharpness": crop.facts()["sharpness"],
        "face_size": min(crop.width, crop.height)
        if crop.box is None
        else float(crop.box[2] - crop.box[0]),
        "bits_per_pixel": UNCOMPRESSED
        if data is None
        else bits_per_pixel(bytes(data), crop.width, crop.height),
    }


def best_of_copies(looks: list[dict[str, Any]]) -> list[int]:
    """The positions of the best copy of each picture."""
    from facestats.faces.dedup import find_near_duplicates
    from facestats.faces.preprocess import rank_copies

    table = pd.DataFrame(looks)
    first = find_near_duplicates(
        table["hash"].tolist(), lambda face: looks[face]["thumbnail"], table["sharpness"].to_numpy()
    )
    table["copy_group"] = [at if before is None else before for at, before in enumerate(first)]
    return np.flatnonzero(rank_copies(table) == 1).tolist()
