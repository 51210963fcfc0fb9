"""A dozen files that are broken or awkward, as real photo folders have them.

Each must become a row with a reason in `faces.parquet`, or be handled. The faces drawn for them are
extra ones. A link to itself and an unreadable file are not here: they would stop DVC, which reads
every dependency.
"""

import io
import struct
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from facestats.sample.draw import draw_face
from facestats.sample.traits import draw_traits

ORIENTATION = 0x0112  # the EXIF tag
UNICODE_NAME = unicodedata.normalize("NFC", "bad/más fotos/großes Gesicht 😀.jpg")


def write_bad_files(images: Path, size: int = 256, seed: int = 0) -> dict[str, str]:
    """Write the bad files below `images`.

    Parameters
    ----------
    images : Path
        The image folder; most files go into its `bad/`.
    size : int
        Width and height in pixels of the faces in them.
    seed : int, default 0

    Returns
    -------
    dict of str to str
        Path below `images` (POSIX) to what is special about the file.
    """

    def face(k: int) -> Image.Image:
        rng = np.random.default_rng([seed, k])
        return Image.fromarray(draw_face(draw_traits(rng), size, rng).image)

    written = {}
    for name, (what, make) in _files(face, size, seed).items():
        path = Path(images) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
        written[name] = what
    return written


def _files(
    face: Callable[[int], Image.Image], size: int, seed: int
) -> dict[str, tuple[str, Callable[[], bytes]]]:
    """Name to (what is special, how to make it)."""
    return {
        "bad/empty.jpg": ("empty file", lambda: b""),
        "bad/truncated.jpg": ("a JPEG cut off in the middle", lambda: _half(_jpeg(face(0)))),
        "bad/text.jpg": ("text", lambda: b"This is not a picture, whatever its name says.\n"),
        "bad/one_pixel.png": (
            "1 x 1 pixel",
            lambda: _png(Image.new("RGB", (1, 1), (200, 160, 140))),
        ),
        "bad/huge.png": ("declares 60,000 x 60,000 pixels", lambda: _huge_png(60_000)),
        "bad/cmyk.jpg": ("CMYK", lambda: _jpeg(face(1).convert("CMYK"))),
        "bad/grey16.png": ("16-bit grey", lambda: _png(_grey16(face(2)))),
        "bad/palette.png": ("palette with transparency", lambda: _palette_png(face(3))),
        "bad/animated.gif": ("an animation that begins with a face", lambda: _gif(face(4), size)),
        "bad/sideways.jpg": ("EXIF orientation 6", lambda: _sideways(face(5))),
        UNICODE_NAME: ("spaces, umlauts and an emoji in its name", lambda: _jpeg(face(6))),
        "bad/a.jpg": ("beside a.png, another face", lambda: _jpeg(face(7))),
        "bad/a.png": ("beside a.jpg, another face", lambda: _png(face(8))),
        "bad/no_face.jpg": ("a landscape", lambda: _jpeg(_landscape(size, seed))),
        "bad/two_faces.jpg": ("two faces", lambda: _jpeg(_beside(face(9), face(10)))),
        "bad/duplicate.jpg": ("the bytes of a.jpg", lambda: _jpeg(face(7))),
        "bad/unknown_format.heic": ("a HEIC without a picture", _heic),
    }


def _jpeg(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def _png(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _huge_png(side: int) -> bytes:
    """A valid PNG header for `side` x `side` grey pixels, with the data of a single row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    row = zlib.compress(bytes(1 + side), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def _grey16(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _palette_png(image: Image.Image) -> bytes:
    # The background's most frequent colour is made transparent.
    indexed = image.quantize(200)
    common = int(np.bincount(np.asarray(indexed).ravel()).argmax())
    return _png(indexed, transparency=common)


def _gif(first: Image.Image, size: int) -> bytes:
    frames = [first.quantize(128)] + [
        Image.new("RGB", (size, size), c).quantize(2) for c in ("navy", "orange")
    ]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=400, loop=0)
    return buffer.getvalue()


def _sideways(image: Image.Image) -> bytes:
    """Stored turned, with the tag that says how to turn it back (6: 90 degrees clockwise)."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return _jpeg(image.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())


def _landscape(size: int, seed: int) -> Image.Image:
    """Sky, hills and grass."""
    rng = np.random.default_rng([seed, 1000])
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    image = np.stack([0.45 + 0.4 * y, 0.62 + 0.28 * y, np.full_like(y, 0.92)], axis=-1)
    for base, colour in (
        (0.55, (0.42, 0.52, 0.60)),
        (0.68, (0.30, 0.48, 0.30)),
        (0.82, (0.22, 0.40, 0.18)),
    ):
        ridge = (
            base
            + 0.05 * np.sin(x * rng.uniform(5, 9) + rng.uniform(0, 6))
            + 0.02 * np.sin(x * rng.uniform(18, 30))
        )
        image = np.where((y > ridge)[..., None], np.array(colour, np.float32), image)
    image += rng.normal(0, 0.02, image.shape)
    return Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))


def _beside(left: Image.Image, right: Image.Image) -> Image.Image:
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def _heic() -> bytes:
    """The first box of a HEIC file, and nothing of a picture."""
    return struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + b"\x00\x00\x00\x08mdat"
