"""Attribute models that were trained elsewhere.

Turned into the safe form, and taken in place of training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facestats.attributes.calibration import Calibration
from facestats.attributes.estimators.kinds import put_together
from facestats.attributes.estimators.nodes import Node
from facestats.attributes.estimators.steps import (
    CLASSIFIERS,
    LINES,
    TRANSFORMERS,
    WRAPPERS,
    name_of,
    state_of,
    take_steps,
)
from facestats.attributes.estimators.taking import Parts, take_apart
from facestats.attributes.estimators.unpickle import Remains, read_pickle
from facestats.attributes.model import AttributeModel, numeric_labels
from facestats.attributes.training import ENOUGH, Training
from facestats.core.fingerprint import sha256_file
from facestats.core.tables import UNKNOWN
from facestats.errors import InputError, ModelError

NAMES = (
    "classes",
    "class_names",
    "labels",
    "label_names",
    "target_names",
    "names",
    "id2label",
    "label_map",
    "idx_to_class",
    "int_to_label",
)
PROBED = 64  # random unit vectors that a converted model has to answer


def convert(
    path: Path, target: str, classes: list[str] | None = None
) -> tuple[AttributeModel, list[str]]:
    """Turn somebody's pickled classifier into a model of this project.

    Parameters
    ----------
    path : Path
        Pickle or joblib file with a classifier, a regression or a pipeline of scikit-learn, alone
        or in a dict, with a LabelEncoder beside it or not.
    target : str
        What it tells, such as `gender`.
    classes : list of str, optional
        Names of its classes, in the order of its own (numbers ascend, texts come by the alphabet);
        None: as they are called in the file.

    Returns
    -------
    tuple[AttributeModel, list[str]]
        The model, and notes for the one who converts it.

    Raises
    ------
    ModelError
        The file is unreadable, or what it holds can't be stored as arrays.
    InputError
        As many `classes` as it has are needed, each another.
    """
    content = read_pickle(path)
    contents = list(_find(content))
    estimators = [
        (where, thing)
        for where, thing in contents
        if name_of(thing) in (*CLASSIFIERS, *LINES, *WRAPPERS, "Pipeline")
    ]
    if not estimators:
        take_apart(content)  # says what it is, and what would do
    if len(estimators) > 1:
        raise ModelError(
            f"{path} holds {len(estimators)} estimators "
            f"({', '.join(f'{where}: {name_of(thing)}' for where, thing in estimators)}); save "
            "one of them alone"
        )
    ((where, estimator),) = estimators
    parts = take_apart(estimator)
    notes = list(parts.notes)
    before = [(place, thing) for place, thing in contents if name_of(thing) in TRANSFORMERS]
    if before:
        steps = take_steps([thing for _, thing in before])
        parts = Parts.of(
            Node("pipeline", {}, {}, [*steps, *parts.node.parts]),
            parts.classes,
            parts.dimension,
            notes,
        )
        notes.append(
            f"before {where} comes what lies beside it: "
            f"{', '.join(f'{place} ({name_of(thing)})' for place, thing in before)}"
        )
    model = AttributeModel(
        target,
        "regression" if parts.classes is None else "classification",
        penalty_from="pretrained",
    )
    if parts.classes is not None:
        model.classes = _names(path, parts.classes, contents, content, classes, notes)
    if parts.dimension is None:
        raise ModelError(
            f"{path} does not say how many numbers its {name_of(estimator)} takes; save it with a "
            "newer scikit-learn"
        )
    try:
        model.pipeline = put_together(
            parts.node, np.asarray(model.classes, dtype=object), parts.dimension
        )
    except ValueError as error:
        raise ModelError(
            f"{path}: its {name_of(estimator)} does not fit together ({error})"
        ) from None
    _probe(path, model, parts.dimension)
    return model, notes


def load_pretrained(path: Path, target: str, kind: str, dimension: int) -> AttributeModel:
    """Read a model file of this project in place of training; see `convert`.

    Raises
    ------
    ModelError
        Missing or foreign file, nothing trained in it, another kind, other embeddings.
    """
    name = f"attributes.targets.{target}.pretrained"
    if not path.exists():
        raise ModelError(
            f"{name}: {path}: no such file; `dvc pull` brings it if it is under DVC, `python -m "
            "facestats models convert` makes one of a "
            "pickled classifier"
        )
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{name}: {path} is no .safetensors file; `python -m facestats models convert {path}` "
            "makes one of a pickled classifier"
        )
    model = AttributeModel.load(path)
    if not model.trained:
        raise ModelError(f"{name}: {path} holds no trained model: {model.why}")
    if model.kind != kind:
        raise ModelError(
            f"{name}: {path} is a {model.kind}, but attributes.targets.{target}.kind is {kind}"
        )
    if model.dimension != dimension:
        raise ModelError(
            f"{name}: {path} takes embeddings of {model.dimension} dimensions, but this CLIP "
            f"variant gives {dimension}; choose the "
            "clip.variant that it was trained on"
        )
    model.target, model.pretrained = target, sha256_file(path)
    model.why, model.left_out, model.n_train, model.penalty, model.penalty_from = (
        None,
        {},
        0,
        None,
        "pretrained",
    )
    model.wanted_precision, model.abstain_below, model.threshold_from = None, 0.0, None
    return model


def use_pretrained(model: AttributeModel, embeddings: np.ndarray, labels: pd.Series) -> Training:
    """Calibrate a model that was trained elsewhere on labelled train faces, which it has not seen,
    where there are enough.

    Parameters
    ----------
    embeddings, labels
        (n, d) of the train faces, and their labels, null where unknown.

    Raises
    ------
    ModelError
        Not one label is called as one of its classes.
    """
    if model.kind == "regression":
        known = numeric_labels(model.target, labels).notna().to_numpy()
        predicted = model.predict(embeddings[known]) if known.any() else np.empty(0)
        return Training(model, pd.DataFrame({model.target: predicted}, index=labels.index[known]))
    labelled = (labels.notna() & (labels != UNKNOWN)).to_numpy()
    known = labelled & labels.isin(model.classes).to_numpy()
    if labelled.any() and not known.any():
        raise ModelError(
            f"attributes.targets.{model.target}.pretrained: the model says "
            f"{', '.join(model.classes)}, the labels say "
            f"{', '.join(sorted(set(labels[labelled].astype(str)))[:8])}; convert it again with "
            "--classes, the labels' words for its classes "
            "in the order of its own"
        )
    columns = [f"{model.target}_prob_{name}" for name in model.classes]
    if not known.any():
        return Training(
            model, pd.DataFrame(columns=columns, index=labels.index[:0], dtype="float64")
        )
    if known.sum() >= ENOUGH:
        model.calibration = None
        actual = pd.Index(model.classes).get_indexer(labels[known])
        model.calibration = Calibration.fit(
            model.predict_proba(embeddings[known]), actual, np.ones(len(model.classes))
        )
    return Training(
        model,
        pd.DataFrame(
            model.predict_proba(embeddings[known]), index=labels.index[known], columns=columns
        ),
    )


def _find(content: Any, where: str = "the file", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Estimators, transformers and label encoders in dicts, lists and objects of classes of one's
    own, with their places.
    """
    if name_of(content) in (
        *CLASSIFIERS,
        *LINES,
        *WRAPPERS,
        *TRANSFORMERS,
        "Pipeline",
        "LabelEncoder",
        "LabelBinarizer",
    ):
        yield where, content
    elif depth < 3:
        inside: list[tuple[Any, Any]] = []
        if isinstance(content, dict):
            inside = list(content.items())
        elif isinstance(content, list | tuple) and len(content) < 100:
            inside = list(enumerate(content))
        elif isinstance(content, Remains) and "sklearn" not in content.module:
            inside = [
                *state_of(content).items(),
                *(item for item in content.items if isinstance(item, tuple) and len(item) == 2),
            ]
        for key, value in inside:
            yield from _find(
                value, f"{key!s:.40}" if depth == 0 else f"{where}.{key!s:.40}", depth + 1
            )


