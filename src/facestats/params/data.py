"""The sections of `params.yaml` that say what comes in: `data`, `landmarker`, `clip`, `sample`, `preprocess`, `labels` and `split`.

The text below a key is its comment in params.yaml and its line in docs/parameters.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facestats.params.types import DataPath, PathText, Range, Revision, Section


def _wide(scale: list) -> list:
    if scale[0] == scale[1]:
        raise ValueError("the two ends of a scale must differ")
    return scale


class Data(Section):
    images: DataPath
    """folder of photos; data/raw for your own (after `dvc add data/raw`)"""
    labels: DataPath
    """folder with labels.csv and ratings.csv, both optional; data/labels for your own"""
    manual_labels: DataPath
    """corrections by hand, kept in git; they win over every other source"""


class Landmarker(Section):
    source: PathText = "wheel"
    """`wheel`: out of the mediapipe wheel on your package index; or a folder with the three .tflite files"""


class Clip(Section):
    variant: PathText
    """`tiny` (shipped), a Hugging Face id such as openai/clip-vit-base-patch32, or a local folder (DVC does not watch it: pin its revision)"""
    revision: Revision | None = None
    """commit or tag of a Hugging Face id; sha256 (or its beginning) of a local folder's weights"""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """float32 | bfloat16 | float16 | auto (the fastest this machine computes natively)"""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """images a forward pass; the last batch is padded, so a row's bits do not depend on its neighbours"""


class Sample(Section):
    n: Annotated[int, Field(ge=1, le=100_000)] = 480
    """drawn faces; a dozen deliberately bad files come on top"""
    size: Annotated[int, Field(ge=64, le=1024)] = 256
    """side of a drawn image, pixels"""
    seed: Annotated[int, Field(ge=0)] = 0
    """another seed draws other people"""


class Preprocess(Section):
    size: Annotated[int, Field(ge=32, le=4096)] = 512
    """side of a face crop, pixels"""
    margin: Annotated[float, Field(ge=0, le=2)] = 0.3
    """space around the face on each side, as a share of the face's height"""
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    """JPEG quality of the crops, 1-100"""
    align: Literal["eyes", "none"] = "eyes"
    """eyes: turn the face so that the eyes lie level | none: leave it as it stands in the photo"""
    on_no_face: Literal["reject", "center_crop"] = "reject"
    """reject: a photo without a face is left out, with the reason | center_crop: its middle is used"""
    max_megabytes: Annotated[int, Field(ge=1, le=4096)] = 256
    """size up to which a photo's file is read, MB; a larger one is left out, with the reason"""
    max_pixels: Annotated[int, Field(ge=1_000_000, le=178_956_970)] = 178_956_970
    """pixels of 8-bit RGB that a photo may have, or what takes as much memory (12 bytes each); a larger one is left out, with the reason"""
    max_seconds: Annotated[float, Field(ge=1, le=3600)] = 60
    """seconds of a processor that a photo may take; one that takes longer is left out, with the reason, and tried anew in the next run"""


# Raters are often numbered, and YAML reads [3] as a number.
Rater = Annotated[
    str, Field(min_length=1), BeforeValidator(lambda name: str(name) if type(name) is int else name)
]


class Labels(Section):
    rating_scale: Literal["auto"] | Annotated[Range, AfterValidator(_wide)] = "auto"
    """ends of the raters' scale, [low, high], or auto: the narrowest usual scale that holds every rating but slips (an error)"""
    drop_raters: Literal["auto"] | list[Rater] | None = None
    """raters left out: null (nobody; suspicious ones are named) | auto (those who answer always the same, at random or the other way round) | [names]"""


class Split(Section):
    val: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """share of persons for early stopping and choices"""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """share of persons for the metrics, seen by no model"""
    seed: Annotated[int, Field(ge=0)] = 0
    """another seed deals people out anew"""

    @model_validator(mode="after")
    def _leaves_train(self):
        if self.val + self.test >= 1:
            raise ValueError("val + test must stay below 1, or nobody is left to train on")
        return self
