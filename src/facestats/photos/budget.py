"""The memory and work that a photo needs, judged by its header before it is decoded.

The unit is a pixel of 8-bit RGB, which takes 12 bytes at its peak: Pillow's own four, two copies of
three, and some room. Other colour modes and formats take more, as measured with pictures of 169
Mpx; a picture of theirs counts as so many pixels more. A picture that is small by its header and
large inside counts as what is inside.
"""

from __future__ import annotations

import re
import struct
from itertools import islice
from typing import Any

from PIL import Image

from facestats.errors import ImageError
from facestats.machine.limits import CrashError, Limits, OverLimitError

# Beyond, Pillow itself raises DecompressionBombError (twice MAX_IMAGE_PIXELS).
MAX_PIXELS = 2 * 89_478_485
BYTES = 12  # a pixel of RGB
MAX_SECONDS = 60.0  # of a processor
MARGIN = 1 << 28  # bytes: what the search for faces takes beside, and what no formula knows

# Bytes a pixel from the opened file to sRGB, at the peak.
_MODES = {
    "RGB": 10,
    "L": 11,
    "1": 11,
    "P": 11,
    "CMYK": 14,
    "LAB": 14,
    "YCbCr": 14,
    "HSV": 14,
    "I;16": 12,
    "I;16B": 12,
    "I;16L": 12,
    "I;16N": 12,
    "I": 14,
    "F": 14,
}
_OTHERS = 18  # with transparency
_PROFILE = 4  # what a colour profile adds
_DECODERS = {"WEBP": 8, "AVIF": 4, "HEIF": 8, "FITS": 20}  # what a decoder holds beside its result
# Scans of a progressive JPEG; encoders write 6 to 12. Each costs as much as a plain JPEG.
_USUAL_SCANS = 20
_MOST_CODESTREAMS = 64  # an ICNS holds some fifteen
_USUAL_SEGMENTS = 2000  # of up to 64 kB each

JPEG = b"\xff\xd8"  # its first bytes
_J2K = re.compile(rb"\xff\x4f\xff\x51")  # start of a codestream, and its size
_IHDR = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR", re.DOTALL)
_MARKER = re.compile(rb"\xff([^\0\xff])")  # of a JPEG, behind any number of filling bytes
_ENDS = (b"\xd8", b"\xd9")  # the end of the picture, or another's start, which is an error
_ALONE = frozenset(bytes([code]) for code in (0x01, *range(0xD0, 0xD8)))  # without a length
_SLOW = 10  # times that Pillow's decoders in Python take longer than those in C
_PRECINCT, _BLOCK = 480, 480  # bytes that OpenJPEG keeps of each


class OverBudgetError(ImageError):
    """A photo declares more than it may have.

    Its row holds for runs with the same limit.
    """


def limits(max_pixels: int, max_seconds: float, max_megabytes: float = 256) -> Limits:
    """Limits of the process that decodes a photo, which holds its file, and a decoder's copy."""
    return Limits(max_seconds, max_pixels * BYTES + MARGIN + int(2 * max_megabytes * 10**6))


def over_limit(max_pixels: int, max_seconds: float, error: OverLimitError | CrashError) -> str:
    """The reason why a photo that went over them, or crashed its process, was left out."""
    if isinstance(error, CrashError):
        return f"damaged in a way that ends its decoder ({error})"
    if str(error) == "seconds":
        return (
            f"took more than {max_seconds:g} s of a processor, "
            "the limit that preprocess.max_seconds sets"
        )
    return (
        f"took more memory than {max_pixels // 10**6} Mpx of RGB, "
        "the limit that preprocess.max_pixels sets"
    )


def check_budget(image: Image.Image, data: bytes, max_pixels: int) -> int:
    """Refuse a photo that would take too much memory or time.

    Parameters
    ----------
    image : Image.Image
        Opened, not loaded.
    data : bytes
        The file's bytes.
    max_pixels : int
        Pixels of 8-bit RGB, or as much as takes the same memory.

    Returns
    -------
    int
        `memory_need` of the photo, bytes.

    Raises
    ------
    OverBudgetError
    """
    width, height = image.size
    if width * height > max_pixels:
        raise too_many_pixels(width, height, max_pixels)
    need = memory_need(image, data)
    if need > max_pixels * BYTES:
        raise OverBudgetError(
            f"declares {width}×{height} px ({image.format}, {image.mode}) that take as much "
            f"memory as {need // BYTES // 10**6} Mpx of RGB, "
            f"more than the limit of {max_pixels // 10**6} Mpx that preprocess.max_pixels sets"
        )
    scans = count_scans(data) if image.format in ("JPEG", "MPO") else 0
    if scans > _USUAL_SCANS and width * height * scans > max_pixels * _USUAL_SCANS:
        raise OverBudgetError(
            f"declares {width}×{height} px in {scans} scans, more work than the limit of "
            f"{max_pixels // 10**6} Mpx that "
            "preprocess.max_pixels sets allows for"
        )
    if width * height * _SLOW > max_pixels and any(
        tile[0] in Image.DECODERS for tile in getattr(image, "tile", ())
    ):
        raise OverBudgetError(
            f"declares {width}×{height} px ({image.format}), of a kind that is decoded slowly: "
            "more work than the limit of "
            f"{max_pixels // 10**6} Mpx that preprocess.max_pixels sets allows for; save it as PNG"
        )
    return need


