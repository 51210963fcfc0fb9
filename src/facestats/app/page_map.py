"""The map of all faces: places and colours as bytes, which a canvas draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.cards import cards_of
from facestats.app.faces_table import PLACE, FacesTable
from facestats.app.pictures import picture_response
from facestats.app.query import Query as FacesQuery
from facestats.app.site import Page, Site, make_router
from facestats.errors import InputError, suggestion
from facestats.groups.params import COPIES, KEEP, Filter
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError

PAGE = Page("map", "Map", "/app/map")
CLASSES = 8  # colours of classes; the last one is that of all further ones where there are more
NONE = 255  # the code of a face without a value
_HIGHEST = 254  # of a number
_SHARES = (0.01, 0.99)  # quantiles at which the colours of numbers end
_BYTES = "application/octet-stream"
_FIRST = ("gender_final", "age_final", "cluster")
Column = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class Colours:
    """A column as codes of colours.

    Attributes
    ----------
    codes : ndarray of uint8 (n,)
        Class, or place on the scale from 0 to 254; 255 without a value.
    legend : dict
        `kind`; `classes` with label, faces and the query that finds them, or `low` and `high`;
        `none`, the number of faces without a value.
    """

    codes: np.ndarray
    legend: dict[str, Any]


def routes(site: Site) -> APIRouter:
    """The routes of the page."""
    router = make_router()

    @router.get("/app/map")
    async def page(request: Request, colour: Column = "") -> Response:
        shown = await site.shown()
        columns = await site.work(colour_columns, shown.faces)
        chosen = colour or columns[0]
        problem, legend = None, None
        try:
            legend = (await site.work(colours_of, shown.faces, chosen)).legend
        except InputError as error:
            problem = str(error)
        return site.page(
            request,
            "map.html",
            PAGE.key,
            422 if problem else 200,
            has_map=shown.faces.places is not None,
            columns=columns,
            chosen=chosen,
            legend=legend,
            problem=problem,
            version=shown.version,
            total=len(shown.faces),
        )

    @router.get("/app/api/map/places")
    async def places(request: Request) -> Response:
        shown = await site.shown()
        found = await site.work(lambda: shown.faces.places)
        if found is None:
            raise ServiceError(404, "no_map", "this run has no map")
        return picture_response(request, found.astype("<f4").tobytes(), _BYTES)

    @router.get("/app/api/map/colours")
    async def colours(request: Request, column: Column) -> Response:
        shown = await site.shown()
        made = await site.work(colours_of, shown.faces, column)
        return picture_response(request, made.codes.tobytes(), _BYTES)

    @router.get("/app/api/map/legend")
    async def legend(column: Column) -> JsonResponse:
        shown = await site.shown()
        return JsonResponse((await site.work(colours_of, shown.faces, column)).legend)

    @router.get("/app/api/map/face")
    async def face(row: Annotated[int, Query(ge=0)], column: Column = "filename") -> JsonResponse:
        shown = await site.shown()
        if row >= len(shown.faces) or column not in shown.faces.columns:
            raise ServiceError(404, "unknown_face", "the map has no such face")
        (card,) = await site.work(cards_of, shown, np.array([row]), column)
        return JsonResponse(card)

    return router


def colour_columns(faces: FacesTable) -> list[str]:
    """Columns that points can be coloured by, the usual ones first."""
    further = [name for name in faces.columns if name not in (*PLACE, "filename", "image")]
    return [
        name
        for name in dict.fromkeys([*_FIRST, *faces.scores, *further])
        if name in faces.columns and _has_colours(faces, name)
    ] or ["filename"]


def colours_of(faces: FacesTable, column: str) -> Colours:
    """The codes of a column's colours.

    Parameters
    ----------
    faces : FacesTable
    column : str

    Raises
    ------
    InputError
        There is no such column, or its texts are no classes.
    """
    if column not in faces.columns:
        raise InputError(f"there is no column {column!a}.{suggestion(column, faces.columns)}")
    facet = faces.facet(column)
    values = faces.frame[column]
    if column == "cluster" or facet.kind in ("class", "yes_no"):
        return _of_classes(values, column, facet.kind == "yes_no")
    if facet.kind == "number":
        return _of_numbers(values, *(faces.quantiles(column, _SHARES) or (0.0, 0.0)))
    raise InputError(f"{column} has no classes and no numbers: there are no colours for its texts")


def _has_colours(faces: FacesTable, column: str) -> bool:
    facet = faces.facet(column)
    return facet.kind != "text" and facet.has_values


def _of_classes(values: pd.Series, column: str, yes_no: bool) -> Colours:
    counts = values.dropna().value_counts()
    order = sorted(counts.index, key=lambda value: (-counts[value], str(value)))
    last = CLASSES - 1
    alone = order if len(order) <= CLASSES else order[:last]
    numbers = {value: min(i, last) for i, value in enumerate(order)}
    codes = values.map(numbers).to_numpy(dtype=np.float64, na_value=np.nan)
    classes = [
        (_label(value), int(counts[value]), _query(column, value, yes_no)) for value in alone
    ]
    if rest := order[len(alone) :]:
        classes.append((f"{len(rest)} others", int(counts[rest].sum()), ""))
    known = np.isfinite(codes)
    return Colours(
        np.where(known, codes, NONE).astype(np.uint8),
        {"kind": "class", "classes": classes, "none": int((~known).sum())},
    )


def _of_numbers(values: pd.Series, low: float, high: float) -> Colours:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(numbers)
    width = high - low or 1.0
    codes = np.clip((np.where(known, numbers, low) - low) / width, 0, 1) * _HIGHEST
    return Colours(
        np.where(known, codes.round(), NONE).astype(np.uint8),
        {"kind": "number", "low": low, "high": high, "none": int((~known).sum())},
    )


def _label(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _query(column: str, value: Any, yes_no: bool) -> str:
    """The query of the faces of a class, all that the map shows."""
    if column == "cluster":
        where = Filter(cluster=int(value), flags=KEEP, copies=COPIES[1], min_results=1)
    else:
        wanted: Any = [int(value), int(value)] if yes_no else str(value)
        where = Filter(columns={column: wanted}, flags=KEEP, copies=COPIES[1], min_results=1)
    return FacesQuery(where).text
