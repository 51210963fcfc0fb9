"""The page that draws average faces: of a filter, of a second one beside it, and between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, get_args
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.composing import (
    NAMES,
    OPTIONS,
    STEPS,
    Composer,
    Wanted,
    check_enough,
    filter_of,
    left_out,
    options_of,
    options_text,
    params_lines,
)
from facestats.app.filter_form import counts_of, form_of
from facestats.app.page_faces import meaning_of
from facestats.app.pictures import picture_response
from facestats.app.query import Query as FacesQuery
from facestats.app.site import Page, Shown, Site, make_router
from facestats.composites.params import Render
from facestats.errors import InputError, number_of
from facestats.pairs.continuum import shares
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError
from facestats.serving.filters import MOST

PAGE = Page("compose", "Compose", "/app/compose")
_OF_PAGE = ("add", "side", "other", "pair", "step", "draw")
_PNG = "image/png"
_CHOICES = {
    name: get_args(Render.model_fields[name].annotation)
    for name in ("align", "space", "mask", "background")
}


class Pair:
    """What an address asks for: one average face, or two, one of which the form is about.

    Parameters
    ----------
    site : Site
    request : Request

    Raises
    ------
    InputError
        A filter, or an option, that can't be read.
    ServiceError
        It asks for ethnicity where the server was started without it.
    """

    def __init__(self, site: Site, request: Request):
        fields = request.query_params.multi_items()
        single = dict(fields)
        self.render = options_of(single)
        self.query = replace(site.query(fields, (*_OF_PAGE, *OPTIONS)), sort="filename")
        self.other: FacesQuery | None = None
        if single.get("pair"):
            try:
                further = parse_qsl(single.get("other", ""), max_num_fields=MOST)
            except ValueError:
                raise InputError("the filter is too long") from None
            self.other = replace(site.query(further), sort="filename")
        self.side = 1 if self.other is not None and single.get("side") == NAMES[1] else 0

    @property
    def queries(self) -> list[FacesQuery]:
        """The first and, where there is one, the second."""
        both = [self.query] if self.other is None else [self.query, self.other]
        return both[::-1] if self.side else both

    @property
    def wanted(self) -> list[Wanted]:
        """What is drawn of these."""
        return [Wanted(query, self.render) for query in self.queries]

    def address(self, at: int, alone: bool = False) -> str:
        """The address of the page whose form is about the first or the second face.

        A second one begins with the filter of the first.
        """
        both = (self.queries * 2)[:2]
        parts = [both[at].text, options_text(self.render)]
        if not alone:
            other = both[1 - at]
            parts.append(urlencode({"pair": 1, "side": NAMES[at], "other": other.text}))
        text = "&".join(part for part in parts if part)
        return f"{PAGE.path}?{text}" if text else PAGE.path

    @property
    def clear(self) -> str:
        """The address of the page with no condition for the face whose form is shown."""
        if self.other is None:
            return PAGE.path
        pair = {"pair": 1, "side": NAMES[self.side], "other": self.other.text}
        return f"{PAGE.path}?{urlencode(pair)}"


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()

    @router.get("/app/compose")
    async def compose(request: Request) -> Response:
        shown, problem = await site.shown(), None
        try:
            pair = Pair(site, request)
            content = await site.work(_content, shown, pair)
        except InputError as error:
            problem = str(error)
            pair = Pair(site, Request({**request.scope, "query_string": b""}))
            content = await site.work(_content, shown, pair)
        added = request.query_params.getlist("add")
        form = await site.work(form_of, shown.faces, pair.query, added)
        return site.page(
            request,
            "compose.html",
            PAGE.key,
            422 if problem else 200,
            pair=pair,
            content=content,
            problem=problem,
            choices=_CHOICES,
            steps=STEPS,
            **form,
            **meaning_of(shown.run.models_of_table),
        )

    _add_drawing(router, site, Composer(site))
    return router


def _add_drawing(router: APIRouter, site: Site, composer: Composer) -> None:
    @router.get("/app/api/compose")
    async def counts(request: Request) -> JsonResponse:
        shown = await site.shown()
        return JsonResponse(await site.work(_content, shown, Pair(site, request)))

    @router.get("/app/api/compose/face")
    async def face(request: Request) -> JsonResponse:
        shown, (wanted, *_) = await site.shown(), Pair(site, request).wanted
        drawn = await site.state.in_time(request, composer.face(shown, wanted))
        picture = f"/app/api/compose/face.png?{_joined(f'v={shown.version}', wanted.text)}"
        turned = [
            f"{number_of(len(names), 'face')} left out: {why.replace('_', ' ')}"
            for why, names in drawn.facts.left_out.items()
        ]
        notes = [*turned, *([drawn.facts.note] if drawn.facts.note else [])]
        return JsonResponse({"n": drawn.facts.n, "notes": notes, "picture": picture})

    @router.get("/app/api/compose/face.png")
    async def face_png(request: Request) -> Response:
        shown, (wanted, *_) = await site.shown(), _pair_of_picture(site, request).wanted
        drawn = await site.state.in_time(request, composer.face(shown, wanted))
        return picture_response(request, drawn.png, _PNG)

    @router.get("/app/api/compose/between")
    async def between(request: Request) -> JsonResponse:
        shown, pair = await site.shown(), Pair(site, request)
        await _between(site, composer, request, shown, pair)
        text = _joined(f"v={shown.version}", pair.address(0).partition("?")[2])
        frames = [f"/app/api/compose/between.png?{text}&step={i}" for i in range(STEPS)]
        return JsonResponse({"pictures": frames, "shares": shares(STEPS)})

    @router.get("/app/api/compose/between.png")
    async def between_png(
        request: Request, step: Annotated[int, Query(ge=0, lt=STEPS)]
    ) -> Response:
        shown, pair = await site.shown(), _pair_of_picture(site, request)
        pictures = await _between(site, composer, request, shown, pair)
        return picture_response(request, pictures[step], _PNG)


async def _between(
    site: Site, composer: Composer, request: Request, shown: Shown, pair: Pair
) -> list[bytes]:
    if len(pair.wanted) != 2:
        raise ServiceError(422, "invalid_request", "there is no second filter")
    return await site.state.in_time(request, composer.between(shown, *pair.wanted))


def _pair_of_picture(site: Site, request: Request) -> Pair:
    """The pair of a picture's address, which names the run, too, for the browser's memory."""
    kept = [(key, text) for key, text in request.query_params.multi_items() if key != "v"]
    return Pair(site, Request({**request.scope, "query_string": urlencode(kept).encode()}))


def _content(shown: Shown, pair: Pair) -> dict[str, Any]:
    """What the page says before anything is drawn."""
    selected = [shown.faces.select(query) for query in pair.queries]
    sides = []
    for name, wanted, found in zip(NAMES, pair.wanted, selected, strict=False):
        why = None
        try:
            filter_of(wanted.query)
            check_enough(found)
        except InputError as error:
            why = str(error)
        sides.append(
            {
                "name": name,
                "counts": counts_of(wanted.query, found.matched, len(found.rows)),
                "hints": found.hints,
                "notes": left_out(found),
                "why": why,
                "address": f"/app/api/compose/face?{wanted.text}",
                "faces": f"/app/faces?{wanted.query.text}",
            }
        )
    lines, why = "", None
    if all(side["why"] is None for side in sides):
        lines, why = params_lines(pair.wanted, selected)
    return {
        "sides": sides,
        "side": pair.side,
        "lines": lines,
        "lines_why": why,
        "address": pair.address(pair.side, alone=pair.other is None),
        "first": pair.address(0),
        "second": pair.address(1),
        "alone": pair.address(0, alone=True),
    }


def _joined(*parts: str) -> str:
    return "&".join(part for part in parts if part)
