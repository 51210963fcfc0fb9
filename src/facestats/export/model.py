"""The models of a project as one folder that needs no FaceStats."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from facestats.attributes.estimators.nodes import to_file
from facestats.attributes.estimators.take_apart import take_apart
from facestats.attributes.model import AttributeModel
from facestats.checkpoints.transform import ImageTransform
from facestats.core.files import write_bytes, write_json, write_text
from facestats.core.layout import CLIP
from facestats.errors import ModelError
from facestats.export.card import Head, model_card
from facestats.export.figures import Figures
from facestats.export.graph import UnknownKindError, attribute_graph, regressor_graph
from facestats.scores.regressor import Regressor
from facestats.serving.models import Models

HOLISTIC = "attractiveness"  # the head of the main score
FORMAT = "facestats-heads-1"


def write_models(folder: Path, models: Models, figures: Figures, licence: str) -> list[str]:
    """Write image tower, heads, `model.json` and README.

    Parameters
    ----------
    folder : Path
        Where they go.
    models : Models
        Of the project.
    figures : Figures
        Held-out ones, for the README.
    licence : str
        For the README.

    Returns
    -------
    list of str
        Names of the heads.

    Raises
    ------
    ModelError
        There is no model to export.
    """
    heads: list[Head] = []
    left_out: dict[str, str] = {}
    for name, model in _regressors(models, left_out).items():
        trait = "" if name == HOLISTIC else name
        write_bytes(folder / f"{name}.onnx", regressor_graph(model))
        write_bytes(folder / f"{name}.safetensors", save(_regressor_arrays(model)))
        heads.append(Head(name, _regressor_facts(model), figures.of_score(trait, "mlp")))
    for name, model in models.parts.get("classifiers").items():
        _attribute(folder, name, model, figures, heads, left_out)
    if not heads:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ModelError(f"there is no model to export ({reasons})")
    shutil.copytree(models.root / CLIP, folder / "clip")
    check = models.age_check
    content = {
        "format": FORMAT,
        "clip": {**models.serving["clip"], "transform": _transform(models.root / CLIP, models)},
        "crop": {name: models.serving["crop"][name] for name in ("size", "margin", "align")},
        "age_check": {"min_age": check.min_age, "bound": check.bound},
        "heads": {head.name: head.entry for head in heads},
    }
    write_json(folder / "model.json", content)
    write_text(folder / "README.md", model_card(content, heads, left_out, licence))
    return [head.name for head in heads]


def _regressors(models: Models, left_out: dict[str, str]) -> dict[str, Regressor]:
    regressors = {}
    try:
        regressors[HOLISTIC] = models.regressor
    except ModelError as error:
        left_out[HOLISTIC] = str(error)
    for trait, own in models.traits.items():
        if own.regressor is None:
            left_out[trait] = "it was not trained"
        else:
            regressors[trait] = own.regressor
    return regressors


def _attribute(
    folder: Path,
    name: str,
    model: AttributeModel,
    figures: Figures,
    heads: list[Head],
    left_out: dict[str, str],
) -> None:
    """Write the head of an attribute, or say why there is none."""
    if any(head.name == name for head in heads):
        left_out[name] = "a score has the same name"
        return
    if not model.trained:
        left_out[name] = model.why or "it was not trained"
        return
    try:
        content = attribute_graph(model)
    except UnknownKindError as error:
        left_out[name] = f"{error} have no ONNX form here"
        return
    estimator, arrays = to_file(take_apart(model.pipeline).node)
    write_bytes(folder / f"{name}.onnx", content)
    write_bytes(
        folder / f"{name}.safetensors",
        save({key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}),
    )
    entry: dict[str, Any] = {"kind": model.kind, "estimator": estimator}
    if model.classes:
        entry |= {
            "outputs": ["probabilities", "answer"],
            "classes": model.classes,
            "abstain_below": model.abstain_below if np.isfinite(model.abstain_below) else None,
            "calibration": model.calibration and vars(model.calibration),
        }
    else:
        entry["outputs"] = ["value"]
    heads.append(Head(name, entry, figures.of_attribute(name)))


def _regressor_facts(model: Regressor) -> dict[str, Any]:
    assert model.scale is not None
    return {
        "kind": "rating",
        "outputs": ["raw", "score", "pct"],
        "scale": [float(end) for end in model.scale],
        "hidden": model.network.hidden,
        "members": model.network.members,
        "y_mean": model.y_mean,
        "y_std": model.y_std,
        "size": model.correction_factor,
        "calibration": {"kind": model.calibration.kind, "slope": model.calibration.slope},
    }


def _regressor_arrays(model: Regressor) -> dict[str, np.ndarray]:
    arrays = {name: tensor.detach().numpy() for name, tensor in model.network.state_dict().items()}
    arrays |= {
        "x_mean": model.x_mean.numpy(),
        "x_std": model.x_std.numpy(),
        "calibration.x": model.calibration.x,
        "calibration.y": model.calibration.y,
    }
    if model.reference is not None:
        arrays["reference"] = model.reference
    if model.slopes is not None:
        arrays["slopes"] = model.slopes.numpy()
    return {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}


def _transform(clip: Path, models: Models) -> dict[str, Any]:
    """The image transform for square faces, in sizes as Pillow takes them."""
    transform = ImageTransform.load(clip)
    side = models.serving["crop"]["size"]
    resize = transform.resize or side
    width, height = (resize, resize) if isinstance(resize, int) else (resize[1], resize[0])
    crop = transform.crop or (height, width)
    return {
        "resize": [width, height],
        "resample": transform.resample,
        "crop": [crop[1], crop[0]],
        "scale": transform.scale,
        "mean": list(transform.mean),
        "std": list(transform.std),
    }
