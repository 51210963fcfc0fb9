"""Stimuli for people: single faces moved along differences, made symmetric, exaggerated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from facestats.core import tables
from facestats.core.crops import Crops
from facestats.core.files import read_json
from facestats.core.layout import COMPOSITES, CROPS, FINAL_TABLE
from facestats.core.tables.embeddings import sample_rows
from facestats.errors import (
    ImageError,
    InputError,
    ModelError,
    WithheldError,
    suggestion,
)
from facestats.faces.align import crop_transform
from facestats.faces.crop import NO_FACE, PreprocessConfig, crop_face
from facestats.faces.tables import FACES
from facestats.groups.tables import FINAL
from facestats.pairs.built import Built, read_composite, why_not_comparable
from facestats.pairs.continuum import continuum
from facestats.params.errors import checked_options
from facestats.serving import answers
from facestats.serving.checks import whole_number
from facestats.serving.composites_manifest import CompositesManifest
from facestats.serving.crops import check_crops
from facestats.serving.loading import load
from facestats.serving.manifest import faces_table
from facestats.stimuli.changes import Change, along, caricature, symmetric
from facestats.stimuli.moving import move_face
from facestats.stimuli.params import SCORE, How
from facestats.stimuli.photo import FacePhoto, read_face
from facestats.stimuli.score import ScoreDirection, score_direction
from facestats.traits.tables import MAIN

if TYPE_CHECKING:
    from facestats.serving.models import Models

MAX_YAW = 25.0  # degrees, as `max_yaw` of composites: beyond, the far cheek is hidden
MOST_FACES = 2000  # of whom the covariances of attributes are taken
MOST_STEPS = 25
SIDES = 64, 1024  # px of a continuum's pictures
DEFAULT = How(symmetric="both")
# Columns of scores and ratings: those of traits begin with the trait's name.
_SCORES = re.compile(rf"score|attractiveness|rating|_({'|'.join(MAIN)})$")


def transform_face(
    image: Any,
    along: str | None = None,
    shape: float = DEFAULT.shape,
    colour: float = DEFAULT.colour,
    texture: float = DEFAULT.texture,
    symmetric: str | None = None,
    amount: float = DEFAULT.amount,
    caricature: float | None = None,
    mean: str | None = None,
    orthogonal: Sequence[str] = (),
) -> Image.Image:
    """Move the largest face of a photo in shape, colour and texture.

    Give one of `along`, `symmetric` and `caricature`.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo.
    along : str, optional
        Name of a difference in `params.yaml`; 1 is the whole difference towards its `of`. Or
        `score`: the direction that the geometric score prefers; 1 is two standard deviations.
    shape, colour : float, default 0
        Share of the difference, -2 to 2; below 0 leads the other way. With `caricature`, `colour`
        is the share for colours.
    texture : float, default 0
        Power of the ratio of the two composites' detail (Tiddeman, Burt & Perrett 2001), -2 to 2.
        Both need `render.texture: true`.
    symmetric : {'shape', 'colour', 'both'}, optional
        What is made symmetric.
    amount : float, default 1
        How far: 1 is wholly symmetric.
    caricature : float, optional
        Share by which differences in shape from `mean` are exaggerated; below 0, reduced.
    mean : str, optional
        Name of the composite that `caricature` leads away from.
    orthogonal : list of str, optional
        Attributes that stay constant on the way, with `along="score"`: `["gender", "age"]`.

    Returns
    -------
    PIL image
        Upright, of the photo's own size; grey and transparent as the photo is. What lies further
        from the face than about an eye distance is unchanged.

    Raises
    ------
    ImageError
        The image can't be read, has no face, or one turned by more than 25°.
    InputError
        It is no image, there is no such file, or an option is unknown or out of range.
    ModelError
        There is no project folder with models.
    WithheldError
        The composites were chosen by score, and the face may be under `score.min_age`.
    """
    options = {
        "along": along,
        "shape": shape,
        "colour": colour,
        "texture": texture,
        "symmetric": symmetric,
        "amount": amount,
        "caricature": caricature,
        "mean": mean,
        "orthogonal": list(orthogonal),
    }
    models = load()
    return Mover(models, checked_options(How, options)).move(models.photo(image))[1]


class Mover:
    """Moves faces in one way.

    Parameters
    ----------
    models : Models
        Of the project whose composites are used.
    how : How

    Attributes
    ----------
    by_score : bool
        Whether its composites were chosen by a score, which children do not get.

    Raises
    ------
    InputError
        A difference or composite does not exist or was not built.
    """

    def __init__(self, models: Models, how: How):
        self.models, self.how = models, how
        self.ends: tuple[Built, ...] = ()
        self.direction: ScoreDirection | None = None
        if how.along == SCORE:
            self.direction = direction_of(models, how.orthogonal)
        elif how.along is not None:
            self.ends = read_difference(models, how.along)
        elif how.mean is not None:
            self.ends = read_built(models, [how.mean])
        self.by_score = self.direction is not None or any(chosen_by_score(end) for end in self.ends)
        if how.texture:
            for end in self.ends:
                if not (end.facts.get("render") or {}).get("texture"):
                    raise InputError(
                        f"texture = {how.texture:g} needs composites with their detail; set "
                        f"composites.{end.name}.render.texture: true and run `dvc repro`"
                    )

    def parameters(self) -> dict[str, Any]:
        """What the sheet says of how faces are moved."""
        how = self.how
        if how.symmetric is not None:
            return how.model_dump(include={"symmetric", "amount"})
        if how.caricature is not None:
            return how.model_dump(include={"caricature", "mean", "colour"})
        told = how.model_dump(include={"along", "shape", "colour", "texture"})
        if self.direction is None:
            return told
        change = how.shape * self.direction.by_shape + how.colour * self.direction.by_colour
        return told | {
            "orthogonal": ", ".join(how.orthogonal) or None,
            "predicted_change": round(change, 3),
        }

    def move(self, image: Any) -> tuple[FacePhoto, Image.Image]:
        """Move the largest face of a photo; see `transform_face`."""
        crop_options = self.models.serving["crop"]
        limits = {key: crop_options[key] for key in ("max_megabytes", "max_pixels", "max_seconds")}
        with self.models.parts.lock:
            photo = read_face(image, self.models.landmarker, **limits)
            if self.by_score:
                check_age(self.models, image)
        check_turned(photo.yaw)
        return photo, move_face(photo, self.change(photo), limits["max_pixels"])

    def change(self, photo: FacePhoto) -> Change:
        """What is done to a face."""
        how = self.how
        if how.symmetric is not None:
            return symmetric(photo, how.symmetric, how.amount)
        if how.caricature is not None:
            return caricature(photo, self.ends[0], how.caricature, how.colour)
        if self.direction is not None:
            return self.direction.change(photo, how.shape, how.colour)
        of, minus = self.ends
        return along(photo, of, minus, how.shape, how.colour, how.texture)


def chosen_by_score(end: Built) -> bool:
    """Whether a composite's members were chosen by a score or rating, of whatever trait."""
    wanted = end.facts.get("filter") or {}
    return any(wanted.get(key) for key in ("attractiveness", "score", "rating")) or any(
        _SCORES.search(column) for column in wanted.get("columns") or {}
    )


