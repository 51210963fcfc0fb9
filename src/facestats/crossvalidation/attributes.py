"""Cross-validation of an attribute's model: trained anew in each outer fold, threshold included."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.attributes.params import Classification, Regression
from facestats.attributes.training import set_threshold, train_classifier, train_regression
from facestats.core.ranges import range_middles
from facestats.crossvalidation.plan import Division, Plan
from facestats.errors import InputError
from facestats.machine.threads import in_threads, one_thread

TRAINED, ZEROSHOT, MAJORITY, MEAN = "trained", "zeroshot", "majority", "mean"
MOST_THREADS = 4  # 100 MB each for 2,000 faces


@dataclass
class Answers:
    """Cross-validated answers of one attribute.

    Attributes
    ----------
    actual : Series (n,)
        Label of each measured face, by filename: classes or numbers.
    groups : Series of str (n,)
        Whose face each is.
    folds : ndarray of int (repeats, n)
        Fold of each face.
    predicted : dict of ndarray (repeats, n)
        By model: classes, without abstaining, or numbers.
    sure : dict of ndarray of float (repeats, n)
        Probability of each class that is answered.
    answered : dict of ndarray of bool (repeats, n)
        Whether it is sure enough.
    """

    actual: pd.Series
    groups: pd.Series
    folds: np.ndarray
    predicted: dict[str, np.ndarray] = field(default_factory=dict)
    sure: dict[str, np.ndarray] = field(default_factory=dict)
    answered: dict[str, np.ndarray] = field(default_factory=dict)


def cross_validate_attribute(
    target: str,
    options: Classification | Regression,
    min_per_class: int,
    embeddings: np.ndarray,
    labels: pd.Series,
    measured: pd.Series,
    groups: pd.Series,
    stop_share: float,
    plan: Plan,
    prompts: pd.DataFrame | None = None,
) -> Answers:
    """Predict each labelled face by a model that has not seen its person.

    Parameters
    ----------
    target : str
        Name of the attribute.
    options : Classification or Regression
        `attributes.targets.<target>` of `params.yaml`.
    min_per_class : int
        Labelled train faces that a class needs.
    embeddings : ndarray of float32 (n, d)
        Of the labelled faces.
    labels : Series (n,)
        Label of each, by filename.
    measured : Series of bool (n,)
        Which of them count; worse copies of a picture teach only.
    groups : Series of str (n,)
        Whose face each is, as `identity.same_faces` gives it.
    stop_share : float
        Share of the faces outside a fold that a threshold is chosen on, as val does.
    plan : Plan
    prompts : DataFrame (n rows), optional
        `<target>_prob_<class>` of the prompts, which learn nothing.

    Returns
    -------
    Answers

    Raises
    ------
    InputError
        There are too few faces or persons, or too many, or nothing can be trained in a fold.
    """
    if options.pretrained is not None:
        raise InputError("its model was trained elsewhere")
    counts, classes = measured.to_numpy(bool), options.kind == "classification"
    if not classes:
        labels = numeric_labels(target, labels)
    names = labels.to_numpy(object) if classes else None
    division = Division.of(groups, measured, stop_share, plan, names)

    def predict(job: tuple[int, int]) -> tuple[np.ndarray, ...]:
        inside, stops, train = division.parts(*job)
        learned = embeddings[train], labels[train]
        if isinstance(options, Classification):
            training = train_classifier(
                target, *learned, min_per_class, options.C, options.class_weight, groups[train]
            )
            chosen = stops & counts
            set_threshold(
                training, options.precision, labels[train], embeddings[chosen], labels[chosen]
            )
        else:
            training = train_regression(
                target, *learned, min_per_class, options.alpha, groups[train]
            )
        if not training.model.trained:
            raise InputError(f"fold {job[1]}: {training.model.why}")
        return _answers(training.model, embeddings[inside])

    with one_thread():
        results = in_threads(predict, division.jobs, MOST_THREADS)
    out = Answers(labels[counts], groups[counts], division.folds[:, counts])
    shape = division.folds.shape
    predicted = np.empty(shape, dtype=object if classes else float)
    simple, sure, answered = predicted.copy(), np.full(shape, np.nan), np.ones(shape, dtype=bool)
    for (repeat, k), (answer, probability, told) in zip(division.jobs, results, strict=True):
        inside = division.folds[repeat] == k
        predicted[repeat, inside], sure[repeat, inside] = answer, probability
        answered[repeat, inside] = told
        outside = labels[~inside]
        simple[repeat, inside] = outside.mode().iloc[0] if classes else outside.mean()
    out.predicted[TRAINED] = predicted[:, counts]
    out.sure[TRAINED], out.answered[TRAINED] = sure[:, counts], answered[:, counts]
    out.predicted[MAJORITY if classes else MEAN] = simple[:, counts]
    if prompts is not None:
        _add_prompts(out, target, classes, prompts[counts])
    return out


def _answers(model: AttributeModel, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Answers without abstaining, their probabilities, and whether they are sure enough."""
    if model.kind == "regression":
        return model.predict(x), np.full(len(x), np.nan), np.ones(len(x), dtype=bool)
    shares = model.predict_proba(x)
    sure = shares[np.arange(len(x)), model.choose(shares)]
    return model.decide(shares), sure, sure >= model.abstain_below


def _add_prompts(out: Answers, target: str, classes: bool, prompts: pd.DataFrame) -> None:
    start = f"{target}_prob_"
    names = [name.removeprefix(start) for name in map(str, prompts) if name.startswith(start)]
    if not names:
        return
    shares = prompts[[f"{start}{name}" for name in names]].to_numpy(float)
    if classes:
        answer = np.asarray(names, dtype=object)[shares.argmax(axis=1)]
        out.sure[ZEROSHOT] = np.tile(shares.max(axis=1), (len(out.folds), 1))
    else:
        try:
            answer = shares @ np.asarray(range_middles(names))
        except ValueError:
            return
    out.predicted[ZEROSHOT] = np.tile(answer, (len(out.folds), 1))
