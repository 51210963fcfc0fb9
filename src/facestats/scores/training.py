"""Train the regressor: ridge regression, an ensemble of perceptrons on what it misses, and a calibration on held-out faces.

Why not a plain perceptron: with hundreds of faces it loses to ridge regression. docs/methods/regressor.md has the figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from facestats.errors import InputError, number_of
from facestats.machine.threads import one_thread
from facestats.params.errors import checked_options
from facestats.scores.calibration import fit_calibration
from facestats.scores.correction import Options, left_out_parts, train_correction
from facestats.scores.params import Mlp
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import Regressor
from facestats.scores.ridge import fit_blend

MIN_TRAIN, MIN_VAL = 20, 5
ROUNDING = (
    1e-12  # means of 2 and of 3 equal ratings differ in the last bit; a share of the largest rating
)


def too_few(n_train: int, n_val: int) -> str:
    """Why nothing is trained on so few."""
    return f"{number_of(n_train, 'rated face')} in train and {n_val} in val; {MIN_TRAIN} and {MIN_VAL} are needed"


def train_regressor(
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_val: np.ndarray,
    y_val: np.ndarray,
    *,
    hidden: int | Sequence[int] = (256, 64),
    ensemble: int = 8,
    dropout: float = 0.5,
    lr: float = 1e-3,
    weight_decay: float = 1.0,
    batch_size: int = 64,
    epochs: int = 200,
    patience: int = 10,
    schedule: str = "constant",
    loss: str = "mse",
    calibration: str = "auto",
    seed: int = 0,
    folds: int = 0,
    pretrained: str | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
) -> Regressor:
    """Fit ratings by ridge regression and an ensemble of perceptrons that corrects it.

    Parameters
    ----------
    X_train, X_val : array or frame (n, d)
        Features on any scale; they are standardised by the train faces. At least 20 and 5 rows.
    y_train, y_val : array (n,)
        Ratings on any scale. Val stops the training; with the train faces, predicted by members that left
        them out, it sets the size of the correction and the calibration.
    hidden : int or sequence of int, default (256, 64)
        Width of each hidden layer; a single number is one layer.
    ensemble, dropout, lr, weight_decay, batch_size, epochs, patience : number
        As in the section `mlp` of `params.yaml`.
    schedule, loss, calibration : str
        As in the section `mlp` of `params.yaml`.
    seed : int, default 0
        Initial weights, order of batches, parts and folds.
    folds : int
        Not used; accepted so that the whole section `mlp` can be passed. `out_of_fold` uses it.
    pretrained : path, optional
        Checkpoint to use instead of training; it must say its own rating scale.
    on_epoch : callable, optional
        Called with the epoch (0: ridge regression alone), train loss (mean over the members) and val loss
        (of their mean), both of standardised ratings.

    Returns
    -------
    Regressor
        With the weights of the epoch that had the lowest val loss. `.predict(X)` gives float64 (n,) in the
        unit of the ratings.

    Raises
    ------
    InputError
        Too few faces, shapes that do not fit, values that are not finite, ratings that are all equal, an
        option that does not exist or is out of range, or a training that diverged.
    ModelError
        `pretrained` can't be read, or takes other dimensions.
    """
    mlp = checked_options(
        Mlp,
        {
            "hidden": hidden,
            "ensemble": ensemble,
            "dropout": dropout,
            "lr": lr,
            "weight_decay": weight_decay,
            "batch_size": batch_size,
            "epochs": epochs,
            "patience": patience,
            "schedule": schedule,
            "loss": loss,
            "calibration": calibration,
            "seed": seed,
            "folds": folds,
            "pretrained": pretrained if pretrained is None else str(pretrained),
        },
    )
    x, y = _checked(X_train, y_train, "train")
    if mlp.pretrained is not None:
        return load_pretrained(Path(mlp.pretrained), x.shape[1], None)
    x_val, y_val = _checked(X_val, y_val, "val")
    if x.shape[1] != x_val.shape[1]:
        raise InputError(f"train has {x.shape[1]} features, val {x_val.shape[1]}")
    if np.ptp(y) <= ROUNDING * np.abs(y).max():
        raise InputError(
            f"all {len(y)} train ratings are {y[0]:g}; there is nothing to learn from them"
        )
    if len(x) < MIN_TRAIN or len(x_val) < MIN_VAL:
        raise InputError(too_few(len(x), len(x_val)))
    widths = [mlp.hidden] if isinstance(mlp.hidden, int) else mlp.hidden
    options = Options(
        widths,
        mlp.ensemble,
        mlp.dropout,
        mlp.lr,
        mlp.weight_decay,
        mlp.batch_size,
        mlp.epochs,
        mlp.patience,
        mlp.schedule,
        mlp.loss,
        mlp.seed,
    )
    with one_thread():
        return _train(x, y, x_val, y_val, options, mlp.calibration, on_epoch)


def _train(
    x: np.ndarray,
    y: np.ndarray,
    x_val: np.ndarray,
    y_val: np.ndarray,
    options: Options,
    calibration: str,
    on_epoch: Callable[[int, float, float], None] | None,
) -> Regressor:
    """`train_regressor` with its checked inputs, of which it overwrites `x`."""
    x_mean, x_std = x.mean(axis=0), x.std(axis=0)
    # What never moves in train stays at its scale, or a small move later would drown all else.
    x_std = np.where(x_std > 1e-6 * np.abs(x).max(axis=0), x_std, 1.0)
    y_mean, y_std = float(y.mean()), float(y.std())
    y, target_val = (y - y_mean) / y_std, (y_val - y_mean) / y_std
    z, z_val = x, (x_val - x_mean) / x_std
    z -= x_mean  # in place: of 100,000 faces x takes 0.4 GB
    z /= x_std
    blend = fit_blend(z, y, x_std)
    parts = left_out_parts(z, y, blend, options)
    residuals_val = target_val - blend.line.predict(z_val)
    # The members see the features on the scale that the line does best with.
    z *= blend.scaling
    network, size, left_out = train_correction(
        z, parts, z_val * blend.scaling, residuals_val, options, on_epoch
    )
    model = Regressor(
        network,
        torch.from_numpy(x_mean),
        torch.from_numpy(x_std / blend.scaling),
        y_mean + y_std * blend.line.intercept,
        y_std,
        slopes=torch.from_numpy(blend.line.slopes / blend.scaling),
        size=size,
    )
    # Faces of train by those who left them out tell as much as val does, and there are more. Over 16 divisions of OMI's faces a line
    # through val alone raised the mean absolute bias from 0.85 to 1.15 points of 100; through both it lowered it to 0.77.
    told, rated = model.predict(x_val), y_val
    if len(left_out):
        told = np.append(told, y_mean + y_std * (y - parts.missed + size * left_out))
        rated = np.append(rated, y_mean + y_std * y)
    model.calibration = fit_calibration(told, rated, calibration, options.seed)
    return model


def _checked(x: np.ndarray, y: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features as `Regressor.predict` will see them, rounded to float32, and ratings; both float64, in an order that is their own.

    Who comes first in a table decides nothing: rows are sorted by a hash of their features.
    """
    try:
        x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}: features must be a matrix of numbers (n, d) and ratings n numbers ({error}); np.stack makes a matrix "
            "of a column of vectors"
        ) from None
    if x.ndim != 2 or not x.shape[1] or y.shape != (len(x),):
        raise InputError(
            f"{name}: features have the shape {x.shape} and ratings {y.shape}; expected (n, d) and (n,)"
        )
    if not len(x):
        raise InputError(f"{name}: no rated faces")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"{name}: features or ratings are not finite")
    named = [
        (hashlib.blake2b(row.astype(np.float64).tobytes()).digest(), rating)
        for row, rating in zip(x, y, strict=True)
    ]
    order = sorted(range(len(x)), key=named.__getitem__)
    return x[order].astype(np.float64), y[order]
