"""The regressor of a project: its train faces, out-of-fold predictions, and reference faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.core.stats.scale import reference_distribution
from facestats.core.tables.embeddings import EmbeddingTable
from facestats.errors import FaultError, InputError, number_of
from facestats.scores.folds import out_of_fold
from facestats.scores.params import Mlp
from facestats.scores.pretrained import load_pretrained
from facestats.scores.regressor import Regressor, save_untrained
from facestats.scores.training import MIN_TRAIN, MIN_VAL, too_few, train_regressor

_NO_FOLDS = pd.DataFrame({"filename": pd.Series(dtype="str"), "fold": [], "attractiveness_raw": []})


@dataclass
class FittedRegressor:
    """The regressor of a project, and facts about its training.

    Attributes
    ----------
    model : Regressor, optional
        With the raters' scale and the reference distribution; None where nothing was trained.
    why : str, optional
        Why nothing was trained.
    out_of_fold : DataFrame
        Out-of-fold predictions of train and val faces; see `scores.tables.SCORES_OUT_OF_FOLD`.
    counts : dict of int
        Faces that were trained on, scored out of fold, and left out for their age.
    warnings : list of str
        What the user should know.
    note : str, optional
        The layers of a checkpoint that was used instead of training.
    """

    model: Regressor | None
    why: str | None
    out_of_fold: pd.DataFrame
    counts: dict[str, int]
    warnings: list[str]
    note: str | None = None

    def facts(self, best: dict[str, float]) -> dict[str, Any]:
        """Collect what `metrics.json` says about the training.

        Parameters
        ----------
        best : dict
            Epoch and val loss of the weights that were kept.

        Returns
        -------
        dict
        """
        facts: dict[str, Any] = {}
        if self.model is not None and not self.note:
            kind = self.model.calibration.kind
            facts = {"best": best, "correction": self.model.correction_factor, "calibration": kind}
        return facts | {"trained": self.model is not None, "why": self.why, **self.counts}

    def save(self, path: Path) -> None:
        """Write the model's file, or one that says why there is none."""
        if self.model is None:
            save_untrained(path, self.why or "")
        else:
            self.model.save(path)

    def summary(self) -> str:
        """Count the faces in one line."""
        if self.model is None:
            return "trained=false"
        return " ".join(f"{name}={n}" for name, n in self.counts.items())


def fit_regressor(
    options: Mlp,
    embeddings: EmbeddingTable,
    faces: pd.DataFrame,
    scale: tuple[float, float] | None,
    on_epoch: Callable[[int, float, float], None] | None = None,
    name: str = "attractiveness",
) -> FittedRegressor:
    """Train the regressor on rated train and val faces, and predict these out of fold.

    Parameters
    ----------
    options : Mlp
        The section `mlp` of `params.yaml`.
    embeddings : EmbeddingTable
        Of n faces.
    faces : DataFrame (n rows)
        By filename: `rating` (null where nobody rated), `split`, `group` (whose face it is, as
        `identity.same_faces` gives it), `minor` (too young for a score by its labels: its rating is
        not used) and `scored` (whether it gets a score; the others are no reference faces).
    scale : (float, float), optional
        Ends of the raters' scale; None where nobody rated.
    on_epoch : callable, optional
        See `train_regressor`.
    name : str
        What is predicted, for warnings.

    Returns
    -------
    FittedRegressor
    """
    warnings: list[str] = []
    note = None
    minors = int((faces["rating"].notna() & faces["minor"]).sum())
    if minors:
        warnings.append(
            f"the ratings of {number_of(minors, 'face')} that are too young for a score are not "
            "used in training (score.min_age)"
        )
    ratings = faces["rating"].mask(faces["minor"])
    train, val = (
        (ratings.notna() & (faces["split"] == part)).to_numpy() for part in ("train", "val")
    )
    if options.pretrained:
        model, why = load_pretrained(Path(options.pretrained), embeddings.dimension, scale), None
        widths = ", ".join(map(str, [*model.network.hidden, 1]))
        note = (
            f"{options.pretrained}: layers of {model.dimension}, {widths} numbers, "
            "ReLU between them"
        )
    else:
        model, why = _train(options, embeddings, ratings, faces["group"], train, val, on_epoch)
    predicted = _NO_FOLDS
    if model is not None and options.folds and not options.pretrained:
        rated = train | val
        predicted, problems = out_of_fold(
            embeddings.take(rated),
            ratings[rated].to_numpy(),
            faces["group"][rated],
            stop_share=val.sum() / rated.sum(),
            **options.model_dump(),
        )
        warnings += [
            f"mlp.folds: {problem}; its faces are scored by the main model" for problem in problems
        ]
    predicted = predicted[predicted["filename"].map(faces["scored"]).to_numpy(bool)]
    if model is None:
        warnings.append(f"{name} is not trained: {why}")
    else:
        model.scale = model.scale or scale
        model.reference = _reference(model, embeddings, faces["scored"], predicted)
    counts = {
        "n_train": int(train.sum()),
        "n_val": int(val.sum()),
        "n_out_of_fold": len(predicted),
        "n_under_age": minors,
    }
    return FittedRegressor(model, why, predicted, counts, warnings, note)


def _train(
    options: Mlp,
    embeddings: EmbeddingTable,
    ratings: pd.Series,
    groups: pd.Series,
    train: np.ndarray,
    val: np.ndarray,
    on_epoch: Callable[[int, float, float], None] | None,
) -> tuple[Regressor | None, str | None]:
    """Train on the rated faces of train and val; gives the model, or None and why."""
    if train.sum() < MIN_TRAIN or val.sum() < MIN_VAL:
        return None, too_few(train.sum(), val.sum())
    try:
        model = train_regressor(
            embeddings.take(train),
            ratings[train].to_numpy(),
            embeddings.take(val),
            ratings[val].to_numpy(),
            persons=(groups[train], groups[val]),
            on_epoch=on_epoch,
            **options.model_dump(),
        )
    except FaultError:  # of the embeddings' disk: no reason to go on without a model
        raise
    except InputError as error:
        return None, str(error)
    return model, None


def _reference(
    model: Regressor, embeddings: EmbeddingTable, scored: pd.Series, predicted: pd.DataFrame
) -> np.ndarray:
    """Reference distribution of the ratings in the table, out of fold where there are such.

    The model's own predictions of its train faces spread too far.
    """
    shown = pd.Series(model.predict(embeddings), index=embeddings.names)
    shown.update(predicted.set_index("filename")["attractiveness_raw"])
    return reference_distribution(shown[scored].to_numpy() if scored.any() else shown.to_numpy())
