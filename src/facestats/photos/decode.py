"""Turn the bytes of any image file into upright sRGB pixels, or into a short reason why not.

The reasons stand in `faces.parquet`, which is compared byte by byte, so they hold no paths,
addresses or times.
"""

import errno
import math
import os
import re
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image

from facestats.errors import FaultError, ImageError, InputError
from facestats.machine.faults import (
    fault,
    is_fault,
    is_passing,
    memory_is_there,
    note_allocations,
    threads_are_there,
)
from facestats.machine.limits import is_expendable
from facestats.photos.budget import (
    JPEG,
    MAX_PIXELS,
    MAX_SECONDS,
    check_budget,
    check_segments,
    too_many_pixels,
)
from facestats.photos.containers import (
    NO_IMAGE,
    DamageError,
    declared_size,
    in_one_thread,
    open_main,
    open_without_texts,
    over_text_limit,
    starts_threads,
)
from facestats.photos.decoder import decode_apart
from facestats.photos.pixels import is_srgb, to_srgb
from facestats.photos.reading import MAX_MEGABYTES, read_photo

MIN_SIDE = 32  # px
_SPARE = 1 << 26  # bytes beside a photo's own
MAX_JPEG_SIDE = 65_500  # px; what libjpeg reads, though the format goes up to 65,535

_alone = threading.Lock()  # of the second attempt at a photo, which changes settings of decoders
# What undoes an EXIF orientation (tag 0x0112, EXIF 2.3 section 4.6.4).
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: np.rot90(rgb, 3),
    7: lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
    8: lambda rgb: np.rot90(rgb, 1),
}
_ORIENTATION = 0x0112
# how decoders refuse what is not damaged
_LIMIT = re.compile(r"limit|too (large|big|many|much|long|deep)|exceed|maximum|MAX_", re.IGNORECASE)
_UNSUPPORTED = re.compile(
    r"unsupported|not supported|not implemented|unknown compression", re.IGNORECASE
)


@dataclass(frozen=True)
class Photo:
    """An upright photo.

    Attributes
    ----------
    rgb : np.ndarray
        (h, w, 3) uint8, sRGB; smaller than the file's image if that was enough (`Image.draft`).
    width, height : int
        Px of the file's image, upright.
    """

    rgb: np.ndarray
    width: int
    height: int

    @property
    def reduced(self) -> bool:
        """Whether the file holds more pixels than `rgb`."""
        return self.rgb.shape[1] < self.width


def open_photo(
    data: bytes,
    min_long_side: float | None = None,
    max_pixels: int = MAX_PIXELS,
    max_seconds: float = MAX_SECONDS,
) -> Photo:
    """Decode an image file.

    A process without limits of its own leaves it to one that has them.

    Any mode Pillow knows becomes RGB (see `pixels.to_srgb`), EXIF orientation is applied, of an
    animation the first frame is taken.

    Parameters
    ----------
    data : bytes
        The file's bytes.
    min_long_side : float or None, optional
        Px that are enough for the long side. A JPEG is then decoded at 1/2, 1/4 or 1/8 where that
        suffices: 1.6 instead of 2.2 ms for 1,024 px. None decodes everything.
    max_pixels : int, default MAX_PIXELS
        What it may ask for, see `budget.check_budget`, before any memory is taken for it.
    max_seconds : float, default MAX_SECONDS
        Of a processor that another process may take for it.

    Raises
    ------
    ImageError
        Empty, unreadable, damaged, too small, or more than `max_pixels`.
    FaultError
        There is no memory or thread for it: nothing is known about the photo.
    """
    if is_expendable():
        return decode_here(data, min_long_side, max_pixels)
    decoded = decode_apart(data, min_long_side, max_pixels, max_seconds)
    return Photo(decoded.rgb, decoded.width, decoded.height)


