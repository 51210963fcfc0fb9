"""Contact sheets: the members of a composite at a glance, in few bytes."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

MOST = 100  # faces on a sheet
MAX_BYTES = 300_000  # of a sheet; a report carries several
_QUALITIES = range(90, 0, -5)


def contact_sheet(
    paths: list[Path], columns: int = 10, side: int = 96, most: int = MOST
) -> Image.Image:
    """Thumbnails of up to `most` faces on a white sheet, `columns` to a row, in their order."""
    shown = paths[:most]
    columns = min(columns, len(shown))
    sheet = Image.new("RGB", (columns * side, -(-len(shown) // columns) * side), "white")
    for i, path in enumerate(shown):
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            sheet.paste(
                image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS),
                (i % columns * side, i // columns * side),
            )
    return sheet


def fitting_jpeg(image: Image.Image, most: int = MAX_BYTES) -> bytes:
    """The image as JPEG of the best quality up to 90 that takes at most `most` bytes, or of 5."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=quality)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()
