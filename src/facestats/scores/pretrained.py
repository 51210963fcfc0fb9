"""A checkpoint that is used instead of training a regressor."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from facestats.core.checkpoint_files import (
    STATE_DICT_ALONE,
    Place,
    is_safetensors,
    name_of,
    read_checkpoint,
    shortened,
    shown,
)
from facestats.core.torch_files import Stranger
from facestats.errors import ModelError
from facestats.scores.network import Ensemble
from facestats.scores.regressor import FORMAT, Regressor, load_regressor

# Keys under which training programs save the state dict, likelier ones first, beside the epoch, the
# optimiser and so on.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module")
NOT_THE_MODEL = re.compile("optim|sched|scaler", re.IGNORECASE)
DEEPEST = 5  # wrappers in wrappers
MOST_LAYERS = 64
BATCH_NORM = {"running_mean", "running_var", "num_batches_tracked"}
EPSILON = 1e-5  # of BatchNorm1d; a state dict does not hold it
NO_PERCEPTRON = "only a plain perceptron can be used: Linear layers in one row, ReLU between them"


class Linear(NamedTuple):
    """One layer of a checkpoint: its name, weight (outputs, inputs) and bias (outputs), float64."""

    name: str
    weight: torch.Tensor
    bias: torch.Tensor


def load_pretrained(path: Path, dimension: int, scale: tuple[float, float] | None) -> Regressor:
    """Read a checkpoint: a model file of this project, or the state dict of a perceptron.

    A state dict may lie in a wrapper such as `state_dict`, beside an optimiser, and name its layers
    as it likes. They are taken in the order of their numbers, with ReLU between them, on raw
    embeddings; the output is the rating itself. Dropout has no effect, and a BatchNorm1d is merged
    into the layer beside it.

    Parameters
    ----------
    path : Path
        `.pt` or safetensors.
    dimension : int
        Of the embeddings.
    scale : (float, float), optional
        Ends of the rating scale; needed where the file does not tell it, as a state dict can't.

    Returns
    -------
    Regressor

    Raises
    ------
    ModelError
        Unreadable file, no perceptron, layers that do not fit together, wrong dimension, or no
        scale.
    """
    content = read_checkpoint(path)
    if content.get("format") == FORMAT:
        model = load_regressor(path)
        if model is None:
            raise ModelError(f"mlp.pretrained {path} holds no trained model: {content.get('why')}")
    else:
        try:
            model = _regressor(
                _chain(*_layers(_state_dict(content)), keeps_order=not is_safetensors(path))
            )
        except ModelError as error:
            raise ModelError(f"mlp.pretrained {path}: {shown(str(error))}") from None
    model.scale = model.scale or scale
    if model.scale is None:
        raise ModelError(
            f"mlp.pretrained {path} does not say which scale its ratings have; "
            "set labels.rating_scale to [low, high]"
        )
    if model.dimension != dimension:
        raise ModelError(
            f"mlp.pretrained {path} takes embeddings of {model.dimension} dimensions, but this "
            f"CLIP variant gives {dimension}; choose the clip.variant that it was trained on"
        )
    if not np.isfinite(model.predict(np.full((1, dimension), dimension**-0.5))).all():
        raise ModelError(
            f"mlp.pretrained {path}: its numbers are so large that a rating is not finite; save it "
            "again, with weights that were trained to the end"
        )
    return model


def _state_dict(content: dict[Any, Any]) -> dict[str, Any]:
    """Find the dict with the weights, in whatever wrappers."""
    candidates = list(_state_dicts(content))
    if not candidates:
        strangers = [
            f"{key} ({value.kind})" for key, value in content.items() if isinstance(value, Stranger)
        ]
        if strangers:
            raise ModelError(
                f"{strangers[0]} is a whole object, which could run code; {STATE_DICT_ALONE}"
            )
        raise ModelError(
            f"no weights of layers in it, its keys are {_some(content)}; expected a state dict or "
            "a model file of this project"
        )
    named = [
        part
        for wrapper in WRAPPERS
        for place, part in candidates
        if place and str(place[1]).rpartition(".")[2] == wrapper
    ]
    if len(candidates) > 1 and not named:
        names = (name_of(place) for place, _ in candidates)
        raise ModelError(f"it holds several models ({_some(names)}); save one, under state_dict")
    return named[0] if named else candidates[0][1]


def _state_dicts(content: dict[Any, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Find all dicts with weights, and their places, the least wrapped first."""
    waiting = deque[tuple[Place, dict[Any, Any], int]]([((), content, 0)])
    has_weights = dict[int, bool]()
    while waiting:
        place, part, depth = waiting.popleft()
        first = id(part) not in has_weights
        if first:
            has_weights[id(part)] = any(
                isinstance(key, str) and key.rpartition(".")[2] == "weight" for key in part
            )
        if has_weights[id(part)]:
            yield place, part
        elif first and depth < DEEPEST:
            waiting.extend(
                ((place, key), value, depth + 1)
                for key, value in part.items()
                if isinstance(value, dict) and not NOT_THE_MODEL.search(str(key))
            )