def _names(
    path: Path,
    own: np.ndarray,
    contents: list,
    content: Any,
    given: list[str] | None,
    notes: list[str],
) -> list[str]:
    """What the classes are called.

    As given, as a LabelEncoder or a list in the file says, or as they are.
    """
    if given is not None:
        if len(given) != len(own) or len(set(given)) != len(own):
            raise InputError(
                f"--classes names {', '.join(given)}, but {path} has {len(own)} classes: "
                f"{', '.join(map(_text, own))}; name each of them, in "
                "this order"
            )
        names = given
    else:
        names = [_text(name) for name in own]
        if own.dtype.kind in "iufb" and (table := _table(contents, content)) is not None:
            numbers = own.astype(int)
            names = (
                [_text(table[n]) for n in numbers] if all(n in table for n in numbers) else names
            )
        if all(name.lstrip("-").isdigit() for name in names):
            notes.append(
                f"its classes are called {', '.join(names)}; if your labels have words for them, "
                "convert it again with --classes"
            )
    if not all(name and name.isprintable() and name != UNKNOWN for name in names) or len(
        set(names)
    ) != len(names):
        raise InputError(
            f"{path}: its classes are called {', '.join(map(ascii, names))[:200]}; --classes "
            "gives each a printable name of its own"
        )
    return names


def _table(contents: list, content: Any) -> dict[int, Any] | None:
    """Names by number, as a LabelEncoder or a list in the file has them."""
    for _, thing in contents:
        if name_of(thing) in ("LabelEncoder", "LabelBinarizer") and "classes_" in state_of(thing):
            return dict(enumerate(np.asarray(state_of(thing)["classes_"]).ravel().tolist()))
    around = (
        content
        if isinstance(content, dict)
        else state_of(content)
        if isinstance(content, Remains)
        else {}
    )
    for key in NAMES:
        names = around.get(key)
        if isinstance(names, dict):
            turned = (
                names
                if all(str(k).lstrip("-").isdigit() for k in names)
                else {v: k for k, v in names.items()}
            )
            return (
                {int(k): v for k, v in turned.items()}
                if all(str(k).lstrip("-").isdigit() for k in turned)
                else None
            )
        if isinstance(names, list | tuple | np.ndarray):
            return dict(enumerate(np.asarray(names).ravel().tolist()))
    return None


def _text(name: Any) -> str:
    """A class's name: text as it is, 1.0 as 1."""
    if isinstance(name, bytes):
        return name.decode("utf-8", errors="replace")
    if isinstance(name, float | np.floating) and float(name).is_integer():
        return str(int(name))
    return str(name)


def _probe(path: Path, model: AttributeModel, dimension: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(PROBED, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    answers = model.predict_proba(vectors) if model.classes else model.predict(vectors)
    if not np.isfinite(answers).all():
        raise ModelError(f"{path}: it answers with numbers that are not finite")
