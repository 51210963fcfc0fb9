"""Signing in, the start page, static files, the token of pages, and pages for errors."""

from __future__ import annotations

import hashlib
from importlib import resources
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from facestats.app.gate import COOKIE, SIGN_IN
from facestats.app.page_faces import PAGE as START
from facestats.app.site import Site, make_router
from facestats.errors import FaceStatsError
from facestats.report.prose import TEMPLATES as REPORT
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, from_library
from facestats.service.reading import read_small

KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
TOKENS = "tokens.css"  # the report's, shared
_MOST_FORM = 4096  # bytes
_NO_PAGES = ("/app/api/", "/app/static/", "/app/thumbnail/", "/app/crop/", "/app/photo/")


def routes(site: Site) -> APIRouter:
    """The routes."""
    router = make_router()
    files = static_files()

    @router.get("/")
    @router.get("/app")
    @router.get("/app/")
    async def start() -> Response:
        return RedirectResponse(START.path, 303)

    @router.get("/app/static/{name}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise ServiceError(404, "no_such_route", "Not Found")
        data, etag = files[name]
        headers = {"etag": etag, "cache-control": "no-cache"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = KINDS[name.rpartition(".")[2]]
        return Response(data, media_type=kind, headers=headers)

    @router.get("/app/api/token")
    async def token() -> JsonResponse:
        return JsonResponse({"token": site.gate.csrf})

    @router.get(SIGN_IN)
    async def sign_in(request: Request, to: str = START.path) -> Response:
        return site.page(request, "sign_in.html", to=_own(to), wrong=False)

    @router.post(SIGN_IN)
    async def signed_in(request: Request) -> Response:
        body = await read_small(request, site.state.settings, _MOST_FORM)
        form = parse_qs(body.decode("utf-8", "replace"))
        to = _own(form.get("to", [START.path])[0])
        session = site.gate.session_of(form.get("token", [""])[0])
        if session is None:
            return site.page(request, "sign_in.html", status=401, to=to, wrong=True)
        answer = RedirectResponse(to, 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, session, path="/", httponly=True, samesite="lax", secure=secure)
        return answer

    @router.post("/app/sign-out")
    async def sign_out() -> Response:
        answer = JsonResponse({"signed_in": False})
        answer.delete_cookie(COOKIE, path="/")
        return answer

    return router


def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and ETag of each static file."""
    files = {
        each.name: each.read_bytes()
        for each in (resources.files("facestats.app") / "static").iterdir()
        if each.name.rpartition(".")[2] in KINDS
    }
    files[TOKENS] = (REPORT / TOKENS).read_bytes()
    return {
        name: (data, f'"{hashlib.sha256(data).hexdigest()[:32]}"') for name, data in files.items()
    }


def add_error_pages(app: FastAPI, site: Site) -> None:
    """Show errors of pages as pages; all others stay as the service has them."""
    for kind in (ServiceError, FaceStatsError):
        app.add_exception_handler(kind, _as_page(app.exception_handlers[kind], site))


def _as_page(before, site: Site):
    async def handle(request: Request, error: Exception) -> Response:
        path = request.url.path
        is_page = path.startswith("/app/") and not path.startswith(_NO_PAGES)
        if not is_page:
            return await before(request, error)
        if isinstance(error, FaceStatsError):
            error = from_library(error, site.state.settings.root)
        assert isinstance(error, ServiceError)
        loading = error.code == "not_ready"
        answer = site.page(
            request, "error.html", status=error.status, message=error.message, loading=loading
        )
        if loading:
            answer.headers["refresh"] = "1"
        if error.body_left:  # who sends on and on does not keep the connection
            answer.headers["connection"] = "close"
        return answer

    return handle


def _own(to: str) -> str:
    """A path of this server, whatever the address says."""
    return to if to.startswith("/app/") and "\\" not in to else START.path
