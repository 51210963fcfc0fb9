"""The page that looks for faces: by a photo, which is not kept, or by words."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.cards import SOURCES, cards_of
from facestats.app.page_faces import meaning_of
from facestats.app.site import Page, Shown, Site, make_router
from facestats.errors import FaceStatsError
from facestats.service.answers import JsonResponse
from facestats.service.errors import without_paths
from facestats.service.faces import MOST_TEXT, search_by_words
from facestats.service.models import Run
from facestats.service.photos import analysis_of, answer_photos
from facestats.service.settings import MEGA

PAGE = Page("find", "Find", "/app/find")
SIMILAR, BY_WORDS = 12, 48


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
        return site.page(
            request,
            "find.html",
            PAGE.key,
            why_no_words=why,
            megabytes=site.state.settings.photo_bytes // MEGA,
            longest=MOST_TEXT,
            version=shown.version if shown else "",
            **meaning_of(run.models),
        )

    @router.post("/app/api/analyze")
    async def analyze(request: Request) -> JsonResponse:
        shown = await site.shown_if_any()

        def finish(run: Run) -> Any:
            of_run = shown if shown and shown.run is run else None  # it may have changed since
            k = SIMILAR if of_run else None
            return lambda face: _card(of_run, analysis_of(face, run, allowed, k))

        return await answer_photos(site.state, request, finish)

    @router.get("/app/api/search")
    async def search(
        request: Request, text: Annotated[str, Query(min_length=1, max_length=MOST_TEXT)]
    ) -> JsonResponse:
        shown = await site.shown()

        def work() -> list[dict[str, Any]]:
            return _similar(shown, search_by_words(shown.run, text, BY_WORDS))

        faces = await site.state.in_time(request, site.state.engine.think(work))
        return JsonResponse({"faces": faces})

    return router


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
