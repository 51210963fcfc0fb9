"""Training of the regressor: ridge regression, a correction by perceptrons, a calibration.

A plain perceptron is worse than ridge regression with hundreds of faces; docs/methods/regressor.md
has the figures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from facestats.core.stats.regression import is_constant
from facestats.errors import InputError, number_of
from facestats.machine.threads import one_thread
from facestats.params.errors import checked_options
from facestats.scores.calibration import fit_calibration
from facestats.scores.correction import left_out_parts, train_correction
from facestats.scores.params import Mlp
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import Regressor
from facestats.scores.ridge import fit_averaged_ridge

MIN_TRAIN, MIN_VAL = 20, 5


def too_few(n_train: int, n_val: int) -> str:
    """Say why nothing is trained on so few faces."""
    return (
        f"{number_of(n_train, 'rated face')} in train and {n_val} in val; {MIN_TRAIN} and "
        f"{MIN_VAL} are needed"
    )


def train_regressor(
    X_train: np.ndarray,
    y_train: np.ndarray,
    X_val: np.ndarray,
    y_val: np.ndarray,
    *,
    persons: tuple[Sequence, Sequence] | None = None,
    on_epoch: Callable[[int, float, float], None] | None = None,
    **mlp: Any,
) -> Regressor:
    """Fit ratings by ridge regression and an ensemble of perceptrons that corrects it.

    Parameters
    ----------
    X_train, X_val : array or frame (n, d)
        Features on any scale; they are standardised by the train faces. At least 20 and 5 rows.
    y_train, y_val : array (n,)
        Ratings on any scale. Val stops the training; with the train faces, predicted by members
        that left them out, it sets the size of the correction and the calibration.
    persons : (sequence, sequence), optional
        Whose face each row of train and of val is: no person is in two folds of the training. By
        default each row is somebody else's.
    on_epoch : callable, optional
        Called with epoch (0: ridge regression alone), train loss (mean over the members) and val
        loss (of their mean), both of standardised ratings.
    **mlp
        The keys of the section `mlp` of `params.yaml`, with the same defaults: `hidden`,
        `ensemble`, `dropout`, `lr`, `schedule`, `weight_decay`, `loss`, `batch_size`, `epochs`,
        `patience`, `calibration`, `seed`; `pretrained`, a checkpoint to use instead of training,
        which must name its own rating scale; `folds` is not used here, but by `out_of_fold`.

    Returns
    -------
    Regressor
        With the weights of the epoch that had the lowest val loss; `.predict(X)` gives rating
        units.

    Raises
    ------
    InputError
        Too few faces, shapes that do not fit, values that are not finite, ratings that are all
        equal, an option that does not exist or is out of range, or a training that diverged.
    """
    if mlp.get("pretrained") is not None:
        mlp["pretrained"] = str(mlp["pretrained"])
    options = checked_options(Mlp, mlp)
    of_train, of_val = persons or (None, None)
    x, y, of_train = _checked(X_train, y_train, of_train, "train")
    if options.pretrained is not None:
        return load_pretrained(Path(options.pretrained), x.shape[1], None)
    x_val, y_val, of_val = _checked(X_val, y_val, of_val, "val")
    if x.shape[1] != x_val.shape[1]:
        raise InputError(f"train has {x.shape[1]} features, val {x_val.shape[1]}")
    if is_constant(y):
        raise InputError(
            f"all {len(y)} train ratings are {y[0]:g}; there is nothing to learn from them"
        )
    if len(x) < MIN_TRAIN or len(x_val) < MIN_VAL:
        raise InputError(too_few(len(x), len(x_val)))
    groups = pd.factorize(np.concatenate([of_val, of_train]))[0]
    with one_thread():
        return _train(x, y, x_val, y_val, groups, options, on_epoch)


def _train(
    x: np.ndarray,
    y: np.ndarray,
    x_val: np.ndarray,
    y_val: np.ndarray,
    groups: np.ndarray,
    options: Mlp,
    on_epoch: Callable[[int, float, float], None] | None,
) -> Regressor:
    """Train on checked inputs, overwriting `x`; `groups` numbers the persons of val, then train."""
    x_mean, x_std = x.mean(axis=0), x.std(axis=0)
    # Features that don't vary in train keep their scale: else a small change would outweigh all.
    x_std = np.where(x_std > 1e-6 * np.abs(x).max(axis=0), x_std, 1.0)
    y_mean, y_std = float(y.mean()), float(y.std())
    y, target_val = (y - y_mean) / y_std, (y_val - y_mean) / y_std
    z, z_val = x, (x_val - x_mean) / x_std
    z -= x_mean  # in place: of 100,000 faces x takes 0.4 GB
    z /= x_std
    ridge = fit_averaged_ridge(z, y, x_std)
    parts = left_out_parts(z, y, pd.factorize(groups[len(x_val) :])[0], ridge, options)
    residuals_val = target_val - ridge.mean.predict(z_val)
    # The members see the features on the scale that ridge regression does best with.
    z *= ridge.scaling
    network, factor, left_out = train_correction(
        z, parts, z_val * ridge.scaling, residuals_val, options, on_epoch
    )
    model = Regressor(
        network,
        torch.from_numpy(x_mean),
        torch.from_numpy(x_std / ridge.scaling),
        y_mean + y_std * ridge.mean.intercept,
        y_std,
        slopes=torch.from_numpy(ridge.mean.slopes / ridge.scaling),
        correction_factor=factor,
    )
    # Train faces, predicted by members that left them out, serve as well as val faces, and there
    # are more. Over 16 splits of OMI's faces a line through val faces alone raised the mean
    # absolute bias from 0.85 to 1.15 points of 100; through both it lowered it to 0.77.
    predicted, rated, of_rated = model.predict(x_val), y_val, groups[: len(x_val)]
    if len(left_out):
        predicted = np.append(
            predicted, y_mean + y_std * (y - parts.left_out_residuals + factor * left_out)
        )
        rated, of_rated = np.append(rated, y_mean + y_std * y), groups
    model.calibration = fit_calibration(
        predicted, rated, options.calibration, options.seed, pd.factorize(of_rated)[0]
    )
    return model


def _checked(
    x: np.ndarray, y: np.ndarray, persons: Sequence | None, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check features (rounded to float32, as in `Regressor.predict`), ratings and persons.

    Rows are sorted by a hash of their features, so that their order in a table does not matter.
    """
    try:
        x, y = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}: features must be a matrix of numbers (n, d) and ratings n numbers ({error}); "
            "np.stack makes a matrix of a column of vectors"
        ) from None
    if x.ndim != 2 or not x.shape[1] or y.shape != (len(x),):
        raise InputError(
            f"{name}: features have the shape {x.shape} and ratings {y.shape}; expected (n, d) and "
            "(n,)"
        )
    if persons is not None and len(persons) != len(x):
        raise InputError(f"{name}: {len(x)} rows, but {len(persons)} persons")
    if not len(x):
        raise InputError(f"{name}: no rated faces")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"{name}: features or ratings are not finite")
    hashed = [
        (hashlib.blake2b(row.astype(np.float64).tobytes()).digest(), rating)
        for row, rating in zip(x, y, strict=True)
    ]
    order = sorted(range(len(x)), key=hashed.__getitem__)
    alone = [f"{name} {place}" for place in range(len(x))]
    sorted_persons = np.asarray(alone if persons is None else persons, dtype=object)[order]
    return x[order].astype(np.float64), y[order], sorted_persons
