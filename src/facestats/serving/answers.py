"""What the models of a run say about a face that was cut out and embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facestats.core.doubts import FACTS, Doubt, are_photographs
from facestats.core.layout import CROPS
from facestats.errors import FaceStatsError, ImageError, ModelError, WithheldError
from facestats.serving.checks import whole_number
from facestats.serving.manifest import OF_TWO_RUNS, MixedPartsError, identity
from facestats.serving.types import Attribute, Attributes, Measurements, Score, TraitScore

if TYPE_CHECKING:
    from facestats.faces.crop import FaceCrop
    from facestats.serving.models import Models
    from facestats.serving.parts import TraitModels

SENSITIVE = "ethnicity"
SHOWN = {"holistic": "score", "geometric": "geometric", "combined": "combined"}
SENSITIVE_COLUMNS = (f"{SENSITIVE}_", "skin_")  # how columns begin that are shown on request only
HOLISTIC = "facestats.score_image gives the holistic score alone"


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
    """

    models: Models
    crop: FaceCrop
    jpeg: bytes
    embedding: np.ndarray = field(repr=False)

    @cached_property
    def doubts(self) -> list[Doubt]:
        """The doubts about the picture."""
        return self.models.doubts(self.crop)

    @property
    def doubt_texts(self) -> list[str]:
        return [doubt.text for doubt in self.doubts]


def score(face: Face) -> Score:
    """See `facestats.score_image`."""
    from facestats.core.stats.scale import to_decile, to_pct, to_score

    models, crop, embedding = face.models, face.crop, face.embedding[None]
    model, (weights, scale) = models.regressor, models.blend
    checked, withheld, note = check_age(face)
    if withheld:
        return Score(
            withheld=withheld,
            age_checked=checked,
            warnings=[f"no score: {withheld}", *face.doubt_texts],
        )
    assert model.scale is not None
    assert model.reference is not None
    raw = model.predict(embedding)
    holistic, pct = to_score(raw, model.scale), to_pct(raw, model.reference)
    geometric = np.full(1, np.nan)
    if models.geometry.trained and scale and crop.landmarks is not None:
        geometric = to_score(models.geometry.predict(crop.landmarks[None], [face.jpeg]), scale)
    combined = weights(geometric, holistic)
    missing = lacking(models, crop)
    shown = {"holistic": holistic, "geometric": geometric, "combined": combined}
    worthless = [
        verdict["text"]
        for name, verdict in models.verdicts.items()
        if verdict["text"] and np.isfinite(shown[name]).all()
    ]
    traits = {name: _trait(face, trait) for name, trait in models.traits.items()}
    of_traits = [
        f"{name}: {verdict['text']}"
        for name, trait in models.traits.items()
        for kind, verdict in trait.verdicts.items()
        if verdict["text"] and traits[name][SHOWN[kind]] is not None
    ]
    return Score(
        raw=float(raw[0]),
        score=float(holistic[0]),
        pct=float(pct[0]),
        decile=int(to_decile(pct)[0]),
        geometric=_number(geometric),
        combined=_number(combined),
        age_checked=checked,
        warnings=[
            *note,
            *worthless,
            *of_traits,
            *face.doubt_texts,
            *([str(missing)] if missing else []),
        ],
        traits=traits,
    )


