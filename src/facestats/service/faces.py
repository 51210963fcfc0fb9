"""The routes about the project: its faces, composites of them, words, and its models."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from facestats.core.crops import Crops
from facestats.core.layout import CROPS
from facestats.errors import FaceStatsError, InputError, ModelError
from facestats.groups.conditions import COLUMNS
from facestats.groups.filters import select_faces
from facestats.groups.params import Copies, Filter, Flags
from facestats.service import schemas
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, without_paths
from facestats.service.filtering import (
    Allowed,
    FilterText,
    allowed_of,
    every,
    filters_by_ethnicity,
    read_filter,
)
from facestats.service.models import METRICS, Run
from facestats.service.photos import Count, Ethnicity, rows_of
from facestats.service.reading import read_small
from facestats.service.state import State
from facestats.serving import answers
from facestats.serving.answers import SENSITIVE_COLUMNS
from facestats.serving.composites import FACTS, draw_composite
from facestats.serving.crops import check_crops
from facestats.serving.filters import listed

MOST_FACES = 500  # a page
MOST_MEMBERS = 500  # of a composite over HTTP
MOST_TEXT = 1000  # characters
MOST_JSON = 65_536  # bytes
_PICTURES = {"png": "PNG", "jpeg": "JPEG"}
Classes = Annotated[
    list[str] | None, Query(description="class or classes; of ethnicity only with ethnicity=true")
]
Clusters = Annotated[list[int] | None, Query(description="number or numbers")]
Column = Annotated[str, Query(max_length=100, description="column; after a - from high to low")]
Number = Annotated[float | None, Query(ge=0, le=130)]
Decile = Annotated[int | None, Query(ge=1, le=10)]
Filename = Annotated[str, Path(description="as in the column filename")]


def row_of(table: pd.DataFrame, name: str, ethnicity: bool) -> dict[str, Any]:
    """A row of the final table as JSON has it."""
    return {
        column: _plain(value)
        for column, value in table.loc[name].items()
        if ethnicity or not str(column).startswith(SENSITIVE_COLUMNS)
    }


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if pd.isna(value) else value


def _known(run: Run, filename: str) -> pd.DataFrame:
    table = run.table()
    if filename not in table.index:
        raise ServiceError(404, "unknown_face", "the project has no face of that filename")
    return table


def face_routes(state: State) -> APIRouter:
    """The routes about the project."""
    router = APIRouter(prefix="/v1")
    _add_list(router, state)
    _add_face(router, state)
    _add_search(router, state)
    _add_composite(router, state)
    _add_model(router, state)
    return router


def _add_list(router: APIRouter, state: State) -> None:
    @router.get(
        "/faces",
        summary="List the faces of the project, filtered, sorted, page by page",
        responses={200: {"model": schemas.Faces}},
    )
    async def faces(
        request: Request,
        gender: Classes = None,
        ethnicity_class: Classes = None,
        cluster: Clusters = None,
        age_from: Number = None,
        age_to: Number = None,
        decile_from: Decile = None,
        decile_to: Decile = None,
        flags: Flags = "leave_out",
        copies: Copies = "best",
        sort: Column = "filename",
        offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_FACES)] = 50,
        ethnicity: Ethnicity = False,
    ) -> JsonResponse:
        state.check_ethnicity(ethnicity)
        run = state.run()
        if ethnicity_class and not ethnicity:
            raise ServiceError(422, "invalid_request", "ethnicity_class needs ethnicity=true")
        conditions = {
            "gender": gender,
            "ethnicity": ethnicity_class,
            "cluster": cluster,
            "age_range": _range(age_from, age_to, 0, 130),
            "attractiveness": _range(decile_from, decile_to, 1, 10),
        }

        page = partial(
            _page_of_faces, run, conditions, flags, copies, sort, offset, limit, ethnicity
        )
        content = await state.in_time(request, state.engine.think(page))
        return state.answer(request, run, content, of_table=True)


def _add_face(router: APIRouter, state: State) -> None:
    @router.get(
        "/faces/{filename:face}/crop",
        summary="The picture of a face",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    async def crop(filename: Filename) -> Response:
        run = state.run()
        _known(run, filename)
        path = PurePosixPath(filename)
        if path.is_absolute() or ".." in path.parts:  # in a table that somebody has forged
            raise ServiceError(404, "unknown_face", "the project has no face of that filename")
        data = await state.engine.think(partial(_read_crop, run, filename))
        if data is None:
            raise ServiceError(404, "no_crop", "this server has the face's row, but no picture")
        return Response(data, media_type="image/jpeg")

    @router.get(
        "/faces/{filename:face}",
        summary="The row of a face",
        responses={200: {"model": schemas.OneFace}},
    )
    async def face(
        request: Request, filename: Filename, ethnicity: Ethnicity = False
    ) -> JsonResponse:
        state.check_ethnicity(ethnicity)
        run = state.run()
        table = _known(run, filename)
        face = row_of(table, filename, ethnicity)
        return state.answer(request, run, {"face": face}, of_table=True)


def _add_search(router: APIRouter, state: State) -> None:
    @router.get(
        "/search",
        summary="Find faces of the project by words",
        responses={200: {"model": schemas.Found}},
    )
    @router.post(
        "/search",
        summary="Find faces of the project by words",
        responses={200: {"model": schemas.Found}},
    )
    async def search(
        request: Request,
        text: Annotated[str, Query(min_length=1, max_length=MOST_TEXT, description="in English")],
        k: Count = 10,
        where: FilterText = None,
    ) -> JsonResponse:
        run = state.run()
        allowed = allowed_of(run, read_filter(state, where))
        similar = await state.in_time(
            request, state.engine.think(partial(search_by_words, run, text, k, allowed))
        )
        return state.answer(request, run, {"similar": similar})


def _add_composite(router: APIRouter, state: State) -> None:
    @router.post(
        "/composite",
        summary=f"Draw the average of a group of faces, of {MOST_MEMBERS} at most",
        response_class=Response,
        responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/CompositeRequest"}
                    }
                },
            }
        },
    )
    async def composite(request: Request) -> Response:
        run = state.run()
        options = _composite(await read_small(request, state.settings, MOST_JSON))
        state.check_ethnicity(filters_by_ethnicity(options.filter), body_left=False)
        picture, headers = await state.in_time(
            request, state.engine.draw(partial(_draw, run, options))
        )
        return Response(picture, media_type=f"image/{options.format}", headers=headers)


def _add_model(router: APIRouter, state: State) -> None:
    @router.get(
        "/model",
        summary="The models in use, and how well they do on held-out faces",
        responses={200: {"model": schemas.ModelAnswer}},
    )
    async def model(request: Request) -> JsonResponse:
        run = state.run()
        return state.answer(request, run, await state.engine.think(partial(_describe_models, run)))


def _page_of_faces(
    run: Run,
    conditions: dict[str, Any],
    flags: Flags,
    copies: Copies,
    sort: str,
    offset: int,
    limit: int,
    ethnicity: bool,
) -> dict[str, Any]:
    """A page of the faces that fulfil the conditions; see the route `/faces`."""
    table = run.table()
    column = sort.removeprefix("-")
    if column not in table.columns or (column.startswith(SENSITIVE_COLUMNS) and not ethnicity):
        raise InputError(f"sort: there is no column {column!a}")
    rows = select_faces(
        table.reset_index(drop=True), conditions, min_results=0, flags=flags, copies=copies
    ).rows
    rows = rows.sort_values(
        [column, "filename"] if column != "filename" else "filename",
        ascending=not sort.startswith("-"),
        kind="stable",
    )
    page = rows["filename"].iloc[offset : offset + limit]
    return {
        "total": len(rows),
        "offset": offset,
        "limit": limit,
        "faces": [row_of(table, name, ethnicity) for name in page],
    }


def _read_crop(run: Run, filename: str) -> bytes | None:
    """The picture of a row; None where it is not there, or that of another run."""
    try:
        check_crops(run.models_of_table, [filename])
        return Crops.of(run.models.root / CROPS).read(filename)
    except (OSError, ModelError):
        return None


def search_by_words(run: Run, text: str, k: int, allowed: Allowed = every) -> list[dict[str, Any]]:
    """The faces that fit words best, as the answer has them."""
    vector = run.texts().encode([text])[0]
    return rows_of(answers.nearest(run.models, vector, k, allowed=allowed()))


def _range(low: float | None, high: float | None, least: float, most: float) -> list | None:
    if low is None and high is None:
        return None
    return [least if low is None else low, most if high is None else high]


def _composite(body: bytes) -> schemas.CompositeRequest:
    try:
        content = json.loads(body)
        json.dumps(content, ensure_ascii=False).encode()  # lone surrogates are no text
    except (ValueError, RecursionError):
        raise ServiceError(400, "malformed_body", "the body is no JSON") from None
    try:
        return schemas.CompositeRequest.model_validate(content)
    except ValidationError as error:
        raise ServiceError(422, "invalid_request", listed(error.errors())) from None


def _draw(run: Run, options: schemas.CompositeRequest) -> tuple[bytes, dict[str, str]]:
    where: Filter = options.filter
    selection = select_faces(
        run.table().reset_index(drop=True),
        where.model_dump(include=set(COLUMNS)),
        n=min(where.n or MOST_MEMBERS, MOST_MEMBERS),
        seed=where.seed,
        min_results=where.min_results,
        relax=[*where.relax],
        flags=where.flags,
        copies=where.copies,
    )
    if not selection.enough:
        raise InputError(f"too few: {selection}")
    render = options.render.model_dump()
    if render.pop("outlines") or render.pop("side") or render.pop("format") == "png16":
        raise InputError("render: outlines, side and png16 are for composites of params.yaml")
    if render["background"] == "transparent" and options.format != "png":
        raise InputError("a JPEG can't be transparent; set format: png")
    image = draw_composite(
        run.models_of_table,
        selection.rows,
        **render,
        flags=where.flags,
        copies=where.copies,
    )
    facts = image.info.pop(FACTS)
    out = io.BytesIO()
    image.save(out, _PICTURES[options.format], quality=95)
    headers = {"x-composite-faces": str(facts.n)}
    if facts.note:
        headers["x-composite-note"] = facts.note.encode("ascii", "replace").decode()
    return out.getvalue(), headers


def _describe_models(run: Run) -> dict[str, Any]:
    models = run.models
    parts = {
        name: without_paths(str(value), models.root) if isinstance(value, FaceStatsError) else None
        for name, value in models.parts.values.items()
    }
    parts["text"] = (
        without_paths(str(run.text), models.root) if isinstance(run.text, FaceStatsError) else None
    )
    try:
        attributes = {
            name: model.source if model.trained else None
            for name, model in models.attribute_models.items()
        }
    except FaceStatsError:
        attributes = {}
    metrics = run.metrics()
    return {
        "trained": models.serving["trained"],
        "why": models.serving["why"],
        "parts": parts,
        "attributes": attributes,
        "metrics": {name: metrics.content.get(name) for name in METRICS},
        "metrics_why": None if metrics.why is None else without_paths(metrics.why, models.root),
    }
