"""The geometric score: what raters would say, from a face's shape and, if wanted, its pixels in the mean shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import compress, islice
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline
from threadpoolctl import ThreadpoolController

from facestats.errors import InputError, ModelError
from facestats.files import replacing
from facestats.geometry.appearance import FaceSampler
from facestats.geometry.measurements import measure
from facestats.geometry.pairs import N_LANDMARKS
from facestats.geometry.zscore import ZScore

KIND, FORMAT = "facestats geometry", 1
BATCH = 2048  # faces at a time; 48 MB of landmarks and pixels


@cache  # looking for the libraries takes half as long as scoring a photo
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass
class GeometryModel:
    """The fitted pipeline, or the reason why there is none, and the z-score for comparison.

    Attributes
    ----------
    pipeline : scikit-learn pipeline from rows as `features` makes them to rating units; None where it could not be trained.
    why : why it was not trained; None where it was.
    zscore_facts : means and standard deviations of the measurements among the train faces.
    sampler : of the pixels; None for a model of the shape alone.
    n_train : rated train faces that it learned from.
    """

    pipeline: Pipeline | None
    why: str | None
    zscore_facts: ZScore
    sampler: FaceSampler | None = None
    n_train: int = 0

    @property
    def trained(self) -> bool:
        return self.pipeline is not None

    def predict(self, landmarks: np.ndarray, faces: Iterable[Any] | None = None) -> np.ndarray:
        """Ratings of faces.

        Parameters
        ----------
        landmarks : (n, 468, 3) in the face's own frame; a row of NaN is a face without.
        faces : their n crops: paths or bytes of JPEG files, as the table is made from, or uint8 RGB arrays. A model of the shape alone
            needs none. JPEG files are decoded at a quarter of 512 px; the same crops, decoded whole, move a score by up to 0.1 of 100.

        Returns
        -------
        float64 (n,), rating units; NaN without landmarks or without a trained model.

        Raises
        ------
        InputError
            The model looks at pixels, and there are no faces.
        ImageError
            A face can't be read.
        """
        if not self.trained:
            return np.full(len(landmarks), np.nan)
        if self.sampler and faces is None:
            raise InputError("the geometric model looks at pixels too (geometry.appearance): give it the faces")
        crops = iter(faces) if self.sampler else None
        predicted = np.full(len(landmarks), np.nan)
        for start in range(0, len(landmarks), BATCH):
            batch = np.asarray(landmarks[start:start + BATCH])
            there = np.isfinite(batch).all(axis=(1, 2))
            given = list(compress(islice(crops, len(batch)), there)) if crops else None
            if there.any():
                with _threads().limit(limits=1):
                    predicted[start:start + len(batch)][there] = self.pipeline.predict(features(batch[there], self.sampler, given))
        return predicted

    def zscore(self, landmarks: np.ndarray) -> np.ndarray:
        """The mean of z-scores that the table calls `geometry_zscore`: float64 (n,)."""
        return self.zscore_facts(measure(landmarks))

    def save(self, path: Path) -> None:
        """Write a joblib file that holds a plain dict, the scikit-learn pipeline below `pipeline`."""
        content = {"kind": KIND, "format": FORMAT, "trained": self.trained, "why": self.why, "n_train": self.n_train,
                   "pipeline": self.pipeline, "mean_shape": self.sampler and self.sampler.target, "zscore": vars(self.zscore_facts)}
        with replacing(path) as temporary:
            joblib.dump(content, temporary)


def features(landmarks: np.ndarray, sampler: FaceSampler | None, faces: Iterable[Any] | None) -> np.ndarray:
    """Rows of the pipeline, float32: landmarks (n, 468, 3) as they are, then the pixels if there is a sampler."""
    shapes = np.asarray(landmarks, dtype=np.float32).reshape(len(landmarks), 3 * N_LANDMARKS)
    return shapes if sampler is None else np.concatenate([shapes, sampler.sample(faces, landmarks)], axis=1, dtype=np.float32)


def load_geometry(path: Path) -> GeometryModel:
    """Read what `GeometryModel.save` wrote; never None, see `.trained`.

    Raises
    ------
    ModelError
        The file is missing or something else.
    """
    try:
        content = joblib.load(path)
        if content["kind"] != KIND or content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        sampler = None if content["mean_shape"] is None else FaceSampler(content["mean_shape"])
        return GeometryModel(content["pipeline"], content["why"], ZScore(**content["zscore"]), sampler, content["n_train"])
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model; `dvc repro geometry` makes it") from None
    except Exception as error:  # a damaged pickle fails in many ways
        raise ModelError(f"{path} is not a geometry model of this project ({error!r}); run `dvc repro geometry`") from None
