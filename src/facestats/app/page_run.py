"""The page of the run: metrics, fairness and limits as the report has them, and what DVC says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.blocks import LinkedAlbum, plot_file
from facestats.app.dvc_says import DvcSays
from facestats.app.page_faces import meaning_of
from facestats.app.pictures import picture_response
from facestats.app.site import Page, Site, make_router
from facestats.app.uncommitted import warnings_by_hand
from facestats.core.files import read_json
from facestats.core.layout import METRICS, SERVING
from facestats.errors import FaceStatsError
from facestats.report.blocks import Section
from facestats.report.document import METRICS as SECTIONS
from facestats.report.document import summary
from facestats.report.material import read_run
from facestats.report.section_traits import traits
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, without_paths
from facestats.serving.run_manifest import why_of_another_run

PAGE = Page("run", "Run", "/app/run")
_OPEN = ("crossvalidation", "scores", "groups")  # sections that are not folded
_SAMPLE = Path("data", "sample")


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()
    root = site.state.settings.root
    dvc = DvcSays(root)

    @router.get("/app/run")
    async def run(request: Request) -> Response:
        sections, why = await site.work(_sections, root)
        return site.page(
            request,
            "run.html",
            PAGE.key,
            sections=sections,
            why=why,
            by_hand=await site.work(warnings_by_hand, root),
            album=LinkedAlbum(root),
            open_=_OPEN,
            about=meaning_of(site.state.run().models)["about"],
        )

    @router.get("/app/api/run/stale")
    async def stale() -> JsonResponse:
        return JsonResponse((await site.work(dvc.stale)).to_dict())

    @router.get("/app/api/run/experiments")
    async def experiments() -> JsonResponse:
        return JsonResponse((await site.work(dvc.experiments)).to_dict())

    @router.get("/app/plot/{name:path}")
    async def plot(request: Request, name: str) -> Response:
        data = await site.work(plot_file, root, name)
        if data is None:
            raise ServiceError(404, "no_plot", "there is no such plot")
        return picture_response(request, data, "image/png")

    return router


def _sections(root: Path) -> tuple[list[Section], str | None]:
    """The report's sections on metrics, and why they may not be those of the models."""
    try:
        why = why_of_another_run(root)
        images = Path(_images(root))
        run = read_run(root / METRICS, root / SERVING, images, _SAMPLE).plain()
        sections: list[Any] = [summary(run), *(section(run) for section in SECTIONS), traits(run)]
        return [section for section in sections if section is not None], why
    except FaceStatsError as error:
        return [], without_paths(str(error), root)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return [], f"metrics/ holds what no run writes ({type(error).__name__}); run `dvc repro`"


def _images(root: Path) -> str:
    return str(read_json(root / SERVING)["images"])
