"""Answers as JSON, with the request's number; errors in one envelope."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facestats.service.errors import RETRY_SECONDS, ServiceError

ID = "facestats_request_id"  # in a request's scope
DRAIN_SECONDS = 5.0  # that the rest of a refused body is read and thrown away
SAFE = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",  # no page elsewhere shows a face as its picture
    "referrer-policy": "no-referrer",
}


class _FaceConvertor(PathConvertor):
    """A face's filename in a route, `{filename:face}`: a path, in which a line may end."""

    regex = "(?s:.*)"


register_url_convertor("face", _FaceConvertor())


class JsonResponse(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()


class ErrorResponse(JsonResponse):
    """The envelope of an error.

    Where the body was not read to its end, the rest is thrown away for a while after the answer was
    sent: a client that still writes would otherwise see a broken connection instead of the answer.
    """

    def __init__(self, error: ServiceError, scope: Scope):
        self.body_left = error.body_left
        headers = {"retry-after": str(RETRY_SECONDS)} if error.status in (429, 503) else {}
        if error.status == 401:
            headers["www-authenticate"] = "Bearer"
        if error.body_left:
            headers["connection"] = "close"
        content = {"error": error.content(), "request_id": scope.get(ID, "")}
        super().__init__(content, error.status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.body_left:
            await super().__call__(scope, receive, send)
            return
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        break
        await send({"type": "http.response.body", "body": b"", "more_body": False})