def _layers(state: dict[str, Any]) -> tuple[list[Linear], dict[str, dict[str, torch.Tensor]]]:
    """Read the linear layers in the order of the file, and the values of BatchNorms, by name."""
    modules: dict[str, dict[str, Any]] = {}
    for key, value in state.items():
        layer, _, part = str(key).rpartition(".")
        if isinstance(value, torch.Tensor) or part in ("weight", "bias"):
            modules.setdefault(layer, {})[part] = value
    layers, norms, others = [], {}, []
    for name, parts in modules.items():
        if BATCH_NORM & set(parts):
            norms[name] = {
                part: _numbers(f"{name}.{part}", value)
                for part, value in parts.items()
                if part != "num_batches_tracked"
            }
            if {"running_mean", "running_var"} - set(parts):
                others.append(f"{name} (half a BatchNorm)")
        elif "weight" not in parts or set(parts) - {"weight", "bias"}:
            others += [
                f"{name}.{part}".lstrip(".")
                for part in parts
                if part != "weight" and (part != "bias" or "weight" not in parts)
            ]
        elif (what := _no_linear(parts["weight"])) is not None:
            others.append(f"{name} ({what})")
        else:
            weight = _numbers(f"{name}.weight", parts["weight"])
            bias = (
                _numbers(f"{name}.bias", parts["bias"])
                if "bias" in parts
                else weight.new_zeros(len(weight))
            )
            if bias.shape != weight.shape[:1]:
                raise ModelError(
                    f"{name}.bias has the shape {list(bias.shape)}, but {name}.weight has "
                    f"{len(weight)} outputs"
                )
            layers.append(Linear(name, weight, bias))
    if others:
        raise ModelError(f"it also holds {_some(others)}; {NO_PERCEPTRON}")
    if not 0 < len(layers) <= MOST_LAYERS:
        raise ModelError(
            f"{len(layers)} Linear layers, expected 1 to {MOST_LAYERS}; {NO_PERCEPTRON}"
        )
    return layers, norms


def _no_linear(weight: Any) -> str | None:
    """Say what a module with such a weight is; None for a Linear layer."""
    if not isinstance(weight, torch.Tensor):
        return f"its weight is a {type(weight).__name__}, not a matrix"
    if weight.ndim == 2:
        return None
    return (
        "a LayerNorm, another normalisation or a PReLU"
        if weight.ndim < 2
        else f"a convolution, or another layer with a weight of {weight.ndim} dimensions"
    )


def _numbers(name: str, tensor: Any) -> torch.Tensor:
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        kind = (
            f"numbers of the type {str(tensor.dtype).removeprefix('torch.')}"
            if isinstance(tensor, torch.Tensor)
            else f"a {type(tensor).__name__}"
        )
        raise ModelError(f"{name} holds {kind}; expected float16, bfloat16, float32 or float64")
    values = tensor.detach().double()
    if not values.numel() or not torch.isfinite(values.float()).all():
        raise ModelError(f"{name} is empty, or holds numbers that are not finite")
    return values


def _chain(
    layers: list[Linear], norms: dict[str, dict[str, torch.Tensor]], keeps_order: bool
) -> list[Linear]:
    """Order the layers from embedding to rating, and merge BatchNorms into them."""
    order = _in_order(layers, keeps_order)
    for before, after in pairwise(order):
        if after.weight.shape[1] != len(before.bias):
            raise ModelError(
                f"{after.name} takes {after.weight.shape[1]} numbers, but {before.name} before it "
                f"gives {len(before.bias)}: they are not in one row; {NO_PERCEPTRON}"
            )
    if len(order[-1].bias) != 1:
        raise ModelError(
            f"{order[-1].name}, the last layer, gives {len(order[-1].bias)} numbers; expected 1, "
            "the rating"
        )
    for name, values in norms.items():
        order = _with_norm(order, name, values)
    return order


