"""The regressor, from embedding to rating, and its file.

The model file holds all that a score needs: architecture, weights, the coefficients of ridge
regression, input normalisation, calibration, the raters' scale, and the reference distribution for
percentiles.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facestats.core.checkpoint_files import read_checkpoint
from facestats.core.files import write_bytes
from facestats.core.tables.embeddings import Embeddings, in_batches
from facestats.errors import InputError, MisfitError, ModelError
from facestats.machine.threads import in_threads
from facestats.scores.calibration import KINDS, Calibration
from facestats.scores.network import Ensemble

FORMAT = "facestats-ensemble-1"
# Faces predicted at a time, so that intermediate results fit into a processor's cache; the last
# bits depend on it.
ROWS = 512


@dataclass
class Regressor:
    """Ridge regression, and an ensemble of perceptrons that corrects it, with normalisations.

    The prediction for standardised inputs z is `calibration(y_mean + y_std * (slopes · z +
    correction_factor * mean of the members))`.

    Attributes
    ----------
    network : Ensemble
        Its members map z to standardised ratings.
    x_mean, x_std : torch.Tensor of float64 (d,)
        Inputs are standardised by them.
    y_mean, y_std : float
        Of the output, in rating units.
    slopes : torch.Tensor of float64 (d,), optional
        Coefficients of ridge regression; None in a perceptron that was trained elsewhere.
    correction_factor : float
        Factor of the members' mean.
    calibration : Calibration
        Of the prediction, in rating units.
    scale : (float, float), optional
        (low, high) ends of the raters' scale; None where not known.
    reference : ndarray of float64, optional
        Ascending ratings predicted for the reference faces.
    """

    network: Ensemble
    x_mean: torch.Tensor
    x_std: torch.Tensor
    y_mean: float
    y_std: float
    scale: tuple[float, float] | None = None
    reference: np.ndarray | None = None
    slopes: torch.Tensor | None = None
    correction_factor: float = 1.0
    calibration: Calibration = field(default_factory=Calibration)

    @property
    def dimension(self) -> int:
        return len(self.x_mean)

    def predict(self, x: Embeddings) -> np.ndarray:
        """Predict ratings, on all processors; their number changes no bit.

        Parameters
        ----------
        x : Embeddings
            (n, d), which may stay on disk.

        Returns
        -------
        ndarray of float64 (n,)
            In rating units.

        Raises
        ------
        ModelError
            The inputs have another dimension than those trained on.
        InputError
            They are no matrix of numbers, or hold some that are not finite.
        """
        if not hasattr(x, "__len__"):
            raise InputError(
                f"the regressor takes a matrix of numbers (n, {self.dimension}), not "
                f"{type(x).__name__}"
            )
        parts = (
            batch[start : start + ROWS]
            for batch in in_batches(x)
            for start in range(0, len(batch) or 1, ROWS)
        )
        n_parts = max(1, math.ceil(len(x) / ROWS))
        return np.concatenate(in_threads(self._predict, parts, most=n_parts))

    def _predict(self, x: np.ndarray) -> np.ndarray:
        try:
            x = np.array(x, dtype=np.float32)  # a copy: torch wants an array that it may write to
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the regressor takes a matrix of numbers (n, {self.dimension}) ({error}); "
                "np.stack makes one of a column of vectors"
            ) from None
        if x.ndim != 2:
            raise InputError(
                f"the regressor takes a matrix (n, {self.dimension}), this is {x.shape}; one face "
                "is a matrix of one row, x[None]"
            )
        if x.shape[1] != self.dimension:
            raise ModelError(
                f"the regressor takes vectors of {self.dimension} numbers, these have the shape "
                f"{x.shape}; it was trained on another CLIP variant"
            )
        if not np.isfinite(x).all():
            raise InputError("an embedding is not finite; the regressor can't score it")
        with torch.inference_mode():
            inputs = (torch.from_numpy(x) - self.x_mean) / self.x_std
            out = self.correction_factor * self.network(inputs.float()).mean(0).double()
            if self.slopes is not None:
                out = out + inputs.double() @ self.slopes
        return self.calibration(out.numpy() * self.y_std + self.y_mean)

    def save(self, path: Path) -> None:
        """Write a file that `torch.load(…, weights_only=True)` reads."""
        reference = np.asarray([] if self.reference is None else self.reference, dtype=np.float64)
        _save(
            {
                "format": FORMAT,
                "trained": True,
                "dimension": self.dimension,
                "hidden": self.network.hidden,
                "members": self.network.members,
                "state_dict": self.network.state_dict(),
                "x_mean": self.x_mean,
                "x_std": self.x_std,
                "y_mean": self.y_mean,
                "y_std": self.y_std,
                "slopes": self.slopes,
                "size": self.correction_factor,
                "calibration": {
                    "kind": self.calibration.kind,
                    "x": torch.from_numpy(self.calibration.x),
                    "y": torch.from_numpy(self.calibration.y),
                    "slope": self.calibration.slope,
                },
                "scale": list(self.scale) if self.scale else None,
                "reference": torch.from_numpy(reference),
            },
            path,
        )


def save_untrained(path: Path, why: str) -> None:
    """Write a model file with the reason why there is no model."""
    _save({"format": FORMAT, "trained": False, "why": why}, path)


def load_regressor(path: Path) -> Regressor | None:
    """Read a model file; None where nothing was trained.

    Raises
    ------
    ModelError
        Missing, damaged, unsafe or foreign file.
    """
    content = read_checkpoint(path)
    if content.get("format") != FORMAT:
        raise ModelError(
            f"{path} is not a model file of this project, or of an earlier version of it; "
            "`dvc repro train_attractiveness` makes it"
        )
    if not content.get("trained"):
        return None
    try:
        return _from_content(content)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RuntimeError,
        ArithmeticError,
    ) as error:
        raise ModelError(
            f"{path} is a damaged model file ({error!r}); "
            "`dvc repro -f train_attractiveness` makes it anew"
        ) from None


def _from_content(content: dict) -> Regressor:
    """Build a model from a file's content; raises one of several errors where it makes none."""
    dimension, hidden, members = content["dimension"], content["hidden"], content["members"]
    if not all(type(n) is int and n > 0 for n in (dimension, members, *hidden)):
        raise MisfitError("its widths are not positive whole numbers")
    with torch.device("meta"):  # takes no memory for what the file claims
        network = Ensemble(dimension, hidden, members)
    network.load_state_dict(content["state_dict"], assign=True)
    network = network.float()
    for name, weight in network.state_dict().items():
        _vector(weight.flatten(), name)
    scale = content["scale"]
    if scale:
        low, high = scale
        scale = _number(low, "scale"), _number(high, "scale")
    curve, slopes = content["calibration"], content["slopes"]
    x, y = (_vector(curve[name], name).double().numpy() for name in "xy")
    if curve["kind"] not in KINDS or len(x) != len(y) or not len(x) or (np.diff(x) < 0).any():
        raise MisfitError("its calibration has no ascending knots")
    return Regressor(
        network=network,
        x_mean=_vector(content["x_mean"], "x_mean", dimension),
        x_std=_vector(content["x_std"], "x_std", dimension),
        y_mean=_number(content["y_mean"], "y_mean"),
        y_std=_number(content["y_std"], "y_std"),
        scale=scale or None,
        reference=_vector(content["reference"], "reference").numpy(),
        slopes=None if slopes is None else _vector(slopes, "slopes", dimension),
        correction_factor=_number(content["size"], "size"),
        calibration=Calibration(curve["kind"], x, y, _number(curve["slope"], "slope")),
    )


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not np.isfinite(float(value)):
        raise MisfitError(f"{name} is {value!r:.40}, expected a number")
    return value


def _vector(values: Any, name: str, size: int | None = None) -> torch.Tensor:
    if (
        not isinstance(values, torch.Tensor)
        or values.ndim != 1
        or not values.is_floating_point()
        or size not in (None, len(values))
        or not torch.isfinite(values).all()
    ):
        raise MisfitError(f"{name} is {values!r:.40}, expected {size or 'some'} numbers")
    return values


def _save(content: dict, path: Path) -> None:
    # Given a path, torch would name the archive inside after the file, and report a full disk as an
    # unexpected position.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(path, buffer.getvalue())
