"""Bytes of photos: making chunks of PNGs, and what colour a photo has."""

import struct
import zlib

from facestats.photos.decode import open_photo


def chunked(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def colour_of(data: bytes) -> tuple[tuple[int, int], list[int]]:
    photo = open_photo(data)
    return (photo.width, photo.height), photo.rgb[
        photo.rgb.shape[0] // 2, photo.rgb.shape[1] // 2
    ].tolist()
