"""The page that labels faces by hand: proposed ones, doubtful labels, or a selection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.bodies import flag_of, json_body, text_of
from facestats.app.labelling import LISTS, Attribute, ChangedError, Labelling
from facestats.app.query import Query
from facestats.app.site import Page, Shown, Site, make_router, words
from facestats.errors import FaceStatsError
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, without_paths

PAGE = Page("label", "Label", "/app/label")
_OWN = ("list", "attribute", "face")
_MOST_BODY = 8192  # bytes


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()
    labelling = Labelling(site.state.settings.root, site.state.settings.ethnicity)

    @router.get("/app/label")
    async def label(request: Request) -> Response:
        shown = await site.shown()
        problem, file = None, ""
        attributes: list[Attribute] = []
        try:
            attributes = await site.work(labelling.attributes, shown)
            file = labelling.file().relative_to(labelling.root).as_posix()
        except FaceStatsError as error:
            problem = without_paths(str(error), site.state.settings.root)
        asked = request.query_params
        face = asked.get("face", "")
        which = asked.get("list", "faces" if face else LISTS[0])
        names = [one.name for one in attributes]
        return site.page(
            request,
            "label.html",
            PAGE.key,
            attributes=names,
            attribute=asked.get("attribute") if asked.get("attribute") in names else None,
            which=which if which in LISTS else LISTS[0],
            face=face,
            query="" if face else site.query(request.query_params.multi_items(), _OWN).text,
            problem=problem,
            version=shown.version,
            file=file,
            folder=labelling.root.resolve().name,
        )

    @router.get("/app/api/label")
    async def faces(request: Request) -> JsonResponse:
        shown = await site.shown()
        attribute = await _attribute(
            site, labelling, shown, request.query_params.get("attribute", "")
        )
        which = request.query_params.get("list", LISTS[0])
        face = request.query_params.get("face", "")
        query = Query() if face else site.query(request.query_params.multi_items(), _OWN)

        def work() -> dict[str, Any]:
            row = shown.faces.row(face) if face else None
            if face and row is None:
                raise ServiceError(404, "unknown_face", "the project has no face of that filename")
            rows = [row] if row is not None else labelling.rows(shown, which, attribute.name, query)
            return {
                "title": words(attribute.name),
                "classes": attribute.classes,
                "faces": labelling.faces(shown, rows, attribute.name),
                "version": shown.version,
                "changes": _changes(labelling, shown),
            }

        return JsonResponse(await site.work(work))

    router.include_router(_writing(site, labelling))
    return router


def _writing(site: Site, labelling: Labelling) -> APIRouter:
    """The routes that write."""
    router = make_router()

    @router.post("/app/api/label")
    async def write(request: Request) -> JsonResponse:
        site.check_writing()
        body = await json_body(request, site, _MOST_BODY)
        shown = await site.shown()
        filename = text_of(body, "face")
        if shown.faces.row(filename) is None:
            raise ServiceError(404, "unknown_face", "the project has no face of that filename")
        attribute = await _attribute(site, labelling, shown, text_of(body, "attribute"))
        texts = text_of(body, "label"), text_of(body, "before"), flag_of(body, "new")
        people = text_of(body, "who"), text_of(body, "browser")
        arguments = (shown, filename, attribute, *texts, *people)
        return await _written(shown, labelling.label, *arguments)

    @router.post("/app/api/label/undo")
    async def undo(request: Request) -> JsonResponse:
        site.check_writing()
        body = await json_body(request, site, _MOST_BODY)
        shown = await site.shown()
        people = text_of(body, "who"), text_of(body, "browser")
        return await _written(shown, labelling.undo, shown, text_of(body, "id"), *people)

    async def _written(shown: Shown, act, *arguments: Any) -> JsonResponse:
        try:
            entry = await site.write(act, *arguments)
        except ChangedError as error:
            raise ServiceError(409, "changed_meanwhile", str(error)) from None
        changes = await site.work(_changes, labelling, shown)
        return JsonResponse({"entry": asdict(entry), "changes": changes})

    return router


async def _attribute(site: Site, labelling: Labelling, shown: Shown, name: str) -> Attribute:
    found = [one for one in await site.work(labelling.attributes, shown) if one.name == name]
    if not found:
        raise ServiceError(422, "unknown_attribute", "there is no such attribute to label")
    return found[0]


def _changes(labelling: Labelling, shown: Shown) -> list[dict[str, Any]]:
    return [asdict(entry) for entry in labelling.changes(shown)]
