"""Whether a file is a JPEG or PNG as cameras and programs write them, by its structure alone.

How long such a file takes to decode follows from its size. Any other may ask its decoder for much
more, in ways that no list exhausts, and is decoded where time and memory are limited.
"""

from __future__ import annotations

import struct
import zlib

_PIXELS = 1 << 26  # of a picture
_WORK = 10 * _PIXELS  # pixels times scans
_SCANS = 20  # of a progressive JPEG; encoders write 6 to 12
_SEGMENTS = 64  # of a JPEG before its first scan; a colour profile or extended XMP fills several
_CHUNKS = 20_000  # of a PNG; programs put 8 to 64 kB into each
_BESIDE = 1 << 18  # bytes of a PNG's chunks beside the picture
_PROFILE = 1 << 16  # bytes of a colour profile
_PROFILE_TAGS = 64
_CURVE = 8_204  # bytes of a profile's curve of 4,096 points; programs write at most so many
_EXIF_TAGS = 512  # of the first directory
_EXIF = 1 << 20  # bytes of their values, which may lie in one another
_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURE = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_BESIDE_PICTURE = {
    *(b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"bKGD", b"sBIT", b"tIME", b"hIST"),
    *(b"tEXt", b"eXIf", b"iCCP"),
}
# Tags of a profile of curves and a matrix (ICC.1:2022, 8.3.3), and those that no decoder reads.
_CURVES = {b"rTRC", b"gTRC", b"bTRC", b"kTRC"}
_NO_CURVES = {
    *(b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt", b"bkpt", b"chad", b"lumi", b"chrm", b"cicp"),
    *(b"desc", b"cprt", b"dmnd", b"dmdd", b"vued", b"view", b"meas", b"tech", b"targ", b"calt"),
    *(b"dscm", b"mmod", b"ndin", b"vcgt", b"aarg", b"aagg", b"aabg"),
}
# Bytes of an EXIF value by its type (TIFF 6.0, section 2).
_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, with Huffman codes
_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # and comments and applications' segments
_SCAN = 0xDA
_FILLING = b"\xff" * 64  # before a marker; encoders write none


def is_plain(data: bytes) -> bool:
    """Whether the structure of a file is a usual one; the picture itself may be damaged."""
    if data[:2] == b"\xff\xd8":
        return _is_plain_jpeg(data)
    return data[: len(_PNG)] == _PNG and _is_plain_png(data)


def _is_plain_jpeg(data: bytes) -> bool:
    at, pixels, kinds = 2, 0, set()
    for _ in range(_SEGMENTS):
        if len(data) < at + 4 or data[at] != 0xFF:
            return False
        code, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if code == _SCAN:
            scans = data.count(b"\xff\xda", at)
            if data.find(_FILLING, at) >= 0:  # libjpeg reads it anew with each further 64 kB
                return False
            return 0 < pixels <= _PIXELS and scans <= _SCANS and pixels * scans <= _WORK
        content = data[at + 4 : at + 2 + length]
        if code in _FRAMES:
            if pixels or len(content) < 6 or content[5] > 4:
                return False
            height, width = struct.unpack_from(">HH", content, 1)
            pixels = width * height
        elif code not in _TABLES or not _is_plain_segment(content, kinds):
            return False
        if length < 2:
            return False
        at += 2 + length
    return False


def _is_plain_segment(content: bytes, kinds: set[bytes]) -> bool:
    """Whether an application's segment is a usual one; `kinds` are those before it."""
    kind, mark, more = content.partition(b"\0")
    if mark and kind in (b"Exif", b"ICC_PROFILE"):  # decoders join several
        if kind in kinds:
            return False
        kinds.add(kind)
        return _is_plain_exif(more[1:]) if kind == b"Exif" else is_plain_profile(more[2:])
    return kind != b"MPF"  # several pictures


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
            if kind not in _BESIDE_PICTURE or beside > _BESIDE:
                return False
            if not _is_plain_chunk(kind, data[at + 8 : at + 8 + length]):
                return False
        at += 12 + length
    return False


def _is_plain_chunk(kind: bytes, content: bytes) -> bool:
    if kind == b"eXIf":
        return _is_plain_exif(content)
    if kind == b"iCCP":
        _, _, packed = content.partition(b"\0")
        try:
            return is_plain_profile(zlib.decompressobj().decompress(packed[1:], _PROFILE + 1))
        except zlib.error:
            return False
    return not (kind == b"tEXt" and content.startswith(b"Raw profile type"))  # may hold EXIF


def _is_plain_exif(block: bytes) -> bool:
    """Whether the values of the first directory, which decoders read, are as small as usual."""
    try:
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (at,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, at)
        if count > _EXIF_TAGS:
            return False
        tags = struct.iter_unpack(order + "HHII", block[at + 2 : at + 2 + 12 * count])
        return sum(_TYPES[kind] * number for _, kind, number, _ in tags) <= _EXIF
    except (struct.error, KeyError):
        return False


def is_plain_profile(profile: bytes) -> bool:
    """Whether a profile is of curves and a matrix; others may hold steps without end."""
    if not 132 <= len(profile) <= _PROFILE:
        return False
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > _PROFILE_TAGS or len(profile) < 132 + 12 * count:
        return False
    tags = struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count])
    return all(
        tag in _NO_CURVES or (tag in _CURVES and length <= _CURVE) for tag, _, length in tags
    )
