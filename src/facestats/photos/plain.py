"""Whether a file is a JPEG or PNG as cameras and programs write them, by its structure alone.

How long such a file takes to decode follows from its size. Any other may ask its decoder for much
more, in ways that no list exhausts, and is decoded where time and memory are limited.
"""

from __future__ import annotations

import struct

_PIXELS = 1 << 26  # of a picture
_WORK = 10 * _PIXELS  # pixels times scans
_SCANS = 20  # of a progressive JPEG; encoders write 6 to 12
_SEGMENTS = 64  # of a JPEG before its first scan; a colour profile or extended XMP fills several
_CHUNKS = 20_000  # of a PNG; programs put 8 to 64 kB into each
_BESIDE = 1 << 18  # bytes of a PNG's chunks beside the picture
_PROFILE = 1 << 16  # bytes of a colour profile
_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURE = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_BESIDE_PICTURE = {
    *(b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"bKGD", b"sBIT", b"tIME", b"hIST"),
    *(b"tEXt", b"eXIf", b"iCCP"),
}
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, with Huffman codes
_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # and comments and applications' segments
_SCAN = 0xDA


def is_plain(data: bytes) -> bool:
    """Whether the structure of a file is a usual one; the picture itself may be damaged."""
    if data[:2] == b"\xff\xd8":
        return _is_plain_jpeg(data)
    return data[: len(_PNG)] == _PNG and _is_plain_png(data)


def _is_plain_jpeg(data: bytes) -> bool:
    at, pixels, profiles = 2, 0, 0
    for _ in range(_SEGMENTS):
        if len(data) < at + 4 or data[at] != 0xFF:
            return False
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 16]
        if kind == _SCAN:
            scans = data.count(b"\xff\xda", at)
            return 0 < pixels <= _PIXELS and scans <= _SCANS and pixels * scans <= _WORK
        if kind in _FRAMES:
            if pixels or len(content) < 6 or content[5] > 4:
                return False
            height, width = struct.unpack_from(">HH", content, 1)
            pixels = width * height
        elif kind not in _TABLES or content[:4] == b"MPF\0":  # several pictures
            return False
        profiles += content == b"ICC_PROFILE\0"
        if length < 2 or profiles > 1:
            return False
        at += 2 + length
    return False


def _is_plain_png(data: bytes) -> bool:
    at, beside = len(_PNG), 0
    for count in range(_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if (kind == b"IHDR") != (count == 0):
            return False
        if kind == b"IHDR":
            width, height = struct.unpack(">II", data[at + 8 : at + 16].ljust(8, b"\0"))
            if not 0 < width * height <= _PIXELS:
                return False
        elif kind == b"IEND" or not kind:  # or cut off, which its decoder says
            return True
        elif kind not in _PICTURE:
            beside += length
            if kind not in _BESIDE_PICTURE or beside > _BESIDE or _is_long(kind, length):
                return False
        at += 12 + length
    return False


def _is_long(kind: bytes, length: int) -> bool:
    return kind == b"iCCP" and length > _PROFILE
