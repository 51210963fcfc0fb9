"""What people import.

    import facestats
    facestats.score_image("photo.jpg")

Every function uses the models of `facestats.load()`: those of the nearest folder upwards that has
`models/serving.json`. `facestats.load("path/to/repo")` gives the models of another folder: its `score`, `combined_score`,
`attributes`, `similar` and `landmarks` do the same for them. docs/library.md has an example of each.

`image` is a path, the bytes of an image file, a PIL image or an RGB array (height, width, 3) of uint8. From a path or
bytes it gets exactly what the pipeline's table gives it; of a large JPEG that somebody else has decoded the pixels
differ a little from the pipeline's own decoding, and the score with them (0.04 points at 3,500 px). A score is what
the raters of the training data would have said, not the worth of a person.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import DoubtWarning
from facestats.serving.composites import filter_images, make_composite
from facestats.serving.models import load
from facestats.serving.types import Attributes, Score

__all__ = [
    "calculate_attractiveness_score",
    "detect_landmarks",
    "filter_images",
    "find_similar",
    "get_clip_embedding",
    "infer_attributes",
    "load",
    "make_composite",
    "score_image",
]


def detect_landmarks(image: Any) -> np.ndarray | None:
    """468 landmarks of the largest face.

    Returns
    -------
    float32 (468, 3): x and y as a fraction of the image's width and height, z in x's unit, smaller is nearer; None without a face.

    Warns
    -----
    DoubtWarning
        What is doubtful about the face. So of `get_clip_embedding`, `calculate_attractiveness_score` and `find_similar`.

    Raises
    ------
    ImageError
        The image can't be read.
    InputError
        It is none, or there is no such file. So of all functions below.
    ModelError
        There is no project folder with models. So of all functions below.
    """
    return load().landmarks(image)


def get_clip_embedding(image: Any) -> np.ndarray:
    """CLIP embedding of the largest face: float32 (d,), unit norm; d is the CLIP variant's.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    ModelError
        `models/clip` holds other weights than the models were trained on.
    """
    models = load()
    crop = models.crop(image)
    models.warn(crop)
    return models.embed(crop)


def infer_attributes(image: Any, ethnicity: bool = False) -> Attributes:
    """What the attribute models, and prompts where no model was trained, say about the largest face.

    Parameters
    ----------
    ethnicity : inferring a single person's ethnicity from a face is banned or high-risk in some places, so it is left
        out unless asked for.

    Returns
    -------
    dict by target: the class (`unknown` where the model abstains) or the number (age: years), `<target>_source` (`model` or
    `zeroshot`) and, where there are classes, `<target>_probabilities` (by class, summing to 1); age also as FairFace's `age_bucket`.
    None where no model was trained and `zeroshot` has no prompts either, and for a number where prompts of `tiny` see a photograph.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    ModelError
        A model file is missing or damaged, or made for other CLIP weights.
    """
    return load().attributes(image, ethnicity)


def score_image(image: Any) -> Score:
    """Attractiveness of the largest face as the raters of the training data would have judged it.

    Returns
    -------
    dict of Python's own numbers with `raw` (rating units), `score` (0–100, the holistic score: from the embedding), `pct` (0–1, share of the reference
    faces below), `decile` (1–10), `geometric` (0–100, from landmarks and, with `geometry.appearance`, the face warped to the
    mean shape), `combined` (0–100, both by `score.weights`), `withheld`, `age_checked` and `warnings` (list of text). `geometric` and `combined` are
    None where they can't be had; a warning says why. Of a face that may be under `score.min_age` all of them are None, and `withheld` is the reason,
    else None. `age_checked` is what told: `manual`, `label`, `copy` (the pipeline knows the picture, and people said its age) or `model`; None where
    nothing could, and a warning says so.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    ModelError
        No model was trained.
    WithheldError
        Nothing can tell the age, and `score.require_age_check` is true.
    """
    return load().score(image)


def calculate_attractiveness_score(image: Any) -> float:
    """The combined score of `score_image`, 0–100: the geometric and the holistic score of the largest face, weighed by `score.weights`.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found; the middle of a photo (`preprocess.on_no_face: center_crop`) has no geometry.
    ModelError
        No regressor or no geometric model was trained, or no weights could be learned. The holistic score never takes its place.
    WithheldError
        The face may be under `score.min_age`, or nothing can tell and `score.require_age_check` is true.
    """
    return load().combined_score(image)


def find_similar(image: Any, k: int = 10) -> pd.DataFrame:
    """The faces of the pipeline that are most alike.

    Parameters
    ----------
    k : how many, a whole number from 1 on.

    Returns
    -------
    DataFrame `image` (the photo), `filename` (its face), `similarity` (cosine, at most 1), best first, `k` rows or as many as there are.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    InputError
        `k` is no such number.
    TableError
        There is no table of embeddings.
    ModelError
        It was computed with other weights than `models/clip` holds.
    """
    found = load().similar(image, k)
    for text in found.attrs["warnings"]:
        warnings.warn(text, DoubtWarning, stacklevel=2)
    return found
