"""Small JSON bodies of requests of the pages."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from facestats.app.site import Site
from facestats.service.errors import ServiceError
from facestats.service.reading import read_small

_LONGEST = 4096  # characters of a text


async def json_body(request: Request, site: Site, most: int) -> dict[str, Any]:
    """The object of a request's body; raises `ServiceError` where it is none."""
    body = await read_small(request, site.state.settings, most)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ServiceError(422, "invalid_request", "the body is no JSON object")
    return content


def text_of(body: dict[str, Any], key: str) -> str:
    """A text of the body, empty where it is not there; surrogates are refused."""
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > _LONGEST or not _is_unicode(value):
        raise ServiceError(422, "invalid_request", f"{key}: expected a text")
    return value


def flag_of(body: dict[str, Any], key: str) -> bool:
    """A yes or no of the body; no where it is not there."""
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise ServiceError(422, "invalid_request", f"{key}: expected true or false")
    return value


def number_of(body: dict[str, Any], key: str) -> float:
    """A finite number of the body."""
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise ServiceError(422, "invalid_request", f"{key}: expected a number")
    return float(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
