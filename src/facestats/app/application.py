"""The pages' application: the service's, with routes of its own."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from facestats.app import (
    page_compose,
    page_entrance,
    page_face,
    page_faces,
    page_find,
    page_label,
    page_map,
    page_rate,
    page_run,
)
from facestats.app.gate import Gate, GateMiddleware
from facestats.app.site import Choices, Site
from facestats.service.app import make_app
from facestats.service.settings import Settings
from facestats.service.state import State

# In the order of the navigation; each has `PAGE` and `routes(site)`.
PAGES = (page_faces, page_find, page_map, page_compose, page_label, page_rate, page_run)
FURTHER = (page_face, page_entrance)  # routes without a place in the navigation


def make_application(settings: Settings, choices: Choices | None = None) -> ASGIApp:
    """The application of `facestats app`: routes of the service, and pages.

    Parameters
    ----------
    settings : Settings
        Of the service.
    choices : Choices, optional
    """

    def extend(app: FastAPI, state: State) -> None:
        gate = Gate(settings.tokens)
        site = Site(state, choices or Choices(), gate, tuple(page.PAGE for page in PAGES))
        for module in (*PAGES, *FURTHER):
            app.include_router(module.routes(site))
        page_entrance.add_error_pages(app, site)
        app.add_middleware(GateMiddleware, gate=gate)

    return make_app(settings, extend)
