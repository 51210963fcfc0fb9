"""What all pages of one server share."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from facestats.app.faces_table import FacesTable
from facestats.app.gate import SIGN_IN, Gate
from facestats.app.photo_facts import PhotoFacts
from facestats.app.pictures import Pictures
from facestats.app.query import Query, parse_query
from facestats.errors import FaceStatsError
from facestats.groups.tables import FLAGS_SHA256
from facestats.report.document import html_environment
from facestats.service.errors import ServiceError
from facestats.service.filtering import filters_by_ethnicity
from facestats.service.models import TABLE_SHA256, Run
from facestats.service.state import State

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
Result = TypeVar("Result")
WRITING = 2  # threads that write labels and ratings


@dataclass(frozen=True)
class Choices:
    """What the app is told beside the service's settings.

    Attributes
    ----------
    read_only : bool
        Whether labelling and rating are switched off.
    consent : str or None
        What raters agree to before they rate; without it nobody is asked to rate.
    repeats : float
        Share of the faces that a rater is shown a second time.
    """

    read_only: bool = False
    consent: str | None = None
    repeats: float = 0.0


@dataclass(frozen=True)
class Page:
    """A page of the navigation."""

    key: str
    title: str
    path: str


@dataclass(frozen=True, eq=False)
class Shown:
    """What pages show of one run.

    Attributes
    ----------
    run : Run
    faces : FacesTable
    facts : PhotoFacts
    version : str
        Changes with the run; part of pictures' addresses.
    """

    run: Run
    faces: FacesTable
    facts: PhotoFacts
    version: str


class Site:
    """What all pages of one server share.

    Parameters
    ----------
    state : State
        Of the service.
    choices : Choices
    gate : Gate
    pages : tuple of Page
        The navigation.
    """

    def __init__(self, state: State, choices: Choices, gate: Gate, pages: tuple[Page, ...]):
        self.state, self.choices, self.gate, self.pages = state, choices, gate, pages
        self.pictures = Pictures(state.settings.threads)
        self._writing = ThreadPoolExecutor(WRITING, "writing")
        self.templates = html_environment(TEMPLATES)
        self.templates.filters |= {"segment": address, "words": words, "as_sentence": as_sentence}
        self._shown: Shown | None = None
        self._building = asyncio.Lock()

    async def shown(self) -> Shown:
        """What is shown of the run in use.

        Raises
        ------
        ServiceError
            Models are being loaded.
        FaceStatsError
            There is no final table of this run.
        """
        run = self.state.run()
        table = run.table()
        async with self._building:
            kept = self._shown
            if kept is None or kept.run is not run:
                same = kept is not None and kept.run.faces is table
                if kept is not None and same and kept.run.models is run.models:
                    return kept
                build = partial(FacesTable, table, self.state.settings.ethnicity)
                faces = await asyncio.get_running_loop().run_in_executor(self.pictures.pool, build)
                kept = self._shown = Shown(run, faces, _facts_of(run, table), _version(run, table))
                self.pictures.pool.submit(kept.facts.prepare)
            return kept

    async def shown_if_any(self) -> Shown | None:
        """The same; None where models are here without a table of faces."""
        try:
            return await self.shown()
        except FaceStatsError:
            return None

    async def work(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Do what takes a few milliseconds beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(
            self.pictures.pool, partial(function, *arguments)
        )

    async def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Do what waits for a lock that somebody else may hold for long; pages do not wait."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writing, partial(function, *arguments)
        )

    def query(self, fields: Iterable[tuple[str, str]], but: Collection[str] = ()) -> Query:
        """The filter of an address, without the fields that are the page's own.

        Raises
        ------
        InputError
            It can't be read.
        ServiceError
            It asks for ethnicity where the server was started without it.
        """
        query = parse_query((name, text) for name, text in fields if name not in but)
        self.state.check_ethnicity(filters_by_ethnicity(query.where), body_left=False)
        return query

    def check_writing(self) -> None:
        """Refuse what writes where the server only shows."""
        if self.choices.read_only:
            raise ServiceError(403, "read_only", "this server was started with --read-only", True)

    def page(
        self, request: Request, template: str, key: str = "", status: int = 200, **values: Any
    ) -> Response:
        """A page.

        Parameters
        ----------
        request : Request
        template : str
        key : str
            Of the page in the navigation.
        status : int
        **values
            What the template names.
        """
        html = self.templates.get_template(template).render(
            pages=self.pages,
            current=key,
            csrf=self.gate.csrf,
            read_only=self.choices.read_only,
            signed_in=bool(self.gate.tokens) and request.url.path != SIGN_IN,
            **values,
        )
        headers = {"content-security-policy": POLICY}
        return HTMLResponse(html, status, headers)


def address(filename: str) -> str:
    """A file's name as the end of an address's path."""
    return quote(filename, safe="/")


def words(column: str) -> str:
    """A column's name as a page has it."""
    return {"filename": "name"}.get(column, column.replace("_", " "))


def as_sentence(message: str) -> str:
    """A message with a full stop and, where it begins with a word, a capital."""
    first = message.partition(" ")[0]
    start = message[:1].upper() if first.isalpha() else message[:1]
    return f"{start}{message[1:].rstrip('.')}."


def make_router() -> APIRouter:
    """A router of pages, which the OpenAPI document does not name."""
    return APIRouter(include_in_schema=False)


def _facts_of(run: Run, table: pd.DataFrame) -> PhotoFacts:
    return PhotoFacts(run.models_of_table, table.attrs.get(FLAGS_SHA256))


def _version(run: Run, table: pd.DataFrame) -> str:
    """Changes with the models, and with the table that is shown, which may be of the run before."""
    facts = run.models.parts.manifest.parts, table.attrs[TABLE_SHA256]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
