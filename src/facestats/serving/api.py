"""The public functions on one photo.

    import facestats
    facestats.score_image("photo.jpg")

Every function uses the models of `facestats.load()`: those of the nearest folder upwards that has
`models/serving.json`. `facestats.load("path/to/repo")` gives the models of another folder: its
`score`, `combined_score`, `attributes`, `similar` and `landmarks` do the same for them.
docs/library.md has an example of each.

`image` is a path, the bytes of an image file, a PIL image or an RGB array (height, width, 3) of
uint8. A path or bytes give exactly the values of the pipeline's tables. A large JPEG decoded
elsewhere differs a little in its pixels, and so in its score (by 0.04 points at 3,500 px). A score
predicts the rating by the raters of the training data; it is not the worth of a person.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from facestats.errors import DoubtWarning
from facestats.serving.loading import load
from facestats.serving.types import Attributes, Measurements, Score


def detect_landmarks(image: Any) -> np.ndarray | None:
    """Detect the 468 landmarks of the largest face.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.

    Returns
    -------
    float32 array (468, 3), or None
        x and y as fractions of the image's width and height, z in the unit of x, smaller is nearer;
        None where there is no face.

    Warns
    -----
    DoubtWarning
        A doubt about the picture, such as a dark or blurred face.

    Raises
    ------
    ImageError
        The image can't be read.
    InputError
        It is no image, or there is no such file.
    ModelError
        There is no project folder with models.
    """
    return load().landmarks(image)


def get_clip_embedding(image: Any) -> np.ndarray:
    """Compute the CLIP embedding of the largest face.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.

    Returns
    -------
    float32 array (d,)
        Of unit length; d is the CLIP variant's, 384 for `tiny` and 512 for ViT-B/32. It equals the
        row of `embeddings_clip.parquet` that the same file has.

    Warns
    -----
    DoubtWarning
        A doubt about the picture.

    Raises
    ------
    ImageError
        The image can't be read, or it has no face.
    InputError
        It is no image, or there is no such file.
    ModelError
        There are no models, or `models/clip` holds other weights than they were trained on.
    """
    models = load()
    crop = models.crop(image)
    models.warn(crop)
    return models.embed(crop)


def infer_attributes(image: Any, ethnicity: bool = False) -> Attributes:
    """Infer the attributes of the largest face, by trained models or else by prompts.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.
    ethnicity : bool, default False
        Infer ethnicity too. Inferring one person's is banned or high-risk in some places.

    Returns
    -------
    Attributes
        For each target the class (`unknown` where the model abstains) or the number (`age`, in
        years), its source and, for classes, their probabilities. A target is None without a model
        and prompts, and where the prompts of `tiny` can't judge a photograph.

    Raises
    ------
    ImageError
        The image can't be read, or it has no face.
    InputError
        It is no image, or there is no such file.
    ModelError
        A model is missing or damaged, or was made for other CLIP weights.
    """
    return load().attributes(image, ethnicity)


def measure_image(image: Any, ethnicity: bool = False) -> Measurements:
    """Measure the largest face, as the pipeline's `geometry` does.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.
    ethnicity : bool, default False
        Measure the colour of the skin, too, which some take for ethnicity.

    Returns
    -------
    Measurements
        Each measurement of docs/measurements.md by its name; None where the head is turned too far
        for it.

    Raises
    ------
    ImageError
        The image can't be read, or it has no face.
    InputError
        It is no image, or there is no such file.
    ModelError
        There is no project folder with models.
    """
    return load().measurements(image, ethnicity)


def score_image(image: Any) -> Score:
    """Score the largest face: the rating that the raters of the training data are expected to give.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.

    Returns
    -------
    Score
        The scores, `withheld`, `age_checked` and `warnings`. If `geometric` or `combined` is None,
        a warning says why; if the face may be under `score.min_age`, all scores are None and
        `withheld` says why.

    Raises
    ------
    ImageError
        The image can't be read, or it has no face.
    InputError
        It is no image, or there is no such file.
    ModelError
        No regressor was trained.
    WithheldError
        The age can't be checked, and `score.require_age_check` is true.
    """
    return load().score(image)


def calculate_attractiveness_score(image: Any) -> float:
    """Compute the combined score of the largest face, `combined` of `score_image`.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3)
        The photo; its largest face counts.

    Returns
    -------
    float
        0 to 100; never the holistic score instead.

    Warns
    -----
    DoubtWarning
        A doubt about the picture.

    Raises
    ------
    ImageError
        The image can't be read, has no face, or none with landmarks.
    InputError
        It is no image, or there is no such file.
    ModelError
        No regressor or no geometric model was trained, or no weights could be learned.
    WithheldError
        The face may be under `score.min_age`, or its age can't be checked and
        `score.require_age_check` is true.
    """
    return load().combined_score(image)


def find_similar(
    image: Any = None,
    k: int = 10,
    *,
    words: str | None = None,
    face: str | None = None,
    among: Iterable[str] | None = None,
) -> pd.DataFrame:
    """Find the faces of the pipeline that are most similar to a face, or fit words best.

    Parameters
    ----------
    image : path, bytes, PIL image or uint8 array (height, width, 3), optional
        A photo; its largest face counts.
    k : int, default 10
        Number of faces, at least 1.
    words : str, optional
        In place of an image; what CLIP's text tower makes of them is compared.
    face : str, optional
        In place of an image; the name of a face of the pipeline, or of its photo. The face itself
        is left out.
    among : iterable of str, optional
        The faces that count, by `filename`, such as those of a filtered table; by default all.

    Returns
    -------
    DataFrame
        `image` (path of the photo), `filename` (of its crop) and `similarity` (cosine, at most 1),
        best first; `k` rows, or as many as there are. A photo of the pipeline finds itself.

    Warns
    -----
    DoubtWarning
        A doubt about the picture; `.attrs["warnings"]` has them too.

    Raises
    ------
    ImageError
        The image can't be read, or it has no face.
    InputError
        It is no image, there is no such file or face, also in `among`, `k` is no such number, or
        not exactly one of an image, words and a face is given.
    TableError
        There are no embeddings, or they are damaged.
    ModelError
        They were computed with other weights than `models/clip` holds; the words can't be read; or
        `index.kind` asks for an index, and faiss is not installed.
    """
    faces = load().similar(image, k, words=words, face=face, among=among)
    for text in faces.attrs["warnings"]:
        warnings.warn(text, DoubtWarning, stacklevel=2)
    return faces
