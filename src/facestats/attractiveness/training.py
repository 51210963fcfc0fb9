"""Train the regressor: AdamW, early stopping on held-out faces, the best weights kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from facestats.attractiveness.mlp import Regressor, build_network, load_pretrained
from facestats.errors import InputError

MIN_TRAIN, MIN_VAL = 20, 5


def train_regressor(
    X_train: np.ndarray, y_train: np.ndarray, X_val: np.ndarray, y_val: np.ndarray, *,
    hidden: int | list[int] = (256, 64), dropout: float = 0.5, lr: float = 1e-3, weight_decay: float = 1.0,
    batch_size: int = 64, epochs: int = 200, patience: int = 20, seed: int = 0, pretrained: str | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> Regressor:
    """Fit a multi-layer perceptron to ratings.

    Parameters
    ----------
    X_train, X_val : features (n, d) on any scale; standardised by the train faces inside.
    y_train, y_val : ratings (n,) on any scale.
    hidden : width of each hidden layer; a single number is one layer.
    dropout, lr, weight_decay, batch_size, epochs, patience, seed : see `params.yaml`.
    pretrained : a checkpoint to use instead of training; it must say its own rating scale.
    on_epoch : called with epoch (from 1), train and val loss (mean squared error of standardised ratings).

    Returns
    -------
    Regressor, with the weights of the epoch that had the lowest val loss; `.predict(X)` gives rating units.

    Raises
    ------
    InputError
        No faces, shapes that do not fit, values that are not finite, or ratings that are all equal.
    """
    if pretrained is not None:
        return load_pretrained(Path(pretrained), np.shape(X_train)[1], None)
    x, y = _checked(X_train, y_train, "train")
    x_val, y_val = _checked(X_val, y_val, "val")
    if x.shape[1] != x_val.shape[1]:
        raise InputError(f"train has {x.shape[1]} features, val {x_val.shape[1]}")
    if float(y.min()) == float(y.max()):
        raise InputError(f"all {len(y)} train ratings are {float(y[0]):g}; there is nothing to learn from them")
    x_mean, x_std = x.mean(0), x.std(0)
    # What never moves in train stays at its scale, or a small move later would drown all else.
    x_std = torch.where(x_std > 1e-6 * x.abs().amax(0), x_std, 1.0)
    y_mean, y_std = float(y.mean()), float(y.std())
    x, x_val = (x - x_mean) / x_std, (x_val - x_mean) / x_std
    y, y_val = ((y - y_mean) / y_std).float(), ((y_val - y_mean) / y_std).float()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(x.shape[1], hidden if isinstance(hidden, int) else list(hidden), dropout)
        optimiser = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
        best, best_state, waited = float("inf"), copy.deepcopy(network.state_dict()), 0
        for epoch in range(1, epochs + 1):
            train_loss = _run_epoch(network, optimiser, x, y, batch_size)
            val_loss = _loss(network, x_val, y_val)
            if not math.isfinite(val_loss):
                raise InputError(f"the training diverged in epoch {epoch} (the loss is {val_loss}); lower mlp.lr, now {lr:g}")
            if on_epoch:
                on_epoch(epoch, train_loss, val_loss)
            if val_loss < best:
                best, best_state, waited = val_loss, copy.deepcopy(network.state_dict()), 0
            else:
                waited += 1
                if waited >= patience:
                    break
        network.load_state_dict(best_state)
    widths = hidden if isinstance(hidden, int) else list(hidden)
    return Regressor(network, widths, dropout, x_mean, x_std, y_mean, y_std)


def _checked(x: np.ndarray, y: np.ndarray, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.shape != (len(x),):
        raise InputError(f"{name}: features have the shape {x.shape} and ratings {y.shape}; expected (n, d) and (n,)")
    if not len(x):
        raise InputError(f"{name}: no rated faces")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"{name}: features or ratings are not finite")
    return torch.from_numpy(x), torch.from_numpy(y)


def _run_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor,
               batch_size: int) -> float:
    network.train()
    total = 0.0
    for batch in torch.randperm(len(x)).split(batch_size):
        loss = nn.functional.mse_loss(network(x[batch]).squeeze(1), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item() * len(batch)
    return total / len(x)


def _loss(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    network.eval()
    with torch.inference_mode():
        return nn.functional.mse_loss(network(x).squeeze(1), y).item()