def too_many_pixels(width: int, height: int, max_pixels: int) -> OverBudgetError:
    """The error of a photo that declares more than it may have."""
    size = f"{width}×{height} px, " if width and height else ""
    return OverBudgetError(f"declares {size}more than the limit of {max_pixels // 10**6} Mpx")


def memory_need(image: Image.Image, data: bytes) -> int:
    """Bytes at the peak of decoding and converting, about."""
    width, height = image.size
    mode = _OTHERS if "transparency" in image.info else _MODES.get(image.mode, _OTHERS)
    each = (
        mode
        + _DECODERS.get(image.format or "", 0)
        + (_PROFILE if image.info.get("icc_profile") else 0)
    )
    need = width * height * each
    if image.format == "TIFF":
        need = max(need, _tiff_need(image))
    if image.format in ("JPEG2000", "ICNS"):
        starts = [at.start() for at in islice(_J2K.finditer(data), _MOST_CODESTREAMS + 1)]
        if len(starts) > _MOST_CODESTREAMS:
            raise OverBudgetError(f"holds more than {_MOST_CODESTREAMS} JPEG 2000 pictures")
        need = max([need, *(_codestream_need(data, start) for start in starts)])
    if image.format in ("ICO", "ICNS", "CUR"):
        sizes = [
            struct.unpack(">II", data[at.end() : at.end() + 8].ljust(8, b"\0"))
            for at in _IHDR.finditer(data)
        ]
        need = max([need, *(w * h * _OTHERS for w, h in sizes)])
    return need


def check_segments(data: bytes) -> None:
    """Refuse a JPEG with so many segments that joining them takes long.

    Raises
    ------
    OverBudgetError
    """
    at, segments = 2, 0
    while (marker := _MARKER.search(data, at)) and marker[1] not in (*_ENDS, b"\xda"):
        at = marker.end()
        if marker[1] not in _ALONE:
            at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        segments += 1
        if segments > _USUAL_SEGMENTS:
            raise OverBudgetError(f"has more than {_USUAL_SEGMENTS} segments before its picture")


def count_scans(data: bytes) -> int:
    """Number of scans of a JPEG; an upper bound unless there are many."""
    most = data.count(b"\xff\xda")
    if most <= _USUAL_SCANS:
        return most
    at, scans = 2, 0
    # As libjpeg reads it: between markers it passes over any bytes, and goes on.
    while (marker := _MARKER.search(data, at)) and marker[1] not in _ENDS:
        at = marker.end()
        if marker[1] in _ALONE:
            continue
        at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        if marker[1] == b"\xda":
            scans += 1
    return scans


def _tiff_need(image: Image.Image) -> int:
    """Bytes that libtiff unpacks at a time, a strip or a tile, beside Pillow's picture."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    width, height = image.size
    samples = _tag(tags, 277, 1)
    together = 1 if tags.get(284) == 2 else samples  # planes apart
    rows = min(height, _tag(tags, 278, height))
    across, down = _tag(tags, 322, width), _tag(tags, 323, rows)
    return across * down * max(together * _tag(tags, 258, 8), 8) // 8 + 4 * width * height


def _tag(tags: Any, number: int, default: int) -> int:
    """The largest positive whole number of a TIFF's tag, whatever type the file gives it."""
    value = tags.get(number, default)
    numbers = value if isinstance(value, tuple) else (value,)
    return max((n for n in numbers if isinstance(n, int) and n > 0), default=default)


def _codestream_need(data: bytes, start: int) -> int:
    """What OpenJPEG takes for one tile of a JPEG 2000, beside Pillow's picture.

    ISO 15444-1, A.5 and A.6.
    """
    try:
        right, bottom, left, top, across, down, components = struct.unpack_from(
            ">6I8xH", data, start + 8
        )
        depth = max(
            ((byte & 0x7F) + 1 for byte in data[start + 42 : start + 42 + 3 * components : 3]),
            default=8,
        )
        steps = [
            struct.unpack_from("BB", data, start + 43 + 3 * n) for n in range(min(components, 4))
        ]
    except struct.error:  # damaged, as the decoder says
        return 0
    width, height = max(right - left, 0), max(bottom - top, 0)
    tile = min(across, width) * min(down, height)
    # components may be sampled more coarsely
    scale = max(sum(1 / (max(x, 1) * max(y, 1)) for x, y in steps), components - 4, 1)
    each = scale * (4 + 4 * (tile < width * height) + (1 if depth <= 8 else 2))
    return int(tile * (each + scale * _structures(data, start))) + 4 * width * height


def _structures(data: bytes, start: int) -> float:
    """Bytes a pixel and component for OpenJPEG's precincts and code blocks; many for tiny ones."""
    at = data.find(b"\xff\x52", start, start + 65_536 * 2)
    if at < 0 or at + 14 > len(data):
        return 0
    levels, block = data[at + 9], 2 ** ((data[at + 10] & 15) + 2 + (data[at + 11] & 15) + 2)
    sides = data[at + 14 : at + 15 + levels] if data[at + 4] & 1 else b"\xff"
    precinct = min((2 ** ((side & 15) + (side >> 4)) for side in sides), default=2**30)
    return _PRECINCT / max(precinct, 1) + _BLOCK / max(min(block, precinct), 1)
