"""Somebody's checkpoint in place of a trained regressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from facestats.attractiveness.mlp import FORMAT, Regressor, load_regressor, read_checkpoint
from facestats.attractiveness.network import Ensemble
from facestats.errors import ModelError


def load_pretrained(path: Path, dimension: int, scale: tuple[float, float] | None) -> Regressor:
    """Read somebody's checkpoint: a model file of this project, or a bare state dict.

    A bare state dict has the keys `net.0.weight`, `net.0.bias`, `net.2.…`, …: Linear layers with ReLU between them,
    on raw embeddings, whose output is the rating itself.

    Parameters
    ----------
    dimension : of the embeddings it will see.
    scale : ends of the rating scale; needed where the file does not say, as a bare state dict can't.

    Raises
    ------
    ModelError
        Unreadable file, unexpected keys, wrong dimension, or no scale.
    """
    content = read_checkpoint(path)
    if content.get("format") == FORMAT:
        model = load_regressor(path)
        if model is None:
            raise ModelError(f"mlp.pretrained {path} holds no trained model: {content['why']}")
    else:
        model = _from_state_dict(content, path)
    model.scale = model.scale or scale
    if model.scale is None:
        raise ModelError(f"mlp.pretrained {path} does not say which scale its ratings have; "
                         "set labels.rating_scale to [low, high]")
    if model.dimension != dimension:
        raise ModelError(f"mlp.pretrained {path} takes embeddings of {model.dimension} dimensions, but this CLIP variant "
                         f"gives {dimension}; choose the clip.variant that it was trained on")
    return model


def _from_state_dict(content: dict[str, Any], path: Path) -> Regressor:
    state = content.get("state_dict", content)
    layers = sorted(int(k.split(".")[1]) for k in state if isinstance(k, str) and k.startswith("net.") and k.endswith("weight"))
    expected = {f"net.{i}.{part}" for i in range(0, 2 * len(layers), 2) for part in ("weight", "bias")}
    if not layers or set(state) != expected:
        raise ModelError(f"mlp.pretrained {path}: unexpected keys {sorted(map(str, state))[:8]}; expected a state dict "
                         "with net.0.weight, net.0.bias, net.2.weight, … or a model file of this project")
    weights = [state[f"net.{i}.weight"] for i in layers]
    if any(getattr(w, "ndim", 0) != 2 for w in weights):
        raise ModelError(f"mlp.pretrained {path}: net.0.weight, net.2.weight, … must be matrices")
    hidden = [w.shape[0] for w in weights[:-1]]
    network = Ensemble(weights[0].shape[1], hidden)
    try:
        with torch.no_grad():
            for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
                _fill(weight[0], state[f"net.{2 * i}.weight"].T)
                _fill(bias[0, 0], state[f"net.{2 * i}.bias"])
    except (ValueError, AttributeError) as error:
        raise ModelError(f"mlp.pretrained {path}: its layers do not fit together ({error})") from None
    d = weights[0].shape[1]
    return Regressor(network, torch.zeros(d), torch.ones(d), 0.0, 1.0)


def _fill(target: torch.Tensor, source: torch.Tensor) -> None:
    if target.shape != source.shape:
        raise ValueError(f"{list(source.shape)} where {list(target.shape)} is expected")
    target.copy_(source)
