"""What requests and answers hold, as the OpenAPI document says it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from facestats.age.check import AgeCheck
from facestats.composites.params import Render
from facestats.groups.params import Filter

_MEANING = (
    "A score is the rating, from 0 to 100 on their own scale, that a model expects from the raters "
    "of its training data for such a photo. It is not the worth of a person, and not meant for "
    "decisions about people."
)
ABOUT = f"{_MEANING} Faces that may be under age get no score."


def about_scores(check: AgeCheck) -> str:
    """What a score means, and who gets none by this check of ages: `ABOUT` where a model checks."""
    if check.min_age is None:
        return f"{_MEANING} Nobody's age was checked: children get scores, too."
    if check.by_model:
        return ABOUT
    return (
        f"{_MEANING} Faces that are labelled as under {check.min_age} get no score; the age of "
        "others was not checked, so scores may be those of children."
    )


class ErrorContent(BaseModel):
    code: str = Field(description="for programs", examples=["no_face"])
    message: str = Field(description="for people")


class ErrorEntry(BaseModel):
    """Stands in a list in place of a photo that has no answer."""

    error: ErrorContent


class ErrorAnswer(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorContent
    request_id: str


class Meta(BaseModel):
    about: str = Field(description="what a score means", examples=[ABOUT])
    variant: str = Field(description="CLIP variant of the models")
    weights_sha256: str = Field(description="of its weights")
    precision: str = Field(description="in which photos are embedded")


class Answer(BaseModel):
    meta: Meta
    request_id: str


class TraitScore(BaseModel):
    """The scores of a further trait; fields as in `Score`, null where nothing was trained."""

    raw: float | None
    score: float | None
    pct: float | None
    decile: int | None
    geometric: float | None
    combined: float | None


class Score(BaseModel):
    """The fields of `facestats.score_image`."""

    raw: float | None = Field(description="holistic score in the raters' unit; null if withheld")
    score: float | None = Field(description="the same from 0 to 100")
    pct: float | None = Field(description="share of the reference faces that score lower, 0 to 1")
    decile: int | None = Field(description="1 to 10, from pct")
    geometric: float | None = Field(description="0 to 100, from landmarks and pixels")
    combined: float | None = Field(description="0 to 100, of geometric and score")
    withheld: str | None = Field(description="why the face gets no score, such as its age")
    age_checked: str | None = Field(
        description="by what: manual, label, copy or model; null if by nothing"
    )
    warnings: list[str] = Field(description="doubts about the photo or the scores")
    traits: dict[str, TraitScore] | None = Field(
        default=None, description="further traits (`score.traits`); absent where there are none"
    )


class Attributes(BaseModel):
    """For each attribute NAME: NAME, NAME_source and, for classes, NAME_probabilities."""

    model_config = ConfigDict(extra="allow")
    warnings: list[str] = Field(description="doubts about the photo")


class Measurements(BaseModel):
    """Each measurement of docs/measurements.md by its name; skin colour only with `ethnicity`."""

    model_config = ConfigDict(extra="allow")
    yaw: float | None = Field(description="head turned to a side, degrees")
    pitch: float | None = Field(description="head raised, degrees")
    roll: float | None = Field(description="head tilted, degrees")
    frontal: bool = Field(description="whether all measurements may be compared")
    warnings: list[str] = Field(description="doubts about the photo")


class Embedding(BaseModel):
    embedding: list[float] = Field(description="CLIP embedding of the face, at length 1")
    warnings: list[str]


class Landmarks(BaseModel):
    landmarks: list[tuple[float, float, float]] | None = Field(
        description="468 points: x and y as fractions of the photo's width and height, z in the "
        "unit of x; null where a face was not found but the project takes the middle of a photo"
    )
    width: int = Field(description="of the upright photo, px")
    height: int
    box: list[float] | None = Field(description="of the face, px: x0, y0, x1, y1")
    face_count: int = Field(description="faces of about this size; the largest one counts")
    warnings: list[str]


class Neighbour(BaseModel):
    image: str | None = Field(description="path of the photo below the project's photos")
    filename: str = Field(description="of the face, as in /v1/faces")
    similarity: float = Field(description="cosine, at most 1")


class Similar(BaseModel):
    similar: list[Neighbour] = Field(description="best first")
    warnings: list[str]


class Analysis(BaseModel):
    """All of the above for one photo; a part that failed is null and named in `errors`."""

    score: Score | None
    attributes: Attributes | None
    measurements: Measurements | None
    embedding: list[float]
    landmarks: Landmarks
    similar: list[Neighbour] | None = Field(description="null unless `k` was given")
    errors: dict[str, ErrorContent] = Field(description="by part; empty where all went well")


class Found(Answer):
    similar: list[Neighbour] = Field(description="best first")


class CompositeRequest(BaseModel):
    """`filter` and `render` as in `composites.<name>` of params.yaml."""

    model_config = ConfigDict(extra="forbid")
    filter: Filter = Field(default_factory=Filter)
    render: Render = Field(default_factory=Render)
    format: Literal["png", "jpeg"] = "png"


class Faces(Answer):
    total: int = Field(description="faces that match")
    offset: int
    limit: int
    faces: list[dict[str, Any]] = Field(
        description="rows of attributes_final.parquet, columns as in docs/tables.md"
    )


class OneFace(Answer):
    face: dict[str, Any]


class ModelAnswer(Answer):
    trained: bool = Field(description="whether a regressor was trained")
    why: str | None = Field(description="why not")
    parts: dict[str, str | None] = Field(
        description="by part of the models: null if it is in use, or why not"
    )
    attributes: dict[str, str | None] = Field(
        description="by attribute: model, pretrained or zeroshot; null without a model"
    )
    metrics: dict[str, Any] = Field(
        description="held-out figures with 95 % intervals: metrics/attractiveness.json and "
        "metrics/attributes.json, null where they are not of these models"
    )
    metrics_why: str | None = Field(description="why they are null")


class Health(BaseModel):
    status: str
