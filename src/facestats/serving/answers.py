"""What the models of a run say about a face that was cut out and embedded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from facestats.core.crops import Crops
from facestats.core.doubts import FACTS, Doubt, are_photographs
from facestats.core.layout import CROPS
from facestats.errors import FaceStatsError, ImageError, ModelError, WithheldError
from facestats.serving.checks import whole_number
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError
from facestats.serving.types import Attribute, Attributes, Measurements, Score, TraitScore

if TYPE_CHECKING:
    from facestats.attributes.zeroshot import Model
    from facestats.faces.crop import FaceCrop
    from facestats.geometry.regressor import GeometryModel
    from facestats.serving.models import Models
    from facestats.serving.parts import TraitModels

SENSITIVE = "ethnicity"
SHOWN = {"holistic": "score", "geometric": "geometric", "combined": "combined"}
SENSITIVE_COLUMNS = (f"{SENSITIVE}_", "skin_")  # how columns begin that are shown on request only
HOLISTIC = "facestats.score_image gives the holistic score alone"
# What an age was checked by, why there is no score, and a note where it can't be checked.
Check = tuple[str | None, str | None, Sequence[str]]


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was cut out of a photo.

    Attributes
    ----------
    models : Models
        Those that answer about it.
    crop : FaceCrop
        The face.
    jpeg : bytes
        The crop as the pipeline encodes it: models see this JPEG.
    embedding : np.ndarray
        Float32 (d,), unit norm.
    known : list of Doubt, optional
        The doubts about the picture, where they were found for many faces at once.
    """

    models: Models
    crop: FaceCrop
    jpeg: bytes
    embedding: np.ndarray = field(repr=False)
    known: list[Doubt] | None = None

    @cached_property
    def doubts(self) -> list[Doubt]:
        """The doubts about the picture."""
        return self.models.doubts(self.crop) if self.known is None else self.known

    @property
    def doubt_texts(self) -> list[str]:
        return [doubt.text for doubt in self.doubts]


def score(face: Face) -> Score:
    """See `facestats.score_image`."""
    (answer,) = score_all([face])
    if isinstance(answer, WithheldError):
        raise answer
    return answer


def score_all(faces: Sequence[Face]) -> list[Score | WithheldError]:
    """Score faces of the same models together; see `facestats.score_image`.

    Returns
    -------
    list
        The scores of each face, or why it gets none although its age may be high enough.
    """
    checks = _check_ages(faces)
    scored = [
        face
        for face, check in zip(faces, checks, strict=True)
        if not isinstance(check, WithheldError) and not check[1]
    ]
    scores = iter(_scores(scored) if scored else [])
    answers: list[Score | WithheldError] = []
    for face, check in zip(faces, checks, strict=True):
        if isinstance(check, WithheldError):
            answers.append(check)
            continue
        checked, withheld, note = check
        if withheld:
            texts = [f"no score: {withheld}", *face.doubt_texts]
            answers.append(Score(withheld=withheld, age_checked=checked, warnings=texts))
        else:
            answer = next(scores)
            texts = [*note, *answer.warnings]
            answers.append(replace(answer, age_checked=checked, warnings=texts))
    return answers


def _scores(faces: Sequence[Face]) -> list[Score]:
    """The scores of faces whose age is checked already."""
    from facestats.core.stats.scale import to_decile, to_pct, to_score

    models = faces[0].models
    model, (weights, scale) = models.regressor, models.blend
    assert model.scale is not None
    assert model.reference is not None
    raw = model.predict(np.stack([face.embedding for face in faces]))
    holistic, pct = to_score(raw, model.scale), to_pct(raw, model.reference)
    geometric = _geometric(faces, models.geometry, scale)
    combined = weights(geometric, holistic)
    traits = {name: _trait(faces, trait) for name, trait in models.traits.items()}
    answers = []
    for row, face in enumerate(faces):
        shown = {"holistic": holistic, "geometric": geometric, "combined": combined}
        worthless = [
            verdict["text"]
            for name, verdict in models.verdicts.items()
            if verdict["text"] and np.isfinite(shown[name][row])
        ]
        own = {name: scores[row] for name, scores in traits.items()}
        of_traits = [
            f"{name}: {verdict['text']}"
            for name, trait in models.traits.items()
            for kind, verdict in trait.verdicts.items()
            if verdict["text"] and own[name][SHOWN[kind]] is not None
        ]
        missing = lacking(models, face.crop)
        answers.append(
            Score(
                raw=float(raw[row]),
                score=float(holistic[row]),
                pct=float(pct[row]),
                decile=int(to_decile(pct[row : row + 1])[0]),
                geometric=_number(geometric[row]),
                combined=_number(combined[row]),
                warnings=[
                    *worthless,
                    *of_traits,
                    *face.doubt_texts,
                    *([str(missing)] if missing else []),
                ],
                traits=own,
            )
        )
    return answers


