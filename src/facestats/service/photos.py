"""The routes that take photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, create_model
from starlette.requests import Request

from facestats.errors import FaceStatsError
from facestats.faces.crop import FaceCrop
from facestats.service import schemas
from facestats.service.answers import JsonResponse
from facestats.service.errors import ServiceError, from_library
from facestats.service.filtering import Allowed, FilterText, allowed_of, every, read_filter
from facestats.service.models import Run
from facestats.service.reading import SEVERAL, SINGLE, read_photos
from facestats.service.state import State
from facestats.serving import answers
from facestats.serving.answers import Face

MOST_SIMILAR = 1000
Finish = Callable[[Any], dict[str, Any]]

_PHOTO = {"type": "string", "format": "binary"}
BODY = {
    "requestBody": {
        "required": True,
        "description": "One photo as the field `image` or as the whole body; several as `images`. "
        "JPEG, PNG, WebP, HEIC, TIFF and others; the largest face counts.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {SINGLE: _PHOTO, SEVERAL: {"type": "array", "items": _PHOTO}},
                }
            },
            "image/*": {"schema": _PHOTO},
            "application/octet-stream": {"schema": _PHOTO},
        },
    }
}

Ethnicity = Annotated[
    bool,
    Query(description="infer ethnicity too; only where the server was started to allow it"),
]
Count = Annotated[int, Query(ge=1, le=MOST_SIMILAR, description="number of faces")]


def score_of(face: Face) -> dict[str, Any]:
    return answers.score(face).to_dict()


def attributes_of(face: Face, ethnicity: bool) -> dict[str, Any]:
    return answers.attributes(face, ethnicity).to_dict()


def measurements_of(face: Face, ethnicity: bool) -> dict[str, Any]:
    return answers.measurements(face.models, face.crop, face.jpeg, ethnicity).to_dict()


def landmarks_of(crop: FaceCrop, doubts: list[str]) -> dict[str, Any]:
    points = crop.photo_landmarks
    return {
        "landmarks": None if points is None else points.tolist(),
        "width": crop.width,
        "height": crop.height,
        "box": None if crop.box is None else crop.box.tolist(),
        "face_count": crop.face_count,
        "warnings": doubts,
    }


def similar_to(face: Face, k: int, allowed: Allowed = every) -> list[dict[str, Any]]:
    """The nearest faces of the pipeline, as the answer has them."""
    return rows_of(answers.nearest(face.models, face.embedding, k, allowed=allowed()))


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Rows of a table of neighbours as JSON has them."""
    return [
        {
            "image": image if isinstance(image, str) else None,
            "filename": name,
            "similarity": float(s),
        }
        for image, name, s in zip(
            table["image"], table["filename"], table["similarity"], strict=True
        )
    ]


def analysis_of(
    face: Face, run: Run, ethnicity: bool, k: int | None, allowed: Allowed = every
) -> dict[str, Any]:
    """All that is known about a face."""
    parts: dict[str, Callable[[], Any]] = {
        "score": lambda: score_of(face),
        "attributes": lambda: attributes_of(face, ethnicity),
        "measurements": lambda: measurements_of(face, ethnicity),
        "similar": lambda: similar_to(face, k, allowed) if k else None,
    }
    results: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for name, part in parts.items():
        try:
            results[name] = part()
        except FaceStatsError as error:
            results[name] = None
            errors[name] = from_library(error, run.models.root).content()
    return {
        **results,
        "embedding": face.embedding.tolist(),
        "landmarks": landmarks_of(face.crop, face.doubt_texts),
        "errors": errors,
    }


def _answers_of(model: type[BaseModel]) -> Any:
    """What a route answers: the fields of one photo, or a list of them."""
    single = create_model(f"{model.__name__}Answer", __base__=(model, schemas.Answer))
    several = create_model(
        f"{model.__name__}List",
        __base__=schemas.Answer,
        results=(list[model | schemas.ErrorEntry], ...),  # pyright: ignore[reportInvalidTypeForm]
    )
    return single | several


async def answer_photos(
    state: State, request: Request, finish: Callable[[Run], Finish], embed: bool = True
) -> JsonResponse:
    """Read a request's photos, and answer with what `finish` makes of each."""
    run = state.run()
    state.engine.check_room()
    with state.held.lease() as take:
        try:
            upload = await read_photos(request, state.settings, take)
        except ServiceError as error:
            state.metrics.rejected.labels(error.code).inc()
            raise
        results = await state.in_time(
            request, state.engine.answer(run, upload.photos, finish(run), embed)
        )
    if not upload.several:
        (result,) = results
        if isinstance(result, ServiceError):
            raise result
        return state.answer(request, run, result)
    entries = [
        {"error": result.content()} if isinstance(result, ServiceError) else result
        for result in results
    ]
    return state.answer(request, run, {"results": entries})


def _embedding_of(face: Face) -> dict[str, Any]:
    return {"embedding": face.embedding.tolist(), "warnings": face.doubt_texts}


def _similar_of(k: int, allowed: Allowed) -> Finish:
    return lambda face: {"similar": similar_to(face, k, allowed), "warnings": face.doubt_texts}


def photo_routes(state: State) -> APIRouter:
    """The routes that take photos."""
    router = APIRouter(prefix="/v1")

    def route(path: str, model: type[BaseModel], summary: str) -> Callable:
        return router.post(
            path,
            summary=summary,
            description=schemas.ABOUT,
            responses={200: {"model": _answers_of(model)}},
            openapi_extra=BODY,
        )

    @route("/score", schemas.Score, "Predict the rating of the largest face")
    async def score(request: Request) -> JsonResponse:
        return await answer_photos(state, request, lambda run: score_of)

    @route("/attributes", schemas.Attributes, "Infer gender, age and further attributes")
    async def attributes(request: Request, ethnicity: Ethnicity = False) -> JsonResponse:
        state.check_ethnicity(ethnicity)
        return await answer_photos(
            state, request, lambda run: lambda face: attributes_of(face, ethnicity)
        )

    @route("/embedding", schemas.Embedding, "Compute the CLIP embedding of the largest face")
    async def embedding(request: Request) -> JsonResponse:
        return await answer_photos(state, request, lambda run: _embedding_of)

    @route("/landmarks", schemas.Landmarks, "Find the 468 landmarks of the largest face")
    async def landmarks(request: Request) -> JsonResponse:
        def finish(run: Run) -> Finish:
            return lambda crop: landmarks_of(
                crop, [doubt.text for doubt in run.models.doubts(crop)]
            )

        return await answer_photos(state, request, finish, embed=False)

    @route("/analyze", schemas.Analysis, "All of it in one pass over the photo")
    async def analyze(
        request: Request,
        ethnicity: Ethnicity = False,
        k: Annotated[
            int | None, Query(ge=1, le=MOST_SIMILAR, description="also find so many similar faces")
        ] = None,
    ) -> JsonResponse:
        state.check_ethnicity(ethnicity)
        return await answer_photos(
            state, request, lambda run: lambda face: analysis_of(face, run, ethnicity, k)
        )

    @route("/similar", schemas.Similar, "Find the faces of the project most similar to a photo's")
    async def similar(request: Request, k: Count = 10, where: FilterText = None) -> JsonResponse:
        wanted = read_filter(state, where)
        return await answer_photos(
            state, request, lambda run: _similar_of(k, allowed_of(run, wanted))
        )

    return router
