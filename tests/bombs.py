"""Pictures that are small as files and large inside."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from resources import encode


def packed(size: int) -> bytes:
    """So many zeros, deflated."""
    packer = zlib.compressobj(9)
    return (
        b"".join(packer.compress(bytes(min(1 << 20, size - at))) for at in range(0, size, 1 << 20))
        + packer.flush()
    )


def tiff(
    width: int,
    height: int,
    bits: int,
    samples: int,
    photometric: int,
    kind: int = 1,
    extra: int | None = None,
    tile: int | None = None,
) -> bytes:
    """A deflated TIFF of zeros: one strip, or tiles of one size."""
    tags = {
        256: [width],
        257: [height],
        258: [bits] * samples,
        259: [8],
        262: [photometric],
        277: [samples],
        339: [kind] * samples,
    }
    tags |= {338: [extra]} if extra is not None else {}
    data = packed((tile or width) * (tile or height) * samples * bits // 8)
    pieces = -(-width // tile) * -(-height // tile) if tile else 1
    tags |= (
        {322: [tile], 323: [tile], 324: [0] * pieces, 325: [len(data)] * pieces}
        if tile
        else {273: [0], 278: [height], 279: [len(data)]}
    )
    at = 8 + 2 + 12 * len(tags) + 4
    places = {}
    for tag, values in sorted(tags.items()):
        if len(values) > 1:
            places[tag], at = at, at + 4 * len(values)
    tags[324 if tile else 273] = [at] * pieces
    head, blob = struct.pack("<2sHIH", b"II", 42, 8, len(tags)), b""
    for tag, values in sorted(tags.items()):
        head += struct.pack("<HHII", tag, 4, len(values), places.get(tag, values[0]))
        blob += struct.pack(f"<{len(values)}I", *values) if tag in places else b""
    return head + bytes(4) + blob + data


def png(width: int, height: int, bits: int, colour: int) -> bytes:
    """A PNG of zeros.

    `colour` as in its header: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
    """

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
        + (chunk(b"PLTE", bytes(768)) if colour == 3 else b"")
        + chunk(b"IDAT", packed((width * channels * bits // 8 + 1) * height))
        + chunk(b"IEND", b"")
    )


def with_scans(side: int, more: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    jpeg = encode(Image.new("RGB", (side, side), (90, 120, 60)), "JPEG", progressive=True)
    at = jpeg.rindex(b"\xff\xda")
    return jpeg[:at] + jpeg[at:-2] * (more + 1) + b"\xff\xd9"


def icns(picture: bytes) -> bytes:
    """An Apple icon that says 1024 px, whatever is inside."""
    return b"icns" + struct.pack(">I4sI", len(picture) + 16, b"ic10", len(picture) + 8) + picture


def ico(picture: bytes) -> bytes:
    """A Windows icon that says 256 px, whatever is inside."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(picture), 22) + picture


def drawn(mode: str, kind: str, **options) -> Callable[[int], bytes]:
    """A picture of one colour, so many px wide, in a format that Pillow writes."""
    return lambda side: encode(
        Image.new("RGBA", (side, side), (1, 2, 3, 90)).convert(mode), kind, **options
    )


BOMBS: dict[str, Callable[[int], bytes]] = {  # by what they are, of the side that is given
    "j2k": drawn("RGB", "JPEG2000"),
    "j2k grey": drawn("L", "JPEG2000"),
    "j2k tiles": drawn("RGB", "JPEG2000", tile_size=(256, 256)),
    "j2k blocks": drawn("RGB", "JPEG2000", codeblock_size=(4, 4), num_resolutions=1),
    "icns": lambda side: icns(BOMBS["j2k"](side)),
    "ico": lambda side: ico(png(side, side, 8, 6)),
    "tiff float": lambda side: tiff(side, side, 32, 1, 1, 3),
    "tiff int": lambda side: tiff(side, side, 32, 1, 1, 2),
    "tiff 16": lambda side: tiff(side, side, 16, 1, 1),
    "tiff rgb 16": lambda side: tiff(side, side, 16, 3, 2),
    "tiff rgba 16": lambda side: tiff(side, side, 16, 4, 2, extra=2),
    "tiff cmyk 16": lambda side: tiff(side, side, 16, 4, 5),
    "tiff lab": lambda side: tiff(side, side, 8, 3, 8),
    "tiff tile": lambda side: tiff(100, 100, 8, 3, 2, tile=side),
    "tiff tile 16": lambda side: tiff(100, 100, 16, 4, 2, extra=2, tile=2 * side),
    "png": lambda side: png(side, side, 8, 2),
    "png 16": lambda side: png(side, side, 16, 2),
    "png rgba": lambda side: png(side, side, 8, 6),
    "png grey alpha": lambda side: png(side, side, 8, 4),
    "png grey 16": lambda side: png(side, side, 16, 0),
    "png palette": lambda side: png(side, side, 8, 3),
    "gif": drawn("P", "GIF"),
    "webp": drawn("RGB", "WEBP", quality=1, method=0),
    "webp rgba": drawn("RGBA", "WEBP", quality=1, method=0),
    "avif": drawn("RGB", "AVIF", speed=10),
    "avif rgba": drawn("RGBA", "AVIF", speed=10, subsampling="4:4:4"),
    "jpeg cmyk": drawn("CMYK", "JPEG", progressive=True),
    "jpeg": drawn("RGB", "JPEG", progressive=True, subsampling=0),
    "tga": drawn("RGBA", "TGA", compression="tga_rle"),
}