def decode_here(
    data: bytes, min_long_side: float | None = None, max_pixels: int = MAX_PIXELS
) -> Photo:
    """Decode an image file in this process; parameters and errors of `open_photo`."""
    with warnings.catch_warnings():
        # Pillow warns of odd EXIF or palettes; what matters becomes a reason.
        warnings.simplefilter("ignore")
        try:
            return _open_once(data, min_long_side, max_pixels)
        except DamageError as error:
            # Decoders also report damage when memory or threads run out: it counts if they report
            # it twice, and with both at hand. libheif needs a thread for any photo; libavif needs
            # none, but starts one a processor if it may.
            _check_memory(error)
            threads = not starts_threads(data) or threads_are_there()
        try:
            with _alone, in_one_thread():
                refused = note_allocations()
                return _open_once(data, min_long_side, max_pixels)
        except DamageError as error:
            error.refused = refused()
            _check_memory(error)
            if starts_threads(data) and not (threads and threads_are_there()):
                raise fault("a photo", BlockingIOError(errno.EAGAIN, "")) from None
            raise


def _check_memory(error: DamageError) -> None:
    if not memory_is_there(error.memory + _SPARE):
        raise fault("a photo", MemoryError()) from None


def _open_once(data: bytes, min_long_side: float | None, max_pixels: int) -> Photo:
    if data[:2] == JPEG:
        check_segments(data)
    try:
        image = open_main(data)
    except Exception as error:
        # Decoders raise all kinds of errors on broken data: struct.error, KeyError, ….
        if is_fault(error):
            raise reason(error) from None
        width, height = declared_size(data)
        if isinstance(error, Image.DecompressionBombError) or width * height > max_pixels:
            raise too_many_pixels(width, height, max_pixels) from None
        raise reason(error) from None
    memory = 0
    try:
        _check_size(image)
        memory = check_budget(image, data, max_pixels)
        try:
            return _decode(image, data, min_long_side)
        except ValueError as error:
            if not over_text_limit(error):
                raise
        return _decode(open_without_texts(data), data, min_long_side)
    except Exception as error:
        raise reason(error, memory) from None


def to_photo(
    image,
    min_long_side: float | None = None,
    max_megabytes: float = MAX_MEGABYTES,
    max_pixels: int = MAX_PIXELS,
    max_seconds: float = MAX_SECONDS,
    ours: bool = False,
) -> Photo:
    """A photo from a path, bytes, an image or an array.

    Parameters
    ----------
    image : path, bytes, PIL image or np.ndarray
        An array is RGB, (H, W, 3) uint8. The EXIF orientation of a PIL image counts, too.
    min_long_side : float or None, optional
        See `open_photo`; ignored for pixels that are decoded already.
    max_megabytes : float, default MAX_MEGABYTES
        Size up to which a file is read.
    max_pixels, max_seconds : optional
        See `open_photo`; ignored for pixels that are decoded already.
    ours : bool, default False
        The project has written the file, a crop for example: this process decodes it itself.

    Raises
    ------
    InputError
        It is none of these, or there is no such file; `FaultError` if the machine fails.
    ImageError
        It is an image that can't be used.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return _opened(bytes(image), min_long_side, max_pixels, max_seconds, ours)
    if isinstance(image, str | os.PathLike):
        if not os.path.lexists(image):
            raise InputError(f"{os.fspath(image)}: no such file")
        try:
            data = read_photo(image, max_megabytes)
            return _opened(data, min_long_side, max_pixels, max_seconds, ours)
        except ImageError as error:
            raise ImageError(f"{os.fspath(image)}: {error}") from None
    if isinstance(image, Image.Image):
        rgb = _upright(image)
    elif isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(
                "an image array must be RGB, (height, width, 3) and uint8; "
                f"this one is {image.shape} {image.dtype}; PIL.Image.fromarray takes grey and RGBA"
            )
        rgb = np.ascontiguousarray(image)
    else:
        hint = "; give what its read() returns" if hasattr(image, "read") else ""
        raise InputError(
            "an image is a path, bytes, a PIL image or an RGB array, not "
            f"{type(image).__name__}{hint}"
        )
    height, width = rgb.shape[:2]
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"too small: {width}×{height} px, at least {MIN_SIDE} px are needed")
    return Photo(rgb, width, height)


def _opened(
    data: bytes, min_long_side: float | None, max_pixels: int, max_seconds: float, ours: bool
) -> Photo:
    if ours:
        return decode_here(data, min_long_side, max_pixels)
    return open_photo(data, min_long_side, max_pixels, max_seconds)


def _upright(image: Image.Image) -> np.ndarray:
    """Pixels of a caller's PIL image, whose file may still be unread, damaged, or closed by now."""
    if not all(image.size):
        raise ImageError(
            f"too small: {image.width}×{image.height} px, at least {MIN_SIDE} px are needed"
        )
    try:
        image.load()  # of a TIFF, Pillow applies the orientation here
        return turned(np.asarray(to_srgb(image)), orientation_of(image))
    except Exception as error:  # as in `open_photo`
        raise reason(error) from None


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"too small: {width}×{height} px, at least {MIN_SIDE} px are needed")
    if image.format in ("JPEG", "MPO") and max(width, height) > MAX_JPEG_SIDE:
        raise ImageError(
            f"has {width}×{height} px: libjpeg reads no JPEG with a side of more than "
            f"{MAX_JPEG_SIDE} px"
        )


