"""The models of one project folder, and what they compute for one photo."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from facestats.core.doubts import Doubt, find_doubts
from facestats.core.fingerprint import PACKAGE
from facestats.core.layout import ATTRIBUTES
from facestats.core.shards import find_member
from facestats.errors import (
    DoubtWarning,
    InputError,
    ModelError,
    TableError,
    WithheldError,
    did_you_mean,
    nearest_names,
)
from facestats.labels.names import SLASHES, UNICODE, PhotoNames, Reading, suggestion
from facestats.photos.source import as_source, is_photo
from facestats.serving import answers
from facestats.serving.answers import Face
from facestats.serving.checks import text_of, whole_number
from facestats.serving.manifest import Identity
from facestats.serving.parts import Parts, TraitModels
from facestats.serving.types import Attributes, Measurements, Score

if TYPE_CHECKING:
    from facestats.age.check import AgeCheck
    from facestats.attributes.model import AttributeModel
    from facestats.attributes.zeroshot import Model
    from facestats.clip.encoder import ImageEncoder
    from facestats.faces.crop import FaceCrop
    from facestats.faces.irises import Irises
    from facestats.faces.landmarks import Landmarker
    from facestats.geometry.regressor import GeometryModel
    from facestats.neighbours.search import Neighbours
    from facestats.prompts.text import TextEncoder
    from facestats.scores.blending import BlendWeights
    from facestats.scores.regressor import Regressor

# How a name may differ from a photo's: never so far that another photo is scored unawares.
AS_WRITTEN = frozenset({SLASHES, UNICODE})


def _one_at_a_time(method: Callable) -> Callable:
    """Let one thread at a time in.

    LiteRT's interpreter serves a single thread, and torch uses all processors for one photo.
    """

    @wraps(method)
    def locked(self: Models, *arguments: Any, **named: Any) -> Any:
        with self.parts.lock:
            return method(self, *arguments, **named)

    return locked


@dataclass(frozen=True, eq=False)
class Models:
    """The models and tables of one run of a project folder, immutable; `load` makes it.

    Threads may share it: its methods take one photo at a time.

    Attributes
    ----------
    root : Path
        The project folder.
    serving : mapping
        The content of `models/serving.json` without the hashes.
    parts : Parts
        What was read.
    """

    root: Path
    serving: Mapping[str, Any]
    parts: Parts

    @property
    def landmarker(self) -> Landmarker:
        return self.parts.get("landmarker")[0]

    @property
    def irises(self) -> Irises | None:
        """The iris model; None where `models/landmarker` has none."""
        return self.parts.get("landmarker")[1]

    @property
    def encoder(self) -> ImageEncoder:
        return self.parts.get("clip")

    @property
    def regressor(self) -> Regressor:
        return self.parts.get("regressor")

    @property
    def geometry(self) -> GeometryModel:
        return self.parts.get("geometry")

    @property
    def blend(self) -> tuple[BlendWeights, tuple[float, float] | None]:
        """Weights of the combined score, and the scale of the geometric model's ratings."""
        return self.parts.get("blend")[0]

    @property
    def traits(self) -> dict[str, TraitModels]:
        """The models of each further trait; empty where none was scored."""
        return self.parts.get("traits")

    @property
    def verdicts(self) -> dict[str, dict]:
        """The verdict on each score, by its name."""
        return self.parts.get("blend")[1]

    @cached_property
    def compared_files(self) -> dict[str, Identity]:
        """Files that were found to be those of the run, by path, and what they were then."""
        return {}

    @cached_property
    def attribute_models(self) -> dict[str, Model]:
        """By target: the trained model, else prompts, else the untrained model."""
        from facestats.attributes.resolution import target_kinds
        from facestats.attributes.zeroshot import fill_gaps, zeroshot_models

        limits, trained, prompts = (
            self.in_use.get("on_photographs"),
            self.parts.get("classifiers"),
            self.parts.get("zeroshot"),
        )
        limits = limits and {
            name: np.inf if limit is None else limit for name, limit in limits.items()
        }
        return fill_gaps(
            trained, zeroshot_models(prompts, target_kinds(trained), on_photographs=limits)
        )

    @property
    def drawn(self) -> float:
        """Share of drawings among the faces of the pipeline; 0 where their file was not pulled."""
        return self.in_use["drawn"] if self.parts.has("attributes") else 0.0

    @property
    def in_use(self) -> dict[str, Any]:
        """The attribute models in use, and the limits of prompts on photographs."""
        return self.parts.get("attributes")

    @property
    def age_check(self) -> AgeCheck:
        """How ages are checked before a face gets a score."""
        return self.parts.get("age_check")

    @property
    def age_model(self) -> AttributeModel:
        """The trained age model; `age_check` says whether it is used."""
        trained = self.parts.get("classifiers")
        if "age" not in trained:
            raise ModelError(
                f"{self.root / ATTRIBUTES} has no target age, but ages are checked by its model; "
                "run `dvc repro`"
            )
        return trained["age"]

    @property
    def labelled_ages(
        self,
    ) -> tuple[pd.DataFrame, np.ndarray, dict[int, np.ndarray | None]]:
        """Faces of the pipeline whose age people labelled; none with models alone.

        Their rows of `age_check.parquet`; their perceptual hashes, uint8 (n, 32); and, by row, the
        thumbnails of those that get no score, which are so recognised while a run replaces crops,
        and None for those whose crop was not there, or is of another run.
        """
        return self.parts.get("ages")

    @property
    def neighbours(self) -> Neighbours:
        """All faces of the pipeline, to search among."""
        return self.parts.get("embeddings")

    @cached_property
    def text(self) -> TextEncoder:
        """CLIP's text tower."""
        from facestats.prompts.text import TextEncoder

        folder = (self.root / next(iter(self.parts.manifest.parts["clip"]))).parent
        return TextEncoder(folder, self.serving["clip"]["weights_sha256"])

    @property
    def images(self) -> pd.Series:
        """Path of the photo by the name of its face, of all faces of the pipeline."""
        return self.parts.get("faces")["image"]

    @cached_property
    def names(self) -> PhotoNames:
        """The names of all photos of the pipeline with a face."""
        return PhotoNames(self.images, self.root / self.serving["images"])

    def photo(self, image: Any) -> Any:
        """Replace the name of a photo of the pipeline by its path, or by its bytes out of a shard.

        Any other image is left alone.

        Raises
        ------
        InputError
            The name is that of a photo of the pipeline which is not there, or there is neither a
            file nor a photo of that name.
        """
        if not isinstance(image, (str, Path)) or os.path.lexists(image):
            return image
        if find_member(image):
            return as_source(image)
        try:
            (reading,) = self.names.read_all([str(image)]).values()
        except TableError:  # models alone
            return image
        if reading.image is None or not AS_WRITTEN.issuperset(reading.liberties):
            likely = reading.likely or ((reading.image,) if reading.image else ())
            raise InputError(f"{image}: no such file{suggestion(Reading(None, likely=likely))}")
        assert self.names.folder is not None
        path = self.names.folder / reading.image
        if not is_photo(path):
            raise InputError(
                f"{image} is a photo of the pipeline, but {path} is not there; `dvc pull` or a "
                "copy of it brings it back"
            )
        return as_source(path)

    def faces(self, names: Iterable[str]) -> dict[str, str]:
        """Find the crop name of each photo or crop name; unknown names stay as they are."""
        by_image = {image: face for face, image in self.images.items()}
        readings = self.names.read_all(names, explain=0)
        return {
            name: by_image[reading.image]
            if reading.image and AS_WRITTEN.issuperset(reading.liberties)
            else name
            for name, reading in readings.items()
        }

    @_one_at_a_time
    def crop(self, image: Any) -> FaceCrop:
        """Cut out the largest face, as the pipeline's `preprocess` does.

        Returns
        -------
        FaceCrop
            `rgb`, uint8 (size, size, 3); `landmarks`, fractions of the crop, or None; `pose`,
            degrees; `box`, px of the photo; `face_count`; `confidence`, 0 to 1.

        Raises
        ------
        ImageError
            The image can't be read, or has no face.
        """
        from facestats.faces.crop import PreprocessConfig, crop_face

        return crop_face(
            self.photo(image), PreprocessConfig(**self.serving["crop"]), self.landmarker
        )

    def jpeg(self, crop: FaceCrop) -> bytes:
        """Encode a crop as the pipeline does; its models see this JPEG."""
        return crop.jpeg(self.serving["crop"]["quality"])

    def doubts(self, crop: FaceCrop) -> list[Doubt]:
        """List the doubts about a crop, each with its `reason`, `value` and `text`."""
        return find_doubts(crop, self.drawn)

    def warn(self, crop: FaceCrop, texts: Iterable[str] = ()) -> None:
        """Issue texts, and the doubts about a crop, as `DoubtWarning`."""
        for text in (*texts, *(doubt.text for doubt in self.doubts(crop))):
            warnings.warn(text, DoubtWarning, stacklevel=_callers_level())

    @_one_at_a_time
    def embed(self, crop: FaceCrop) -> np.ndarray:
        """Compute the embedding of a crop, float32 (d,)."""
        return self.encoder.encode([decoded(self.jpeg(crop))])[0]

    @_one_at_a_time
    def landmarks(self, image: Any) -> np.ndarray | None:
        """See `facestats.detect_landmarks`."""
        from facestats.faces.crop import NoFaceError

        try:
            crop = self.crop(image)
        except NoFaceError:
            return None
        if crop.photo_landmarks is not None:
            self.warn(crop)
        return crop.photo_landmarks

    @_one_at_a_time
    def score(self, image: Any) -> Score:
        """See `facestats.score_image`."""
        crop = self.crop(image)
        _ = self.regressor, self.blend  # each raises its own error
        return answers.score(self._face(crop))

    @_one_at_a_time
    def combined_score(self, image: Any) -> float:
        """See `facestats.calculate_attractiveness_score`."""
        _ = self.regressor  # raises its own error
        crop = self.crop(image)
        lacking = answers.lacking(self, crop)
        if lacking:
            raise lacking
        result = answers.score(self._face(crop))
        if result.withheld:
            raise WithheldError(f"no score: {result.withheld}")
        self.warn(crop, result.warnings[:1] if result.age_checked is None else [])
        assert result.combined is not None  # nothing is lacking
        return result.combined

    @_one_at_a_time
    def attributes(self, image: Any, ethnicity: bool = False) -> Attributes:
        """See `facestats.infer_attributes`."""
        _ = self.attribute_models  # raises its own error
        return answers.attributes(self._face(self.crop(image)), ethnicity)

    @_one_at_a_time
    def measurements(self, image: Any, ethnicity: bool = False) -> Measurements:
        """See `facestats.measure_image`."""
        crop = self.crop(image)
        return answers.measurements(self, crop, self.jpeg(crop), ethnicity)

    @_one_at_a_time
    def similar(
        self,
        image: Any = None,
        k: int = 10,
        *,
        words: str | None = None,
        face: str | None = None,
        among: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """See `facestats.find_similar`."""
        k = whole_number("k", k, 1)
        if sum(given is not None for given in (image, words, face)) != 1:
            raise InputError("one is needed of an image, words, and the name of a face")
        faces = self.neighbours
        allowed = None if among is None else faces.rows_of(among)
        doubts: list[str] = []
        name = None
        if words is not None:
            vector = self.text.encode([text_of("words", words)])[0]
        elif face is not None:
            (name,) = self.faces([text_of("face", face)]).values()
            if name not in faces.names:
                raise InputError(
                    f"{face}: no such face{did_you_mean(nearest_names(face, faces.names))}"
                )
            vector = faces.vector(name)
        else:
            crop = self.crop(image)
            vector, doubts = self.embed(crop), [doubt.text for doubt in self.doubts(crop)]
        table = answers.nearest(self, vector, k, but=name, allowed=allowed)
        table.attrs["warnings"] = doubts
        return table

    def _face(self, crop: FaceCrop) -> Face:
        jpeg = self.jpeg(crop)
        return Face(self, crop, jpeg, self.encoder.encode([decoded(jpeg)])[0])


def _callers_level() -> int:
    """The `stacklevel` that attributes a warning to the first caller outside of this package."""
    level, frame = 0, sys._getframe(1)
    while frame and Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level + 1


def decoded(jpeg: bytes) -> Image.Image:
    """The picture that models see of a crop, RGB."""
    return Image.open(io.BytesIO(jpeg)).convert("RGB")
