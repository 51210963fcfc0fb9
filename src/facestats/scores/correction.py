"""The correction of ridge regression: an ensemble of perceptrons trained on its residuals.

Each member leaves out one part of the train faces. The ridge regression whose residuals it learns
is fitted without them too, so that predictions of these faces are out of sample. With those of val
they tell how much of the correction to add. The residuals that a member learns are leave-one-out
ones: a regression's own residuals are too small where it has overfitted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from facestats.errors import InputError
from facestats.scores.network import Ensemble
from facestats.scores.params import Mlp
from facestats.scores.ridge import AveragedRidge

LOSSES = {"mse": nn.functional.mse_loss, "huber": nn.functional.huber_loss}
# Share of `lr` after a share (0-1) of the epochs.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
OnEpoch = Callable[[int, float, float], None]


@dataclass
class Parts:
    """The train faces as each member sees them.

    Attributes
    ----------
    part : ndarray of int (n,)
        Part of each face; -1 where nothing is left out.
    seen : torch.Tensor of int64 (members, m)
        Rows that each member trains on.
    residuals : torch.Tensor of float32 (members, n)
        Of the member's own ridge regression; 0 for rows that it leaves out.
    left_out_residuals : ndarray of float64 (n,)
        Of the ridge regression without the face's part; empty where nothing is left out.
    """

    part: np.ndarray
    seen: torch.Tensor
    residuals: torch.Tensor
    left_out_residuals: np.ndarray


def left_out_parts(
    z: np.ndarray, y: np.ndarray, groups: np.ndarray, ridge: AveragedRidge, options: Mlp
) -> Parts:
    """Deal train faces out to the members, and fit each member's ridge regression.

    Parameters
    ----------
    z : ndarray (n, d)
        Standardised features.
    y : ndarray (n,)
        Standardised ratings.
    groups : ndarray of int (n,)
        Whose face each is, from 0 without a gap: a person is in one part.
    ridge : AveragedRidge
        Fitted on all train faces.
    options : Mlp
        The section `mlp` of `params.yaml`.

    Returns
    -------
    Parts
    """
    n, n_groups = len(z), int(groups.max()) + 1
    if options.ensemble == 1 or n_groups == 1:
        return Parts(
            np.full(n, -1),
            torch.arange(n).repeat(options.ensemble, 1),
            _single(y - ridge.mean.left_out).repeat(options.ensemble, 1),
            np.empty(0),
        )
    count = min(options.ensemble, max(n_groups // 2, 2))
    part_of_face = (np.random.default_rng(options.seed).permutation(n_groups) % count)[groups]
    residuals, left_out_residuals = np.zeros((count, n), dtype=np.float32), np.empty(n)
    for part in range(count):
        left_out = part_of_face == part
        own = ridge.refit(z, y, left_out)
        residuals[part, ~left_out] = y[~left_out] - own.left_out
        left_out_residuals[left_out] = y[left_out] - own.predict(z[left_out])
    parts = np.arange(options.ensemble) % count
    most = n - int(np.bincount(part_of_face).max())  # the same for all: one product trains them
    seen = np.stack([np.flatnonzero(part_of_face != part)[:most] for part in parts])
    return Parts(
        part_of_face, torch.from_numpy(seen), _single(residuals[parts]), left_out_residuals
    )


def train_correction(
    x: np.ndarray,
    parts: Parts,
    x_val: np.ndarray,
    residuals_val: np.ndarray,
    options: Mlp,
    on_epoch: OnEpoch | None = None,
) -> tuple[Ensemble, float, np.ndarray]:
    """Train the members until their mean stops improving on val, and find how much of it to add.

    Parameters
    ----------
    x : ndarray (n, d)
        Inputs of the train faces.
    parts : Parts
        Of the train faces.
    x_val : ndarray (v, d)
        Inputs of the val faces.
    residuals_val : ndarray (v,)
        Of their standardised ratings, from the ridge regression on all train faces.
    options : Mlp
        The section `mlp` of `params.yaml`.
    on_epoch : OnEpoch, optional
        Called with epoch, train loss (mean over members, with dropout) and val loss (of the
        members' mean). Epoch 0 is ridge regression alone.

    Returns
    -------
    network : Ensemble
        With the weights of the epoch that had the lowest val loss; after epoch 0, it gives 0.
    size : float
        0–1, factor of its output: least squares on left-out train faces and val.
    left_out : ndarray of float64 (n,)
        Output for each train face by the members that leave it out; empty where nothing is left
        out.

    Raises
    ------
    InputError
        The training diverged.
    """
    loss_of, share_of = LOSSES[options.loss], SCHEDULES[options.schedule]
    inputs, inputs_val, targets_val = _single(x), _single(x_val), _single(residuals_val)
    generator = torch.Generator().manual_seed(options.seed)
    widths = [options.hidden] if isinstance(options.hidden, int) else options.hidden
    network = Ensemble(inputs.shape[1], widths, options.ensemble, options.dropout)
    network.start(generator)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=options.lr, weight_decay=options.weight_decay, fused=True
    )
    best, best_state, best_epoch = math.inf, {}, 0
    for epoch in range(options.epochs + 1):
        if epoch:
            for group in optimiser.param_groups:
                group["lr"] = options.lr * share_of((epoch - 1) / options.epochs)
            train_loss = _run_epoch(
                network, optimiser, inputs, parts, options.batch_size, loss_of, generator
            )
        else:
            train_loss = float(
                loss_of(
                    torch.zeros_like(parts.seen, dtype=inputs.dtype),
                    parts.residuals.gather(1, parts.seen),
                )
            )
        with torch.inference_mode():
            val_loss = float(loss_of(network(inputs_val).mean(0), targets_val))
        if not (math.isfinite(val_loss) and math.isfinite(train_loss)):
            raise InputError(
                f"the training diverged in epoch {epoch} (the loss is {val_loss}); lower mlp.lr, "
                f"now {options.lr:g}"
            )
        if on_epoch:
            on_epoch(epoch, train_loss, val_loss)
        if val_loss < best:
            best, best_state, best_epoch = val_loss, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= options.patience:
            break
    network.load_state_dict(best_state)
    with torch.inference_mode():
        output_val = network(inputs_val).mean(0).double().numpy()
        left_out = _left_out(network, inputs, parts.part)
    size = _size(
        np.concatenate([output_val, left_out]),
        np.concatenate([targets_val.double().numpy(), parts.left_out_residuals]),
    )
    return network, size, left_out


def _run_epoch(
    network: Ensemble,
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    parts: Parts,
    batch_size: int,
    loss_of: Callable,
    generator: torch.Generator,
) -> float:
    total = 0.0
    order = torch.stack(
        [rows[torch.randperm(len(rows), generator=generator)] for rows in parts.seen]
    )
    for rows in order.split(batch_size, dim=1):
        # The sum over members: each gets the gradient that it would get alone.
        loss = loss_of(network(x[rows], generator), parts.residuals.gather(1, rows)) * len(rows)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item() / len(rows) * rows.shape[1]
    return total / order.shape[1]


def _left_out(network: Ensemble, x: torch.Tensor, part_of_face: np.ndarray) -> np.ndarray:
    """Mean output for each face of the members that leave it out."""
    count = part_of_face.max() + 1
    outputs = np.empty(len(x) if count else 0)
    for part in range(count):
        rows = part_of_face == part
        outputs[rows] = network(x[torch.from_numpy(rows)])[part::count].mean(0).double().numpy()
    return outputs


def _size(outputs: np.ndarray, residuals: np.ndarray) -> float:
    """Slope, 0–1, of the residuals on the outputs, by least squares."""
    return float(np.clip(outputs @ residuals / max(outputs @ outputs, np.finfo(float).tiny), 0, 1))


def _single(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
