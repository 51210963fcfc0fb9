"""Pictures for the pages: thumbnails, which are kept in memory, crops, and photos as JPEG."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.photo_facts import PhotoFacts
from facestats.core.crops import Crops
from facestats.core.layout import CROPS
from facestats.errors import FaceStatsError
from facestats.faces.dedup import shows
from facestats.photos.decode import open_photo
from facestats.photos.source import read_photo
from facestats.serving.manifest import identity
from facestats.serving.models import Models

SIDE = 176  # px of a thumbnail
SHOWN = 1400  # px of the long side of a photo
QUALITY = 82
KEPT_BYTES = 96 << 20  # of thumbnails
BROWSER_SECONDS = 600  # that a browser shows a picture without asking again


class Pictures:
    """Makes pictures beside the event loop, a few at a time.

    Parameters
    ----------
    threads : int
    """

    def __init__(self, threads: int):
        self.pool = ThreadPoolExecutor(threads, "pictures")
        self._kept: OrderedDict[tuple, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def thumbnail(self, facts: PhotoFacts, filename: str) -> bytes | None:
        """A small JPEG of a face; None where its crop is not there, or is of another run."""
        crops = crops_of(facts.models, filename)
        key = (filename, identity(crops.file(filename))) if crops else ()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        data = self.crop(facts, filename)
        if data is None:
            return None
        small = _shrunk(data)
        with self._lock:
            if key not in self._kept:
                self._bytes += len(small)
            self._kept[key] = small
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return small

    def crop(self, facts: PhotoFacts, filename: str) -> bytes | None:
        """The crop's file; None where it is not there, or shows another picture than the run's."""
        crops = crops_of(facts.models, filename)
        if crops is None:
            return None
        try:
            data = crops.read(filename)
            expected = facts.hash_of(filename)
        except (OSError, FaceStatsError):
            return None
        return data if expected is not None and shows(data, expected) else None


def crops_of(models: Models, filename: str) -> Crops | None:
    """The project's crops; None for a name that leads elsewhere, in a table somebody has forged."""
    parts = PurePosixPath(filename)
    if parts.is_absolute() or ".." in parts.parts:
        return None
    return Crops.of(models.root / CROPS)


def photo_jpeg(models: Models, image: str, sha256: str | None) -> bytes | None:
    """A photo of the project, upright and not too large; None where it is not there any more.

    Raises
    ------
    ImageError
        It can't be decoded.
    """
    parts = PurePosixPath(image)
    if parts.is_absolute() or ".." in parts.parts:
        return None
    try:
        data = read_photo(models.root / models.serving["images"] / image)
    except (OSError, FaceStatsError):
        return None
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        return None
    crop = models.serving["crop"]
    photo = open_photo(data, SHOWN, crop["max_pixels"], crop["max_seconds"])
    picture = Image.fromarray(photo.rgb)
    picture.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def picture_response(request: Request, data: bytes, kind: str = "image/jpeg") -> Response:
    """A picture with its ETag; 304 where the browser has it."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"etag": etag, "cache-control": f"private, max-age={BROWSER_SECONDS}"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


def _shrunk(jpeg: bytes) -> bytes:
    """A small JPEG of a square crop."""
    flags: Callable[..., Any] = cv2.imdecode
    pixels = flags(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
    side = max(pixels.shape[:2])
    if side < SIDE:
        pixels = flags(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        side = max(pixels.shape[:2])
    if side > SIDE:
        scale = SIDE / side
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
