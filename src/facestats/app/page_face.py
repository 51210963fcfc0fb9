"""The page of one face, and the photos that gave none."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from facestats.app.cards import SOURCES, cards_of, shown_value
from facestats.app.labelling import Labelling
from facestats.app.page_faces import meaning_of
from facestats.app.pictures import photo_jpeg, picture_response
from facestats.app.site import Shown, Site, make_router, words
from facestats.core.files import read_json
from facestats.core.layout import REJECTED, REJECTED_INDEX
from facestats.errors import FaceStatsError, ImageError
from facestats.geometry.measurements import MEASUREMENTS
from facestats.photos.reading import read_photo
from facestats.rows.dvc_cache import find_dvc_cache
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError
from facestats.serving import answers
from facestats.serving.manifest import faces_table

NEAREST = 12
REJECTED_A_PAGE = 200
SHARES = (0.05, 0.25, 0.75, 0.95)  # quantiles that a measurement's bar shows
_JPEG = b"\xff\xd8\xff"
QUALITY = {
    "width": "width of the photo, px",
    "height": "height of the photo, px",
    "face_count": "faces in the photo",
    "confidence": "confidence of the detector",
    "presence": "confidence of the face mesh",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "occlusion": "likely hidden in part",
    "drawing": "likely drawn",
    "yaw": "head turned (yaw)",
    "pitch": "head raised (pitch)",
    "roll": "head tilted (roll)",
}


def routes(site: Site) -> APIRouter:
    """The routes of the pages."""
    router = make_router()
    labelling = Labelling(site.state.settings.root, site.state.settings.ethnicity)

    @router.get("/app/face/{filename:face}")
    async def face(request: Request, filename: str) -> Response:
        shown = await site.shown()
        row = _row(shown, filename)
        values = await site.work(_describe, shown, row, filename, labelling)
        meaning = meaning_of(shown.run.models_of_table)
        return site.page(request, "face.html", "faces", **meaning, **values)

    @router.get("/app/api/face/{filename:face}")
    async def points(filename: str) -> JsonResponse:
        shown = await site.shown()
        _row(shown, filename)
        facts = await site.work(shown.facts.of_face, filename)
        return JsonResponse({name: facts[name] for name in ("width", "height", "box", "landmarks")})

    @router.get("/app/photo/{filename:face}")
    async def photo(request: Request, filename: str) -> Response:
        shown = await site.shown()
        _row(shown, filename)
        facts = await site.work(shown.facts.of_face, filename)
        data = await site.work(photo_jpeg, shown.run.models, facts["image"], facts["sha256"])
        if data is None:
            raise ServiceError(404, "no_photo", "the photo is not there, or is another one now")
        return picture_response(request, data)

    @router.get("/app/rejected")
    async def rejected(
        request: Request, offset: Annotated[int, Query(ge=0, le=10**9)] = 0
    ) -> Response:
        shown = await site.shown()
        table = await site.work(shown.facts.rejected)
        pictures = await site.work(_rejected_pictures, shown)
        rows = [
            {"image": image, "reason": reason, "picture": pictures.get(image)}
            for image, reason in table.iloc[offset : offset + REJECTED_A_PAGE].itertuples(
                index=False
            )
        ]
        return site.page(
            request,
            "rejected.html",
            "faces",
            rows=rows,
            total=len(table),
            offset=offset,
            size=REJECTED_A_PAGE,
        )

    @router.get("/app/rejected/picture/{name}")
    async def rejected_picture(request: Request, name: str) -> Response:
        shown = await site.shown()
        if name not in (await site.work(_rejected_pictures, shown)).values():
            raise ServiceError(404, "no_picture", "there is no such picture")
        return picture_response(request, await site.work(_rejected_picture, shown, name))

    return router


def _row(shown: Shown, filename: str) -> int:
    row = shown.faces.row(filename)
    if row is None:
        raise ServiceError(404, "unknown_face", "the project has no face of that filename")
    return row


def _describe(shown: Shown, row: int, filename: str, labelling: Labelling) -> dict[str, Any]:
    """What the page of a face shows."""
    (cells,) = shown.faces.values(np.array([row]), shown.faces.columns)
    try:
        facts: dict[str, Any] = shown.facts.of_face(filename)
    except FaceStatsError:
        facts = {}
    flags = shown.facts.flags_of(filename)
    return {
        "name": filename,
        "image": cells.get("image"),
        "withheld": cells.get("score_withheld"),
        "held_out": bool(cells.get("out_of_fold")),
        "rating": _number(cells.get("rating"), 2),
        "rating_n": cells.get("rating_n"),
        "scores": _scores(shown, cells),
        "attributes": _attributes(cells),
        "measurements": _measurements(shown, cells),
        "quality": [
            (label, shown_value(key, facts[key])) for key, label in QUALITY.items() if key in facts
        ],
        "flags": [
            {"reason": flag["reason"].replace("_", " "), "value": _number(flag["value"], 3)}
            for flag in flags or []
            if labelling.ethnicity or not flag["reason"].endswith(f"_{answers.SENSITIVE}")
        ],
        "has_flags": flags is not None,
        "facts": [
            (words(name), shown_value(name, cells.get(name)))
            for name in ("split", "cluster", "copy_group", "copy_rank", "person_group")
            if name in cells
        ],
        "waiting": _waiting(labelling, shown, filename),
        "nearest": _nearest(shown, filename),
        "version": shown.version,
    }


def _waiting(labelling: Labelling, shown: Shown, filename: str) -> list[tuple[str, str]]:
    try:
        return labelling.waiting(shown, filename)
    except FaceStatsError:  # the page Label says what is wrong with the file
        return []


def _scores(shown: Shown, cells: dict[str, Any]) -> list[dict[str, str]]:
    """Scores of the main rating and of further traits."""
    names = {"holistic": "attractiveness_score", "geometric": "geometric_score"}
    rows = [
        _score(shown, cells, kind, column)
        for kind, column in {**names, "combined": "combined_score"}.items()
    ]
    for column in shown.faces.columns:
        trait = column.removesuffix("_combined")
        if column.endswith("_combined"):
            label = f"{trait}, raters {_number(cells.get(f'rating_{trait}'), 2)}"
            rows.append(_score(shown, cells, label, column))
    return rows


def _score(shown: Shown, cells: dict[str, Any], label: str, column: str) -> dict[str, str]:
    value = cells.get(column)
    if value is None:
        return {"label": label, "value": "–", "place": "–"}
    place = shown.faces.place(column, value)
    return {
        "label": label,
        "value": f"{value:.1f}",
        "place": "–" if place is None else f"above {100 * place:.0f} % of the faces",
    }


def _attributes(cells: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "label": name.removesuffix("_final").replace("_", " "),
            "value": shown_value(name, cells[name]),
            "source": SOURCES.get(
                source := cells.get(f"{name.removesuffix('_final')}_source") or "", source
            ),
        }
        for name in cells
        if name.endswith("_final")
    ]


def _measurements(shown: Shown, cells: dict[str, Any]) -> list[dict[str, Any]]:
    """Measurements with their place among all faces, and a bar from 0 to 100."""
    rows = []
    for measurement in MEASUREMENTS:
        name = measurement.name
        if name not in shown.faces.columns:
            continue
        value, ends = cells.get(name), shown.faces.quantiles(name, (0.01, *SHARES, 0.99))
        bar = None
        if value is not None and ends and ends[-1] > ends[0]:
            place = [
                100 * float(np.clip((one - ends[0]) / (ends[-1] - ends[0]), 0, 1))
                for one in (*ends[1:-1], value)
            ]
            bar = [round(one, 1) for one in place]
        share = None if value is None else shown.faces.place(name, value)
        rows.append(
            {
                "name": name,
                "text": measurement.definition,
                "value": shown_value(name, value),
                "place": "" if share is None else f"{100 * share:.0f}",
                "bar": bar,
            }
        )
    return rows


def _nearest(shown: Shown, filename: str) -> list[dict[str, Any]]:
    """The most similar faces, best first."""
    try:
        models = shown.run.models_of_table
        vector = models.neighbours.vector(filename)
        table = answers.nearest(models, vector, NEAREST, but=filename)
    except (KeyError, FaceStatsError):
        return []
    pairs = [
        (row, float(similarity))
        for name, similarity in zip(table["filename"], table["similarity"], strict=True)
        if (row := shown.faces.row(name)) is not None
    ]
    cards = cards_of(shown, np.array([row for row, _ in pairs], np.int32))
    return [
        {**card, "line": f"{similarity:.3f}"}
        for card, (_, similarity) in zip(cards, pairs, strict=True)
    ]


def _rejected_pictures(shown: Shown) -> dict[str, str]:
    """Pictures of photos that were left out, by the photo's name; none while a run is under way."""
    try:
        faces_table(shown.run.models)
        index = read_json(shown.run.models.root / REJECTED / REJECTED_INDEX, list)
        return {
            str(entry["image"]): str(entry["picture"])
            for entry in index
            if entry["picture"] and "/" not in str(entry["picture"])
        }
    except (FaceStatsError, OSError, KeyError, TypeError):
        return {}


def _rejected_picture(shown: Shown, name: str) -> bytes:
    """A picture's bytes; a link leads to an object of the project's DVC cache alone."""
    root = shown.run.models.root
    try:
        folder = (root / REJECTED).resolve()
        path = (folder / name).resolve()
        if path.parent != folder and (cache := find_dvc_cache(root)):
            folder = cache.folder.resolve()
        data = read_photo(path) if path.is_relative_to(folder) else b""
        if data.startswith(_JPEG):
            return data
    except (ImageError, OSError, ValueError, RuntimeError):
        pass
    raise ServiceError(404, "no_picture", "there is no such picture")


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
