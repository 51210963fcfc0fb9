"""One target of `params.yaml`: the faces that it learns from, its model, and its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facestats.attributes.heldout import HeldOut, measure_held_out
from facestats.attributes.params import Classification, Regression
from facestats.attributes.pretrained import load_pretrained, use_pretrained
from facestats.attributes.training import (
    Training,
    set_threshold,
    train_classifier,
    train_regression,
)
from facestats.core.stats.identity import count_once, same_faces
from facestats.core.tables.embeddings import EmbeddingTable


@dataclass
class TrainedTarget:
    """The model of a target, and its metrics.

    Attributes
    ----------
    training : Training
        The model, and out-of-fold predictions of train faces.
    held_out : HeldOut
        Metrics on val and test faces.
    warnings : list of str
        What the user should know about the model.
    summary : str
        One line on the training.
    """

    training: Training
    held_out: HeldOut
    warnings: list[str]
    summary: str


def train_target(
    target: str,
    options: Classification | Regression,
    min_per_class: int,
    embeddings: EmbeddingTable,
    labels: pd.Series,
    split: pd.Series,
    faces: pd.DataFrame,
    persons: pd.Series,
) -> TrainedTarget:
    """Train a target on the labelled train faces, and measure it on those of val and test.

    Parameters
    ----------
    target : str
        Name of the attribute.
    options : Classification or Regression
        `attributes.targets.<target>` of `params.yaml`.
    min_per_class : int
        Labelled train faces that a class needs.
    embeddings : EmbeddingTable
        Of n faces.
    labels, split : Series (n,)
        Label (null where unknown) and split of each face, by filename. In val and test, the best
        labelled copy of a picture counts, and no other.
    faces : DataFrame
        Accepted faces with the columns `identity.IDENTITY`.
    persons : Series
        Person by filename, null where unknown.

    Returns
    -------
    TrainedTarget
    """
    labels = labels.where(split == "train", count_once(labels.to_frame(), faces)[labels.name])
    labelled = labels.notna().to_numpy()
    x, labels, split = embeddings.take(labelled), labels[labelled], split[labelled]
    groups = same_faces(faces, persons).reindex(labels.index)
    train, val = (split == "train").to_numpy(), (split == "val").to_numpy()
    learned = x[train], labels[train]
    if options.pretrained is not None:
        path = Path(options.pretrained)
        model = load_pretrained(path, target, options.kind, embeddings.dimension)
        training = use_pretrained(model, *learned)
    elif options.kind == "classification":
        training = train_classifier(
            target, *learned, min_per_class, options.C, options.class_weight, groups[train]
        )
    else:
        training = train_regression(target, *learned, min_per_class, options.alpha, groups[train])
    if options.kind == "classification":
        set_threshold(training, options.precision, labels[train], x[val], labels[val])
    held_out = measure_held_out(training.model, x, labels, split)
    return TrainedTarget(
        training,
        held_out,
        _warnings(training, min_per_class),
        _summary(training, held_out.metrics["test"]["n"]),
    )


def _warnings(training: Training, min_per_class: int) -> list[str]:
    model = training.model
    if not model.trained:
        return [f"{model.target} is not trained: {model.why}"]
    warnings = []
    if model.left_out:
        warnings.append(
            f"{model.target}: classes with fewer than {min_per_class} train faces are left out: "
            f"{model.left_out}"
        )
    if model.abstain_below == float("inf"):
        warnings.append(
            f"{model.target} never answers: at no threshold are {model.wanted_precision:.0%} of "
            f"the answers right ({model.threshold_from}); a lower "
            f"attributes.targets.{model.target}.precision lets it answer"
        )
    return warnings


def _summary(training: Training, n_test: int) -> str:
    model = training.model
    if not model.trained:
        return "trained=false"
    measured = f"measured on {n_test} test faces"
    if model.pretrained:
        return f"pretrained, calibrated on {len(training.out_of_fold)} train faces, {measured}"
    penalty = f"penalty={model.penalty:g} ({model.penalty_from})"
    return f"trained on {model.n_train} faces, {measured}, {penalty}"
