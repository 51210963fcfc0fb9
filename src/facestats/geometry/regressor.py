"""The model of the geometric score: ratings from landmarks and pixels, and its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import compress, islice
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import QhullError
from sklearn.pipeline import Pipeline
from threadpoolctl import ThreadpoolController

from facestats.core.landmarks import N_LANDMARKS
from facestats.core.model_files import read_model, write_model
from facestats.errors import InputError, MisfitError, ModelError
from facestats.geometry.appearance import FaceSampler
from facestats.geometry.measurements import SIGNS, ZScore, measure
from facestats.geometry.training import COORDINATES, make_pipeline

KIND, FORMAT = "facestats geometry", 2
_WAY_OUT = "`dvc repro geometry` makes it (or `dvc pull`)"
BATCH = 2048  # faces at a time; 48 MB of landmarks and pixels


@cache  # searching for the libraries takes half as long as scoring a photo
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass
class GeometryModel:
    """The fitted pipeline, or the reason why there is none, and the z-score for comparison.

    Attributes
    ----------
    pipeline : Pipeline, optional
        Fitted scikit-learn pipeline from the rows of `features` to rating units. In a model that
        was read from its file, it is put together from arrays. None where it could not be trained.
    why : str, optional
        Why it was not trained; None where it was.
    zscore_facts : ZScore
        Means and standard deviations of the measurements among the train faces.
    sampler : FaceSampler, optional
        For the pixels; None for a model of the shape alone.
    n_train : int
        Rated train faces that it learned from.
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
        """Predict ratings of faces.

        Parameters
        ----------
        landmarks : ndarray (n, 468, 3)
            In the face's own frame; NaN for a face without landmarks.
        faces : iterable of Any, optional
            Their n crops: paths or bytes of JPEG files, as for the table, or uint8 RGB arrays. A
            model of the shape alone needs none. JPEG files are decoded at a quarter of 512 px; the
            same crops, decoded whole, change a score by up to 0.1 of 100.

        Returns
        -------
        ndarray of float64 (n,)
            Rating units; NaN without landmarks or without a trained model.

        Raises
        ------
        InputError
            The model looks at pixels, and there are no faces.
        ImageError
            A face can't be read.
        """
        if self.pipeline is None:
            return np.full(len(landmarks), np.nan)
        if self.sampler and faces is None:
            raise InputError(
                "the geometric model looks at pixels too (geometry.appearance): give it the faces"
            )
        crops = iter(faces) if self.sampler and faces is not None else None
        predicted = np.full(len(landmarks), np.nan)
        for start in range(0, len(landmarks), BATCH):
            batch = np.asarray(landmarks[start : start + BATCH])
            has_shape: Any = np.isfinite(batch).all(axis=(1, 2))
            in_batch = list(compress(islice(crops, len(batch)), has_shape)) if crops else None
            if has_shape.any():
                with _threads().limit(limits=1):
                    predicted[start : start + len(batch)][has_shape] = self.pipeline.predict(
                        features(batch[has_shape], self.sampler, in_batch)
                    )
        return predicted

    def zscore(self, landmarks: np.ndarray) -> np.ndarray:
        """Compute `geometry_zscore` of landmarks (n, 468, 3): float64 (n,)."""
        return self.zscore_facts(measure(landmarks))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: the pipeline as arrays, the rest as JSON in the header."""
        zscore = {
            "means": {k: _or_none(v) for k, v in self.zscore_facts.means.items()},
            "deviations": {k: _or_none(v) for k, v in self.zscore_facts.deviations.items()},
            "n": int(self.zscore_facts.n),
        }
        arrays = _take_apart(self.pipeline) if self.trained else {}
        if self.sampler:
            arrays["mean_shape"] = self.sampler.target
        write_model(
            path,
            KIND,
            FORMAT,
            {"trained": self.trained, "why": self.why, "n_train": self.n_train, "zscore": zscore},
            arrays,
        )


def features(
    landmarks: np.ndarray, sampler: FaceSampler | None, faces: Iterable[Any] | None
) -> np.ndarray:
    """Make the pipeline's rows, float32: landmarks (n, 468, 3), and pixels with a sampler."""
    shapes = np.asarray(landmarks, dtype=np.float32).reshape(len(landmarks), 3 * N_LANDMARKS)
    if sampler is None or faces is None:
        return shapes
    pixels = sampler.sample(faces, landmarks)
    return np.concatenate([shapes, pixels], axis=1, dtype=np.float32)


