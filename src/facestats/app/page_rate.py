"""The page of a study: raters who have agreed judge one face after another."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.bodies import flag_of, json_body, number_of, text_of
from facestats.app.rating import Rating, Study, read_study, rows_to_rate
from facestats.app.site import Page, Site, make_router, words
from facestats.errors import FaceStatsError
from facestats.labels.traits import MAIN
from facestats.service.answers import JsonResponse
from facestats.service.errors import without_paths

PAGE = Page("rate", "Rate", "/app/rate")
_MOST_BODY = 8192  # bytes


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()
    root = site.state.settings.root
    rating = Rating(root, site.choices)

    @router.get("/app/rate")
    async def rate(request: Request) -> Response:
        shown = await site.shown()
        study: Study | None = None
        problem, faces = None, 0
        try:
            study = await site.work(read_study, root)
            faces = len(await site.work(rows_to_rate, shown))
        except FaceStatsError as error:
            problem = without_paths(str(error), root)
        traits = [(name, words(name) or MAIN) for name in study.traits] if study else []
        return site.page(
            request,
            "rate.html",
            PAGE.key,
            problem=problem,
            study=study,
            file=study.path.relative_to(root).as_posix() if study else "",
            folder=root.resolve().name,
            traits=traits,
            faces=faces,
            consent=site.choices.consent,
            version=shown.version,
        )

    router.include_router(_writing(site, rating))
    return router


def _writing(site: Site, rating: Rating) -> APIRouter:
    """The routes that write."""
    router = make_router()

    @router.post("/app/api/rate/begin")
    async def begin(request: Request) -> JsonResponse:
        site.check_writing()
        body = await json_body(request, site, _MOST_BODY)
        shown = await site.shown()
        who = text_of(body, "rater"), text_of(body, "trait"), flag_of(body, "agreed")
        return JsonResponse(await site.write(rating.begin, shown, *who))

    @router.post("/app/api/rate")
    async def write(request: Request) -> JsonResponse:
        site.check_writing()
        body = await json_body(request, site, _MOST_BODY)
        shown = await site.shown()
        texts = [text_of(body, key) for key in ("rater", "trait", "face")]
        numbers = [number_of(body, key) for key in ("rating", "seconds")]
        again = flag_of(body, "repeat")
        return JsonResponse(await site.write(rating.rate, shown, *texts, *numbers, again))

    @router.post("/app/api/rate/skip")
    async def skip(request: Request) -> JsonResponse:
        return await _of_face(request, rating.skip)

    @router.post("/app/api/rate/undo")
    async def undo(request: Request) -> JsonResponse:
        return await _of_face(request, rating.undo)

    async def _of_face(request: Request, act) -> JsonResponse:
        site.check_writing()
        body = await json_body(request, site, _MOST_BODY)
        shown = await site.shown()
        texts = [text_of(body, key) for key in ("rater", "trait", "face")]
        return JsonResponse(await site.write(act, shown, *texts))

    return router