def _decode(image: Image.Image, data: bytes, min_long_side: float | None) -> Photo:
    """An opened image, upright, reduced as far as `min_long_side` lets it."""
    jpeg = image.format == "JPEG" or (image.format == "MPO" and image.tell() == 0)
    size = image.size
    rgb = _jpeg_pixels(image, data, min_long_side) if jpeg else _pixels(image)
    # After decoding, for Pillow's TIFF decoder applies and removes it.
    orientation = orientation_of(image)
    width, height = size if jpeg else rgb.shape[1::-1]
    if orientation >= 5 and orientation in _UPRIGHT:
        width, height = height, width
    return Photo(turned(rgb, orientation), width, height)


def turned(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels turned upright by their EXIF orientation; numbers other than 2 to 8 are ignored."""
    return np.ascontiguousarray(_UPRIGHT[orientation](rgb)) if orientation in _UPRIGHT else rgb


def _jpeg_pixels(image: Image.Image, data: bytes, min_long_side: float | None) -> np.ndarray:
    share = min(1.0, (min_long_side or math.inf) / max(image.size))
    target = math.ceil(image.width * share), math.ceil(image.height * share)
    if image.mode == "RGB" and is_srgb(image):
        # The same library and pixels as Pillow's, but straight into an array: 2.3 instead of 3.3 ms
        # for 1,024 px.
        spare = min(side // enough for side, enough in zip(image.size, target, strict=True))
        times = next(times for times in (8, 4, 2, 1) if times <= spare)
        least = {"min_width": -(-image.width // times), "min_height": -(-image.height // times)}
        with suppress(ValueError):  # damaged: Pillow knows what is beyond repair
            return simplejpeg.decode_jpeg(data, min_factor=times, **least)
    image.draft(None, target)
    return _pixels(image)


def _pixels(image: Image.Image) -> np.ndarray:
    image.load()
    return np.asarray(to_srgb(image))


def orientation_of(image: Image.Image) -> int:
    """Orientation that must still be applied, by EXIF or else XMP; 1 (upright) without a valid one.

    libheif turns what it decodes, and Pillow puts the turn of an AVIF into EXIF, so other tags of
    these two are ignored.
    """
    if image.format == "HEIF" or (image.format == "AVIF" and not image.info.get("exif")):
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception as error:
        if is_passing(error):
            raise
        return 1


def reason(error: Exception, memory: int = 0) -> Exception:
    """Why a file can't be decoded; a FaultError if the machine is to blame."""
    if isinstance(error, ImageError | FaultError):
        return error
    if is_fault(error):
        return fault("a photo", error)
    text = _plain(error)
    if _LIMIT.search(text):
        return DamageError(f"beyond a limit of its decoder: {text}", memory)
    if _UNSUPPORTED.search(text):
        return DamageError(f"{NO_IMAGE}: {text}", memory)
    return DamageError(f"truncated or damaged image: {text}", memory)


def _plain(error: Exception) -> str:
    """A decoder's message, unless it holds something of this process or machine."""
    text = str(error).strip()
    if not text or re.search(r"0x[0-9a-fA-F]{4,}|[<>/\\]", text):
        return type(error).__name__
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
