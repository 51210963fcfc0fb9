"""Thumbnails of rejected photos, so that users can see whether that was right."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from PIL import Image

from facestats.core.files import write_bytes, write_json
from facestats.core.layout import REJECTED_INDEX
from facestats.errors import ImageError
from facestats.photos.decode import MAX_PIXELS, open_photo
from facestats.photos.reading import MAX_MEGABYTES
from facestats.photos.source import is_photo, read_photo

MOST = 60  # photos shown; `faces.parquet` names all of them
SIDE = 192  # px of the long side: twice what a page shows, for dense screens
QUALITY = 80
LIMITED = "limit that preprocess.max_"  # in the reason of a photo beyond a limit


def write_rejected(
    rejected: pd.DataFrame,
    images: Path,
    out: Path,
    most: int = MOST,
    max_megabytes: float = MAX_MEGABYTES,
    max_pixels: int = MAX_PIXELS,
) -> list[dict]:
    """Write `index.json` and, for each photo of it that can be decoded, one JPEG into `out`.

    Photos are taken in turn from each reason, so that a frequent one does not hide the others.

    Parameters
    ----------
    rejected : pd.DataFrame
        `image`, `reason` of `faces.parquet`.
    images : Path
        Folder of the photos.
    max_megabytes : float, default MAX_MEGABYTES
        Size up to which a file is read.
    max_pixels : int, default MAX_PIXELS
        See `photos.decode.open_photo`. What took too long or too much memory is not decoded again.

    Returns
    -------
    list[dict]
        The index: `image`, `reason`, `picture` (file name in `out`, null where the photo can't be
        decoded, or is a link that leads nowhere), by reason and name.
    """
    turn = rejected.sort_values(["reason", "image"])
    turn = (
        turn.assign(turn=turn.groupby("reason").cumcount())
        .sort_values(["turn", "reason", "image"])
        .head(most)
    )
    index = []
    for number, row in enumerate(turn.sort_values(["reason", "image"]).itertuples()):
        data = (
            None if LIMITED in row.reason else _small(images / row.image, max_megabytes, max_pixels)
        )
        name = None
        if data:
            name = f"{number:03d}.jpg"
            write_bytes(out / name, data)
        index.append({"image": row.image, "reason": row.reason, "picture": name})
    write_json(out / REJECTED_INDEX, index)
    return index


def _small(path: Path, max_megabytes: float, max_pixels: int) -> bytes | None:
    if not path.exists() and not is_photo(path):
        return None
    try:
        photo = open_photo(read_photo(path, max_megabytes), 2 * SIDE, max_pixels)
    except ImageError:
        return None
    image = Image.fromarray(photo.rgb)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()