def _in_order(layers: list[Linear], keeps_order: bool) -> list[Linear]:
    """Order layers by the numbers in their names, else by their shapes, else as the file does."""
    groups: dict[str, list[Linear]] = {}
    for layer in sorted(
        layers, key=lambda layer: [int(number) for number in re.findall(r"\d+", layer.name)]
    ):
        groups.setdefault(re.sub(r"\d+", "#", layer.name), []).append(layer)
    rows = list(groups.values())
    if len(rows) == 1:
        return rows[0]

    @cache
    def ends(used: tuple[int, ...], width: int | None) -> list[list[Linear]]:
        """Up to two orders of the remaining layers; `used` counts those taken of each name."""
        if sum(used) == len(layers):
            return [[]] if width == 1 else []
        ways = []
        for i, row in enumerate(rows):
            if used[i] < len(row) and width in (None, row[used[i]].weight.shape[1]):
                layer = row[used[i]]
                ways += [
                    [layer, *rest]
                    for rest in ends((*used[:i], used[i] + 1, *used[i + 1 :]), len(layer.bias))
                ]
        return ways[:2]

    ways = ends((0,) * len(rows), None) if len(rows) <= 4 else []
    if len(ways) == 1:
        return ways[0]
    if ways and not keeps_order:
        raise ModelError(
            f"in which order {_some(layer.name for layer in layers)} follow each other can't be "
            "told: number the names, or save with torch.save, which keeps the order"
        )
    return layers


def _with_norm(layers: list[Linear], name: str, values: dict[str, torch.Tensor]) -> list[Linear]:
    """Merge a BatchNorm into the layer before it or, where a ReLU is between them, after it."""
    parent, number = _place(name)
    # Distance to the BatchNorm by number in the name, and position.
    places = [
        (other - number, i)
        for i, layer in enumerate(layers)
        if number is not None
        and _place(layer.name)[0] == parent
        and (other := _place(layer.name)[1]) is not None
    ]
    before = max(((apart, i) for apart, i in places if apart < 0), default=None)
    after = min(((apart, i) for apart, i in places if apart > 0), default=None)
    shapes = {part: tuple(numbers.shape) for part, numbers in values.items()}
    if len(set(shapes.values())) > 1 or values["running_mean"].ndim != 1:
        raise ModelError(f"{name} is no BatchNorm: its numbers have the shapes {shapes}")
    if (values["running_var"] < 0).any():
        raise ModelError(f"{name} is no BatchNorm: its running_var is negative")
    scale = values.get("weight", 1.0) / torch.sqrt(values["running_var"] + EPSILON)
    shift = values.get("bias", 0.0) - values["running_mean"] * scale
    folds_back = before is not None and before[0] == -1 and (after is None or after[0] > 1)
    folds_on = after is not None and after[0] == 1 and (before is None or before[0] < -1)
    if not (folds_back or folds_on):
        raise ModelError(
            f"{name} is a BatchNorm, and whether it stands before or behind a ReLU can't be told "
            f"from its name; {NO_PERCEPTRON}"
        )
    neighbour = before if folds_back else after
    assert neighbour is not None
    i = neighbour[1]
    _, weight, bias = layers[i]
    if scale.shape != (weight.shape[0 if folds_back else 1],):
        raise ModelError(
            f"{name} normalises {len(values['running_mean'])} numbers, but {layers[i].name} "
            f"{'gives' if folds_back else 'takes'} "
            f"{weight.shape[0 if folds_back else 1]}"
        )
    folded = (
        (weight * scale[:, None], bias * scale + shift)
        if folds_back
        else (weight * scale, bias + weight @ shift)
    )
    return [*layers[:i], Linear(layers[i].name, *folded), *layers[i + 1 :]]


def _place(name: str) -> tuple[str, int | None]:
    """Split a name into container and number: `net.3` into `net` and 3."""
    parent, _, last = name.rpartition(".")
    return parent, int(last) if last.isdecimal() else None


def _regressor(layers: list[Linear]) -> Regressor:
    dimension = layers[0].weight.shape[1]
    network = Ensemble(dimension, [len(layer.bias) for layer in layers[:-1]])
    with torch.no_grad():
        for weight, bias, layer in zip(network.weights, network.biases, layers, strict=True):
            weight[0].copy_(layer.weight.T)
            bias[0, 0].copy_(layer.bias)
            if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
                raise ModelError(f"{layer.name} and its BatchNorm make numbers that are not finite")
    return Regressor(network, torch.zeros(dimension), torch.ones(dimension), 0.0, 1.0)


def _some(names: Iterable[Any]) -> str:
    """The first of some names, and how many more there are."""
    iterator = iter(names)
    first = [shortened(str(name)) for name in islice(iterator, 6)]
    more = sum(1 for _ in iterator)
    return ", ".join(first) + (f" and {more} more" if more else "") if first else "none"