def load_geometry(path: str | Path) -> GeometryModel:
    """Read what `GeometryModel.save` wrote, trained or not.

    Raises
    ------
    ModelError
        The file is missing or something else.
    """
    fields, arrays = read_model(path, KIND, FORMAT, _WAY_OUT)
    try:
        if (
            set(fields) != {"trained", "why", "n_train", "zscore"}
            or type(fields["n_train"]) is not int
            or not isinstance(fields["why"], str | None)
        ):
            raise MisfitError("trained, why, n_train or zscore is missing, or unknown")
        zscore = _zscore(fields["zscore"])
        if fields["trained"] is not True:
            if arrays or fields["why"] is None:
                raise MisfitError("neither a model nor the reason why there is none")
            return GeometryModel(None, fields["why"], zscore, None, fields["n_train"])
        sampler = _sampler(arrays.pop("mean_shape")) if "mean_shape" in arrays else None
        return GeometryModel(
            _put_together(arrays, int(sampler.n_values) if sampler else 0),
            None,
            zscore,
            sampler,
            fields["n_train"],
        )
    except (ValueError, TypeError, KeyError, QhullError) as error:
        raise ModelError(
            f"{path} is not a {KIND} of this project ({' '.join(str(error).split())[:200]}); "
            f"{_WAY_OUT}"
        ) from None


def _or_none(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _zscore(fields: dict[str, Any]) -> ZScore:
    """Read the z-score; null stands for NaN, where no train face had landmarks."""
    if set(fields) != {"means", "deviations", "n"} or any(
        set(fields[name]) != set(SIGNS) for name in ("means", "deviations")
    ):
        raise MisfitError("the z-score lacks a mean or a standard deviation")
    means, deviations = (
        {k: np.nan if fields[name][k] is None else float(fields[name][k]) for k in SIGNS}
        for name in ("means", "deviations")
    )
    return ZScore(means, deviations, int(fields["n"]))


def _sampler(target: np.ndarray) -> FaceSampler:
    if target.shape != (N_LANDMARKS, 2) or not target[:, 0].min() < 0 < target[:, 0].max():
        raise MisfitError(
            f"mean_shape has the shape {list(target.shape)}, expected {[N_LANDMARKS, 2]} on both "
            "sides of x = 0"
        )
    return FaceSampler(target)


def _groups(pipeline: Pipeline) -> dict[str, Any]:
    """Steps with components, by the prefix of their arrays' names."""
    if "features" not in pipeline.named_steps:
        return {"shape": pipeline.named_steps}
    return {
        name: getattr(pipeline["features"], name).named_steps for name in ("shape", "appearance")
    }


def _take_apart(pipeline: Pipeline) -> dict[str, np.ndarray]:
    """Take a fitted pipeline of `make_pipeline` apart into arrays."""
    arrays = {
        "coef": pipeline["ridge"].coef_,
        "intercept": np.asarray(pipeline["ridge"].intercept_),
    }
    for name, steps in _groups(pipeline).items():
        components = steps["components"]
        arrays |= {
            f"{name}.mean": components.mean_,
            f"{name}.components": components.components_,
            f"{name}.variance": components.explained_variance_,
            f"{name}.scale": np.asarray(steps["scale"].factor_, dtype=np.float64),
        }
    return arrays | {"consensus": _groups(pipeline)["shape"]["procrustes"].consensus_}


def _put_together(arrays: dict[str, np.ndarray], n_values: int) -> Pipeline:
    """Undo `_take_apart`, for rows with `n_values` pixels."""
    inputs = {"shape": COORDINATES} | ({"appearance": n_values} if n_values else {})
    shapes: dict[str, tuple[int, ...]] = {"consensus": (N_LANDMARKS, 3), "intercept": ()}
    counts = {name: len(np.atleast_1d(arrays[f"{name}.variance"])) for name in inputs}
    for name, d in inputs.items():
        shapes |= {
            f"{name}.mean": (d,),
            f"{name}.components": (counts[name], d),
            f"{name}.variance": (counts[name],),
            f"{name}.scale": (),
        }
    shapes["coef"] = (sum(counts.values()),)
    for name in {*shapes, *arrays}:
        if (
            name not in shapes
            or name not in arrays
            or arrays[name].shape != shapes[name]
            or arrays[name].dtype.kind != "f"
        ):
            raise MisfitError(
                f"{name} has the shape "
                f"{list(arrays[name].shape) if name in arrays else 'of nothing'}, expected "
                f"{shapes.get(name, 'none')}"
            )
    pipeline = make_pipeline(2, bool(n_values))
    for name, steps in _groups(pipeline).items():
        steps["components"].set_params(n_components=counts[name])
        # In Fortran order, as fitting leaves them: sums in another order have other last digits.
        vars(steps["components"]).update(
            mean_=arrays[f"{name}.mean"],
            components_=np.asfortranarray(arrays[f"{name}.components"]),
            n_components_=counts[name],
            explained_variance_=arrays[f"{name}.variance"],
            n_features_in_=inputs[name],
        )
        steps["scale"].factor_ = float(arrays[f"{name}.scale"])
    _groups(pipeline)["shape"]["procrustes"].consensus_ = arrays["consensus"]
    vars(pipeline["ridge"]).update(
        coef_=arrays["coef"],
        intercept_=float(arrays["intercept"]),
        n_features_in_=len(arrays["coef"]),
    )
    return pipeline
