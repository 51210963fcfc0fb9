"""Running a server until it is told to end."""

from __future__ import annotations

import signal
import sys

import uvicorn

from facestats.service.app import make_app
from facestats.service.settings import Settings

GRACE_SECONDS = 30  # for requests that have begun, after SIGTERM
_LONGEST_HEAD = (
    1 << 18
)  # bytes of a request line and headers: a text of 10,000 words gets an answer


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that have begun are finished."""
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it anew when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        make_app(settings),
        host=settings.host,
        port=settings.port,
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=15,
    )
