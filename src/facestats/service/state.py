"""What the routes of one server share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from facestats.errors import FaceStatsError
from facestats.service.answers import ID, JsonResponse
from facestats.service.engine import Engine
from facestats.service.errors import ServiceError, from_library, late
from facestats.service.metrics import Metrics
from facestats.service.models import CurrentRun, Run
from facestats.service.reading import Held
from facestats.service.schemas import about_scores
from facestats.service.settings import Settings

Result = TypeVar("Result")


@dataclass
class State:
    """One server.

    Attributes
    ----------
    settings : Settings
    metrics : Metrics
    engine : Engine
    current : CurrentRun
    held : Held
    """

    settings: Settings
    metrics: Metrics
    engine: Engine
    current: CurrentRun
    held: Held

    def run(self) -> Run:
        """The models in use."""
        if self.current.run is None:
            raise ServiceError(503, "not_ready", "models are being loaded")
        return self.current.run

    def check_ethnicity(self, asked: bool, body_left: bool = True) -> None:
        """Refuse ethnicity where the server was not started with it."""
        if asked and not self.settings.ethnicity:
            raise ServiceError(
                422,
                "ethnicity_not_allowed",
                "this server was started without --allow-ethnicity",
                body_left,
            )

    def answer(
        self, request: Request, run: Run, content: dict[str, Any], of_table: bool = False
    ) -> JsonResponse:
        """An answer with what is said beside every one; `of_table` for rows of the final table."""
        models = run.models_of_table if of_table else run.models
        clip = models.serving["clip"]
        meta = {
            "about": about_scores(models.age_check),
            "variant": clip["variant"],
            "weights_sha256": clip["weights_sha256"],
            "precision": models.encoder.precision,
        }
        return JsonResponse({**content, "meta": meta, "request_id": request.scope[ID]})

    async def in_time(self, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """Work until it is done, it takes too long, or the client hangs up.

        The body must have been read.

        Raises
        ------
        ServiceError
            In the last two cases, or for an error of the library.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(request))
        try:
            await asyncio.wait(
                {task, gone},
                timeout=self.settings.answer_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return task.result()
            if gone.done():
                raise ServiceError(499, "hung_up", "the client has hung up")
            raise late(self.settings.answer_seconds)
        except FaceStatsError as error:
            raise from_library(error, self.settings.root) from None
        finally:
            for each in (task, gone):
                each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