def _geometric(
    faces: Sequence[Face], model: GeometryModel, scale: tuple[float, float] | None
) -> np.ndarray:
    """Geometric scores (n,); NaN without landmarks, a model or a scale."""
    from facestats.core.stats.scale import to_score

    scores = np.full(len(faces), np.nan)
    seen = [row for row, face in enumerate(faces) if face.crop.landmarks is not None]
    if model.trained and scale and seen:
        landmarks = np.stack([np.asarray(faces[row].crop.landmarks) for row in seen])
        raw = model.predict(landmarks, [faces[row].jpeg for row in seen])
        scores[seen] = to_score(raw, scale)
    return scores


def _trait(faces: Sequence[Face], models: TraitModels) -> list[TraitScore]:
    """The scores of a further trait."""
    from facestats.core.stats.scale import to_decile, to_pct, to_score

    holistic = np.full(len(faces), np.nan)
    geometric = _geometric(faces, models.geometry, models.scale)
    model, own = models.regressor, [{} for _ in faces]
    if model is not None:
        assert model.scale is not None
        assert model.reference is not None
        raw = model.predict(np.stack([face.embedding for face in faces]))
        holistic, pct = to_score(raw, model.scale), to_pct(raw, model.reference)
        own = [
            {"raw": float(value), "pct": float(share), "decile": int(decile)}
            for value, share, decile in zip(raw, pct, to_decile(pct), strict=True)
        ]
    combined = models.weights(geometric, holistic)
    return [
        TraitScore(
            score=_number(holistic[row]),
            geometric=_number(geometric[row]),
            combined=_number(combined[row]),
            **own[row],
        )
        for row in range(len(faces))
    ]


def lacking(models: Models, crop: FaceCrop) -> FaceStatsError | None:
    """Why there is no combined score, with the way out."""
    if not models.geometry.trained:
        return ModelError(
            f"no combined score: no geometric model was trained ({models.geometry.why}); rate "
            f"more faces and run `dvc repro`. {HOLISTIC}"
        )
    if crop.landmarks is None:
        return ImageError(
            "no combined score: no face was found, so there are no landmarks to measure; use "
            f"a photo that shows the face. {HOLISTIC}"
        )
    if models.blend[0].why:
        return ModelError(
            f"no combined score: {models.blend[0].why}; see score.weights in params.yaml. "
            f"{HOLISTIC}"
        )
    return None


def attributes(face: Face, ethnicity: bool = False) -> Attributes:
    """See `facestats.infer_attributes`."""
    return attributes_all([face], ethnicity)[0]


def attributes_all(faces: Sequence[Face], ethnicity: bool = False) -> list[Attributes]:
    """Infer the attributes of faces of the same models together."""
    from facestats.attributes.resolution import predict_attributes

    of_run = faces[0].models
    models = {
        name: m for name, m in of_run.attribute_models.items() if ethnicity or name != SENSITIVE
    }
    photographs = are_photographs(
        pd.DataFrame([face.crop.facts() for face in faces], columns=FACTS),
        of_run.in_use.get("mostly_drawn", False),
    ).to_numpy()
    predicted, probabilities = predict_attributes(
        pd.RangeIndex(len(faces)),
        np.stack([face.embedding for face in faces]),
        models,
        photographs,
    )
    return [
        _attributes(face, models, predicted.iloc[row], probabilities.iloc[row], photographs[row])
        for row, face in enumerate(faces)
    ]


def _attributes(
    face: Face, models: Mapping[str, Model], predicted: Any, probabilities: Any, photograph: bool
) -> Attributes:
    """The attributes of one face, from its rows of predictions."""
    from facestats.core.stats.groups import age_bucket

    targets: dict[str, Attribute] = {}
    for name, model in models.items():
        if not model.trained:
            targets[name] = Attribute(None)
            continue
        value = predicted[name]
        targets[name] = Attribute(
            _number(value) if model.kind == "regression" else str(value),
            model.source,
            {c: float(probabilities[f"{name}_prob_{c}"]) for c in model.classes}
            if model.classes
            else None,
        )
    age = targets["age"].value if "age" in targets else None
    doubts = face.models.in_use.get("doubts", {})
    prompts = [doubts["zeroshot"]] if photograph and any(name in doubts for name in models) else []
    return Attributes(
        targets,
        None if age is None else str(age_bucket(np.array([age]))[0]),
        [*face.doubt_texts, *prompts],
    )


