"""The attractiveness regressor: a multi-layer perceptron from embedding to rating.

The model file carries all that a score needs: architecture, weights, input normalisation, the raters' scale and the
reference distribution that percentiles are taken from.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facestats.embeddings import Embeddings, in_batches
from facestats.errors import ModelError
from facestats.files import write_bytes

FORMAT = "facestats-mlp-1"


def build_network(dimension: int, hidden: int | list[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear-ReLU(-Dropout) per hidden layer, then one output."""
    widths = [hidden] if isinstance(hidden, int) else list(hidden)
    layers: list[nn.Module] = []
    for before, after in zip([dimension, *widths], widths, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-1] if widths else dimension, 1))


@dataclass
class Regressor:
    """A trained network with its normalisations.

    Attributes
    ----------
    network : maps standardised inputs (n, d) to standardised ratings (n, 1).
    hidden, dropout : its architecture.
    x_mean, x_std : float32 (d,), of the train inputs.
    y_mean, y_std : of the train ratings, in rating units.
    scale : (low, high) ends of the raters' scale; None where not known.
    reference : float64 ascending ratings as predicted for the reference faces; empty where not set.
    """

    network: nn.Sequential
    hidden: int | list[int]
    dropout: float
    x_mean: torch.Tensor
    x_std: torch.Tensor
    y_mean: float
    y_std: float
    scale: tuple[float, float] | None = None
    reference: np.ndarray | None = None

    @property
    def dimension(self) -> int:
        return len(self.x_mean)

    def predict(self, x: Embeddings) -> np.ndarray:
        """Predicted ratings, in rating units: float64 array (n,) of inputs (n, d), which may stay on disk.

        Raises
        ------
        ModelError
            The inputs have another dimension than those trained on.
        """
        return np.concatenate([self._predict(batch) for batch in in_batches(x)])

    def _predict(self, x: np.ndarray) -> np.ndarray:
        x = np.array(x, dtype=np.float32)  # a copy: torch wants an array that it may write to
        if x.ndim != 2 or x.shape[1] != self.dimension:
            raise ModelError(f"the regressor takes vectors of {self.dimension} numbers, these have the shape {x.shape}; "
                             "it was trained on another CLIP variant")
        self.network.eval()
        with torch.inference_mode():
            inputs = (torch.from_numpy(x) - self.x_mean) / self.x_std
            out = self.network(inputs).squeeze(1).double().numpy()
        return out * self.y_std + self.y_mean

    def save(self, path: Path) -> None:
        """Write a file that `torch.load(…, weights_only=True)` reads."""
        reference = np.asarray([] if self.reference is None else self.reference, dtype=np.float64)
        _save({
            "format": FORMAT, "trained": True, "dimension": self.dimension, "hidden": self.hidden,
            "dropout": self.dropout, "state_dict": self.network.state_dict(), "x_mean": self.x_mean,
            "x_std": self.x_std, "y_mean": self.y_mean, "y_std": self.y_std,
            "scale": list(self.scale) if self.scale else None, "reference": torch.from_numpy(reference),
        }, path)


def save_untrained(path: Path, why: str) -> None:
    """Write a model file that says why there is no model."""
    _save({"format": FORMAT, "trained": False, "why": why}, path)


def load_regressor(path: Path) -> Regressor | None:
    """Read a model file; None where it says that nothing was trained.

    Raises
    ------
    ModelError
        Missing, damaged, unsafe or foreign file.
    """
    content = _load(path)
    if content.get("format") != FORMAT:
        raise ModelError(f"{path} is not a model file of this project; `dvc repro train_attractiveness` makes it")
    if not content["trained"]:
        return None
    network = build_network(content["dimension"], content["hidden"], content["dropout"])
    network.load_state_dict(content["state_dict"])
    scale = tuple(content["scale"]) if content["scale"] else None
    return Regressor(network, content["hidden"], content["dropout"], content["x_mean"], content["x_std"],
                     content["y_mean"], content["y_std"], scale, content["reference"].numpy())


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
    content = _load(path)
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
    network = build_network(weights[0].shape[1], hidden)
    try:
        network.load_state_dict({k.removeprefix("net."): v.float() for k, v in state.items()})
    except (RuntimeError, AttributeError) as error:
        raise ModelError(f"mlp.pretrained {path}: its layers do not fit together ({error})") from None
    d = weights[0].shape[1]
    return Regressor(network, hidden, 0.0, torch.zeros(d), torch.ones(d), 0.0, 1.0)


def _save(content: dict, path: Path) -> None:
    # torch names the archive inside after the file unless it is given a stream; of a full disk it says nothing but
    # that a position was unexpected.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())


def _load(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except Exception as error:  # unpickling refuses in several ways
        raise ModelError(f"{path} can't be read as a checkpoint ({str(error).splitlines()[0]})") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected a dict of tensors")
    return content
