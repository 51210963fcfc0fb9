"""Feature sets with ratings for `benchmarks.regressors`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.decomposition import PCA

from facestats.checkpoints.variants import fetch_clip
from facestats.clip.embed import embed_faces
from facestats.clip.encoder import ImageEncoder
from facestats.core import tables
from facestats.faces.preprocess import PreprocessConfig, preprocess_folder
from facestats.importers.omi import import_omi
from facestats.labels.tables import LABELS
from facestats.landmarker.fetch import fetch_landmarker
from facestats.params.project import Params

SIDE, COMPONENTS = 64, 300

MADE_UP = ("linear", "unit-norm linear", "unit-norm noisy", "unit-norm offset", "unit-norm curved")

Rated = tuple[np.ndarray, np.ndarray]  # features (n, d) and ratings (n,)


def sample_faces(root: Path) -> Rated:
    """Embeddings and ratings of the faces that the pipeline in `root` knows."""
    folder = root / "data/processed"
    names, x, _ = tables.read_embeddings(folder / "embeddings/embeddings_clip.parquet")
    labels = tables.read(folder / "metadata/labels.parquet", LABELS, ["filename", "rating"])
    ratings = labels.set_index("filename")["rating"].reindex(names).to_numpy()
    return x[~np.isnan(ratings)], ratings[~np.isnan(ratings)]


def omi_faces(omi: Path, clip: str, params: Params) -> dict[str, Rated]:
    """CLIP embeddings of the OMI faces, and principal components of the same crops' pixels."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        import_omi(omi, work)
        fetch_landmarker(params.landmarker.source, work / "landmarker")
        fetch_clip(clip, None, work / "clip")
        preprocess_folder(
            work / "raw",
            work / "faces",
            PreprocessConfig(**params.preprocess.cutting()),
            work / "landmarker",
        )
        table = embed_faces(
            work / "faces",
            ImageEncoder(work / "clip", params.clip.precision, params.clip.batch_size),
        )
        ratings = (
            pd.read_csv(work / "labels/labels.csv")
            .set_index("image")["rating"]
            .loc[table["filename"]]
            .to_numpy()
        )
        pixels = np.stack([_pixels(work / "faces" / name) for name in table["filename"]])
    components = PCA(COMPONENTS, random_state=0).fit_transform(
        pixels
    )  # of all faces: no rating is looked at
    return {
        f"OMI, `{clip}`": (np.stack(table["embedding"]), ratings),
        f"OMI, {COMPONENTS} components of {SIDE} px": (components, ratings),
    }


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return (
            np.asarray(
                image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64
            ).ravel()
            / 255
        )


def made_up(kind: str, seed: int) -> Rated:
    """Features drawn at random whose ratings depend on them in a known way.

    Half of the ratings' variance is noise.

    `linear`: 300 × 40, along a line. The others have 1,700 × 512 unit-norm features with a falling
    spectrum, as embeddings have: `unit-norm linear` along a line; `unit-norm noisy` with nine
    tenths of noise; `unit-norm offset` with a common offset, as CLIP's have; `unit-norm curved`,
    half of whose signal are a product, a hinge and a square of main directions.
    """
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "linear":
        x = rng.normal(size=(300, 40))
        return x, _rated(x @ rng.normal(size=40), 1.0, rng)
    spectrum = 1 / np.sqrt(1 + np.arange(512) / 8)
    directions = rng.normal(size=(1700, 512))
    x = (directions * spectrum) @ np.linalg.qr(rng.normal(size=(512, 512)))[0]
    if kind == "unit-norm offset":
        offset = rng.normal(size=512)
        x += 2 * np.linalg.norm(spectrum) * offset / np.linalg.norm(offset)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    target = directions @ (rng.normal(size=512) * spectrum)
    if kind == "unit-norm curved":
        z = directions[:, :4]
        bent = z[:, 0] * z[:, 1] + 1.5 * np.abs(z[:, 2]) + z[:, 3] ** 2 / 1.5
        target = target / target.std() + (bent - bent.mean()) / bent.std()
    return x, _rated(target, 9.0 if kind == "unit-norm noisy" else 1.0, rng)


def _rated(target: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Ratings around 4, `noise` as a multiple of the target's variance."""
    target = (target - target.mean()) / target.std()
    return 4 + (target + np.sqrt(noise) * rng.normal(size=len(target))) / np.sqrt(1 + noise)