def measurements(
    models: Models, crop: FaceCrop, jpeg: bytes, ethnicity: bool = False
) -> Measurements:
    """See `facestats.measure_image`."""
    from facestats.core.landmarks import N_LANDMARKS
    from facestats.geometry.columns import measure_faces
    from facestats.geometry.pose import is_frontal

    facts, landmarks = crop.facts(), crop.landmarks
    if landmarks is None:
        landmarks = np.full((N_LANDMARKS, 3), np.nan, dtype=np.float32)
    # In float32, as in `faces.parquet`.
    pose = {name: np.float32(facts.get(name, np.nan)) for name in ("yaw", "pitch", "roll")}
    hidden = np.float32(np.nan if facts["occlusion"] is None else facts["occlusion"])
    yaw, pitch = np.array([pose["yaw"]]), np.array([pose["pitch"]])
    row = measure_faces(
        landmarks[None], [jpeg], yaw, pitch, np.array([hidden]), models.irises
    ).iloc[0]
    return Measurements(
        {
            str(name): None if pd.isna(value) else value if isinstance(value, str) else float(value)
            for name, value in row.items()
            if ethnicity or not str(name).startswith(SENSITIVE_COLUMNS)
        },
        **{name: _number(value) for name, value in pose.items()},
        frontal=bool(is_frontal(yaw, pitch)[0]),
        warnings=[doubt.text for doubt in models.doubts(crop)],
    )


def nearest(
    models: Models,
    vector: np.ndarray,
    k: int,
    but: str | None = None,
    allowed: np.ndarray | None = None,
) -> pd.DataFrame:
    """The `k` faces of the pipeline that are nearest to a vector of unit norm (d,).

    The face called `but` is left out, and those where `allowed` (bool, n) is false.

    Returns
    -------
    DataFrame
        `image`, `filename` and `similarity` (cosine), best first.

    Raises
    ------
    InputError
        `k` is no whole number from 1 on.
    """
    k = whole_number("k", k, 1)
    names, similarity = models.neighbours.nearest(vector, k, allowed, but)
    return pd.DataFrame(
        {
            "image": models.images.reindex(names).to_numpy(),
            "filename": names,
            "similarity": similarity,
        }
    )


def check_age(face: Face) -> Check:
    """Check the age.

    Returns what it was checked by, why there is no score, and a note where it can't be checked.

    Raises
    ------
    WithheldError
        Nothing can tell, and `score.require_age_check` is true.
    """
    (check,) = _check_ages([face])
    if isinstance(check, WithheldError):
        raise check
    return check


def _check_ages(faces: Sequence[Face]) -> list[Check | WithheldError]:
    """Check the ages of faces of the same models; an error in place of each that `check_age` raises
    one for.
    """
    from facestats.age.check import MODEL, OTHER_KIND

    models, check = faces[0].models, faces[0].models.age_check
    checks: list[Check | WithheldError] = []
    left: list[int] = []  # faces that the model judges
    for row, face in enumerate(faces):
        labelled = _labelled_age(models, face.crop) if check.min_age is not None else None
        if labelled is not None:
            checks.append((labelled["age_checked"], labelled["score_withheld"], []))
            continue
        strange: list[str] = []
        if check.min_age is not None:
            strange = [doubt.text for doubt in face.doubts if doubt.reason in OTHER_KIND]
            if check.by_model and not strange:
                left.append(row)
        by_model = check.min_age is not None and check.by_model
        note = check.not_checked(strange[0] if strange and by_model else None)
        withheld = WithheldError(f"no score: {note} (score.require_age_check)")
        checks.append(withheld if check.required else (None, None, [note]))
    if left:
        predicted = models.age_model.predict(np.stack([faces[row].embedding for row in left]))
        for row, young in zip(left, check.may_be_under(predicted), strict=True):
            checks[row] = (MODEL, check.reason(MODEL) if young else None, [])
    return checks


def _labelled_age(models: Models, crop: FaceCrop) -> dict[str, str | None] | None:
    """The row of the age table for the same picture, if people labelled its age."""
    from facestats.faces.comparison import read_thumbnail, thumbnail
    from facestats.faces.dedup import find_copy, perceptual_hash, shows

    labelled, hashes, thumbnails = models.labelled_ages
    crops, size = Crops.of(models.root / CROPS), models.serving["crop"]["size"]

    def look(at: int) -> np.ndarray | None:
        path = crops.path(labelled["filename"][at])
        if at in thumbnails:
            return thumbnails[at]
        try:
            data = crops.read(labelled["filename"][at])
        except FileNotFoundError:  # with None, the answer would change during a run
            raise MixedPartsError(f"{path} is not there any more; {OF_TWO_RUNS}") from None
        if not shows(data, hashes[at]):
            raise MixedPartsError(f"{path} is not the picture that was measured; {OF_TWO_RUNS}")
        return read_thumbnail(data, size)

    # A withheld face whose crop was removed is still known by its hash; an adult is not.
    withheld = set(np.flatnonzero(labelled["score_withheld"].notna()).tolist())
    at = find_copy(perceptual_hash(crop.grey), thumbnail(crop.rgb), hashes, look, withheld)
    if at is None:
        return None
    return {name: None if pd.isna(value) else value for name, value in labelled.iloc[at].items()}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
