"""Reading the photos of a request: limits hold while it is read, and nothing goes to disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from facestats.service.errors import ServiceError, busy
from facestats.service.settings import MEGA, Settings

SINGLE, SEVERAL = "image", "images"  # names of fields
_RAW = ("image/", "application/octet-stream")
_MOST_PARTS = 1000  # of a multipart body, with fields that are passed over
_HEADER_BYTES = 8192  # of one part
_BOUNDARY_BYTES = 70  # RFC 2046


@dataclass
class Upload:
    """The photos of a request.

    Attributes
    ----------
    photos : list of bytes
    several : bool
        Whether they came as a list, which the answer then is, too.
    """

    photos: list[bytes]
    several: bool


@dataclass
class Held:
    """How many bytes of bodies a server holds.

    Attributes
    ----------
    most : int
    bytes : int
        Those held now.
    """

    most: int
    bytes: int = 0

    @contextmanager
    def lease(self) -> Iterator[Callable[[int], None]]:
        """For one request: a function that takes so many bytes more; the end gives all back."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if self.bytes + size > self.most:
                raise busy()
            self.bytes += size
            taken += size

        try:
            yield take
        finally:
            self.bytes -= taken


@dataclass
class _Part:
    name: str | None
    data: bytearray = field(default_factory=bytearray)


class _Multipart:
    """Fields of a multipart body, as far as they are photos, in memory."""

    def __init__(self, boundary: bytes, settings: Settings):
        self.settings = settings
        self.photos: list[tuple[str, bytes]] = []
        self.ended = False
        self._parts = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._part = _Part(None)
        self._parser = MultipartParser(
            boundary,
            {  # type: ignore[arg-type]
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._grow(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._grow(1, data[start:end]),
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise malformed() from None

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise too_many(self.settings)
        self._part, self._header = _Part(None), (bytearray(), bytearray())

    def _grow(self, which: int, data: bytes) -> None:
        self._header[which].extend(data)
        if sum(map(len, self._header)) > _HEADER_BYTES:
            raise malformed()

    def _header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            options = parse_options_header(bytes(value))[1]
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header = (bytearray(), bytearray())

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.name not in (SINGLE, SEVERAL):
            return
        if len(self.photos) == self.settings.photos:
            raise too_many(self.settings)
        self._part.data += data[start:end]
        check_size(len(self._part.data), self.settings)

    def _end(self) -> None:
        if self._part.name in (SINGLE, SEVERAL):
            if len(self.photos) == self.settings.photos:
                raise too_many(self.settings)
            self.photos.append((self._part.name, bytes(self._part.data)))
            self._part = _Part(None)

    def _finish(self) -> None:
        self.ended = True


def check_size(size: int, settings: Settings) -> None:
    """Refuse a photo that is too large."""
    if size > settings.photo_bytes:
        raise ServiceError(
            413,
            "photo_too_large",
            f"a photo may have {settings.photo_bytes / MEGA:g} MB",
            body_left=True,
        )


def malformed() -> ServiceError:
    """The error of a body that is no multipart body."""
    return ServiceError(400, "malformed_body", "the multipart body is malformed", body_left=True)


def too_many(settings: Settings) -> ServiceError:
    """The error of a request with too many photos."""
    return ServiceError(
        413, "too_many_photos", f"a request may have {settings.photos} photos", body_left=True
    )


async def read_photos(request: Request, settings: Settings, take: Callable[[int], None]) -> Upload:
    """Read the photos of a request: a multipart body, or one photo as the whole body.

    Parameters
    ----------
    request : Request
    settings : Settings
        Its limits.
    take : callable
        Told of the bytes that are read, as `Held.lease` gives it.

    Raises
    ------
    ServiceError
        A limit is passed, a field is missing, or the body is no photo by its type.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    kind = kind.decode("latin-1").lower()
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.request_bytes:
        raise _request_too_large(settings)
    if kind == "multipart/form-data":
        boundary = options.get(b"boundary")
        if not boundary or len(boundary) > _BOUNDARY_BYTES:
            raise malformed()
        form = _Multipart(boundary, settings)
        await _within(settings, _read(request, settings, take, form.feed))
        return _uploaded(form)
    if kind and not kind.startswith(_RAW) and kind != "application/x-www-form-urlencoded":
        raise ServiceError(
            415,
            "unsupported_type",
            f"Content-Type {kind!a} is not possible: send a photo as multipart/form-data in the "
            "field image, or as the body with image/jpeg or application/octet-stream",
            body_left=True,
        )
    body = bytearray()

    def feed(chunk: bytes) -> None:
        body.extend(chunk)
        check_size(len(body), settings)

    await _within(settings, _read(request, settings, take, feed))
    if not body:
        raise ServiceError(400, "no_photo", "the body is empty: it must hold a photo")
    return Upload([bytes(body)], several=False)


def _uploaded(form: _Multipart) -> Upload:
    if not form.ended:
        raise malformed()
    names = [name for name, _ in form.photos]
    if not names:
        raise ServiceError(
            400, "no_photo", "no photo: put it into the field image, several into images"
        )
    if names.count(SINGLE) > 1 or len(set(names)) > 1:
        raise ServiceError(
            400, "one_photo", "the field image holds one photo: put several into images"
        )
    return Upload([data for _, data in form.photos], several=names[0] == SEVERAL)


def _request_too_large(settings: Settings) -> ServiceError:
    return ServiceError(
        413,
        "request_too_large",
        f"a request may have {settings.request_bytes / MEGA:g} MB",
        body_left=True,
    )


async def _within(settings: Settings, reading) -> None:
    try:
        async with asyncio.timeout(settings.body_seconds):
            await reading
    except TimeoutError:
        raise ServiceError(
            400,
            "slow_body",
            f"the body did not arrive within {settings.body_seconds:g} s",
            body_left=True,
        ) from None


async def _read(
    request: Request,
    settings: Settings,
    take: Callable[[int], None],
    feed: Callable[[bytes], None],
) -> None:
    size = 0
    async for chunk in _chunks(request):
        size += len(chunk)
        if size > settings.request_bytes:
            raise _request_too_large(settings)
        take(len(chunk))
        feed(chunk)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise ServiceError(499, "hung_up", "the client has hung up") from None


async def read_small(request: Request, settings: Settings, most: int) -> bytes:
    """Read a small body.

    Raises
    ------
    ServiceError
        It has more than `most` bytes, or comes too slowly.
    """
    body = bytearray()

    async def read() -> None:
        async for chunk in _chunks(request):
            body.extend(chunk)
            if len(body) > most:
                raise ServiceError(
                    413, "request_too_large", f"the body may have {most} bytes", body_left=True
                )

    await _within(settings, read())
    return bytes(body)