def check_age(models: Models, image: Any) -> None:
    """Raise `WithheldError` for a face that gets no score."""
    withheld = _withheld(models, image)
    if withheld:
        raise WithheldError(f"no stimulus along a score: {withheld}")


def _withheld(models: Models, image: Any) -> str | None:
    """Why the face of a photo gets no score; None where it does."""
    crop = models.crop(models.photo(image))
    face = answers.Face(models, crop, models.jpeg(crop), models.embed(crop))
    return answers.check_age(face)[1]


def direction_of(models: Models, orthogonal: Sequence[str]) -> ScoreDirection:
    """Find the direction that the geometric score of a project prefers.

    Raises
    ------
    ModelError
        No geometric model was trained.
    InputError
        An attribute does not exist, or the tables of faces are not there.
    MixedPartsError
        The tables are of another run than the models.
    """
    model = models.geometry
    if not model.trained:
        raise ModelError(f"no geometric model was trained ({model.why}), so none prefers anything")
    if not orthogonal:
        return score_direction(model, np.zeros((0, 468, 3)), [])
    manifest = CompositesManifest.read(models)
    table = tables.read_all(models.root / FINAL_TABLE, FINAL)
    if "score_withheld" in table:
        table = table[table["score_withheld"].isna()]
    finals = [name for name in map(str, table.columns) if name.endswith("_final")]
    known = sorted(name.removesuffix("_final") for name in finals)
    columns = {}
    for name in orthogonal:
        if name not in known:
            hint = suggestion(name, known)
            raise InputError(
                f"there is no attribute {name!r}.{hint} There are {', '.join(known) or 'none'}"
            )
        values = table[f"{name}_final"]
        if pd.api.types.is_numeric_dtype(values):
            columns[name] = values.astype(float)
            continue
        for one in sorted(set(values.dropna()) - {"unknown"})[1:]:  # the others tell of the first
            columns[f"{name} ({one})"] = (values == one).where(values != "unknown").astype(float)
    faces = tables.read(faces_table(models), FACES, ["filename", "landmarks"])
    shapes = faces.dropna().set_index("filename")["landmarks"]
    rows = table["filename"].isin(shapes.index).to_numpy().nonzero()[0]
    rows = rows[sample_rows(len(rows), MOST_FACES)]
    names = table["filename"].iloc[rows].tolist()
    direction = score_direction(
        model,
        np.stack([shapes[name].reshape(-1, 3) for name in names]),
        Crops.of(models.root / CROPS).sources(names),
        pd.DataFrame(columns).iloc[rows],
    )
    manifest.check_final()
    check_crops(models, names)
    return direction


