"""The geometric score: what raters would say, from the shape of a face alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from facestats.errors import ModelError
from facestats.files import replacing
from facestats.geometry.measurements import measure
from facestats.geometry.zscore import ZScore

FORMAT = 1
KIND = "facestats geometry"


@dataclass
class GeometryModel:
    """The fitted pipeline, or the reason why there is none, and the z-score for comparison.

    Attributes
    ----------
    pipeline : scikit-learn pipeline on rows of landmarks (n, 468 · 3) to rating units; None where it could not be trained.
    why : why it was not trained; None where it was.
    zscore_facts : means and standard deviations of the measurements among the train faces.
    n_train : rated train faces that it learned from.
    """

    pipeline: Pipeline | None
    why: str | None
    zscore_facts: ZScore
    n_train: int = 0

    @property
    def trained(self) -> bool:
        return self.pipeline is not None

    def predict(self, landmarks: np.ndarray, faces: Iterable[np.ndarray] | None = None) -> np.ndarray:
        """Ratings from landmarks.

        Parameters
        ----------
        landmarks : (n, 468, 3) in the face's own frame; a row of NaN is a face without.
        faces : their crops, uint8 RGB (size, size, 3), for a model that looks at pixels too.

        Returns
        -------
        float64 (n,), rating units; NaN without landmarks or without a trained model.
        """
        rows = np.asarray(landmarks).reshape(len(landmarks), -1)
        there = np.isfinite(rows).all(axis=1)
        predicted = np.full(len(rows), np.nan)
        if self.trained and there.any():
            with threadpool_limits(1):
                predicted[there] = self.pipeline.predict(rows[there].astype(np.float64))
        return predicted

    def zscore(self, landmarks: np.ndarray) -> np.ndarray:
        """The mean of z-scores that the table calls `geometry_zscore`: float64 (n,)."""
        return self.zscore_facts(measure(landmarks))

    def save(self, path: Path) -> None:
        """Write a joblib file that holds a plain dict, the scikit-learn pipeline below `pipeline`."""
        content = {"kind": KIND, "format": FORMAT, "trained": self.trained, "why": self.why, "n_train": self.n_train,
                   "pipeline": self.pipeline, "zscore": vars(self.zscore_facts)}
        with replacing(path) as temporary:
            joblib.dump(content, temporary)


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
        return GeometryModel(content["pipeline"], content["why"], ZScore(**content["zscore"]), content["n_train"])
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model; `dvc repro geometry` makes it") from None
    except (TypeError, EOFError, KeyError, ValueError, AttributeError, ImportError) as error:
        raise ModelError(f"{path} is not a geometry model of this project ({error}); run `dvc repro geometry`") from None
