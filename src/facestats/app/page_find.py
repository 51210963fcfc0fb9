"""The page that looks for faces: by a photo, which is not kept, or by words; all, or some."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.cards import SOURCES, cards_of
from facestats.app.filter_form import form_of
from facestats.app.page_faces import meaning_of
from facestats.app.query import Query as FacesQuery
from facestats.app.site import Page, Shown, Site, make_router
from facestats.errors import FaceStatsError, InputError
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, without_paths
from facestats.service.faces import MOST_TEXT, search_by_words
from facestats.service.filtering import Allowed, check_names, every
from facestats.service.models import Run
from facestats.service.photos import analysis_of, answer_photos
from facestats.service.settings import MEGA

PAGE = Page("find", "Find", "/app/find")
SIMILAR, BY_WORDS = 12, 48
_OF_PAGE = ("add", "text")


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()
    allowed = site.state.settings.ethnicity

    @router.get("/app/find")
    async def find(request: Request) -> Response:
        run, shown = site.state.run(), await site.shown_if_any()
        missing = run.text if isinstance(run.text, FaceStatsError) else run.faces
        why = (
            without_paths(str(missing), run.models.root)
            if isinstance(missing, FaceStatsError)
            else None
        )
        query, problem = _query_or_problem(site, request)
        added = request.query_params.getlist("add")
        return site.page(
            request,
            "find.html",
            PAGE.key,
            422 if problem else 200,
            problem=problem,
            query=query,
            form=await site.work(form_of, shown.faces, query, added) if shown else None,
            why_no_words=why,
            megabytes=site.state.settings.photo_bytes // MEGA,
            longest=MOST_TEXT,
            version=shown.version if shown else "",
            **meaning_of(run.models),
        )

    @router.post("/app/api/analyze")
    async def analyze(request: Request) -> JsonResponse:
        query, shown = _query(site, request), await site.shown_if_any()

        def finish(run: Run) -> Any:
            of_run = shown if shown and shown.run is run else None  # it may have changed since
            k, among = (SIMILAR, _among(of_run, query)) if of_run else (None, every)
            return lambda face: _card(of_run, analysis_of(face, run, allowed, k, among))

        return await answer_photos(site.state, request, finish)

    @router.get("/app/api/search")
    async def search(
        request: Request, text: Annotated[str, Query(min_length=1, max_length=MOST_TEXT)]
    ) -> JsonResponse:
        query, shown = _query(site, request), await site.shown()

        def work() -> list[dict[str, Any]]:
            found = search_by_words(shown.run, text, BY_WORDS, _among(shown, query))
            return _similar(shown, found)

        faces = await site.state.in_time(request, site.state.engine.think(work))
        return JsonResponse({"faces": faces})

    return router


def _query(site: Site, request: Request) -> FacesQuery:
    """The filter of an address; a ServiceError where it can't be read, before any body is."""
    try:
        return site.query(request.query_params.multi_items(), _OF_PAGE)
    except InputError as error:
        raise ServiceError(422, "invalid_request", str(error), body_left=True) from None


def _query_or_problem(site: Site, request: Request) -> tuple[FacesQuery, str | None]:
    """The filter of an address, or none and what is wrong with it."""
    try:
        return _query(site, request), None
    except ServiceError as error:
        return FacesQuery(), error.message


def _among(shown: Shown, query: FacesQuery) -> Allowed:
    """What says which faces a query finds; without conditions all."""
    if not query.text:
        return every

    def allowed() -> np.ndarray:
        check_names(shown.run)
        found = shown.faces.select(query)
        if not len(found.rows):
            raise InputError("; ".join(["the filter leaves no face", *found.hints]))
        return shown.run.models.neighbours.names.isin(shown.faces.names(found.rows))

    return allowed


def _card(shown: Shown | None, analysis: dict[str, Any]) -> dict[str, Any]:
    """An analysis as the page shows it: without the embedding, with cards of similar faces."""
    kept = {name: value for name, value in analysis.items() if name != "embedding"}
    for name, value in (kept["attributes"] or {}).items():
        if name.endswith("_source") and value is not None:
            kept["attributes"][name] = SOURCES.get(value, value)
    rows = analysis["similar"] or []
    return {**kept, "similar": _similar(shown, rows) if shown else []}


def _similar(shown: Shown, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pairs = [
        (at, row["similarity"])
        for row in rows
        if shown.run.names_agree  # else they are other people's until the run has ended
        and (at := shown.faces.row(row["filename"])) is not None
    ]
    cards = cards_of(shown, np.array([at for at, _ in pairs], np.int32))
    return [
        {**card, "line": f"{similarity:.3f}"}
        for card, (_, similarity) in zip(cards, pairs, strict=True)
    ]