def check_turned(yaw: float) -> None:
    """Raise `ImageError` for a face that is turned too far to be warped."""
    if abs(yaw) > MAX_YAW:
        raise ImageError(
            f"the face is turned by {abs(yaw):.0f}° to a side; its hidden cheek can't be drawn, so "
            f"at most {MAX_YAW:.0f}° are possible"
        )


def read_difference(models: Models, name: str) -> tuple[Built, ...]:
    """Read the two composites of a difference, `of` and `minus`.

    Raises
    ------
    InputError
        There is no such difference, or it was not built.
    ModelError
        Its files are of several runs.
    """
    manifest = CompositesManifest.read(models)
    facts = read_json(_named(models.root, name, "difference"))
    if not facts.get("built"):
        raise InputError(f"the difference {name} was not built: {facts.get('why')}")
    manifest.check_folders([name])
    of, minus = read_built(models, [facts[end]["name"] for end in ("of", "minus")])
    why = why_not_comparable(of, minus)
    if why:
        raise InputError(f"the difference {name}: {why}")
    return of, minus


def read_built(models: Models, names: Sequence[str]) -> tuple[Built, ...]:
    """Read composites that have a picture and landmarks.

    Raises
    ------
    InputError
        There is no such composite, or it was not built.
    ModelError
        Their files are of several runs.
    """
    manifest = CompositesManifest.read(models)
    composites = []
    for name in names:
        built = read_composite(_named(models.root, name, "composite").parent)
        if built.why:
            raise InputError(built.why)
        composites.append(built)
    manifest.check_folders(names)
    return tuple(composites)


