"""Who may ask: host names, tokens, and web pages."""

from __future__ import annotations

import hmac
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from facestats.service.answers import ErrorResponse
from facestats.service.errors import ServiceError
from facestats.service.settings import LOCAL_NAMES, Settings, is_loopback

OPEN = ("/healthz", "/readyz", "/openapi.json", "/docs")  # without a token: they hold no data
SIGNED_IN = "facestats_signed_in"  # in the scope of a request that another check has let in
_PORT = re.compile(r":\d+$")


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """Host names that requests may be addressed to; None: any.

    On loopback only its own names, or a web page could make a browser ask (DNS rebinding).
    """
    if settings.hosts:
        return frozenset((*LOCAL_NAMES, *(host.lower() for host in settings.hosts)))
    return frozenset((*LOCAL_NAMES, settings.host)) if is_loopback(settings.host) else None


class Access:
    """Lets in requests to a name of this server that carry a token, where tokens are set."""

    def __init__(self, app: ASGIApp, settings: Settings):
        self.app, self.settings, self.hosts = app, settings, allowed_hosts(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = self._refused(scope)
            if refused is not None:
                await ErrorResponse(refused, scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refused(self, scope: Scope) -> ServiceError | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower())
        if self.hosts is not None and host not in self.hosts:
            return ServiceError(
                400,
                "unknown_host",
                "this server does not answer to that Host; --allow-host adds a name",
                body_left=True,
            )
        if b"content-length" in headers and b"transfer-encoding" in headers:
            # A proxy that goes by the other one would take the rest for a request of its own.
            return ServiceError(
                400,
                "two_lengths",
                "send either Content-Length or Transfer-Encoding, not both",
                body_left=True,
            )
        path = scope["path"]
        is_open = path in OPEN or path.startswith("/docs/")
        if self.settings.tokens and not is_open and not scope.get(SIGNED_IN):
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            right = [hmac.compare_digest(given.strip(), token) for token in self.settings.tokens]
            if kind.lower() != b"bearer" or not any(right):
                return ServiceError(
                    401, "unauthorized", "send the header Authorization: Bearer TOKEN", True
                )
        return None
