"""Running a server until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import sys

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from facestats.service.app import make_app
from facestats.service.settings import Settings

GRACE_SECONDS = 30  # for requests that have begun, after SIGTERM
_LONGEST_HEAD = (
    1 << 18
)  # bytes of a request line and headers: a text of 10,000 words gets an answer


class Protocol(H11Protocol):
    """uvicorn's, which also ends a connection whose request does not begin in time."""

    head_seconds = 30.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request. Behind an answer it gets none, and ends the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
            if self.cycle is not None:  # its answer, under way for a head that was whole, is not
                self.cycle.disconnected = True  # sent any more: h11 would raise LocalProtocolError
                self.cycle.message_event.set()
        elif self.conn.our_state is not h11.SEND_BODY:
            self.transport.close()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:  # its head is here
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def serve(settings: Settings, app: ASGIApp | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests that have begun are finished.

    Parameters
    ----------
    settings : Settings
    app : ASGI application, optional
        By default that of the service.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it anew when it has ended
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        app or make_app(settings),
        host=settings.host,
        port=settings.port,
        http=type("Protocol", (Protocol,), {"head_seconds": settings.body_seconds}),
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=15,
    )
