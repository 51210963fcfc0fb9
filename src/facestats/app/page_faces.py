"""The page of all faces: a grid, a filter, and the pictures of both."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.cards import below, cards_of
from facestats.app.filter_form import counts_of, form_of
from facestats.app.photo_facts import PhotoFacts
from facestats.app.pictures import picture_response
from facestats.app.query import Query as FacesQuery
from facestats.app.site import Page, Shown, Site, make_router
from facestats.errors import InputError
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError
from facestats.service.schemas import about_scores
from facestats.serving.models import Models

PAGE = Page("faces", "Faces", "/app/faces")
FIRST = 60  # faces that the page itself holds
MOST = 400  # of one answer
_OF_PAGE = ("offset", "limit", "add")
Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=MOST)]


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()

    @router.get("/app/faces")
    async def faces(request: Request) -> Response:
        shown = await site.shown()
        problem = None
        try:
            query = site.query(request.query_params.multi_items(), _OF_PAGE)
            page = await site.work(page_of, shown, query, 0, FIRST)
        except InputError as error:
            query, problem = FacesQuery(), str(error)
            page = await site.work(page_of, shown, query, 0, 0)
        added = request.query_params.getlist("add")
        values = await site.work(_form, shown, query, added)
        return site.page(
            request,
            "faces.html",
            PAGE.key,
            422 if problem else 200,
            query=query,
            page=page,
            problem=problem,
            **meaning_of(shown.run.models_of_table),
            **values,
        )

    @router.get("/app/api/faces")
    async def rows(request: Request, offset: Offset = 0, limit: Limit = 100) -> JsonResponse:
        shown = await site.shown()
        return JsonResponse(
            await site.work(
                page_of,
                shown,
                site.query(request.query_params.multi_items(), _OF_PAGE),
                offset,
                limit,
            )
        )

    @router.get("/app/thumbnail/{filename:face}")
    async def thumbnail(request: Request, filename: str) -> Response:
        shown = await site.shown()
        return await _picture(site, request, shown, filename, site.pictures.thumbnail)

    @router.get("/app/crop/{filename:face}")
    async def crop(request: Request, filename: str) -> Response:
        shown = await site.shown()
        return await _picture(site, request, shown, filename, site.pictures.crop)

    return router


def page_of(shown: Shown, query: FacesQuery, offset: int, limit: int) -> dict[str, Any]:
    """A page of faces as JSON has it."""
    found = shown.faces.select(query)
    rows = found.rows[offset : offset + limit]
    return {
        "total": len(found.rows),
        "offset": offset,
        "query": query.text,
        "version": shown.version,
        "counts": counts_of(query, found.matched, len(found.rows)),
        "hints": found.hints,
        "below": below(shown, query.sort),
        "faces": cards_of(shown, rows, query.sort),
    }


def meaning_of(models: Models) -> dict[str, Any]:
    """What the run's scores are (`about`), and what is doubtful about them (`notes`)."""
    about = about_scores(models.age_check)
    if models.serving["trained"]:
        notes = [str(verdict["text"]) for verdict in models.verdicts.values() if verdict["text"]]
        return {"about": about, "notes": notes}
    none = f"no regressor was trained ({models.serving['why']})"
    if models.traits:
        return {"about": about, "notes": [f"No scores of the main rating: {none}"]}
    return {"about": f"This run has no scores: {none}.", "notes": []}


def _form(shown: Shown, query: FacesQuery, added: list[str]) -> dict[str, Any]:
    known = [name for name in shown.faces.columns if shown.faces.facet(name).has_values]
    first = ["filename", *shown.faces.scores, "age_final", "sharpness"]
    chosen = query.sort.removeprefix("-")
    there = {chosen, *known}
    return {
        **form_of(shown.faces, query, added),
        "sorts": [name for name in dict.fromkeys([*first, chosen, *known]) if name in there],
        "total": len(shown.faces),
    }


async def _picture(
    site: Site, request: Request, shown: Shown, filename: str, make: Any
) -> Response:
    if shown.faces.row(filename) is None:
        raise ServiceError(404, "unknown_face", "the project has no face of that filename")

    def read(facts: PhotoFacts) -> bytes | None:
        return make(facts, filename)

    data = await site.work(read, shown.facts)
    if data is None:
        raise ServiceError(404, "no_crop", "this server has the face's row, but no picture")
    return picture_response(request, data)
