"""One line of JSON a request, its number, and what is counted of it."""

from __future__ import annotations

import json
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facestats.service.answers import ID, SAFE
from facestats.service.metrics import Metrics

_GIVEN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
NO_ROUTE = "(none)"


def write_line(**fields: Any) -> None:
    """Write one line of the log."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields}
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    sys.stdout.flush()


class Observing:
    """Numbers, times, counts and logs each request; photos and their names are never logged.

    Parameters
    ----------
    app : ASGIApp
    metrics : Metrics
    queued : callable
        Gives the number of photos that wait or are worked on.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, queued: Callable[[], int]):
        self.app, self.metrics, self.queued = app, metrics, queued

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        scope[ID] = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        started, status, queued = time.perf_counter(), 499, self.queued()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                own = {name for name, _ in headers}
                extra = {**SAFE, "x-request-id": scope[ID]}
                message["headers"] = headers + [
                    (name.encode(), value.encode())
                    for name, value in extra.items()
                    if name.encode() not in own
                ]
            await send(message)

        error: dict[str, str] = {}
        try:
            await self.app(scope, receive, observed)
        except Exception as problem:
            status = 500 if status == 499 else status
            error = {"error": "".join(traceback.format_exception(problem))}
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            write_line(
                route=route,
                method=scope["method"],
                status=status,
                ms=round(1000 * seconds, 1),
                queue=queued,
                request_id=scope[ID],
                **error,
            )
