"""Who may use the pages: a signed-in browser where tokens are set; and what changes something comes
from a page of this server.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from facestats.service.access import SIGNED_IN
from facestats.service.answers import ErrorResponse
from facestats.service.errors import ServiceError

COOKIE = "facestats_app"
CSRF = "x-csrf-token"
SIGN_IN = "/app/sign-in"
STATIC = "/app/static/"
_SAFE = ("GET", "HEAD", "OPTIONS")
_PAGES = ("/", "/app")


class Gate:
    """Lets browsers in.

    Parameters
    ----------
    tokens : tuple of bytes
        As in the service's `Settings`; none: everybody is let in.
    """

    def __init__(self, tokens: tuple[bytes, ...]):
        self.tokens = tokens
        self.csrf = secrets.token_urlsafe(32)

    def session(self, token: bytes) -> str:
        """The cookie's value for a token: who has it does not know the token."""
        return hmac.new(token, b"a session of the pages", hashlib.sha256).hexdigest()

    def session_of(self, given: str) -> str | None:
        """The cookie's value for what somebody typed; None where it is no token."""
        right = [
            token for token in self.tokens if hmac.compare_digest(token, given.strip().encode())
        ]
        return self.session(right[0]) if right else None

    def is_signed_in(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request carries the cookie of a token."""
        given = _cookie(headers.get(b"cookie", b""))
        right = [hmac.compare_digest(self.session(token).encode(), given) for token in self.tokens]
        return any(right)

    def check_origin(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a request that a page of somebody else makes a browser send.

        Raises
        ------
        ServiceError
        """
        site = headers.get(b"sec-fetch-site", b"same-origin")
        origin = headers.get(b"origin")
        host = headers.get(b"host", b"").decode("latin-1")
        foreign = origin is not None and _host(origin.decode("latin-1")) != host
        if site != b"same-origin" or foreign:
            raise ServiceError(403, "foreign_page", "only a page of this server may ask that", True)

    def check_token(self, headers: dict[bytes, bytes]) -> None:
        """Refuse a request without the token that this server's pages carry.

        Raises
        ------
        ServiceError
        """
        given = headers.get(CSRF.encode(), b"")
        if not hmac.compare_digest(given, self.csrf.encode()):
            raise ServiceError(403, "stale_page", "reload the page: the server has restarted", True)


class GateMiddleware:
    """Applies a gate to the pages' routes."""

    def __init__(self, app: ASGIApp, gate: Gate):
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path in _PAGES or path.startswith("/app/")):
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        open_ = path == SIGN_IN or path.startswith(STATIC)
        if open_ or self.gate.is_signed_in(headers):
            scope[SIGNED_IN] = True
        elif self.gate.tokens and b"authorization" not in headers and _is_page(scope, headers):
            words = scope["query_string"].decode("latin-1")
            asked = quote(path) + (f"?{words}" if words else "")
            answer = RedirectResponse(f"{SIGN_IN}?to={quote(asked, safe='')}", 303)
            await answer(scope, receive, send)
            return
        if scope["method"] not in _SAFE:
            try:
                self.gate.check_origin(headers)
                if path != SIGN_IN:
                    self.gate.check_token(headers)
            except ServiceError as error:
                await ErrorResponse(error, scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _cookie(header: bytes) -> bytes:
    """The value of this app's cookie, which holds no quotes; `http.cookies` takes minutes to read
    backslashes that somebody sends.
    """
    pairs = (part.strip().partition(b"=") for part in header.split(b";"))
    return next((value for name, _, value in pairs if name == COOKIE.encode()), b"")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_page(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b"")
