"""What people import.

    import facestats
    facestats.score_image("photo.jpg")

Every function uses the models of `facestats.load()`: those of the nearest folder upwards that has
`models/serving.json`. `facestats.load("path/to/repo")` gives the models of another folder: its `score`, `combined_score`,
`attributes`, `similar` and `landmarks` do the same for them.

`image` is a path, the bytes of an image file, a PIL image or an RGB array (height, width, 3) of uint8. From a path or
bytes it gets exactly what the pipeline's table gives it; of a large JPEG that somebody else has decoded the pixels
differ a little from the pipeline's own decoding, and the score with them (0.04 points at 3,500 px). A score is what
the raters of the training data would have said, not the worth of a person.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facestats import tables
from facestats.composites.averaging import average_faces
from facestats.composites.filters import select_faces
from facestats.errors import InputError
from facestats.serving import Models, load


def detect_landmarks(image: Any) -> np.ndarray | None:
    """468 landmarks of the largest face.

    Returns
    -------
    float32 (468, 3): x and y as a fraction of the image's width and height, z in x's unit; None without a face.

    Raises
    ------
    ImageError
        The image can't be read.
    """
    return load().landmarks(image)


def get_clip_embedding(image: Any) -> np.ndarray:
    """CLIP embedding of the largest face: float32 (d,), unit norm.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    """
    models = load()
    return models.embed(models.crop(image))


def infer_attributes(image: Any, ethnicity: bool = False) -> dict[str, Any]:
    """What the attribute models, and prompts where no model was trained, say about the largest face.

    Parameters
    ----------
    ethnicity : inferring a single person's ethnicity from a face is banned or high-risk in some places, so it is left
        out unless asked for.

    Returns
    -------
    dict by target: the class (`unknown` where the model abstains) or the number, `<target>_source` (`model` or `zeroshot`)
    and, where there are classes, `<target>_probabilities`; age also as FairFace's `age_bucket`. None where no model was
    trained and `zeroshot` has no prompts either.
    """
    return load().attributes(image, ethnicity)


def score_image(image: Any) -> dict[str, Any]:
    """Attractiveness of the largest face as the raters of the training data would have judged it.

    Returns
    -------
    dict with `raw` (rating units), `score` (0–100, the holistic score: from the embedding), `pct` (0–1, share of the reference
    faces below), `decile` (1–10), `geometric` (0–100, from landmarks and, with `geometry.appearance`, the face warped to the
    mean shape), `combined` (0–100, both by `score.weights`) and `warnings` (list of text). `geometric` and `combined` are None
    where they can't be had; a warning says why.

    Raises
    ------
    ImageError
        The image can't be read, or no face is found.
    ModelError
        No model was trained.
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
    """
    return load().combined_score(image)


def find_similar(image: Any, k: int = 10) -> pd.DataFrame:
    """The faces of the pipeline that are most alike.

    Returns
    -------
    DataFrame `filename`, `similarity` (cosine, at most 1), best first, `k` rows or as many as there are.
    """
    return load().similar(image, k)


def filter_images(df: pd.DataFrame, gender: str | list[str] | None = None, ethnicity: str | list[str] | None = None,
                  age_range: tuple[float, float] | None = None, attractiveness: tuple[int, int] | None = None,
                  min_results: int = 0, attributes: dict[str, str | list[str]] | None = None) -> pd.DataFrame:
    """Rows of `attributes_final.parquet` that match all conditions.

    Parameters
    ----------
    age_range : years, both ends included.
    attractiveness : deciles, both ends included.
    min_results : fewer matches are an error; nothing is ever widened.
    attributes : class or list of classes of any other attribute, such as `{"glasses": "with"}`.

    Raises
    ------
    InputError
        Fewer than `min_results`, with the number left after each condition; or a column is missing.
    """
    conditions = {"gender": gender, "ethnicity": ethnicity, "age_range": age_range, "attributes": attributes,
                  "attractiveness": attractiveness}
    selection = select_faces(df, conditions, min_results=min_results)
    if not selection.enough:
        raise InputError(f"too few: {selection}")
    return selection.rows


def make_composite(df_or_paths: pd.DataFrame | list, n: int | None = None, seed: int = 0,
                   align: str = "warp") -> Image.Image:
    """Average face.

    Parameters
    ----------
    df_or_paths : rows with `filename` (faces of the pipeline), or a list of photos.
    n : at most this many, drawn with `seed`.
    align : `none`, `eyes` or `warp`; see `params.yaml`.

    Raises
    ------
    InputError
        No face to average.
    """
    if isinstance(df_or_paths, (str, bytes, Path)):
        raise InputError("make_composite takes a table or a list of photos; put a single one into a list")
    models = load()
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(df_or_paths, pd.DataFrame):
            members = _known_faces(models, df_or_paths, n, seed)
        else:
            members = _new_faces(models, list(df_or_paths), n, seed, Path(folder))
        average = average_faces(members, align)
    if average.image is None:
        raise InputError(f"no face to average: {len(members)} chosen, {len(average.left_out)} of them without landmarks")
    return Image.fromarray(average.image)


def _known_faces(models: Models, df: pd.DataFrame, n: int | None, seed: int) -> pd.DataFrame:
    names = select_faces(df, {}, n, seed).rows["filename"]
    faces = tables.read(models.root / "data/processed/metadata/faces.parquet", tables.FACES, ["filename", "landmarks"])
    shapes = faces.dropna(subset="filename").set_index("filename")["landmarks"]
    absent = [name for name in names if name not in shapes.index]
    if absent:
        raise InputError(f"{len(absent)} faces are not among those of {models.root}, for example {absent[0]}")
    folder = models.root / "data/processed/preproc"
    return _members([(name, folder / name, shapes[name]) for name in names])


def _new_faces(models: Models, images: list, n: int | None, seed: int, folder: Path) -> pd.DataFrame:
    if n is not None and n < len(images):
        images = [images[i] for i in sorted(np.random.default_rng(seed).choice(len(images), n, replace=False))]
    rows = []
    for i, image in enumerate(images):
        crop = models.crop(image)
        path = folder / f"{i}.jpg"
        path.write_bytes(crop.jpeg(models.serving["crop"]["quality"]))
        rows.append((str(image) if isinstance(image, (str, Path)) else f"image {i}", path, crop.landmarks))
    return _members(rows)


def _members(rows: list[tuple]) -> pd.DataFrame:
    shapes = [None if shape is None else np.asarray(shape).reshape(-1, 3) for _, _, shape in rows]
    return pd.DataFrame({"filename": [r[0] for r in rows], "path": [r[1] for r in rows],
                         "landmarks": pd.Series(shapes, dtype=object)})
