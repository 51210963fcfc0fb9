"""The log of a training in `metrics/train_attractiveness`, which DVC shows while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvclive.live import Live
from scmrepo.exceptions import SCMError

from facestats.core.files import rounded
from facestats.errors import InputError


class TrainingLog:
    """Logs losses by epoch, and facts at the end of the training, with 6 significant digits.

    Parameters
    ----------
    folder : Path
        Where dvclive writes.

    Attributes
    ----------
    best : dict
        `epoch` and `val_loss` of the epoch with the lowest val loss: the weights that are kept.

    Raises
    ------
    InputError
        There is a git repository without a commit.
    """

    def __init__(self, folder: Path):
        self.best: dict[str, float] = {"epoch": 0, "val_loss": float("inf")}
        try:
            self._live = Live(
                str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False
            )
        except SCMError as error:
            raise InputError(
                f"git can't say which commit this run is based on ({error}); commit once, "
                "`git add -A && git commit -m start`, and run again"
            ) from None

    def __enter__(self) -> TrainingLog:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def on_epoch(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Log the losses of an epoch."""
        self._live.step = epoch
        self._live.log_metric("train/loss", rounded(train_loss))
        self._live.log_metric("val/loss", rounded(val_loss))
        self._live.make_summary()
        if val_loss < self.best["val_loss"]:
            self.best = {"epoch": epoch, "val_loss": val_loss}

    def summarise(self, values: dict[str, Any]) -> None:
        """Add facts to `metrics.json`."""
        self._live.summary |= rounded(values)
