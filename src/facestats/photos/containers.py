"""Open an image file of any format: its kind by its first bytes, and its main picture.

The main picture is the primary one of a HEIC or MPO file, the largest page of a TIFF (a reduced
copy or a mask is none), the largest icon of an ICO, ICNS or CUR, the first frame of an animation
and the composite of a PSD; thumbnails in EXIF or HEIC are never looked at.
"""

import io
import math
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module, reload

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from facestats.errors import ImageError

HEAD = 4096  # bytes of a file that tell what it is
NO_IMAGE = "not an image that Pillow can read"

# EPS would start Ghostscript on a stranger's file; WMF, BUFR, GRIB, HDF5 and MPEG are stubs without
# a decoder; of PCD and XVTHUMB Pillow reads only a small picture; IM, IMT, IPTC and SPIDER have no
# signature, so that any file may be taken for one; in BLP and FTEX (textures of games) is
# a picture or packed data whose size the header does not say: 64 × 64 px took 1 GB.
_UNWANTED = set("EPS WMF BUFR GRIB HDF5 MPEG PCD XVTHUMB IM IMT IPTC SPIDER BLP FTEX".split())
# Compiled parts of Pillow that its decoders can do without, but photos can't.
_LIBRARIES = ("_avif", "_webp")
_lacking: set[str] = set()
_WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
_HEIF_BRANDS = set(b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1".split())
_AVIF_BRANDS = {b"avif", b"avis"}
# Other files among photos: offset and pattern of their signatures, and what they are.
_OTHERS = [
    (4, rb"ftypcrx ", "raw data of a camera; export it as JPEG or HEIC"),
    (
        0,
        rb"FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM",
        "raw data of a camera; export it as JPEG or HEIC",
    ),
    (4, rb"ftyp|moov|mdat|wide|free|skip", "a video"),
    (
        0,
        rb"\x1aE\xdf\xa3|RIFF....AVI "
        rb"|OggS|FLV\x01|\0\0\x01[\xb3\xba]|0&\xb2u\x8ef\xcf\x11|G.{187}G",
        "a video",
    ),
    (0, rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL; export it as JPEG"),
    (0, rb"%PDF", "a document"),
    (0, rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "an archive"),
]
_PRIMARY = "Baseline MP Primary Image"
# The box with the size of a picture in AVIF and HEIC.
_ISPE = re.compile(rb"ispe(?=.{12})", re.DOTALL)
_MOST_PAGES = 256  # of a TIFF that are looked at
_REDUCED, _MASK = 1, 4  # bits of a TIFF's NewSubfileType
_RAW = (32803, 34892)  # PhotometricInterpretation: colour filter array, linear raw
_TEXT_LIMIT = 1 << 20  # bytes of one text in a PNG, as Pillow's own
_PROFILE_LIMIT = 1 << 24  # bytes of a colour profile in a PNG


class DamageError(ImageError):
    """A decoder reports damage, as some also do when memory runs out.

    `memory` is what decoding would have taken, bytes. `refused`: the decoder was refused memory,
    which may be the true reason.
    """

    refused = False

    def __init__(self, text: str, memory: int = 0):
        super().__init__(text)
        self.memory = memory


@cache
def _load_decoders() -> None:
    """Load all of Pillow's decoders.

    `Image.init` passes over those that the system fails to load: for the rest of the process, their
    photos would not be pictures.

    Raises
    ------
    ImportError, OSError
        One can't be loaded.
    """
    for library in _LIBRARIES:
        try:
            import_module(f"PIL.{library}")
        except ModuleNotFoundError as error:
            if error.name != f"PIL.{library}":
                raise
            _lacking.add(library)  # Pillow was built without it, which matters to few photos
    Image.preinit()
    for plugin in Image._plugins:  # in the order in which Pillow tries them
        try:
            module = import_module(f"PIL.{plugin}")
        except ModuleNotFoundError as error:
            if error.name != "olefile":  # for two formats that hold no photos
                raise
        else:
            library = f"_{plugin.removesuffix('ImagePlugin').lower()}"
            if library not in _lacking and not getattr(module, "SUPPORTED", True):
                reload(module)  # loaded before when its library failed to
    Image.init()


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Let photos that a block opens be decoded in as few threads as possible.

    The settings are those of the whole process, so a block must not run beside another.
    """
    from PIL import AvifImagePlugin  # here, for it must not come before Pillow's usual decoders

    settings = [(AvifImagePlugin, "DEFAULT_MAX_THREADS")]
    if "pillow_heif" in sys.modules:
        settings.append((sys.modules["pillow_heif"].options, "DECODE_THREADS"))
    before = [getattr(module, name) for module, name in settings]
    try:
        for module, name in settings:
            setattr(module, name, 1)
        yield
    finally:
        for (module, name), value in zip(settings, before, strict=True):
            setattr(module, name, value)


def formats_of(head: bytes) -> list[str]:
    """Names of the formats that a file's first `HEAD` bytes may have; empty for other files."""
    _load_decoders()
    if head.startswith(b"\xff\xd8\xff"):  # nearly all photos
        return ["JPEG"]
    brands = _brands(head)
    if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS:
        return ["HEIF"]
    lacking = "_avif" if brands & _AVIF_BRANDS else "_webp" if _WEBP.match(head) else None
    if lacking in _lacking:
        kind = {"_avif": "AVIF", "_webp": "WebP"}[lacking]
        raise ImportError(
            f"this Pillow was built without {kind} (`python -m pip install --force-reinstall "
            "--only-binary :all: pillow` brings one that has it)"
        )
    accepts = {name: Image.OPEN[name][1] or _is_tga for name in Image.ID if name not in _UNWANTED}
    return [
        name
        for name, accept in accepts.items()
        if accept(head[:18] if accept is _is_tga else head[:16].ljust(16, b"\0")) is True
    ]


def starts_threads(data: bytes) -> bool:
    """Whether a file's decoder, libheif or libavif, starts threads; libwebp does without them."""
    return bool(_brands(data[:HEAD]))


def check_head(head: bytes) -> list[str]:
    """`formats_of` a picture; other files are refused.

    Raises
    ------
    ImageError
        The file is empty, or not a picture that can be read.
    """
    if not head:
        raise ImageError("empty file")
    formats = formats_of(head)
    if not formats:
        other = next(
            (name for at, sign, name in _OTHERS if re.match(sign, head[at:], re.DOTALL)), None
        )
        raise ImageError(f"{NO_IMAGE}: {other}" if other else NO_IMAGE)
    return formats


def open_main(data: bytes) -> Image.Image:
    """Read the header of a file's main picture.

    Raises
    ------
    ImageError
        Not a picture, or one that can't be read.
    Exception
        Any error of a decoder on broken data.
    """
    formats = check_head(data[:HEAD])
    if formats == ["HEIF"]:
        # Here, for few workers meet such a file. The compiled part comes first: pillow_heif would
        # do without it for the rest of the process.
        import_module("_pillow_heif")
        import pillow_heif

        return pillow_heif.HeifImageFile(io.BytesIO(data))
    if formats == ["TIFF"]:
        data = _at_largest_page(data)
    try:
        image = _open(data, formats)
    except ValueError as error:
        if not over_text_limit(error):
            raise
        image = open_without_texts(data)
    if image.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in image.mpinfo[0xB002]]  # pyright: ignore[reportAttributeAccessIssue]
        image.seek(kinds.index(_PRIMARY) if _PRIMARY in kinds else 0)
    return image


def open_without_texts(data: bytes) -> Image.Image:
    """Read the header of a PNG without texts that are too large for Pillow.

    Colour profiles up to 16 MB stay.
    """
    kept, profile, room = [data[:8]], None, 32 * _TEXT_LIMIT
    for kind, start, end in _png_chunks(data):
        body = data[start + 8 : end - 4]
        if kind == b"iCCP":
            packed = body.partition(b"\0")[2][1:]
            profile = _unpacked(packed, _PROFILE_LIMIT)
            continue
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            packed = (
                re.match(
                    rb"[^\0]*\0\x01\0[^\0]*\0[^\0]*\0(.*)"
                    if kind == b"iTXt"
                    else rb"[^\0]*\0\0(.*)",
                    body,
                    re.DOTALL,
                )
                if kind != b"tEXt"
                else None
            )
            text = _unpacked(packed[1], _TEXT_LIMIT) if packed else body
            if text is None or len(text) > min(room, _TEXT_LIMIT):
                continue
            room -= len(text)
        kept.append(data[start:end])
    image = _open(b"".join(kept), ["PNG"])
    if profile:
        image.info["icc_profile"] = profile
    return image


def over_text_limit(error: Exception) -> bool:
    """Whether Pillow refuses a PNG for its texts or profile alone."""
    return isinstance(error, ValueError) and "MAX_TEXT" in str(error)


def _open(data: bytes, formats: list[str]) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        raise DamageError(
            f"{NO_IMAGE}: a damaged {' or '.join(formats)}, or one of an unusual kind"
        ) from None


def declared_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a decompression bomb; 0, 0 if unknown."""
    sizes = (
        [
            struct.unpack(">II", data[at.end() + 4 : at.end() + 12])
            for at in _ISPE.finditer(data, 0, 16 * HEAD)
        ]
        if _brands(data[:HEAD])
        else []
    )
    if sizes:
        return max(sizes, key=math.prod)
    for name in formats_of(data[:HEAD]):
        with suppress(Exception):
            return Image.OPEN[name][0](io.BytesIO(data), "").size
    return 0, 0


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file; empty for other files."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def _is_tga(head: bytes) -> bool:
    """Whether an 18-byte header can be a Targa's, which has no signature."""
    if len(head) < 18:
        return False
    mapped, kind, width, height, depth = head[1], head[2], *struct.unpack_from("<HHB", head, 12)
    fits = (
        (mapped == 1 and depth == 8 and head[7] in (15, 16, 24, 32))
        if kind in (1, 9)
        else not any(head[3:8])
    )
    return (
        mapped in (0, 1)
        and kind in (1, 2, 3, 9, 10, 11)
        and depth in (8, 15, 16, 24, 32)
        and fits
        and width > 0 < height
        and head[17] & 0xC0 == 0
    )


# --- TIFF ---


@dataclass(frozen=True)
class _Page:
    """A TIFF's picture: the offset of its directory, and facts from it."""

    offset: int
    width: int
    height: int
    kind: int
    photometric: int
    compression: int


def _at_largest_page(data: bytes) -> bytes:
    """The TIFF with its largest page as the first, directories below directories included.

    Raises
    ------
    ImageError
        The largest is what a camera's sensor saw, of which Pillow reads no more than a thumbnail,
        or compressed in a way that it does not know.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        pages = [
            page
            for page in _pages(data, order, big)
            if page.width and page.height and not page.kind & _MASK
        ]
    except struct.error:  # damaged: Pillow knows what is beyond repair
        return data
    if not pages:
        return data
    # the first of equals
    largest = max(pages, key=lambda page: (not page.kind & _REDUCED, page.width * page.height))
    if largest.photometric in _RAW:
        raise ImageError(f"{NO_IMAGE}: raw data of a camera; export it as JPEG or HEIC")
    if largest.compression not in TiffImagePlugin.COMPRESSION_INFO:
        raise ImageError(
            f"{NO_IMAGE}: a TIFF with compression {largest.compression}; save it uncompressed, or "
            "with LZW or deflate"
        )
    at, form = (8, "Q") if big else (4, "I")
    first = struct.pack(order + form, largest.offset)
    return (
        data if data[at : at + len(first)] == first else data[:at] + first + data[at + len(first) :]
    )


def _pages(data: bytes, order: str, big: bool) -> Iterator[_Page]:
    count, entry, number, inline = ("Q", "HHQ8s", "Q", 8) if big else ("H", "HHI4s", "I", 4)
    waiting, seen = [struct.unpack_from(order + number, data, 8 if big else 4)[0]], set()
    while waiting:
        offset = waiting.pop(0)
        if offset == 0 or offset in seen or len(seen) >= _MOST_PAGES:
            continue
        seen.add(offset)
        (n,) = struct.unpack_from(order + count, data, offset)
        at, size = offset + struct.calcsize(order + count), struct.calcsize(order + entry)
        values: dict[int, int] = {}
        for i in range(min(n, 4096)):
            tag, kind, length, field = struct.unpack_from(order + entry, data, at + i * size)
            form = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
            if form is None or not length:
                continue
            if tag == 330 and len(waiting) < _MOST_PAGES:  # directories below this one
                width = struct.calcsize(order + form)
                start = int.from_bytes(field, "little" if order == "<" else "big")
                used = min(length, _MOST_PAGES) * width
                listed = field[:used] if length * width <= inline else data[start : start + used]
                waiting += [value for (value,) in struct.iter_unpack(order + form, listed)]
            elif length == 1:
                values[tag] = struct.unpack_from(order + form, field)[0]
        yield _Page(
            offset,
            values.get(256, 0),
            values.get(257, 0),
            values.get(254, 0),
            values.get(262, 0),
            values.get(259, 1),
        )
        waiting += struct.unpack_from(order + number, data, at + n * size)


# --- PNG ---


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of each chunk."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, end
        at = end


def _unpacked(packed: bytes, limit: int) -> bytes | None:
    """What was compressed; None if it is damaged or larger than the limit."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, limit)
    except zlib.error:
        return None
    return None if unpacker.unconsumed_tail else text