def _trait(face: Face, models: TraitModels) -> TraitScore:
    """The scores of a further trait."""
    from facestats.core.stats.scale import to_decile, to_pct, to_score

    crop, geometric, holistic = face.crop, np.full(1, np.nan), np.full(1, np.nan)
    if models.geometry.trained and models.scale and crop.landmarks is not None:
        raw = models.geometry.predict(crop.landmarks[None], [face.jpeg])
        geometric = to_score(raw, models.scale)
    model, own = models.regressor, {}
    if model is not None:
        assert model.scale is not None
        assert model.reference is not None
        raw = model.predict(face.embedding[None])
        holistic, pct = to_score(raw, model.scale), to_pct(raw, model.reference)
        own = {"raw": float(raw[0]), "pct": float(pct[0]), "decile": int(to_decile(pct)[0])}
    return TraitScore(
        score=_number(holistic),
        geometric=_number(geometric),
        combined=_number(models.weights(geometric, holistic)),
        **own,
    )


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
    from facestats.attributes.resolution import predict_attributes
    from facestats.core.stats.groups import age_bucket

    models = {
        name: m
        for name, m in face.models.attribute_models.items()
        if ethnicity or name != SENSITIVE
    }
    in_use = face.models.in_use
    photograph = are_photographs(
        pd.DataFrame([face.crop.facts()], columns=FACTS), in_use.get("mostly_drawn", False)
    ).to_numpy()
    predicted, probabilities = predict_attributes(
        pd.Index(["image"]), face.embedding[None], models, photograph
    )
    targets: dict[str, Attribute] = {}
    for name, model in models.items():
        if not model.trained:
            targets[name] = Attribute(None)
            continue
        value = predicted[name].iloc[0]
        targets[name] = Attribute(
            _number(np.array([value])) if model.kind == "regression" else str(value),
            model.source,
            {c: float(probabilities[f"{name}_prob_{c}"].iloc[0]) for c in model.classes}
            if model.classes
            else None,
        )
    age = targets["age"].value if "age" in targets else None
    doubts = in_use.get("doubts", {})
    prompts = (
        [doubts["zeroshot"]] if photograph[0] and any(name in doubts for name in models) else []
    )
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
        **{name: _number(np.array([value])) for name, value in pose.items()},
        frontal=bool(is_frontal(yaw, pitch)[0]),
        warnings=[doubt.text for doubt in models.doubts(crop)],
    )


def nearest(models: Models, vector: np.ndarray, k: int) -> pd.DataFrame:
    """The `k` faces of the pipeline that are nearest to a vector of unit norm (d,).

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
    filenames, embeddings = models.embeddings
    similarity = embeddings @ vector
    order = np.argsort(-similarity, kind="stable")[:k]
    names = filenames[order]
    return pd.DataFrame(
        {
            "image": models.images.reindex(names).to_numpy(),
            "filename": names,
            "similarity": similarity[order],
        }
    )


def check_age(face: Face) -> tuple[str | None, str | None, Sequence[str]]:
    """Check the age.

    Returns what it was checked by, why there is no score, and a note where it can't be checked.

    Raises
    ------
    WithheldError
        Nothing can tell, and `score.require_age_check` is true.
    """
    from facestats.age.check import MODEL, OTHER_KIND

    check = face.models.age_check
    if check.min_age is not None:
        labelled = _labelled_age(face.models, face.crop)
        if labelled is not None:
            return labelled["age_checked"], labelled["score_withheld"], []
        strange = [doubt.text for doubt in face.doubts if doubt.reason in OTHER_KIND]
        if check.by_model and not strange:
            young = check.may_be_under(face.models.age_model.predict(face.embedding[None]))[0]
            return MODEL, check.reason(MODEL) if young else None, []
        note = check.not_checked(strange[0] if strange and check.by_model else None)
    else:
        note = check.not_checked()
    if check.required:
        raise WithheldError(f"no score: {note} (score.require_age_check)")
    return None, None, [note]


def _labelled_age(models: Models, crop: FaceCrop) -> dict[str, str | None] | None:
    """The row of the age table for the same picture, if people labelled its age."""
    from facestats.faces.comparison import read_thumbnail, thumbnail
    from facestats.faces.dedup import find_copy, perceptual_hash, shows

    labelled, hashes, thumbnails, seen = models.labelled_ages
    crops, size = models.root / CROPS, models.serving["crop"]["size"]

    def look(at: int) -> np.ndarray | None:
        path = crops / labelled["filename"][at]
        if at in thumbnails:
            return thumbnails[at]
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # with None, the answer would change during a run
            raise MixedPartsError(f"{path} is not there any more; {OF_TWO_RUNS}") from None
        if identity(path) != seen[at] and not shows(data, hashes[at]):
            raise MixedPartsError(f"{path} is another picture by now; {OF_TWO_RUNS}")
        return read_thumbnail(data, size)

    # A withheld face whose crop was removed is still known by its hash; an adult is not.
    withheld = set(np.flatnonzero(labelled["score_withheld"].notna()).tolist())
    at = find_copy(perceptual_hash(crop.grey), thumbnail(crop.rgb), hashes, look, withheld)
    if at is None:
        return None
    return {name: None if pd.isna(value) else value for name, value in labelled.iloc[at].items()}


def _number(values: np.ndarray) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None