def _named(root: Path, name: str, kind: str) -> Path:
    """The JSON file of a difference or composite."""
    folder = root / COMPOSITES
    known = sorted(path.parent.name for path in folder.glob(f"*/{kind}.json"))
    if name in known:
        return folder / name / f"{kind}.json"
    hint = suggestion(name, known)
    raise InputError(
        f"there is no {kind} {name!r}.{hint} There are {', '.join(known) or 'none'}; a new one in "
        "params.yaml is drawn by `dvc repro`"
    )


def face_continuum(start: Any, end: Any, steps: int = 7) -> list[Image.Image]:
    """Draw pictures in equal steps from one face to another, in shape and colour.

    Parameters
    ----------
    start, end : str, path, bytes, PIL image or uint8 array (height, width, 3)
        The name of a composite, or a photo, whose largest face is cut out.
    steps : int, default 7
        Pictures with both ends, 2 to 25.

    Returns
    -------
    list of PIL image
        Square ones, as large as the smaller of both faces' crops, at most 1,024 px a side.

    Raises
    ------
    ImageError, InputError, ModelError
        See `transform_face`.
    """
    return draw_continuum(load(), start, end, check_steps(steps))


def check_steps(steps: Any) -> int:
    """Raise `InputError` for a number of pictures that is not possible."""
    if whole_number("steps", steps, 2) > MOST_STEPS:
        raise InputError(f"steps = {steps} is not possible: 2 to {MOST_STEPS}")
    return int(steps)


def draw_continuum(models: Models, start: Any, end: Any, steps: int) -> list[Image.Image]:
    """`face_continuum` with given models."""
    named = [one for one in (start, end) if _is_composite(models.root, one)]
    composites = iter(read_built(models, named) if named else ())
    faces = [next(composites) if _is_composite(models.root, one) else one for one in (start, end)]
    if any(isinstance(face, Built) and chosen_by_score(face) for face in faces):
        for face in faces:
            if not isinstance(face, Built):
                check_age(models, face)
    sides = [
        float(len(face.drawn[0])) if isinstance(face, Built) else _crop_side(models, face)
        for face in faces
    ]
    side = int(np.clip(min(sides), *SIDES))
    ends = [
        _resized(face, side) if isinstance(face, Built) else _cropped(models, face, side)
        for face in faces
    ]
    return [Image.fromarray(picture) for picture in continuum(ends[0], ends[1], steps)]


def withheld_end(models: Models, start: Any, end: Any) -> str | None:
    """Why the pictures from one face to another get no scores; None where they do."""
    for one in (start, end):
        if not _is_composite(models.root, one):
            try:
                withheld = _withheld(models, one)
            except (ModelError, WithheldError) as error:  # nothing can tell
                withheld = str(error)
            if withheld:
                return withheld
    return None


def _is_composite(root: Path, name: Any) -> bool:
    return isinstance(name, str) and name in {
        path.parent.name for path in (root / COMPOSITES).glob("*/composite.json")
    }


def _crop_side(models: Models, image: Any) -> float:
    """Side of a face's crop in px of its photo."""
    crop = models.crop(models.photo(image))
    points = crop.photo_landmarks
    if points is None:
        raise ImageError(NO_FACE)
    options = models.serving["crop"]
    return crop_transform(points, crop.width, crop.height, options["margin"], "eyes").side


def _resized(built: Built, side: int) -> Built:
    """A composite of a given side."""
    image, shape = built.drawn
    if len(image) != side:
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return Built(built.name, image, shape, built.facts)


def _cropped(models: Models, image: Any, side: int) -> Built:
    """A photo's face, as a picture of a given side."""
    options = models.serving["crop"] | {"size": side, "on_no_face": "reject", "align": "eyes"}
    with models.parts.lock:
        crop = crop_face(models.photo(image), PreprocessConfig(**options), models.landmarker)
    if crop.pose is not None:
        check_turned(crop.pose.yaw)
    assert crop.landmarks is not None
    return Built("face", crop.rgb, crop.landmarks[:, :2], {})
