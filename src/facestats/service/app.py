"""The application: routes, access, errors, and the life of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits

from facestats import __version__
from facestats.errors import FaceStatsError
from facestats.faces.runtime import keep_freed_memory
from facestats.service import schemas
from facestats.service.access import Access
from facestats.service.answers import ErrorResponse, JsonResponse
from facestats.service.engine import Engine
from facestats.service.errors import ServiceError, from_library
from facestats.service.faces import face_routes
from facestats.service.metrics import Metrics
from facestats.service.models import CurrentRun
from facestats.service.observing import Observing, write_line
from facestats.service.photos import photo_routes
from facestats.service.reading import Held
from facestats.service.settings import Settings
from facestats.service.state import State
from facestats.serving.filters import listed
from facestats.serving.parts import Encoding

Responses = dict[int | str, dict[str, Any]]
STATUSES = {
    400: "The request is malformed, or comes too slowly",
    401: "No token, or a wrong one",
    404: "There is nothing of that name",
    413: "A limit of size or number is passed",
    415: "This is no picture",
    422: "A parameter or photo that can't be used",
    429: "Too many photos are waiting",
    503: "Models are missing, or it took too long",
}
PAGES = {"docs.html": "text/html", "docs.js": "text/javascript", "docs.css": "text/css"}


def make_app(settings: Settings, extend: Callable[[FastAPI, State], None] | None = None) -> ASGIApp:
    """The application of a server, which loads its models when it starts.

    Parameters
    ----------
    settings : Settings
    extend : callable, optional
        Adds routes of its own.
    """
    metrics = Metrics()
    state = State(
        settings,
        metrics,
        Engine(settings, metrics),
        CurrentRun(
            settings.root,
            Encoding(settings.batch_size, settings.precision),
            settings.threads,
            settings.padding,
        ),
        Held(settings.held_bytes),
    )
    errors: Responses = {
        status: {"model": schemas.ErrorAnswer, "description": text}
        for status, text in STATUSES.items()
    }
    app = FastAPI(
        title="FaceStats",
        version=__version__,
        description=schemas.ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _life(state),
    )
    app.include_router(photo_routes(state), responses=errors)
    app.include_router(face_routes(state), responses=errors)
    _own_routes(app, state)
    _error_handlers(app, settings.root)
    app.add_middleware(Access, settings=settings)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if extend is not None:
        extend(app, state)
    _describe(app)
    return Observing(app, metrics, lambda: state.engine.queued)


@asynccontextmanager
async def _life(state: State) -> AsyncIterator[None]:
    keep_freed_memory()
    with threadpool_limits(1, "blas"):  # sums of more threads differ in their last bits
        watch = asyncio.create_task(_watch(state))
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await asyncio.to_thread(state.engine.close)


async def _watch(state: State) -> None:
    """Load the models, and look for new ones from then on."""
    last_problem = ""
    while True:
        try:
            if await asyncio.to_thread(state.current.update):
                models = state.run().models
                state.engine.start_decoder(models)
                clip = models.serving["clip"]
                state.metrics.set_model(
                    variant=clip["variant"],
                    weights_sha256=clip["weights_sha256"],
                    precision=models.encoder.precision,
                    trained=str(models.serving["trained"]).lower(),
                    faces=str(len(models.images)) if models.parts.has("faces") else "0",
                )
                write_line(event="models loaded", variant=clip["variant"])
                last_problem = ""
        except Exception as error:
            if str(error) != last_problem:
                last_problem = str(error)
                write_line(event="models not loaded", error=last_problem)
        await asyncio.sleep(state.settings.watch_seconds)


def _own_routes(app: FastAPI, state: State) -> None:
    health: Responses = {200: {"model": schemas.Health}}
    unready: Responses = {
        503: {"model": schemas.ErrorAnswer, "description": "models are being loaded"}
    }

    @app.get("/healthz", summary="Whether the process answers", responses=health)
    async def healthz() -> JsonResponse:
        return JsonResponse({"status": "ok"})

    @app.get("/readyz", summary="Whether models are loaded", responses={**health, **unready})
    async def readyz() -> JsonResponse:
        state.run()
        return JsonResponse({"status": "ready"})

    @app.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, 401: {"model": schemas.ErrorAnswer}},
    )
    async def figures() -> Response:
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4")

    for path, name in (
        ("/docs", "docs.html"),
        ("/docs/docs.js", "docs.js"),
        ("/docs/docs.css", "docs.css"),
    ):
        app.get(
            path,
            summary="This interface as a page",
            response_class=Response,
            responses={200: {"content": {PAGES[name]: {}}}},
            include_in_schema=path == "/docs",
        )(_page(name))


def _page(name: str) -> Any:
    content = resources.files("facestats.service").joinpath(name).read_bytes()

    async def page() -> Response:
        return Response(content, media_type=PAGES[name])

    return page


def _error_handlers(app: FastAPI, root: Path) -> None:
    @app.exception_handler(ServiceError)
    async def of_service(request: Request, error: ServiceError) -> Response:
        return ErrorResponse(error, request.scope)

    @app.exception_handler(FaceStatsError)
    async def of_library(request: Request, error: FaceStatsError) -> Response:
        return ErrorResponse(from_library(error, root), request.scope)

    @app.exception_handler(RequestValidationError)
    async def of_parameters(request: Request, error: RequestValidationError) -> Response:
        return ErrorResponse(
            ServiceError(422, "invalid_request", listed(error.errors()), True), request.scope
        )

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "http")
        answer = ErrorResponse(
            ServiceError(error.status_code, code, str(error.detail), True), request.scope
        )
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def of_fault(request: Request, error: Exception) -> Response:
        return ErrorResponse(
            ServiceError(500, "internal", "an error of the server; its log has more"), request.scope
        )


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what no signature says."""
    document = app.openapi()
    schemas_ = document["components"]["schemas"]
    request = schemas.CompositeRequest.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    schemas_.update(request.pop("$defs", {}))
    schemas_["CompositeRequest"] = request
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    app.openapi_schema = document
